//! What is asked while a line is typed: one git each, which takes no lock, asks nothing, fetches nothing,
//! and finds the repository by itself, as `git -C` or `git --git-dir` say.

use std::ffi::OsStr;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use bstr::ByteSlice as _;

use super::Git;
use super::refs::{self, Objects};
use super::worktree::entries;

/// As [`refs::list`], where the caller stands.
///
/// # Errors
/// When git fails.
pub(crate) fn refs<P: AsRef<OsStr>>(patterns: &[P]) -> Result<Objects> {
    refs::asked(Git::glancing("for-each-ref"), patterns).map(|refs| refs.objects)
}

/// The whole configuration: `git config -z --list`, which takes git half the time that looking for keys does.
///
/// # Errors
/// When git fails.
pub(crate) fn config() -> Result<Vec<(String, String)>> {
    let out = Git::glancing("config -z --list").output()?;
    let entry = |entry: &[u8]| {
        let entry = entry.to_str_lossy();
        let (key, value) = entry.split_once('\n').unwrap_or((&entry, ""));
        (key.to_owned(), value.to_owned())
    };
    let entries = out.split(|&b| b == 0).filter(|entry| !entry.is_empty());
    Ok(entries.map(entry).collect())
}

/// `git rev-parse --git-common-dir`
///
/// # Errors
/// When there is no repository.
pub(crate) fn common_dir() -> Result<PathBuf> {
    let git = Git::glancing("rev-parse").arg("--git-common-dir");
    git.path()
}

/// The worktrees, the main one first: `git worktree list --porcelain -z`
///
/// # Errors
/// When git fails.
pub(crate) fn worktrees() -> Result<Vec<PathBuf>> {
    let git = Git::glancing("worktree list --porcelain -z");
    let entries = entries::parse(&git.output()?)?.into_iter();
    Ok(entries.map(|entry| entry.path).collect())
}

/// The contents of the objects of these names, in order, as far as they are there:
/// `git cat-file --batch --buffer`. For names that are short, and not too many for a pipe.
///
/// # Errors
/// When git fails.
pub(crate) fn objects(names: &[String]) -> Result<Vec<Option<Vec<u8>>>> {
    let input: String = names.iter().map(|name| format!("{name}\n")).collect();
    let git = Git::glancing("cat-file --batch --buffer");
    let out = git.env("GIT_NO_LAZY_FETCH", "1").input(input).output()?;
    let mut rest = out.as_slice();
    let mut found = Vec::new();
    for _ in names {
        let end = rest.split_once_str("\n");
        let (head, tail) = end.context("`git cat-file` stopped early")?;
        rest = tail;
        // `<object> <type> <size>`, or `<name> missing`.
        let size = head.to_str_lossy();
        let size = size.rsplit(' ').next().and_then(|size| size.parse().ok());
        found.push(size.and_then(|size: usize| {
            let (content, tail) = rest.split_at_checked(size)?;
            rest = tail.get(1..)?;
            Some(content.to_vec())
        }));
    }
    Ok(found)
}
