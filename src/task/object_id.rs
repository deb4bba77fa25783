//! The names of git's objects.

use std::ffi::OsStr;
use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

/// How many digits of a name are shown to people.
const SHORT: usize = 10;

/// The name of an object in full, in hexadecimal. What a record says is checked with the record.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ObjectId(String);

impl ObjectId {
    /// Reads a name in full; none if it is none.
    pub(crate) fn parse(hex: &[u8]) -> Option<Self> {
        let is_whole = matches!(hex.len(), 40 | 64) && hex.iter().all(u8::is_ascii_hexdigit);
        let hex = std::str::from_utf8(hex).ok()?;
        is_whole.then(|| Self(hex.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        self
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

impl Deref for ObjectId {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<OsStr> for ObjectId {
    fn as_ref(&self) -> &OsStr {
        self.0.as_ref()
    }
}

impl PartialEq<ObjectId> for String {
    fn eq(&self, other: &ObjectId) -> bool {
        *self == other.0
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_whole_or_none() {
        let hex = "0123456789abcdef0123456789abcdef01234567";
        let id = ObjectId::parse(hex.as_bytes()).unwrap();
        assert_eq!((&*id, id.short()), (hex, "0123456789"));
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
