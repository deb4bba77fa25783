//! Tasks in a copy of a repository: their worktrees, panes and processes belong to the original.

use std::path::PathBuf;

use anyhow::Result;

use crate::context::Flux;
use crate::failure::Failure;
use crate::git::admin;
use crate::store::task_ref;
use crate::task::Task;
use crate::ui::shown;

/// Returns the original repository if this one is a copy, as by `cp -r`, and the task's worktree
/// still belongs to the original. Otherwise `None`, even if an agent has changed the `.git` file of
/// the worktree of a task that this repository created.
pub(crate) fn find_original(flux: &Flux, task: &Task) -> Option<PathBuf> {
    let other = admin::find_other_repository(flux.repo.common_dir(), &task.worktree)?;
    let is_copy = !flux.repo.marks().is_original(&task_ref(&task.id));
    is_copy.then_some(other)
}

/// Fails if this repository is a copy, as by `cp -r`, and the task's worktree belongs to the
/// original. The hint removes the task from the copy only.
pub(crate) fn ensure_not_copied(flux: &Flux, task: &Task) -> Result<()> {
    let Some(original) = find_original(flux, task) else {
        return Ok(());
    };
    let (id, original) = (&task.id, shown(&original));
    let what = format!("'{id}' is elsewhere: its worktree belongs to the repository '{original}'");
    let drop = format!("git flux cleanup {id} --discard-branch");
    let hint = format!("to remove it from this repository only: {drop}");
    Err(Failure::new(what).hint(hint).into())
}
