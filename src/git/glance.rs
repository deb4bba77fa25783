//! What is asked while a line is typed: one git each, which takes no lock, asks nothing, fetches nothing,
//! and finds the repository by itself, as `git -C` or `git --git-dir` say.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;

use super::{Git, ObjectId, refs};
use crate::task::RefName;

/// As [`refs::list`], where the caller stands.
///
/// # Errors
/// When git fails.
pub(crate) fn refs(patterns: &[&str]) -> Result<BTreeMap<RefName, ObjectId>> {
    let out = Git::glancing("for-each-ref")
        .args(refs::ASK)
        .args(patterns)
        .output()?;
    refs::parse(&out).map(|refs| refs.objects)
}

/// The whole configuration: `git config -z --list`, which takes git half the time that looking for keys does.
///
/// # Errors
/// When git fails.
pub(crate) fn config() -> Result<Vec<(String, String)>> {
    let out = Git::glancing("config").args(["-z", "--list"]).output()?;
    let entries = out.split(|&b| b == 0).filter(|entry| !entry.is_empty());
    Ok(entries
        .map(|entry| {
            let entry = String::from_utf8_lossy(entry);
            let (key, value) = entry.split_once('\n').unwrap_or((&entry, ""));
            (key.to_owned(), value.to_owned())
        })
        .collect())
}

/// The worktrees, the main one first: `git worktree list --porcelain -z`
///
/// # Errors
/// When git fails.
pub(crate) fn worktrees() -> Result<Vec<PathBuf>> {
    let out = Git::glancing("worktree")
        .args(["list", "--porcelain", "-z"])
        .output()?;
    let entries = super::worktree::entries::parse(&out)?.into_iter();
    Ok(entries.map(|entry| entry.path).collect())
}
