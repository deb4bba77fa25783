//! Files of a run: an agent can write there, too.

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::de::DeserializeOwned;

use crate::git::Sharing;
use crate::git::regular_file::open_file;
use crate::system::none_if_missing;
use crate::task::version;

/// How long a file that is read whole may be, in bytes.
pub(super) const LONGEST: u64 = 1024 * 1024;

/// # Errors
/// When it cannot be read, or is not what it should be.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let what = || format!("'{}' cannot be read", path.display());
    let bytes = end_if_any(path, LONGEST)?;
    let read = |bytes: Vec<u8>| version::parse(&bytes, version::RUN_VERSION).with_context(what);
    bytes.map(read).transpose()
}

/// [`end_of`] a file of a run, if there is one. No launcher leaves a link.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn end_if_any(path: &Path, length: u64) -> Result<Option<Vec<u8>>> {
    let end = none_if_missing(end_of(path, length));
    end.with_context(|| format!("could not read '{}'", path.display()))
}

/// Returns the last `length` bytes of a file. What is no file could be waited for, or read, for ever.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn end_of(path: &Path, length: u64) -> io::Result<Vec<u8>> {
    let mut file = open_file(path)?;
    let whole = file.metadata()?.len();
    file.seek(SeekFrom::Start(whole.saturating_sub(length)))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes a file of a run: whole or not there, readable to its owner alone.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    Sharing::Private.write(path, bytes)
}
