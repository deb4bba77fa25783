//! Lists of tracked, untracked and ignored files: `git ls-files`.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::git::{Checkout, Git};

/// Lists the untracked files below `dir` that match one of `patterns`, or of those in `file`,
/// written as in `.gitignore`; other ignore rules do not matter: `git ls-files --others --ignored`.
/// Skips nested repositories.
pub(crate) fn list_matching(
    dir: &Path,
    patterns: &[OsString],
    file: Option<&Path>,
) -> Result<Vec<PathBuf>> {
    let mut git = Git::reading(dir).words("ls-files -z --others --ignored");
    // The file comes first, since later patterns take precedence.
    if let Some(file) = file {
        git = git.arg("--exclude-from").arg(file);
    }
    let patterns = patterns
        .iter()
        .flat_map(|pattern| [OsStr::new("--exclude"), pattern]);
    git = git.args(patterns);
    without_repositories(git)
}

/// Runs the given `git ls-files -z` command and returns the paths that it prints, except nested
/// repositories, which end with a slash.
pub(super) fn without_repositories(git: Git) -> Result<Vec<PathBuf>> {
    let mut files = git.paths()?;
    files.retain(|path| !path.as_os_str().as_bytes().ends_with(b"/"));
    Ok(files)
}

/// Lists the untracked files of a worktree that are not ignored, without nested repositories:
/// `git ls-files --others --exclude-standard`
pub(crate) fn list_untracked(checkout: &Checkout) -> Result<Vec<PathBuf>> {
    let git = checkout.reading();
    without_repositories(git.words("ls-files -z --others --exclude-standard"))
}

/// Lists the ignored files of a worktree; a directory with only ignored files is one entry that
/// ends with `/`: `git ls-files --others --ignored --exclude-standard --directory`
pub(crate) fn list_ignored(checkout: &Checkout) -> Result<Vec<PathBuf>> {
    let list = "ls-files -z --others --ignored --exclude-standard --directory";
    checkout.reading().words(list).paths()
}

/// Lists the files in the index of a worktree, including those outside a sparse checkout:
/// `git ls-files`
pub(crate) fn list_tracked(checkout: &Checkout) -> Result<HashSet<PathBuf>> {
    let files = checkout.reading().words("ls-files -z").paths()?;
    Ok(files.into_iter().collect())
}
