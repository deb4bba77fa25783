//! What a worktree has that a commit has not, untracked files included.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use bstr::ByteSlice as _;

use crate::git::changes::ls_files;
use crate::git::changes::scratch_index::ScratchIndex;
use crate::git::{Checkout, Git};

/// Shows what is in a worktree and not in the commit `since`, untracked files included, through
/// git's pager; returns git's exit code: `git diff <since> <args>`.
///
/// # Errors
/// When git fails.
pub(crate) fn show(
    checkout: &Checkout,
    since: impl AsRef<OsStr>,
    args: &[OsString],
) -> Result<i32> {
    let untracked = ls_files::list_untracked(checkout)?;
    // What is shown may have to be fetched first.
    let diff = checkout.reading("diff").env("GIT_NO_LAZY_FETCH", "0");
    let diff = diff.arg(since).args(args);
    if untracked.is_empty() {
        return diff.in_foreground();
    }
    // Untracked files are in a diff once an index knows of them: an index of our own.
    let index = ScratchIndex::copy_of(checkout)?;
    // The object that stands for an untracked file goes aside too.
    let objects = tempfile::tempdir().context("could not make a temporary directory")?;
    let known_objects = quote_path(&checkout.common_dir().join("objects"));
    let aside = |git: Git| {
        index.used_by(git).envs([
            ("GIT_OBJECT_DIRECTORY", objects.path().as_os_str()),
            ("GIT_ALTERNATE_OBJECT_DIRECTORIES", &known_objects),
        ])
    };
    let add = checkout.reading("add --intent-to-add --sparse");
    aside(add).with_paths(&untracked).run()?;
    aside(diff).in_foreground()
}

/// A path as git reads it from a list that is separated by colons.
fn quote_path(path: &Path) -> OsString {
    let path = path.as_os_str().as_bytes();
    let path = path.replace(b"\\", b"\\\\").replace(b"\"", b"\\\"");
    OsString::from_vec([b"\"", &*path, b"\""].concat())
}
