//! The `.git` file of a worktree, which names what git keeps of it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use crate::system::regular_file::read_file;

/// Whether the `.git` file of the worktree at `path` names a directory that is there.
pub(in crate::git) fn leads_somewhere(path: &Path) -> bool {
    link_of(path).is_some_and(|named| named.is_dir())
}

/// The entry that the `.git` file of the directory at `path` names, if it is one.
pub(in crate::git) fn named_by(path: &Path) -> Option<PathBuf> {
    link_of(path).map(|named| normal(&named))
}

/// The same as it stands there, with its links and `..`.
pub(in crate::git) fn link_of(path: &Path) -> Option<PathBuf> {
    let file = read_file(&path.join(".git")).ok()?;
    let named = file.trim_ascii_end().strip_prefix(b"gitdir: ")?;
    Some(path.join(OsStr::from_bytes(named)))
}

/// The path without `..`, which need not exist.
pub(in crate::git) fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}
