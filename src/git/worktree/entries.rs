//! The entries that git keeps of worktrees, without git: it waits for ever for a pipe that an agent has
//! put into one, and removes the worktree that it finds at a place.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bstr::ByteSlice as _;

use crate::git::Git;
use crate::git::checkout::distrust::{Distrust, read_small, refused, unless_distrusted};
use crate::git::checkout::gitfile::{admin_dir_named_by, list_dir, resolve_in};
use crate::system::wait_until;
use crate::task::RefName;

/// How often [`retry`] asks: for some two seconds, and longer where everything is slow.
const MAX_ATTEMPTS: u32 = 15;

/// The longest pause between two attempts.
const MAX_RETRY_PAUSE: Duration = Duration::from_millis(200);

/// One entry of `git worktree list --porcelain -z`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Worktree {
    pub(crate) path: PathBuf,
    /// `refs/heads/…`, if a branch is checked out.
    pub(crate) branch: Option<RefName>,
    pub(crate) bare: bool,
    /// `HEAD` names no commit.
    pub(in crate::git) unborn: bool,
    /// The reason, empty if none was given.
    pub(crate) locked: Option<String>,
}

impl Worktree {
    /// Whether it has `branch` (`refs/heads/…`) checked out, or is one that a
    /// killed git left half made.
    pub(crate) fn has_branch(&self, branch: &RefName) -> bool {
        match &self.branch {
            Some(name) => name == branch,
            None => self.unborn && !self.bare,
        }
    }
}

/// What git keeps of a worktree in `admin`, none if it cannot be read.
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

/// `git worktree list --porcelain -z`: the main worktree first, each place once. `home` is
/// [`Repo::home`].
///
/// # Errors
/// When git fails.
pub(crate) fn list(home: &Path) -> Result<Vec<Worktree>> {
    ensure_no_pipe(home)?;
    let git = || Git::reading(home, "worktree list --porcelain -z");
    let mut worktrees = parse(&retry(git)?)?;
    // git takes the parent of `.git` for it, whatever core.worktree says, and in a submodule the repository.
    if let Some(main) = worktrees.first_mut() {
        main.path = home.to_owned();
    }
    Ok(without_false_entries(worktrees))
}

/// # Errors
/// When it is not a list of worktrees, or not all of one.
pub(in crate::git) fn parse(out: &[u8]) -> Result<Vec<Worktree>> {
    let odd = "`git worktree list` printed something unknown";
    // An entry ends with an empty line, and there is always one.
    let entries = out.strip_suffix(b"\0\0").context(odd)?;
    let mut worktrees: Vec<Worktree> = Vec::new();
    for line in entries.split(|&b| b == 0) {
        let (key, value) = line.split_once_str(" ").unwrap_or((line, b""));
        let text = || value.to_str_lossy().into_owned();
        match (key, worktrees.last_mut()) {
            (b"worktree", _) => worktrees.push(Worktree {
                path: value.to_path_lossy().into_owned(),
                ..Worktree::default()
            }),
            (_, None) => bail!(odd),
            (b"branch", Some(entry)) => entry.branch = Some(RefName::new(text())),
            (b"bare", Some(entry)) => entry.bare = true,
            (b"HEAD", Some(entry)) => entry.unborn = value.iter().all(|&b| b == b'0'),
            (b"locked", Some(entry)) => entry.locked = Some(text()),
            // Newer gits may say more.
            _ => {}
        }
    }
    Ok(worktrees)
}

/// Lists the worktrees, the main one first. What git cannot list is left out.
///
/// # Errors
/// When git fails in any other way.
pub(crate) fn list_readable(home: &Path, common_dir: &Path) -> Result<Vec<Worktree>> {
    if unless_distrusted(ensure_no_pipe(home))?.is_some() {
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

/// Runs a command that looks at all worktrees, again if it fails: every such git
/// dies while another one is half way through `git worktree add`, and no lock of
/// ours keeps a stranger from that.
///
/// # Errors
/// When it fails [`MAX_ATTEMPTS`] times.
pub(in crate::git) fn retry(git: impl Fn() -> Git) -> Result<Vec<u8>> {
    let mut attempts = 0;
    let said = wait_until(Duration::MAX, MAX_RETRY_PAUSE, || {
        attempts += 1;
        match git().output() {
            Err(_) if attempts < MAX_ATTEMPTS => Ok(None),
            said => said.map(Some),
        }
    })?;
    Ok(said.unwrap_or_default())
}

/// Leaves out what lies about its place: an agent can have git list its own entry at that of
/// another worktree. The main one is true, and of the others the one that the place names.
fn without_false_entries(worktrees: Vec<Worktree>) -> Vec<Worktree> {
    let is_true = |one: &Worktree| {
        let named = admin_dir_named_by(&one.path).and_then(|named| read_entry(&named));
        named.is_some_and(|named| named.branch == one.branch)
    };
    let mut kept: Vec<Worktree> = Vec::with_capacity(worktrees.len());
    for one in worktrees {
        match kept.iter().position(|other| other.path == one.path) {
            None => kept.push(one),
            Some(at) if at > 0 && is_true(&one) => kept[at] = one,
            Some(_) => {}
        }
    }
    kept
}

/// Fails if git would wait for ever for what it keeps of a worktree of the repository at `home`: an
/// agent can put a pipe there.
///
/// # Errors
/// With a [`Distrust`] that names it.
fn ensure_no_pipe(home: &Path) -> Result<()> {
    let places = [home.join(".git/worktrees"), home.join("worktrees")];
    let entries = places.iter().filter_map(|dir| list_dir(dir).ok());
    for admin in entries.flatten() {
        for name in ["HEAD", "commondir", "gitdir", "locked"] {
            let file = admin.join(name);
            let found = file.metadata();
            if found.is_ok_and(|found| !found.is_file() && !found.is_dir()) {
                return Err(refused(Distrust::Odd(file).into(), &admin));
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
    fn entries_are_read_with_every_kind_of_path() {
        let out = b"worktree /a\0bare\0\0worktree /b c\nd\xff\0HEAD 1\0branch refs/heads/x\0locked why not\0\0\
                    worktree /e\0HEAD 1\0detached\0locked\0\0";
        let entries = parse(out).unwrap();
        assert_eq!(entries.len(), 3);
        assert!(entries[0].bare);
        assert_eq!(entries[1].path.as_os_str().as_bytes(), b"/b c\nd\xff");
        assert_eq!(entries[1].branch.as_deref(), Some("refs/heads/x"));
        assert_eq!(entries[1].locked.as_deref(), Some("why not"));
        assert_eq!(
            (entries[2].branch.as_deref(), entries[2].locked.as_deref()),
            (None, Some(""))
        );
        for length in 0..out.len() {
            let cut = parse(&out[..length]);
            assert!(
                cut.is_err() || out[..length].ends_with(b"\0\0"),
                "{length} bytes"
            );
        }
        assert!(parse(b"HEAD 1\0\0").is_err());
    }
}
