//! Readers of git's own files and directories, such as the `.git` file of a worktree.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::system::none_if_missing;
use crate::system::regular_file::read_file;

/// Returns the metadata of `path` without following a link; `None` if it does not exist, or if a
/// directory above it is a file.
pub(in crate::git) fn lstat(path: &Path) -> Result<Option<Metadata>> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotADirectory => Ok(None),
        found => {
            none_if_missing(found).with_context(|| format!("could not access '{}'", path.display()))
        }
    }
}

/// Lists the full paths of all entries of a directory, hidden ones too; empty if it does not exist.
pub(in crate::git) fn list_dir(dir: &Path) -> Result<Vec<PathBuf>> {
    let read = || fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect();
    let entries: io::Result<Option<Vec<_>>> = none_if_missing(read());
    let entries = entries.with_context(|| format!("could not read '{}'", dir.display()))?;
    Ok(entries.unwrap_or_default())
}

/// Reads a regular file without following a link; returns an empty content if it does not exist.
pub(in crate::git) fn read_or_empty(file: &Path) -> Result<Vec<u8>> {
    let content = none_if_missing(read_file(file));
    let content = content.with_context(|| format!("could not read '{}'", file.display()))?;
    Ok(content.unwrap_or_default())
}

/// Returns the administrative directory that the `.git` file in the directory `path` names, with
/// `..` removed from its path. `None` if there is no such file or it is unreadable.
pub(in crate::git) fn linked_dir(path: &Path) -> Option<PathBuf> {
    read_gitfile(path).map(|named| normalize(&named))
}

/// Returns the git directory that the `.git` file in the directory `path` names (`gitdir: <path>`),
/// with links and `..` as they are. `None` if there is no such file or it is unreadable.
pub(in crate::git) fn read_gitfile(path: &Path) -> Option<PathBuf> {
    parse_gitfile(path, &read_file(&path.join(".git")).ok()?)
}

/// Returns the git directory that `text`, the content of the `.git` file in the directory `path`,
/// names (`gitdir: <path>`); a relative one begins at `path`. `None` if `text` has another form.
pub(in crate::git) fn parse_gitfile(path: &Path, text: &[u8]) -> Option<PathBuf> {
    let named = text.trim_ascii_end().strip_prefix(b"gitdir: ")?;
    Some(path.join(OsStr::from_bytes(named)))
}

/// Returns the path that `text`, the content of a file in `dir`, names: a relative one begins at
/// `dir`, and each `..` is removed. The path need not exist; links are not followed.
pub(in crate::git) fn resolve_in(dir: &Path, text: &[u8]) -> PathBuf {
    normalize(&dir.join(OsStr::from_bytes(text.trim_ascii_end())))
}

/// Removes each `..` of a path, and the part before it if there is one. Does not look at links; the
/// path need not exist.
pub(in crate::git) fn normalize(path: &Path) -> PathBuf {
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
