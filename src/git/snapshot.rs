//! A commit of a dirty worktree, made without touching its index or its files.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::{Git, worktree};

/// What `git add --all && git commit` would make of the worktree at `path` on
/// top of `parent`, on an index of our own: `git add --all`, `git write-tree`,
/// `git commit-tree`. Nothing refers to the commit.
///
/// # Errors
/// When git fails.
pub(crate) fn take(common_dir: &Path, path: &Path, parent: &str) -> Result<String> {
    let scratch = tempfile::tempdir().context("could not make a temporary directory")?;
    let index = scratch.path().join("index");
    fs::copy(worktree::index(common_dir, path)?, &index).context("could not read the index")?;
    let git = |args: &[&str]| Git::new(path, args).env("GIT_INDEX_FILE", &index).output();
    let text = |out: Vec<u8>| String::from_utf8(out).map(|text| text.trim_end().to_owned());
    git(&["add", "--all"])?;
    let tree = text(git(&["write-tree"])?)?;
    Ok(text(git(&[
        "commit-tree",
        "-p",
        parent,
        "-m",
        "snapshot",
        &tree,
    ])?)?)
}
