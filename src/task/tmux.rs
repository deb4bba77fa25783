//! How tmux names its panes, windows and sessions.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The number of a pane, written `%1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct PaneId(u32);

/// The number of a window, written `@1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct WindowId(u32);

/// The number of a session, written `$1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionId(pub(crate) u32);

/// The name of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct SessionName(String);

/// The error for what is not an id.
#[derive(Debug)]
pub(crate) struct NoId;

impl fmt::Display for NoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an id of tmux")
    }
}

impl std::error::Error for NoId {}

macro_rules! id {
    ($id:ident, $sigil:literal) => {
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", $sigil, self.0)
            }
        }

        impl FromStr for $id {
            type Err = NoId;

            fn from_str(text: &str) -> Result<Self, NoId> {
                let number = text.strip_prefix($sigil).ok_or(NoId)?;
                let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
                let number = number.parse().ok().filter(|_| is_number);
                number.map(Self).ok_or(NoId)
            }
        }

        impl From<$id> for String {
            fn from(id: $id) -> Self {
                id.to_string()
            }
        }

        impl TryFrom<String> for $id {
            type Error = NoId;

            fn try_from(text: String) -> Result<Self, NoId> {
                text.parse()
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
    fn an_id_is_its_sign_and_a_number() {
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
        let read = |text: &str| serde_json::from_str::<WindowId>(text);
        assert_eq!(
            serde_json::to_string(&read("\"@7\"").unwrap()).unwrap(),
            "\"@7\""
        );
        assert!(read("\"%7\"").is_err() && read("7").is_err());
    }
}
