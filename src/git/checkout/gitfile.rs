//! What git's files and directories name, the `.git` file of a worktree for one.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::system::none_if_missing;
use crate::system::regular_file::read_file;

/// Returns what is at `path`, following no link; none if nothing can be there.
pub(in crate::git) fn found_at(path: &Path) -> Result<Option<Metadata>> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotADirectory => Ok(None),
        found => none_if_missing(found)
            .with_context(|| format!("could not look at '{}'", path.display())),
    }
}

/// Returns the paths of what is in a directory; none if there is no such directory.
pub(in crate::git) fn entries_of(dir: &Path) -> Result<Vec<PathBuf>> {
    let read = || fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect();
    let entries: io::Result<Option<Vec<_>>> = none_if_missing(read());
    let entries = entries.with_context(|| format!("could not read '{}'", dir.display()))?;
    Ok(entries.unwrap_or_default())
}

/// Reads a file of git's, which is empty if there is none.
pub(in crate::git) fn content_of(file: &Path) -> Result<Vec<u8>> {
    let content = none_if_missing(read_file(file));
    let content = content.with_context(|| format!("could not read '{}'", file.display()))?;
    Ok(content.unwrap_or_default())
}

/// The entry that the `.git` file of the directory at `path` names, if it is one.
pub(in crate::git) fn named_by(path: &Path) -> Option<PathBuf> {
    link_of(path).map(|named| normal(&named))
}

/// What the `.git` file of the directory at `path` names as it stands there, with its links and `..`.
pub(in crate::git) fn link_of(path: &Path) -> Option<PathBuf> {
    link_in(path, &read_file(&path.join(".git")).ok()?)
}

/// What a `.git` file of the directory at `path` names that says `text`.
pub(in crate::git) fn link_in(path: &Path, text: &[u8]) -> Option<PathBuf> {
    let named = text.trim_ascii_end().strip_prefix(b"gitdir: ")?;
    Some(path.join(OsStr::from_bytes(named)))
}

/// The path that a file in the directory `dir` names, without `..`; it need not exist.
pub(in crate::git) fn place_in(dir: &Path, text: &[u8]) -> PathBuf {
    normal(&dir.join(OsStr::from_bytes(text.trim_ascii_end())))
}

/// The path without `..`, which need not exist.
pub(in crate::git) fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        if part == Component::ParentDir {
            out.pop();
        } else {
            out.push(part);
        }
    }
    out
}
