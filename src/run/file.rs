//! Reading and writing files of a run directory, where an agent may write too.

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::de::DeserializeOwned;

use crate::system::regular_file::open_file;
use crate::system::{Sharing, none_if_missing};
use crate::task::version;

/// The limit for a file that is read as a whole.
pub(super) const MAX_BYTES: u64 = 1024 * 1024;

/// Reads a JSON file of a run directory, at most its last MiB; `None` if it does not exist. Fails
/// if it is invalid, or if a newer git flux wrote it.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let what = || format!("'{}' cannot be read", path.display());
    let bytes = find_tail(path, MAX_BYTES)?;
    let read = |bytes: Vec<u8>| version::parse(&bytes, version::RUN_VERSION).with_context(what);
    bytes.map(read).transpose()
}

/// Reads the last `length` bytes of a regular file, or all of a shorter one; `None` if it does not
/// exist. Fails if it is a link or another kind of file.
pub(crate) fn find_tail(path: &Path, length: u64) -> Result<Option<Vec<u8>>> {
    let end = none_if_missing(read_tail(path, length));
    end.with_context(|| format!("could not read '{}'", path.display()))
}

/// Reads the last `length` bytes of a regular file, or all of a shorter one. Fails if it is a link
/// or another kind of file, which may block or never end.
pub(crate) fn read_tail(path: &Path, length: u64) -> io::Result<Vec<u8>> {
    let mut file = open_file(path)?;
    let whole = file.metadata()?.len();
    file.seek(SeekFrom::Start(whole.saturating_sub(length)))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Replaces a file atomically by one with this content, which only its owner can read and write.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    Sharing::Private.write(path, bytes)
}

/// Creates a file with this content, which only its owner can read and write. Returns `false` and
/// changes nothing if something is at `path`.
pub(crate) fn create_private(path: &Path, bytes: &[u8]) -> Result<bool> {
    Sharing::Private.create(path, bytes)
}
