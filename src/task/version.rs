//! Versions of what is stored: a file of a later version is known for one, and not understood.

use std::fmt::{self, Display};

use anyhow::{Context as _, Error, Result, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::failure::Failure;

/// The version of `launch`, `running`, `exit` and the lines of `events`, in which a run and
/// others talk to each other.
///
/// None of them carries it as long as it is 1: a file without a `version` is of the first. A
/// change that this program would misread raises it; a field that may be overlooked does not.
/// 0.1.0 looks for no version there and reads what we write today. What it must not misread
/// needs a field of another name or type beside the version, so that it finds the file damaged.
pub(crate) const RUN: u64 = 1;

/// The error for what a newer git flux has written.
#[derive(Debug)]
pub(crate) struct Newer {
    version: u64,
    known: u64,
}

impl fmt::Display for Newer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, known } = self;
        write!(
            f,
            "it is of version {version}, by a newer git flux; this one reads version {known}"
        )
    }
}

impl std::error::Error for Newer {}

/// Returns whether the error is that a newer git flux has written it.
pub(crate) fn is_newer(error: &Error) -> bool {
    error.downcast_ref::<Newer>().is_some()
}

/// The state of a task whose record a newer git flux has written.
pub(crate) const NEWER: &str = "newer";

/// Returns the state of a task whose record cannot be read, in a word: `newer` where a newer
/// git flux has written it.
pub(crate) fn state_of(error: &Error) -> &'static str {
    if is_newer(error) { NEWER } else { "broken" }
}

/// Returns the refusal to do anything with `what`, whose record in the tree `record` cannot be read.
pub(crate) fn refusal(what: impl Display, record: impl Display, error: &Error) -> Failure {
    let update = "update git flux, or find the newer one: type -a git-flux";
    Failure::new(format!("{what} cannot be read: {error:#}"))
        .hints(is_newer(error).then_some(update))
        .hint(format!("git cat-file -p {record}"))
}

/// Reads a JSON object of a version up to `known`. One without a version is of the first.
///
/// # Errors
/// [`Newer`] where it is of a later one, or what is wrong with it.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8], known: u64) -> Result<T> {
    #[derive(Deserialize)]
    struct Versioned {
        #[serde(default = "first")]
        version: u64,
    }
    fn first() -> u64 {
        1
    }
    let Versioned { version } = serde_json::from_slice(bytes).context("it has no version")?;
    if version > known {
        return Err(Newer { version, known }.into());
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
    fn a_later_version_is_told_from_what_is_damaged() {
        let read = |text: &str| parse::<serde_json::Value>(text.as_bytes(), 2);
        assert!(read("{}").is_ok() && read(r#"{"version":1}"#).is_ok());
        assert!(read(r#"{"version":2,"other":[]}"#).is_ok());
        // Nothing else of it is looked at.
        for newer in [r#"{"version":3}"#, r#"{"version":18446744073709551615}"#] {
            let error = read(newer).unwrap_err();
            assert!(error.downcast_ref::<Newer>().is_some(), "{newer}: {error}");
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
            assert!(error.downcast_ref::<Newer>().is_none(), "{damaged}");
        }
    }
}
