//! What is asked while a line is typed: one git each, which takes no lock, asks nothing, fetches nothing,
//! and finds the repository by itself, as `git -C` or `git --git-dir` say.

use std::ffi::OsStr;
use std::path::PathBuf;

use anyhow::Result;
use bstr::ByteSlice as _;

use super::Git;
use super::refs::{self, RefObjects};
use super::worktree::entries;

/// As [`refs::list`], where the caller stands.
///
/// # Errors
/// When git fails.
pub(crate) fn list_refs<P: AsRef<OsStr>>(patterns: &[P]) -> Result<RefObjects> {
    refs::for_each_ref(Git::in_caller_env("for-each-ref"), patterns).map(|refs| refs.objects)
}

/// The whole configuration: `git config -z --list`, which takes git half the time that looking for keys does.
///
/// # Errors
/// When git fails.
pub(crate) fn read_config() -> Result<Vec<(String, String)>> {
    let out = Git::in_caller_env("config -z --list").output()?;
    let entry = |entry: &[u8]| {
        let entry = entry.to_str_lossy();
        let (key, value) = entry.split_once('\n').unwrap_or((&entry, ""));
        (key.to_owned(), value.to_owned())
    };
    let entries = out.split(|&b| b == 0).filter(|entry| !entry.is_empty());
    Ok(entries.map(entry).collect())
}

/// The worktrees, the main one first: `git worktree list --porcelain -z`
///
/// # Errors
/// When git fails.
pub(crate) fn list_worktrees() -> Result<Vec<PathBuf>> {
    let git = Git::in_caller_env("worktree list --porcelain -z");
    let entries = entries::parse(&git.output()?)?.into_iter();
    Ok(entries.map(|entry| entry.path).collect())
}
