//! The lock of a worktree that an agent has made.

use anyhow::Result;

use crate::agent::own_worktrees::AgentLock;
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::Worktree;
use crate::git::worktree_lock::WorktreeLock;
use crate::lifecycle::cleanup::worktree::ensure_unlocked;
use crate::ui::shown;

/// Returns the lock of an agent that has ended, `None` if the worktree is not locked. Fails if the
/// agent that locked it runs, or if the lock is the user's.
pub(super) fn find_stale_lock(entry: &Worktree) -> Result<Option<AgentLock>> {
    let reason = entry.locked.as_deref();
    let Some(lock) = reason.and_then(AgentLock::read) else {
        return ensure_unlocked(entry).map(|()| None);
    };
    if !lock.is_alive() {
        return Ok(Some(lock));
    }
    let (path, AgentLock { agent, pid, .. }) = (shown(&entry.path), lock);
    let what = format!("'{agent}' works in '{path}' (process {pid}) and has locked it");
    Err(Failure::new(what)
        .hint(format!("to end it: kill {pid}"))
        .into())
}

/// Unlocks a worktree whose lock [`find_stale_lock`] returned, and prints that. Does nothing if it
/// was locked again meanwhile. A failure is a warning.
pub(super) fn release_stale_lock(flux: &Flux, entry: &Worktree, lock: &AgentLock) {
    let unlocked = WorktreeLock {
        common_dir: flux.repo.common_dir(),
        worktree: &entry.path,
        reason: entry.locked.clone().unwrap_or_default(),
        env: &[],
    };
    let (path, AgentLock { agent, pid, .. }) = (shown(&entry.path), lock);
    match unlocked.unlock() {
        Ok(()) => flux.ui.status(format_args!(
            "unlocked '{path}': '{agent}' (process {pid}), which locked it, has ended"
        )),
        Err(error) => flux
            .ui
            .warning(format_args!("could not unlock '{path}': {error:#}")),
    }
}
