//! Diffs of a worktree, including untracked files.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use anyhow::Result;
use bstr::ByteSlice as _;

use crate::git::changes::ls_files;
use crate::git::changes::scratch_index::ScratchIndex;
use crate::git::{Checkout, Git};
use crate::system::temporary_dir::TemporaryDir;

/// Shows a worktree's changes since the commit `since`, with untracked files that are not ignored,
/// and returns git's exit code: `git diff <since> <args>`. Uses git's pager on a terminal. Leaves
/// the worktree's index unchanged.
pub(crate) fn show(
    checkout: &Checkout,
    since: impl AsRef<OsStr>,
    args: &[OsString],
) -> Result<i32> {
    let untracked = ls_files::list_untracked(checkout)?;
    // A partial clone may have to fetch blobs.
    let diff = checkout.reading().env("GIT_NO_LAZY_FETCH", "0");
    let diff = diff.arg("diff").arg(since).args(args);
    if untracked.is_empty() {
        return diff.in_foreground();
    }
    // A diff shows only files in an index: add the untracked ones to a copy.
    let index = ScratchIndex::copy_of(checkout)?;
    // Keep the blobs of untracked files out of the repository.
    let objects = TemporaryDir::make()?;
    let known_objects = quote_path(&checkout.common_dir().join("objects"));
    let with_scratch_index = |git: Git| {
        index.used_by(git).envs([
            ("GIT_OBJECT_DIRECTORY", objects.path().as_os_str()),
            ("GIT_ALTERNATE_OBJECT_DIRECTORIES", &known_objects),
        ])
    };
    let add = checkout.reading().words("add --intent-to-add --sparse");
    with_scratch_index(add).with_paths(&untracked).run()?;
    with_scratch_index(diff).in_foreground()
}

/// Puts a path in double quotes with escapes, as git reads it in a colon-separated list such as
/// `GIT_ALTERNATE_OBJECT_DIRECTORIES`.
fn quote_path(path: &Path) -> OsString {
    let path = path.as_os_str().as_bytes();
    let path = path.replace(b"\\", b"\\\\").replace(b"\"", b"\\\"");
    OsString::from_vec([b"\"", &*path, b"\""].concat())
}
