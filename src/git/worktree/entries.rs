//! Lists of worktrees, with checks of the administrative directories, in which an agent can put
//! pipes, which block git, and wrong paths.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bstr::ByteSlice as _;

use crate::git::Git;
use crate::git::checkout::distrust::{Distrust, read_small, refused, trusted};
use crate::git::checkout::gitfile::{linked_dir, list_dir, resolve_in};
use crate::system::wait_until;
use crate::task::RefName;

/// The number of attempts of [`retry`], which take about two seconds.
const MAX_ATTEMPTS: u32 = 15;

/// The maximum pause between two attempts.
const MAX_RETRY_PAUSE: Duration = Duration::from_millis(200);

/// An entry of `git worktree list --porcelain -z`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Worktree {
    pub(crate) path: PathBuf,
    /// The branch that is checked out, if any.
    pub(crate) branch: Option<RefName>,
    pub(crate) is_bare: bool,
    /// `HEAD` names no commit.
    pub(in crate::git) is_unborn: bool,
    /// The reason for a lock, which may be empty.
    pub(crate) locked: Option<String>,
}

impl Worktree {
    /// Returns whether the worktree has `branch` checked out; `true` also if its `HEAD` names
    /// neither a branch nor a commit, as after git was killed while it added the worktree.
    pub(crate) fn has_branch(&self, branch: &RefName) -> bool {
        match &self.branch {
            Some(name) => name == branch,
            None => self.is_unborn && !self.is_bare,
        }
    }
}

/// Reads the path and branch of a worktree from its administrative directory `admin`, without git;
/// `None` if a file is missing or unreadable.
pub(in crate::git) fn read_entry(admin: &Path) -> Option<Worktree> {
    let text = |name: &str| read_small(&admin.join(name)).ok()?;
    let (gitdir, head) = (text("gitdir")?, text("HEAD")?);
    let link = resolve_in(admin, &gitdir);
    let head = String::from_utf8(head).ok()?;
    let branch = head.trim_end().strip_prefix("ref: ");
    Some(Worktree {
        path: link.parent()?.to_owned(),
        branch: branch.map(RefName::new),
        ..Worktree::default()
    })
}

/// Lists the worktrees of a repository, the main one first, each path once: `git worktree list
/// --porcelain -z`. `home` is the main worktree or the bare repository. Tries again for about two
/// seconds on failure, but fails immediately if an administrative file is a pipe.
pub(crate) fn list(home: &Path) -> Result<Vec<Worktree>> {
    ensure_no_pipe(home)?;
    let git = || Git::reading(home).words("worktree list --porcelain -z");
    let mut worktrees = parse(&retry(git)?)?;
    // git ignores core.worktree here, and prints the git directory of a submodule.
    if let Some(main) = worktrees.first_mut() {
        main.path = home.to_owned();
    }
    Ok(without_false_entries(worktrees))
}

pub(in crate::git) fn parse(out: &[u8]) -> Result<Vec<Worktree>> {
    let error = "`git worktree list` printed an unknown record";
    // Each entry ends with an empty line, and there is at least one.
    let entries = out.strip_suffix(b"\0\0").context(error)?;
    let mut worktrees: Vec<Worktree> = Vec::new();
    for line in entries.split(|&b| b == 0) {
        let (key, value) = line.split_once_str(" ").unwrap_or((line, b""));
        let text = || value.to_str_lossy().into_owned();
        match (key, worktrees.last_mut()) {
            (b"worktree", _) => worktrees.push(Worktree {
                path: value.to_path_lossy().into_owned(),
                ..Worktree::default()
            }),
            (_, None) => bail!(error),
            (b"branch", Some(entry)) => entry.branch = Some(RefName::new(text())),
            (b"bare", Some(entry)) => entry.is_bare = true,
            (b"HEAD", Some(entry)) => entry.is_unborn = value.iter().all(|&b| b == b'0'),
            (b"locked", Some(entry)) => entry.locked = Some(text()),
            // Ignore keys of newer gits.
            _ => {}
        }
    }
    Ok(worktrees)
}

/// Lists the worktrees of a repository as [`list`] does. If an administrative directory contains a
/// pipe, which would block git, reads the files itself, and leaves out unreadable worktrees and the
/// branch of the main one.
pub(crate) fn list_readable(home: &Path, common_dir: &Path) -> Result<Vec<Worktree>> {
    if trusted(ensure_no_pipe(home))?.is_some() {
        return list(home);
    }
    let main = Worktree {
        path: home.to_owned(),
        ..Worktree::default()
    };
    let entries = list_dir(&common_dir.join("worktrees"))?;
    let linked = entries.iter().filter_map(|admin| read_entry(admin));
    Ok([main].into_iter().chain(linked).collect())
}

/// Runs a git command that reads all worktrees, and returns its output. Tries again for about two
/// seconds, at most 15 times and until ^C, since it fails during a concurrent `git worktree add`,
/// which no lock of git flux prevents.
pub(in crate::git) fn retry(git: impl Fn() -> Git) -> Result<Vec<u8>> {
    let mut attempts = 0;
    let output = wait_until(Duration::MAX, MAX_RETRY_PAUSE, || {
        attempts += 1;
        match git().output() {
            Err(_) if attempts < MAX_ATTEMPTS => Ok(None),
            output => output.map(Some),
        }
    })?;
    Ok(output.unwrap_or_default())
}

/// Keeps one entry for each path, since an agent can write the path of another worktree into its
/// own entry. Keeps the main worktree, or else the entry that the `.git` file at the path names, or
/// else the first.
fn without_false_entries(worktrees: Vec<Worktree>) -> Vec<Worktree> {
    let is_named = |one: &Worktree| {
        let named = linked_dir(&one.path).and_then(|named| read_entry(&named));
        named.is_some_and(|named| named.branch == one.branch)
    };
    let mut kept: Vec<Worktree> = Vec::with_capacity(worktrees.len());
    for one in worktrees {
        match kept.iter().position(|other| other.path == one.path) {
            None => kept.push(one),
            Some(at) if at > 0 && is_named(&one) => kept[at] = one,
            Some(_) => {}
        }
    }
    kept
}

/// Fails if `HEAD`, `commondir`, `gitdir` or `locked` in an administrative directory of a worktree
/// is a pipe or device, which would block git.
///
/// # Errors
/// With a [`Distrust`] that names the file.
fn ensure_no_pipe(home: &Path) -> Result<()> {
    let places = [home.join(".git/worktrees"), home.join("worktrees")];
    let entries = places.iter().filter_map(|dir| list_dir(dir).ok());
    for admin in entries.flatten() {
        for name in ["HEAD", "commondir", "gitdir", "locked"] {
            let file = admin.join(name);
            let found = file.metadata();
            if found.is_ok_and(|found| !found.is_file() && !found.is_dir()) {
                return Err(refused(Distrust::FileType(file).into(), &admin));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn parse_reads_entries_and_fails_when_truncated() {
        let out = b"worktree /a\0bare\0\0worktree /b c\nd\xff\0HEAD 1\0branch refs/heads/x\0locked why not\0\0\
                    worktree /e\0HEAD 1\0detached\0locked\0\0";
        let entries = parse(out).unwrap();
        assert_eq!(entries.len(), 3);
        assert!(entries[0].is_bare);
        assert_eq!(entries[1].path.as_os_str().as_bytes(), b"/b c\nd\xff");
        assert_eq!(entries[1].branch.as_deref(), Some("refs/heads/x"));
        assert_eq!(entries[1].locked.as_deref(), Some("why not"));
        assert_eq!(entries[2].branch, None);
        assert_eq!(entries[2].locked.as_deref(), Some(""));
        for length in 0..out.len() {
            let part = &out[..length];
            let is_whole = part.ends_with(b"\0\0");
            assert!(is_whole || parse(part).is_err(), "{length} bytes");
        }
        assert!(parse(b"HEAD 1\0\0").is_err());
    }
}
