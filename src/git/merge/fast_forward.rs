//! A branch moves forward to a commit: the only step of a merge that anybody sees.

use std::path::Path;

use anyhow::{Result, bail};

use crate::git::checkout::NO_HOOKS;
use crate::git::worktree::entries::retry;
use crate::git::{Checkout, Git, Lock, ObjectId};
use crate::interrupt;
use crate::task::BranchName;

/// Moves the branch checked out in a worktree forward to `commit`, files and all, with the hooks
/// of the user:
/// `git merge --ff-only --no-squash --commit --strategy=ort --no-autostash --no-overwrite-ignore
/// <commit>`. A strategy that is configured (`pull.twohead`) could have git make a commit all the
/// same, and no option is stronger than one of `branch.<name>.mergeOptions`: if there is one,
/// [`FastForward::settings`] has to say that there is none.
///
/// # Errors
/// When a change or file of the user's is in the way: then nothing has changed. When the branch
/// cannot be written: then the files have.
///
/// git waits but a moment for somebody who is about to write the branch, and cannot be told to wait
/// longer without the hooks seeing it. So where it fails, they are waited for, and it is tried once more.
pub(crate) fn move_checked_out(
    worktree: &Checkout,
    to: &FastForward<'_>,
    lock: &Lock,
) -> Result<()> {
    let Err(error) = to.merge(worktree, lock) else {
        return Ok(());
    };
    if restore_files(worktree, to.commit, to.old, lock).is_ok()
        && wait_until_writable(worktree, to.old, lock).is_ok()
    {
        interrupt::check()?;
        return to.merge(worktree, lock);
    }
    Err(error)
}

/// How a branch that is checked out moves forward.
pub(crate) struct FastForward<'a> {
    /// Where it stands.
    pub(crate) old: &'a ObjectId,
    pub(crate) commit: &'a ObjectId,
    /// What the hooks and the reflog are told.
    pub(crate) action: &'a str,
    /// What git is told by `-c`.
    pub(crate) settings: &'a [&'a str],
    pub(crate) options: &'a [&'a str],
}

impl FastForward<'_> {
    fn merge(&self, worktree: &Checkout, lock: &Lock) -> Result<()> {
        let git = worktree.with_hooks("merge");
        let git = self.settings.iter().fold(git, Git::config);
        let git = git.words("--quiet --ff-only --no-squash --commit --strategy=ort --no-autostash");
        let git = git.arg("--no-overwrite-ignore");
        let git = git.args(self.options).arg(self.commit);
        let git = git
            .env("GIT_REFLOG_ACTION", self.action)
            .own_process_group();
        git.holding(lock)?.inherit_stderr().run()
    }
}

/// Waits until the branch of a worktree can be written, and fails if it does not stand at `tip`:
/// `git update-ref --stdin`, which is told how long to wait.
fn wait_until_writable(worktree: &Checkout, tip: &ObjectId, lock: &Lock) -> Result<()> {
    let git = worktree.git("update-ref --stdin").config(NO_HOOKS);
    let git = git.input(format!("verify HEAD {tip}\n"));
    git.holding(lock)?.run()
}

/// Puts the files of a worktree back where moving the branch checked out there from `old` to
/// `commit` has failed, since git changes the files first and the branch last:
/// `git read-tree -m -u <commit> <old>`, which changes no file where none was changed.
///
/// # Errors
/// When the branch has moved, or something has become of the files meanwhile.
pub(crate) fn restore_files(
    worktree: &Checkout,
    commit: &ObjectId,
    old: &ObjectId,
    lock: &Lock,
) -> Result<()> {
    let head = worktree.reading("rev-parse --verify HEAD^{commit}");
    if head.line()? != *old {
        bail!("HEAD has moved");
    }
    let git = worktree.git("read-tree").args(["-m", "-u", commit, old]);
    git.own_process_group().holding(lock)?.run()
}

/// `git fetch` in this very repository, without any of what fetch does besides.
fn fetch(git: Git, commit: &ObjectId, branch: &BranchName) -> Git {
    let git = git.words("--quiet --no-prune --no-write-fetch-head --no-auto-maintenance");
    let git = git.words("--no-recurse-submodules --no-tags .");
    git.arg(format!("{commit}:refs/heads/{branch}"))
}

/// Moves a branch that is checked out nowhere forward to `commit`:
/// `git fetch . <commit>:refs/heads/<branch>`, which refuses one that a rebase or bisect is using.
///
/// # Errors
/// When it is in use, or has moved meanwhile.
pub(crate) fn move_branch(
    dir: &Path,
    branch: &BranchName,
    commit: &ObjectId,
    lock: &Lock,
) -> Result<()> {
    let git = fetch(Git::new(dir, "fetch"), commit, branch);
    let git = git.env("GIT_REFLOG_ACTION", "flux cleanup");
    git.own_process_group().holding(lock)?.run()
}

/// Fails if a rebase, a bisect or a worktree is using the branch, which stands
/// at `tip`: `git fetch --dry-run . <tip>:refs/heads/<branch>`.
///
/// # Errors
/// What git says of who uses it.
pub(crate) fn ensure_unused(dir: &Path, branch: &BranchName, tip: &ObjectId) -> Result<()> {
    let ask = || Git::reading(dir, "fetch").arg("--dry-run");
    retry(|| fetch(ask(), tip, branch)).map(drop)
}
