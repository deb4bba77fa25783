//! Versions of stored formats: a file of a later version is recognized and not read.

use std::fmt::{self, Display};

use anyhow::{Context as _, Error, Result, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::failure::Failure;

/// The version of `launch`, `running`, `exit`, `shared` and the lines of `events` in a run directory.
///
/// A file without a `version` has version 1, so no file of version 1 has the field. A change
/// that this program would misread raises it; a field that may be ignored does not. 0.1.0
/// ignores the version. A change that it must not misread needs a field of another name or type
/// beside the version, so that 0.1.0 finds the file damaged.
pub(crate) const RUN_VERSION: u64 = 1;

/// The error for a file that a newer git flux wrote.
#[derive(Debug)]
pub(crate) struct NewerVersion {
    version: u64,
    known: u64,
}

impl fmt::Display for NewerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, known } = self;
        write!(
            f,
            "it has version {version}, for a newer git flux; this one reads version {known}"
        )
    }
}

impl std::error::Error for NewerVersion {}

/// Returns whether an error is that a newer git flux wrote the file.
pub(crate) fn is_newer(error: &Error) -> bool {
    error.downcast_ref::<NewerVersion>().is_some()
}

/// The state of a task whose record a newer git flux wrote.
pub(crate) const NEWER: &str = "newer";

/// Returns the state of a task whose record could not be read, by the error: `newer` if a newer git
/// flux wrote it, otherwise `broken`.
pub(crate) fn state_of(error: &Error) -> &'static str {
    if is_newer(error) { NEWER } else { "broken" }
}

/// Returns the error that `what` cannot be read. Its hints are to update git flux, if a newer one
/// wrote it, and the command that shows the record: `git cat-file -p <record>`.
pub(crate) fn refusal(what: impl Display, record: impl Display, error: &Error) -> Failure {
    let update = "update git flux, or find the newer one: type -a git-flux";
    Failure::new(format!("{what} cannot be read: {error:#}"))
        .hints(is_newer(error).then_some(update))
        .hint(format!("to look at the record: git cat-file -p {record}"))
}

/// Parses a JSON object of a version up to `known`; without the field `version` it has version 1.
///
/// # Errors
/// [`NewerVersion`] if its version is later.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8], known: u64) -> Result<T> {
    #[derive(Deserialize)]
    struct Versioned {
        #[serde(default = "first")]
        version: u64,
    }
    fn first() -> u64 {
        1
    }
    let Versioned { version } = serde_json::from_slice(bytes).context("it is damaged")?;
    if version > known {
        return Err(NewerVersion { version, known }.into());
    }
    if version == 0 {
        bail!("there is no version 0");
    }
    Ok(serde_json::from_slice(bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_tells_a_later_version_from_damage() {
        let read = |text: &str| parse::<serde_json::Value>(text.as_bytes(), 2);
        assert!(read("{}").is_ok() && read(r#"{"version":1}"#).is_ok());
        assert!(read(r#"{"version":2,"other":[]}"#).is_ok());
        // Its other fields are ignored.
        for newer in [r#"{"version":3}"#, r#"{"version":18446744073709551615}"#] {
            let error = read(newer).unwrap_err();
            assert!(is_newer(&error), "{newer}: {error}");
        }
        for damaged in [
            "",
            "3",
            "null",
            r#"{"version":0}"#,
            r#"{"version":-1}"#,
            r#"{"version":3.5}"#,
            r#"{"version":"3"}"#,
            r#"{"version":null}"#,
            r#"{"version":1"#,
            r#"{"version":3,"version":1}"#,
        ] {
            let error = read(damaged).unwrap_err();
            assert!(!is_newer(&error), "{damaged}");
        }
    }
}
