//! What failed for one of many, and did not stop the others.

use std::fmt::Display;

use anyhow::{Error, Result};

use crate::failure::Failure;
use crate::ui::{self, Ui};

/// How many of many have failed; each was named.
#[derive(Debug, Default)]
pub(super) struct Faults(usize);

impl Faults {
    /// Shows the error of one.
    pub(super) fn show(&mut self, error: &Error) {
        ui::show(error);
        self.count();
    }

    /// Says what could not be told of one.
    pub(super) fn warn(&mut self, ui: &Ui, what: impl Display) {
        ui.warning(what);
        self.count();
    }

    /// Counts one that is named already.
    pub(super) fn count(&mut self) {
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
