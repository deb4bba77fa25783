//! Files that may be missing.

use std::io::{self, ErrorKind};

/// Takes it for none that there is no such file or directory.
///
/// # Errors
/// When it failed in any other way.
pub(crate) fn optional<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
