//! What failed for one of many, and did not stop the others.

use std::fmt::Display;

use anyhow::{Error, Result};

use crate::failure::Failure;
use crate::lifecycle::Flux;
use crate::ui;

/// How many of many have failed; each was named.
#[derive(Debug, Default)]
pub(super) struct Faults(usize);

impl Faults {
    /// Shows the error of one.
    pub(super) fn show(&mut self, error: &Error) {
        ui::show(error);
        self.0 += 1;
    }

    /// Says what could not be told of one.
    pub(super) fn warn(&mut self, flux: &Flux, what: impl Display) {
        flux.ui.warning(what);
        self.0 += 1;
    }

    pub(super) fn none(&self) -> bool {
        self.0 == 0
    }

    /// Fails if any has.
    pub(super) fn ensure_none(&self, what: &str) -> Result<()> {
        match self.0 {
            0 => Ok(()),
            _ => Err(Failure::new(what).into()),
        }
    }
}
