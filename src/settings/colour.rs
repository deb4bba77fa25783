//! When output is coloured: the values of `color.flux`.

use crate::git::repo::parse_bool;

/// When output is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    Always,
    /// On a terminal.
    Auto,
    Never,
}

impl Colour {
    /// What git takes a value for: as a boolean, true is on a terminal.
    pub(super) fn of(value: &str) -> Option<Self> {
        match value {
            "always" => Some(Self::Always),
            "never" => Some(Self::Never),
            "auto" => Some(Self::Auto),
            value => parse_bool(value).map(|is| if is { Self::Auto } else { Self::Never }),
        }
    }
}

/// Whether `color.flux` may have this value.
pub(super) fn is_colour(value: &str) -> bool {
    Colour::of(value).is_some()
}
