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
    pub(crate) branch: &'a BranchName,
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
    /// Fails unless the worktree has the branch checked out, at its current commit, for `git merge`
    /// moves whatever is checked out: `git for-each-ref --format=%(HEAD)%(objectname) <ref>`
    pub(crate) fn ensure_in_place(&self, worktree: &Checkout) -> Result<()> {
        let git = worktree.reading().words("for-each-ref");
        let git = git.arg("--format=%(HEAD)%(objectname)");
        if git.arg(self.branch.full()).line()? == format!("*{}", self.old) {
            return Ok(());
        }
        let (branch, place) = (self.branch, worktree.path().display());
        bail!("'{branch}' has moved, or is not checked out in '{place}' any more")
    }

    /// Moves the branch and files of a worktree forward to `commit`, with the user's hooks: `git
    /// merge --ff-only --no-squash --commit --strategy=ort --no-autostash --no-overwrite-ignore
    /// <commit>`. On failure, restores the files, waits up to 20 seconds for a locked branch and
    /// tries once more, if it is still checked out and has not moved.
    ///
    /// Options in `branch.<name>.mergeOptions` take precedence, so [`Self::settings`] must unset
    /// them.
    ///
    /// # Errors
    /// If local changes are in the way, nothing has changed. If the branch cannot be written, the
    /// files may have changed.
    pub(crate) fn run(&self, worktree: &Checkout, lock: &Lock) -> Result<()> {
        let Err(error) = self.merge(worktree, lock) else {
            return Ok(());
        };
        // git waits only briefly for a locked branch, and a longer timeout would be visible to
        // hooks.
        restore_files(worktree, self.commit, self.old, lock)
            .and_then(|()| wait_until_writable(worktree, self.old, lock))
            .map_err(|_| error)?;
        interrupt::check()?;
        self.ensure_in_place(worktree)?;
        self.merge(worktree, lock)
    }

    fn merge(&self, worktree: &Checkout, lock: &Lock) -> Result<()> {
        let git = worktree.with_hooks().words("merge");
        let git = self.settings.iter().fold(git, Git::config);
        // `--strategy` overrides `pull.twohead`, which could make git commit.
        let git = git.words("--quiet --ff-only --no-squash --commit --strategy=ort --no-autostash");
        let git = git.arg("--no-overwrite-ignore");
        let git = git.args(self.options).arg(self.commit);
        let git = git.env("GIT_REFLOG_ACTION", self.action);
        let git = git.own_process_group().holding(lock)?;
        git.inherit_stderr().run()
    }
}

/// Waits up to 20 seconds until no other process holds the lock of the branch of a worktree. Fails if
/// the lock stays, and at once if `HEAD` is not at `tip`. Takes the lock and releases it again, by
/// `git update-ref --stdin` with the line `verify HEAD <tip>`.
fn wait_until_writable(worktree: &Checkout, tip: &ObjectId, lock: &Lock) -> Result<()> {
    let git = worktree.git().words("update-ref --stdin").config(NO_HOOKS);
    let git = git.input(format!("verify HEAD {tip}\n"));
    git.holding(lock)?.run()
}

/// Restores the files and index of `old` in a worktree after a failed fast-forward to `commit`,
/// since git changes files before the branch: `git read-tree -m -u <commit> <old>`. Changes no file
/// that git had not changed.
///
/// # Errors
/// If git fails, or if `HEAD` or the files have changed since.
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

/// Adds arguments to `git fetch` that fast-forward `branch` to `commit` from the repository itself,
/// and nothing else: no tags, pruning, submodules, maintenance or `FETCH_HEAD`.
fn add_fetch_args(git: Git, commit: &ObjectId, branch: &BranchName) -> Git {
    let git = git.words("--quiet --no-prune --no-write-fetch-head --no-auto-maintenance");
    let git = git.words("--no-recurse-submodules --no-tags .");
    git.arg(format!("{commit}:refs/heads/{branch}"))
}

/// Fast-forwards a branch that is not checked out, or creates it: `git fetch .
/// <commit>:refs/heads/<branch>`. Fails if it would not be a fast-forward, or if a worktree, rebase
/// or bisect uses the branch.
pub(crate) fn move_branch(
    dir: &Path,
    branch: &BranchName,
    commit: &ObjectId,
    lock: &Lock,
) -> Result<()> {
    let git = add_fetch_args(Git::new(dir).words("fetch"), commit, branch);
    let git = git.env("GIT_REFLOG_ACTION", "flux cleanup");
    git.own_process_group().holding(lock)?.run()
}

/// Fails if a worktree, rebase or bisect uses the branch, which points to `tip`: `git fetch
/// --dry-run . <tip>:refs/heads/<branch>`. Changes nothing, and tries again for about two seconds
/// before it fails.
pub(crate) fn ensure_unused(dir: &Path, branch: &BranchName, tip: &ObjectId) -> Result<()> {
    let ask = || Git::reading(dir).words("fetch --dry-run");
    retry(|| add_fetch_args(ask(), tip, branch)).map(drop)
}
