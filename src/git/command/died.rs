//! A git that did not end by itself.

use std::error::Error;
use std::fmt;

/// The error for a git that a signal has ended, as it does itself where it finds a defect of its own.
#[derive(Debug)]
pub(crate) struct Died {
    /// `git <subcommand>`
    pub(in crate::git) command: String,
    pub(in crate::git) signal: i32,
}

impl fmt::Display for Died {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { command, signal } = self;
        write!(f, "`{command}` was ended by signal {signal}")
    }
}

impl Error for Died {}
