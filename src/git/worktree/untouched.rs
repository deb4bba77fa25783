//! Worktrees in which nothing was done yet.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use anyhow::{Context as _, Result};

use crate::git::changes::scratch_index::ScratchIndex;
use crate::git::command::records::records;
use crate::git::{Checkout, Repo};
use crate::system::regular_file::read_file;

/// Whether a worktree holds nothing but files of `commit`, also
/// when its index was never written: `git read-tree` and `git status` on an index of our own.
/// A submodule that is checked out is more than that.
///
/// # Errors
/// When it cannot be told.
pub(crate) fn is_untouched(checkout: &Checkout, commit: &str) -> Result<bool> {
    for link in Repo::links(checkout, commit)? {
        if Checkout::nested(&checkout.path().join(link))?.is_some() {
            return Ok(false);
        }
    }
    let index = ScratchIndex::empty(checkout)?;
    index.git("read-tree").arg(commit).run()?;
    let ignored = ["--untracked-files=all", "--ignored=traditional"];
    let status = index
        .git("status")
        .args(["--porcelain", "-z"])
        .args(ignored);
    let status = status.args(["--ignore-submodules=dirty", "--no-renames"]);
    let out = status.output()?;
    for record in records(&out)? {
        let (code, file) = record.split_at(record.len().min(3));
        let untouched = match code {
            // What a checkout that was cut off has not written yet is missing …
            [_, b'D', _] | [b'D', ..] => true,
            // … or not whole.
            b" M " => is_beginning(checkout, commit, OsStr::from_bytes(file))?,
            _ => false,
        };
        if !untouched {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a file is the beginning of what the commit has there, and no more:
/// `git cat-file --filters <commit>:<file>`.
fn is_beginning(checkout: &Checkout, commit: &str, file: &OsStr) -> Result<bool> {
    let found = checkout.path().join(file);
    if !found.symlink_metadata().is_ok_and(|found| found.is_file()) {
        return Ok(false);
    }
    let mut object = OsString::from(format!("{commit}:"));
    object.push(file);
    let cat = checkout.reading("cat-file").arg("--filters");
    let whole = cat.arg(object).output()?;
    let found = read_file(&found).context("could not read a file of the worktree")?;
    Ok(whole.starts_with(&found))
}
