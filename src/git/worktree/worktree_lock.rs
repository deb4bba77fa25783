//! The lock of a worktree, which keeps `git worktree remove --force` and `git worktree prune` away from
//! it. Its reason tells who holds it: the launcher of a task, an agent, or the user.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use bstr::ByteSlice as _;

use crate::git::Git;
use crate::git::checkout::distrust::read_small;
use crate::git::worktree::{Worktree, admin};
use crate::task::{Bytes, TaskId};

/// The time limit for git, which a pipe in an administrative directory would block.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The lock of a worktree with a certain reason, held or not.
pub(crate) struct WorktreeLock<'a> {
    pub(crate) common_dir: &'a Path,
    pub(crate) worktree: &'a Path,
    pub(crate) reason: String,
    /// Variables for git, besides those of this process.
    pub(crate) env: &'a [(Bytes, Bytes)],
}

/// Returns the reason with which the launcher of the task `id` locks its worktree.
pub(crate) fn task_reason(id: &TaskId) -> String {
    format!("git flux: {id}")
}

/// Returns whether a worktree is locked by the launcher of the task `id`, running or killed.
pub(crate) fn is_of_task(entry: &Worktree, id: &TaskId) -> bool {
    entry.locked.as_ref() == Some(&task_reason(id))
}

impl WorktreeLock<'_> {
    /// Locks the worktree: `git worktree lock --reason <reason> <worktree>`. Does nothing if it is
    /// locked, whatever the reason. Fails after 5 seconds.
    pub(crate) fn lock(&self) -> Result<()> {
        if self.read()?.is_some() {
            return Ok(());
        }
        let git = self.git().words("worktree lock --reason");
        let locked = git.arg(&self.reason).arg(self.worktree).run();
        // On a full disk, git leaves a lock without a reason.
        if locked.is_err() && self.read()?.is_some_and(|reason| reason.is_empty()) {
            self.remove()?;
        }
        locked
    }

    /// Unlocks the worktree if it is locked with this reason: `git worktree unlock <worktree>`. Does
    /// nothing if the reason is another, or if there is no worktree. Fails after 5 seconds.
    pub(crate) fn unlock(&self) -> Result<()> {
        match self.is_held()? {
            true => self.remove(),
            false => Ok(()),
        }
    }

    /// Unlocks the worktree, whatever the reason of its lock.
    fn remove(&self) -> Result<()> {
        let git = self.git().words("worktree unlock");
        git.arg(self.worktree).run()
    }

    /// Returns whether the worktree, which may be missing, is locked with this reason.
    pub(crate) fn is_held(&self) -> Result<bool> {
        let reason = self.read()?;
        Ok(reason.is_some_and(|reason| reason.trim() == self.reason.as_bytes()))
    }

    /// Reads the reason of the worktree's lock. `None` if it is not locked, or if git has no worktree
    /// at its path.
    fn read(&self) -> Result<Option<Vec<u8>>> {
        match admin::find_dir(self.common_dir, self.worktree)? {
            Some(admin) => read_small(&admin.join("locked")),
            None => Ok(None),
        }
    }

    fn git(&self) -> Git {
        let dir = self.common_dir;
        let vars = self.env.iter();
        let vars = vars.filter_map(|(name, value)| Some((name.0.to_str()?, &value.0)));
        let git = vars.fold(Git::new(dir), |git, (name, value)| git.env(name, value));
        git.env("GIT_DIR", dir).with_timeout(TIMEOUT)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn worktree_lock_is_told_from_others_by_its_reason() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().canonicalize().unwrap();
        let (main, linked) = (dir.join("main"), dir.join("linked"));
        let git = |command: &str| {
            let git = Git::new(&dir).option("-C").option(&main);
            let git = git.config("user.name=a").config("user.email=a@b");
            git.args(command.split(' ')).output().unwrap();
        };
        fs::create_dir(&main).unwrap();
        git("init --quiet");
        git("commit --quiet --allow-empty -m one");
        git("worktree add --quiet ../linked");
        let common_dir = main.join(".git");
        let locked = common_dir.join("worktrees/linked/locked");
        let of = |id: &TaskId, step: fn(&WorktreeLock<'_>) -> Result<()>| {
            let lock = WorktreeLock {
                common_dir: &common_dir,
                worktree: &linked,
                reason: task_reason(id),
                env: &[],
            };
            step(&lock).unwrap();
            lock.is_held().unwrap()
        };
        let lock = |lock: &WorktreeLock<'_>| lock.lock();
        let unlock = |lock: &WorktreeLock<'_>| lock.unlock();
        let (fix, other): (TaskId, TaskId) = ("fix".parse().unwrap(), "other".parse().unwrap());
        assert!(of(&fix, lock));
        assert_eq!(fs::read(&locked).unwrap(), b"git flux: fix\n");
        // It stays after a killed launcher, and the next one holds it.
        assert!(of(&fix, lock));
        assert!(!of(&other, lock));
        assert!(!of(&other, unlock) && locked.exists());
        let entries = crate::git::worktree::list(&main).unwrap();
        assert!(is_of_task(&entries[1], &fix) && !is_of_task(&entries[1], &other));
        assert!(!of(&fix, unlock) && !locked.exists());
        git("worktree lock --reason mine ../linked");
        assert!(!of(&fix, lock));
        assert!(!of(&fix, unlock));
        assert_eq!(fs::read(&locked).unwrap(), b"mine\n");
    }
}
