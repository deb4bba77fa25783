//! Fast-forwards: the only visible step of a merge.

use std::path::Path;

use anyhow::{Result, bail};

use crate::git::checkout::NO_HOOKS;
use crate::git::worktree::entries::retry;
use crate::git::{Checkout, Git, Lock, ObjectId};
use crate::interrupt;
use crate::task::BranchName;

/// A fast-forward of a branch that is checked out.
pub(crate) struct FastForward<'a> {
    /// The current commit of the branch.
    pub(crate) old: &'a ObjectId,
    pub(crate) commit: &'a ObjectId,
    /// The action for hooks and the reflog: `GIT_REFLOG_ACTION`.
    pub(crate) action: &'a str,
    /// Settings for `-c`.
    pub(crate) settings: &'a [&'a str],
    pub(crate) options: &'a [&'a str],
}

impl FastForward<'_> {
    /// Moves the branch and the files of a worktree to `commit`, with the user's hooks:
    /// `git merge --ff-only --no-squash --commit --strategy=ort --no-autostash
    /// --no-overwrite-ignore <commit>`. `--strategy` overrides `pull.twohead`, which could make git
    /// commit. Options in `branch.<name>.mergeOptions` take precedence, so [`Self::settings`] must
    /// unset them.
    ///
    /// git waits only briefly for a locked branch, and a longer timeout would be visible to hooks.
    /// So on failure, this waits for the lock and tries once more.
    ///
    /// # Errors
    /// If local changes are in the way, nothing has changed. If the branch cannot be written, the
    /// files have.
    pub(crate) fn run(&self, worktree: &Checkout, lock: &Lock) -> Result<()> {
        let Err(error) = self.merge(worktree, lock) else {
            return Ok(());
        };
        restore_files(worktree, self.commit, self.old, lock)
            .and_then(|()| wait_until_writable(worktree, self.old, lock))
            .map_err(|_| error)?;
        interrupt::check()?;
        self.merge(worktree, lock)
    }

    fn merge(&self, worktree: &Checkout, lock: &Lock) -> Result<()> {
        let git = worktree.with_hooks().words("merge");
        let git = self.settings.iter().fold(git, Git::config);
        let git = git.words("--quiet --ff-only --no-squash --commit --strategy=ort --no-autostash");
        let git = git.arg("--no-overwrite-ignore");
        let git = git.args(self.options).arg(self.commit);
        let git = git.env("GIT_REFLOG_ACTION", self.action);
        let git = git.own_process_group().holding(lock)?;
        git.inherit_stderr().run()
    }
}

/// Waits until the branch of a worktree is not locked; fails if it does not point to `tip`:
/// `git update-ref --stdin`.
fn wait_until_writable(worktree: &Checkout, tip: &ObjectId, lock: &Lock) -> Result<()> {
    let git = worktree.git().words("update-ref --stdin").config(NO_HOOKS);
    let git = git.input(format!("verify HEAD {tip}\n"));
    git.holding(lock)?.run()
}

/// Restores the files of `old` after a failed fast-forward to `commit`, since git changes files
/// before the branch: `git read-tree -m -u <commit> <old>`. Does nothing if no file has changed.
///
/// # Errors
/// Also if `HEAD` or the files have changed since.
pub(crate) fn restore_files(
    worktree: &Checkout,
    commit: &ObjectId,
    old: &ObjectId,
    lock: &Lock,
) -> Result<()> {
    let head = worktree.reading().words("rev-parse --verify HEAD^{commit}");
    if head.line()? != *old {
        bail!("HEAD has moved");
    }
    let git = worktree.git().words("read-tree -m -u");
    let git = git.args([commit, old]);
    git.own_process_group().holding(lock)?.run()
}

/// Adds arguments for a fetch from the repository into itself, without side effects.
fn fetch(git: Git, commit: &ObjectId, branch: &BranchName) -> Git {
    let git = git.words("--quiet --no-prune --no-write-fetch-head --no-auto-maintenance");
    let git = git.words("--no-recurse-submodules --no-tags .");
    git.arg(format!("{commit}:refs/heads/{branch}"))
}

/// Fast-forwards a branch that is not checked out: `git fetch . <commit>:refs/heads/<branch>`.
/// Fails if a rebase or bisect uses it.
pub(crate) fn move_branch(
    dir: &Path,
    branch: &BranchName,
    commit: &ObjectId,
    lock: &Lock,
) -> Result<()> {
    let git = fetch(Git::new(dir).words("fetch"), commit, branch);
    let git = git.env("GIT_REFLOG_ACTION", "flux cleanup");
    git.own_process_group().holding(lock)?.run()
}

/// Fails if a rebase, bisect or worktree uses the branch at `tip`:
/// `git fetch --dry-run . <tip>:refs/heads/<branch>`.
pub(crate) fn ensure_unused(dir: &Path, branch: &BranchName, tip: &ObjectId) -> Result<()> {
    let ask = || Git::reading(dir).words("fetch --dry-run");
    retry(|| fetch(ask(), tip, branch)).map(drop)
}
