//! A session with a shell, for a task whose pane is gone.

use anyhow::{Context as _, Result};

use super::broken::ensure_whole;
use super::observe::Panes;
use super::other_machine::ensure_not_elsewhere;
use super::resume::or_restored;
use super::start::plan::{NewPane, Start};
use super::start::under_lock;
use crate::context::Flux;
use crate::store::Store;
use crate::task::{Layout, Target, Task, TaskId};
use crate::tmux::target::{self, Wanted};

/// Fails where no shell could be opened for a task.
///
/// # Errors
/// When it runs on another machine, or its worktree is gone.
pub(crate) fn ensure_can_reopen(flux: &Flux, task: &Task) -> Result<()> {
    ensure_not_elsewhere(flux, task)?;
    if task.worktree.exists() {
        return Ok(());
    }
    ensure_whole(flux, task)
}

/// Opens a session with a shell in the worktree of a task, unless its pane is there by now. How its
/// agent ended stays known: a shell is no agent.
///
/// # Errors
/// When it cannot be opened; then the task is as it was.
pub(crate) fn reopen(flux: &Flux, id: &TaskId) -> Result<Target> {
    let lock = flux.lock_task(id)?;
    // A question may have been open for long.
    let store = Store::load(&flux.repo, &flux.settings)?;
    let stored = store.find(&flux.repo, id)?;
    let task = stored.readable()?;
    if let Some(target) = &task.target
        && Panes::of([task].into_iter())?.has(task)
    {
        return Ok(target.clone());
    }
    let name = target::session_name(&flux.repo.project(), id);
    let chosen = target::choose(Wanted::Preferred(Layout::Session), name);
    let pane = NewPane::shell(or_restored(flux, task, chosen)?);
    let mut start = Start::again(stored, pane)?;
    let opened = under_lock(flux, &mut start, lock)?.opened;
    Ok(opened.context("the pane was not opened")?.target)
}
