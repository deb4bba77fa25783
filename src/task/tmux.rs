//! Ids of panes, windows and sessions in tmux.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, Error, Result};
use serde::{Deserialize, Serialize};

/// The id of a pane, `%1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PaneId(u32);

/// The id of a window, `@1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WindowId(u32);

/// The id of a session, `$1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionId(pub(crate) u32);

/// The name of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct SessionName(String);

macro_rules! id {
    ($id:ident, $sigil:literal) => {
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", $sigil, self.0)
            }
        }

        impl FromStr for $id {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                let number = text.strip_prefix($sigil).filter(|it| !it.starts_with('+'));
                let number = number.and_then(|number| number.parse().ok());
                number.map(Self).context("not an id of tmux")
            }
        }
    };
}

id!(PaneId, '%');
id!(WindowId, '@');
id!(SessionId, '$');

impl SessionName {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_str_accepts_only_a_sigil_and_a_number() {
        for text in ["%0", "%7", "%4294967295"] {
            assert_eq!(text.parse::<PaneId>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "%",
            "7",
            "@7",
            "%+7",
            "% 7",
            "%7 ",
            "%4294967296",
            "%-1",
        ] {
            assert!(text.parse::<PaneId>().is_err(), "{text}");
        }
        assert_eq!("@7".parse::<WindowId>().unwrap().to_string(), "@7");
    }
}
