//! How git names its branches, refs and objects.

use std::borrow::Borrow;
use std::ffi::OsStr;
use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

/// Where the branches of a repository are.
pub(crate) const HEADS: &str = "refs/heads/";

/// How many digits of a name are shown to people.
const SHORT: usize = 9;

/// The name of a branch, without `refs/heads/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct BranchName(String);

/// The name of a ref in full, `refs/…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct RefName(String);

/// The name of an object in full, in hexadecimal. What a record says is checked with the record.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ObjectId(String);

impl BranchName {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// Takes a name as people type it, also in full: `refs/heads/x` is `x`.
    pub(crate) fn typed(name: &str) -> Self {
        Self::new(name.strip_prefix(HEADS).unwrap_or(name))
    }

    /// Returns its ref, `refs/heads/<branch>`.
    pub(crate) fn full(&self) -> RefName {
        RefName([HEADS, &self.0].concat())
    }
}

impl RefName {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// Returns the branch that it is the ref of, if it is one.
    pub(crate) fn branch(&self) -> Option<BranchName> {
        let name = self.0.strip_prefix(HEADS)?;
        Some(BranchName(name.to_owned()))
    }
}

impl ObjectId {
    /// Reads a name in full; none if it is none.
    pub(crate) fn parse(hex: &[u8]) -> Option<Self> {
        let is_whole = matches!(hex.len(), 40 | 64) && hex.iter().all(u8::is_ascii_hexdigit);
        let hex = std::str::from_utf8(hex).ok()?;
        is_whole.then(|| Self(hex.to_owned()))
    }

    /// Returns its first digits, for people.
    pub(crate) fn short(&self) -> &str {
        self.0.get(..SHORT).unwrap_or(&self.0)
    }
}

/// Takes over what git has printed.
impl From<String> for ObjectId {
    fn from(hex: String) -> Self {
        Self(hex)
    }
}

/// What a name is as text.
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
    fn a_branch_is_known_by_its_short_name_and_by_its_ref() {
        let branch = BranchName::typed("refs/heads/a/b");
        assert_eq!((&*branch, &*branch.full()), ("a/b", "refs/heads/a/b"));
        assert_eq!(branch, BranchName::new("a/b"));
        assert_eq!(branch.full().branch(), Some(branch));
        assert_eq!(RefName::new("refs/tags/a").branch(), None);
        // A branch may be called that.
        let odd = RefName::new("refs/heads/refs/heads/a").branch().unwrap();
        assert_eq!(&*odd, "refs/heads/a");
    }

    #[test]
    fn a_name_is_whole_or_none() {
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
