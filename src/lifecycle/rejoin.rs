//! A task and its worktree, brought together again: the worktree was moved, or git has forgotten it.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::broken::Broken;
use super::checked_out::BranchUses;
use super::other_machine::ensure_not_elsewhere;
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{Transaction, Worktree, admin, worktree};
use crate::store::{self, Store, Stored};
use crate::task::{Task, TaskId};
use crate::ui::shown;

/// Returns the task that the directory at `path` is the worktree of, where the task does not
/// find it: git has forgotten it, or has it at another place than the record.
///
/// # Errors
/// When it cannot be told.
pub(crate) fn find<'a>(
    flux: &Flux,
    store: &'a Store,
    worktrees: &[Worktree],
    path: &Path,
) -> Result<Option<&'a Stored>> {
    let common = flux.repo.common_dir();
    let mut tasks = store
        .tasks
        .iter()
        .filter_map(|stored| Some((stored, stored.task.as_ref().ok()?)));
    if admin::is_forgotten(common, path)? {
        let found = tasks.find(|(_, task)| task.worktree == path);
        return Ok(found.map(|(stored, _)| stored));
    }
    let entry = worktrees.iter().find(|entry| entry.path == path);
    let Some(branch) = entry.and_then(|entry| entry.branch.as_ref()) else {
        return Ok(None);
    };
    let has = |task: &Task| task.branch_ref() == *branch && task.worktree != path;
    let Some((stored, task)) = tasks.find(|(_, task)| has(task)) else {
        return Ok(None);
    };
    let has_own = task.worktree.exists() && admin::is_ours(common, &task.worktree)?;
    Ok((!has_own && admin::is_ours(common, path)?).then_some(stored))
}

/// Makes the directory at `path` the worktree of a task again.
///
/// # Errors
/// When the task has changed meanwhile, or git refuses.
pub(crate) fn rejoin(flux: &Flux, id: &TaskId, path: &Path) -> Result<()> {
    let lock = flux.lock_task(id)?;
    let store = Store::load(&flux.repo, &flux.settings)?;
    let stored = store.find(&flux.repo, id)?;
    let task = stored.readable()?;
    ensure_not_elsewhere(flux, task)?;
    let worktrees = worktree::list(flux.repo.home())?;
    let found = find(flux, &store, &worktrees, path)?;
    if found.is_none_or(|found| found.id != *id) {
        return Err(Failure::new(format!("'{id}' changed meanwhile"))
            .hint(format!("git flux status {id}"))
            .into());
    }
    if task.worktree != path {
        let task = Task {
            worktree: path.to_owned(),
            ..task.clone()
        };
        let none = Transaction::default();
        return store::advance(&flux.repo, &stored.oid, &task, none, &lock).map(drop);
    }
    if store.tip(&task.branch).is_none() {
        return Err(Broken::without_branch(flux, task)?.failure().into());
    }
    let scratch = flux.run_dir(id).scratch();
    // What a killed command has registered there is ours.
    let twin = scratch.join(path.file_name().unwrap_or_default());
    let uses = BranchUses::of_git(flux, &worktrees, &task.branch)?;
    uses.except(path).except(&twin).ensure_none()?;
    let _guard = flux.lock_repo()?;
    worktree::register_again(&flux.repo, path, &task.branch, &scratch, &lock)
        .with_context(|| format!("could not make '{}' a worktree again", shown(path)))
}
