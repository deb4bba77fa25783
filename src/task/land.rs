//! The part of a task in landings.

use std::fmt;

/// The part of a task in landings, if any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LandState {
    /// A running `git flux land` tests or lands it.
    Landing,
    /// It was sent back so often.
    Back(usize),
    /// It was sent back too often: `land --ready` leaves it out until you have sent or typed
    /// something to its agent.
    Blocked,
}

impl LandState {
    /// Returns the state of a task in landings as a word that does not change between versions:
    /// `landing`, `back` or `blocked`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Landing => "landing",
            Self::Back(_) => "back",
            Self::Blocked => "blocked",
        }
    }
}

impl fmt::Display for LandState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Back(rounds) => write!(f, "back {rounds}"),
            Self::Landing | Self::Blocked => f.write_str(self.name()),
        }
    }
}
