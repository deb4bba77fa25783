//! Files that git does not track.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::git::{Checkout, Git};

/// The files in the worktree at `dir` that git does not track and that one of `patterns`, or
/// of the patterns in `file`, names as `.gitignore` would: `git ls-files --others --ignored`.
/// What is in a repository or a worktree of its own is not among them.
///
/// # Errors
/// When git fails.
pub(crate) fn list_matching(
    dir: &Path,
    patterns: &[OsString],
    file: Option<&Path>,
) -> Result<Vec<PathBuf>> {
    let mut git = Git::reading(dir, "ls-files -z --others --ignored");
    // A file's come first: git lets what is given alone have the last word.
    if let Some(file) = file {
        git = git.arg("--exclude-from").arg(file);
    }
    let patterns = patterns
        .iter()
        .flat_map(|pattern| [OsStr::new("--exclude"), pattern]);
    git = git.args(patterns);
    let mut files = git.paths()?;
    // A repository, which git does not look into, ends with a slash.
    files.retain(|path| !path.as_os_str().as_bytes().ends_with(b"/"));
    Ok(files)
}

/// The files in a worktree that git neither tracks nor ignores: `git ls-files --others
/// --exclude-standard`. What is in a repository of its own is not among them.
///
/// # Errors
/// When git fails.
pub(crate) fn list_untracked(checkout: &Checkout) -> Result<Vec<PathBuf>> {
    let git = checkout.reading("ls-files -z --others --exclude-standard");
    let mut files = git.paths()?;
    files.retain(|path| !path.as_os_str().as_bytes().ends_with(b"/"));
    Ok(files)
}

/// What git ignores in a worktree, a directory of which it ignores everything alone, with a `/`:
/// `git ls-files --others --ignored --exclude-standard --directory`.
///
/// # Errors
/// When git fails.
pub(crate) fn list_ignored(checkout: &Checkout) -> Result<Vec<PathBuf>> {
    let list = "ls-files -z --others --ignored --exclude-standard --directory";
    checkout.reading(list).paths()
}

/// The files that the index of a worktree has, also those that a sparse checkout
/// has left out: `git ls-files`.
///
/// # Errors
/// When git fails.
pub(crate) fn list_tracked(checkout: &Checkout) -> Result<HashSet<PathBuf>> {
    let files = checkout.reading("ls-files").arg("-z").paths()?;
    Ok(files.into_iter().collect())
}
