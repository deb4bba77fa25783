//! Files of other tools in the administrative directory of a worktree.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::git::checkout::gitfile::{list_dir, lstat};
use crate::git::worktree::admin;

/// git's own files, besides those in capitals such as `HEAD`. git or
/// [`trash`](crate::git::worktree::trash) restores those that matter.
const GIT_FILES: &str = "commondir config.worktree gitdir index info locked logs modules refs reftable \
                      sequencer worktrees";

/// Prefixes of further names of git's files.
const GIT_PREFIXES: [&str; 3] = ["sharedindex.", "fsmonitor--daemon", "rebase-"];

/// The directory of git-crypt's keys, in the git directory of a worktree.
const GIT_CRYPT: &str = "git-crypt";

/// Returns whether a file with this name in a git directory is git's own, not another tool's: a
/// known name or prefix, only capitals and `_`, or `.lock` at the end.
pub(in crate::git) fn is_of_git(name: &[u8]) -> bool {
    let is_upper = name.iter().all(|&b| b.is_ascii_uppercase() || b == b'_');
    let is_known = || GIT_FILES.split(' ').any(|known| known.as_bytes() == name);
    let has_prefix = |prefix: &&str| name.starts_with(prefix.as_bytes());
    is_upper || is_known() || name.ends_with(b".lock") || GIT_PREFIXES.iter().any(has_prefix)
}

/// Links the repository's git-crypt keys, if it has any, into the administrative directory of the
/// worktree at `path`, as a link to `../../git-crypt`. Keeps keys that are there. The caller writes
/// the worktree's files later.
pub(crate) fn link_crypt_keys(common_dir: &Path, path: &Path) -> Result<()> {
    if !common_dir.join(GIT_CRYPT).is_dir() {
        return Ok(());
    }
    let path_shown = path.display();
    let what = || format!("could not link git-crypt's keys for '{path_shown}'");
    let admin = admin::find_dir(common_dir, path)?.with_context(what)?;
    match symlink(Path::new("../..").join(GIT_CRYPT), admin.join(GIT_CRYPT)) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made.with_context(what),
    }
}

/// Moves all files that are not git's own from the git directory `from` to `to`, except names that
/// exist there. Does nothing unless both are directories.
pub(in crate::git) fn move_files(from: &Path, to: &Path) -> Result<()> {
    let what = || {
        format!(
            "could not move files of other tools in '{}'",
            from.display()
        )
    };
    let is_dir = |path: &Path| path.symlink_metadata().is_ok_and(|found| found.is_dir());
    if !is_dir(from) || !is_dir(to) {
        return Ok(());
    }
    for file in list_dir(from)? {
        let name = file.file_name().unwrap_or_default();
        let place = to.join(name);
        if !is_of_git(name.as_bytes()) && lstat(&place)?.is_none() {
            fs::rename(&file, place).with_context(what)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_of_git_accepts_only_names_of_git() {
        let git =
            "HEAD FETCH_HEAD index index.lock sharedindex.1f rebase-merge fsmonitor--daemon.ipc";
        for name in git.split(' ') {
            assert!(is_of_git(name.as_bytes()), "{name}");
        }
        for name in ["git-crypt", "tool-state", "indexes", "Tool", "annex"] {
            assert!(!is_of_git(name.as_bytes()), "{name}");
        }
    }
}
