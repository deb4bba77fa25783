//! Files that git does not track.

use std::collections::HashSet;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::command::records;
use super::hide::is_ignore_file;
use super::{Checkout, Git};

/// The files in the worktree at `dir` that git does not track and that one of `patterns`, or
/// of the patterns in `file`, names as `.gitignore` would: `git ls-files --others --ignored`.
/// What is in a repository or a worktree of its own is not among them, nor is what was made to
/// hide a worktree.
///
/// # Errors
/// When git fails.
pub(crate) fn named(
    dir: &Path,
    patterns: &[OsString],
    file: Option<&Path>,
) -> Result<Vec<PathBuf>> {
    let mut args = ["ls-files", "-z", "--others", "--ignored"]
        .map(OsString::from)
        .to_vec();
    // A file's come first: git lets what is given alone have the last word.
    if let Some(file) = file {
        args.extend([OsString::from("--exclude-from"), file.into()]);
    }
    for pattern in patterns {
        args.extend([OsString::from("--exclude"), pattern.clone()]);
    }
    let mut files = paths(&Git::reading(dir, args).output()?)?;
    // A repository, which git does not look into, ends with a slash.
    files.retain(|path| !path.as_os_str().as_bytes().ends_with(b"/"));
    files.retain(|path| !is_ignore_file(&dir.join(path)));
    Ok(files)
}

/// The files in a worktree that git neither tracks nor ignores: `git ls-files --others
/// --exclude-standard`. What is in a repository of its own is not among them.
///
/// # Errors
/// When git fails.
pub(crate) fn untracked(checkout: &Checkout) -> Result<Vec<PathBuf>> {
    let args = ["ls-files", "-z", "--others", "--exclude-standard"];
    let mut files = paths(&checkout.reading(args).output()?)?;
    files.retain(|path| !path.as_os_str().as_bytes().ends_with(b"/"));
    Ok(files)
}

/// What git ignores in a worktree, a directory of which it ignores everything alone, with a `/`:
/// `git ls-files --others --ignored --exclude-standard --directory`.
///
/// # Errors
/// When git fails.
pub(crate) fn ignored(checkout: &Checkout) -> Result<Vec<PathBuf>> {
    let args = [
        "ls-files",
        "-z",
        "--others",
        "--ignored",
        "--exclude-standard",
        "--directory",
    ];
    paths(&checkout.reading(args).output()?)
}

/// The files that the index of a worktree has, also those that a sparse checkout
/// has left out: `git ls-files`.
///
/// # Errors
/// When git fails.
pub(crate) fn tracked(checkout: &Checkout) -> Result<HashSet<PathBuf>> {
    let out = checkout.reading(["ls-files", "-z"]).output()?;
    Ok(paths(&out)?.into_iter().collect())
}

/// Names that git has ended by NUL each.
///
/// # Errors
/// When the last is cut off.
pub(super) fn paths(out: &[u8]) -> Result<Vec<PathBuf>> {
    let path = |record: &[u8]| OsString::from_vec(record.to_vec()).into();
    Ok(records(out)?.map(path).collect())
}
