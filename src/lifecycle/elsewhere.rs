//! Tasks of a copied repository: their worktrees, panes and processes are those of the original.

use std::path::PathBuf;

use anyhow::Result;

use crate::context::Flux;
use crate::failure::Failure;
use crate::git::admin;
use crate::store::task_ref;
use crate::task::Task;
use crate::ui::shown;

/// Returns the other repository that the worktree of a task belongs to, if it does. Where the task
/// was made here and not in a repository of which this one is a copy, an agent says so.
pub(crate) fn original(flux: &Flux, task: &Task) -> Option<PathBuf> {
    let other = admin::other_repository(flux.repo.common_dir(), &task.worktree)?;
    let is_copy = !flux.repo.marks().is_original(&task_ref(&task.id));
    is_copy.then_some(other)
}

/// Fails if the worktree of a task belongs to another repository.
///
/// # Errors
/// As it says.
pub(crate) fn ensure_here(flux: &Flux, task: &Task) -> Result<()> {
    let Some(original) = original(flux, task) else {
        return Ok(());
    };
    let (id, original) = (&task.id, shown(&original));
    let what = format!("'{id}' is elsewhere: its worktree belongs to the repository '{original}'");
    let drop = format!("git flux cleanup {id} --discard-branch");
    let hint = format!("to drop it from this repository alone: {drop}");
    Err(Failure::new(what).hint(hint).into())
}
