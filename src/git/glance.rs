//! What is asked while a line is typed: one git each, which takes no lock, asks nothing, fetches nothing,
//! and finds the repository by itself, as `git -C` or `git --git-dir` say.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

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

/// `git rev-parse --git-common-dir`
///
/// # Errors
/// When there is no repository.
pub(crate) fn common_dir() -> Result<PathBuf> {
    let mut out = Git::glancing("rev-parse")
        .arg("--git-common-dir")
        .output()?;
    out.pop_if(|last| *last == b'\n');
    Ok(OsString::from_vec(out).into())
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

/// The contents of the objects of these names, in order, as far as they are there:
/// `git cat-file --batch --buffer`. For names that are short, and not too many for a pipe.
///
/// # Errors
/// When git fails.
pub(crate) fn objects(names: &[String]) -> Result<Vec<Option<Vec<u8>>>> {
    let out = Git::glancing("cat-file")
        .args(["--batch", "--buffer"])
        .env("GIT_NO_LAZY_FETCH", "1")
        .input(
            names
                .iter()
                .map(|name| format!("{name}\n"))
                .collect::<String>(),
        )
        .output()?;
    let mut rest = out.as_slice();
    let mut found = Vec::new();
    for _ in names {
        let end = rest.iter().position(|&b| b == b'\n');
        let (head, tail) = rest.split_at(end.context("`git cat-file` stopped early")?);
        rest = &tail[1..];
        // `<object> <type> <size>`, or `<name> missing`.
        let head = String::from_utf8_lossy(head);
        let size: Option<usize> = head.rsplit(' ').next().and_then(|size| size.parse().ok());
        found.push(size.and_then(|size| {
            let (content, tail) = rest.split_at_checked(size)?;
            rest = tail.get(1..)?;
            Some(content.to_vec())
        }));
    }
    Ok(found)
}
