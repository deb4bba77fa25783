//! Names of branches, refs and objects in git.

use std::borrow::Borrow;
use std::ffi::OsStr;
use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

/// The prefix of the refs of branches.
pub(crate) const HEADS: &str = "refs/heads/";

/// The number of digits in messages.
const SHORT_DIGITS: usize = 9;

/// A branch, without `refs/heads/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct BranchName(String);

/// A full ref name, `refs/…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct RefName(String);

/// A full object name, in hexadecimal.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ObjectId(String);

impl BranchName {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// Creates a branch name from user input, and removes `refs/heads/` at its beginning. Checks
    /// neither that the name is valid nor that the branch exists.
    pub(crate) fn typed(name: &str) -> Self {
        Self::new(name.strip_prefix(HEADS).unwrap_or(name))
    }

    /// Returns the full name of the branch's ref: `refs/heads/<branch>`.
    pub(crate) fn full(&self) -> RefName {
        RefName([HEADS, &self.0].concat())
    }
}

impl RefName {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// Returns the branch of a ref below `refs/heads/`; `None` for any other ref.
    pub(crate) fn branch(&self) -> Option<BranchName> {
        let name = self.0.strip_prefix(HEADS)?;
        Some(BranchName(name.to_owned()))
    }
}

impl ObjectId {
    /// Parses a full object name of 40 or 64 hex digits; `None` if it is anything else.
    pub(crate) fn parse(hex: &[u8]) -> Option<Self> {
        let is_whole = matches!(hex.len(), 40 | 64) && hex.iter().all(u8::is_ascii_hexdigit);
        let hex = std::str::from_utf8(hex).ok()?;
        is_whole.then(|| Self(hex.to_owned()))
    }

    /// Returns the first nine digits of an object name, for messages. They may be ambiguous.
    pub(crate) fn short(&self) -> &str {
        self.0.get(..SHORT_DIGITS).unwrap_or(&self.0)
    }
}

/// Trusts output of git.
impl From<String> for ObjectId {
    fn from(hex: String) -> Self {
        Self(hex)
    }
}

/// Implements the traits of text.
macro_rules! text {
    ($name:ident) => {
        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl AsRef<OsStr> for $name {
            fn as_ref(&self) -> &OsStr {
                self.0.as_ref()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.0 == *other
            }
        }

        impl PartialEq<$name> for String {
            fn eq(&self, other: &$name) -> bool {
                *self == other.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self)
            }
        }
    };
}

text!(BranchName);
text!(RefName);
text!(ObjectId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_accepts_a_branch_with_and_without_refs_heads() {
        let branch = BranchName::typed("refs/heads/a/b");
        assert_eq!((&*branch, &*branch.full()), ("a/b", "refs/heads/a/b"));
        assert_eq!(branch, BranchName::new("a/b"));
        assert_eq!(branch.full().branch(), Some(branch));
        assert_eq!(RefName::new("refs/tags/a").branch(), None);
        // It is a valid name of a branch.
        let odd = RefName::new("refs/heads/refs/heads/a").branch().unwrap();
        assert_eq!(&*odd, "refs/heads/a");
    }

    #[test]
    fn parse_accepts_only_full_object_names() {
        let hex = "0123456789abcdef0123456789abcdef01234567";
        let id = ObjectId::parse(hex.as_bytes()).unwrap();
        assert_eq!((&*id, id.short()), (hex, "012345678"));
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{hex}\""));
        for odd in [
            "",
            "HEAD",
            &hex[1..],
            &format!("{hex}0"),
            &hex.replace('0', "g"),
        ] {
            assert_eq!(ObjectId::parse(odd.as_bytes()), None, "{odd:?}");
        }
    }
}
