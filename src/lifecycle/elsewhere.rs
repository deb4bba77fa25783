//! Tasks of a copied repository: their worktrees, panes and processes are those of the original.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::archive;
use super::teardown::Teardown;
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{Lock, ObjectId, admin, keep};
use crate::lifecycle::archive::Kept;
use crate::store::{self, Stored, task_ref};
use crate::task::Task;
use crate::ui::shown;

/// Returns the other repository that the worktree of a task belongs to, if it does. Where the task
/// was made here and not in a repository of which this one is a copy, an agent says so.
pub(crate) fn original(flux: &Flux, task: &Task) -> Option<PathBuf> {
    let other = admin::other_repository(flux.repo.common_dir(), &task.worktree)?;
    let is_copy = !flux.repo.marks().is_at_home(&task_ref(&task.id));
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
    let id = &task.id;
    Err(Failure::new(format!(
        "'{id}' is elsewhere: its worktree belongs to the repository '{}'",
        shown(&original)
    ))
    .hint(format!(
        "to drop it from this repository alone: git flux cleanup {id} --discard-branch"
    ))
    .into())
}

/// Archives a task that is elsewhere and deletes its branch and record here. The caller has
/// made sure that it is, and holds the task's lock.
///
/// # Errors
/// When a step fails; what is left is still a task then.
pub(crate) fn drop_from_copy(
    flux: &Flux,
    stored: &Stored,
    tip: Option<&ObjectId>,
    lock: &Lock,
) -> Result<Kept> {
    let (repo, task) = (&flux.repo, stored.readable()?);
    let trash = flux.trash_for(task)?;
    {
        let guard = flux.lock_repo()?;
        if !keep::set_aside(repo.common_dir(), &task.worktree, &trash)? {
            fs::remove_dir(&trash).context("could not remove an unused directory")?;
        }
        store::remove_config(repo, task, &guard)?;
    }
    let teardown = Teardown {
        flux,
        task,
        oid: &stored.oid,
        tip,
        lock,
    };
    let archive = teardown.delete_refs(archive::name_of(&trash), true)?;
    flux.run_dir(&task.id).remove()?;
    Ok(Kept {
        archive,
        worktree: None,
    })
}
