//! The lock of the task's worktree while the agent runs.

use anyhow::{Context as _, Result};

use super::job::Job;
use super::setup::print_line;
use crate::git::worktree_lock::{WorktreeLock, task_reason};

impl Job {
    /// Locks the task's worktree, so that no other agent removes it and no container prunes it. Prints
    /// a warning if git cannot lock it: the agent starts nevertheless.
    pub(super) fn lock_worktree(&self) -> Result<()> {
        match self.with_lock(|lock| lock.lock()) {
            Ok(()) => Ok(()),
            Err(error) => print_line(format_args!(
                "warning: could not lock the worktree: {error:#}"
            )),
        }
    }

    /// Unlocks the task's worktree, unless the user has locked it. Ignores failures: the next
    /// command recognizes the launcher's lock by its reason.
    pub(super) fn unlock_worktree(&self) {
        drop(self.with_lock(|lock| lock.unlock()));
    }

    fn with_lock(&self, step: impl Fn(&WorktreeLock<'_>) -> Result<()>) -> Result<()> {
        step(&WorktreeLock {
            common_dir: self.run.common_dir().context("no launch file")?,
            worktree: &self.launch.worktree,
            reason: task_reason(&self.launch.id.parse()?),
            // tmux may have started the launcher with another PATH and home directory.
            env: &self.launch.env,
        })
    }
}
