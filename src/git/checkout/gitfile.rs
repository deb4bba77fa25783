//! The `.git` file of a worktree, which names what git keeps of it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use crate::system::regular_file::read_file;

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
