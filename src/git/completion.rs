//! Queries for shell completion: one git process each, which finds the repository from the
//! caller's directory and environment, takes no lock and fetches nothing.

use std::ffi::OsStr;
use std::path::PathBuf;

use anyhow::Result;
use bstr::ByteSlice as _;

use super::Git;
use super::refs::{self, RefObjects};
use super::worktree::entries;

/// Lists the refs that match `patterns`, with their objects, in the repository that the caller's
/// directory and environment select: `git for-each-ref <patterns>`. Leaves out dangling symbolic
/// refs and names that are not UTF-8.
pub(crate) fn list_refs<P: AsRef<OsStr>>(patterns: &[P]) -> Result<RefObjects> {
    let git = Git::in_caller_env().words("for-each-ref");
    refs::for_each_ref(git, patterns).map(|refs| refs.objects)
}

/// Reads all keys and values of the caller's git configuration, the value empty for a key without
/// one: `git config -z --list`, twice as fast as a lookup of keys.
pub(crate) fn read_config() -> Result<Vec<(String, String)>> {
    let out = Git::in_caller_env().words("config -z --list").output()?;
    let entry = |entry: &[u8]| {
        let entry = entry.to_str_lossy();
        let (key, value) = entry.split_once('\n').unwrap_or((&entry, ""));
        (key.to_owned(), value.to_owned())
    };
    let entries = out.split(|&b| b == 0).filter(|entry| !entry.is_empty());
    Ok(entries.map(entry).collect())
}

/// Lists the paths of all worktrees of the caller's repository, even missing ones, the main one
/// first: `git worktree list --porcelain -z`. Fails outside a repository.
pub(crate) fn list_worktrees() -> Result<Vec<PathBuf>> {
    let git = Git::in_caller_env().words("worktree list --porcelain -z");
    let entries = entries::parse(&git.output()?)?.into_iter();
    Ok(entries.map(|entry| entry.path).collect())
}
