//! Starts tasks.
//!
//! Five commands start a task: `run` creates it, `restore` restores it from the archive, `adopt` uses an
//! existing worktree, `resume` starts its agent again, and `attach` opens a shell. Each builds a [`Start`],
//! whose [`Origin`] says what exists already; its steps follow from that. The record is written first
//! ([`claim`]) and completed last. If a step fails, or on ^C, [`transaction`] undoes the steps before it.

pub(crate) mod agent_launch;
pub(crate) mod branch;
pub(in crate::lifecycle) mod copies;
pub(crate) mod init_scripts;
pub(crate) mod plan;
pub(crate) mod ports;
pub(crate) mod preparation;
pub(crate) mod start_watch;
mod steps;
#[cfg(test)]
mod tests;
mod transaction;
pub(crate) mod with_changes;

use anyhow::{Context as _, Error, Result};

use super::recover::finish;
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{Lock, ObjectId, refs};
use crate::store::{self, Store, task_ref};
use crate::system::disk::full_disk_hint;
use crate::task::{BranchName, Phase, Task, TaskId};
use crate::ui::{shown, word};
use plan::{Origin, Start, Started};
use steps::StartTransaction;
#[cfg(test)]
pub(super) use tests::world;

/// Starts a new or removed task as planned: takes its lock, writes its record, and runs all steps.
/// If a step fails, or on ^C, undoes them; the error says what could not be undone.
pub(crate) fn start(flux: &Flux, start: &mut Start) -> Result<Started> {
    let id = start.task.id.clone();
    let lock = flux.lock_task(&id)?;
    if let Some(from) = start.archived()
        && let Err(error) = from.ensure_unchanged(flux)
    {
        flux.remove_stale_run_dir(&id)?;
        return Err(error);
    }
    start_locked(flux, start, lock)?.context("the pane was not opened")
}

/// Writes the record of a planned start, unless it exists, and runs its steps; the caller has
/// locked the task. Returns the task with its pane, `None` if it opens none. On failure rolls back.
pub(super) fn start_locked(flux: &Flux, start: &mut Start, lock: Lock) -> Result<Option<Started>> {
    let record = match &start.origin {
        Origin::Task(record) => record.clone(),
        _ => claim(flux, start, &lock)?,
    };
    StartTransaction::new(flux, start, record, lock).run()
}

/// Creates the record, base ref and branch of a new task, and reserves ports for a new worktree.
/// Returns the record's object. Fails if the id or branch, or the existing worktree, is taken; then
/// nothing has changed.
fn claim(flux: &Flux, start: &mut Start, lock: &Lock) -> Result<ObjectId> {
    let run = flux.run_dir(&start.task.id);
    start.task.port = match start.origin {
        Origin::New { .. } | Origin::Archive(_) => ports::claim(flux, &run.0, start.task.port),
        Origin::Worktree | Origin::Task(_) => None,
    };
    let created = create(flux, start, lock);
    created.or_else(|error| Err(undo_claim(flux, start, lock, error)?))
}

/// Creates the refs of a new task. For an existing worktree, holds the repository's lock meanwhile, and
/// fails if a task has got it since the start was planned.
fn create(flux: &Flux, start: &Start, lock: &Lock) -> Result<ObjectId> {
    let task = &start.task;
    let _guard = match start.origin {
        Origin::Worktree => {
            let guard = flux.lock_repo()?;
            ensure_unclaimed(&Store::load(&flux.repo, &flux.settings)?, task)?;
            Some(guard)
        }
        _ => None,
    };
    store::create_task(&flux.repo, task, &start.description, start.tip(), lock)
}

fn ensure_unclaimed(store: &Store, task: &Task) -> Result<()> {
    let (place, branch) = (shown(&task.worktree), &task.branch);
    let has_place = |other: &Task| other.id != task.id && other.worktree == task.worktree;
    ensure_no_task(store, has_place, &format!("'{place}' is the worktree"))?;
    let has_branch = |other: &Task| other.id != task.id && other.branch == *branch;
    ensure_no_task(store, has_branch, &format!("'{branch}' is the branch"))
}

/// Fails if `matches` is true for a task of this repository. `what` begins the message, as in
/// `'x' is the branch`. Tasks whose record cannot be read do not count.
pub(super) fn ensure_no_task(
    store: &Store,
    matches: impl Fn(&Task) -> bool,
    what: &str,
) -> Result<()> {
    let Some(task) = store.readable().find(|task| matches(task)) else {
        return Ok(());
    };
    let failure = Failure::new(format!("{what} of the task '{}'", task.id));
    let hint = format!("to go to the task: git flux attach {}", task.id);
    Err(failure.hint(hint).into())
}

/// Undoes what a failed [`claim`] left behind, and returns the error to show. An active task that
/// already has the id stays untouched.
fn undo_claim(flux: &Flux, start: &Start, lock: &Lock, error: Error) -> Result<Error> {
    let (task, run) = (&start.task, flux.run_dir(&start.task.id));
    let (record, branch) = (task_ref(&task.id), task.branch_ref());
    let existing = refs::list(flux.repo.home(), &[&record, &branch])?;
    if let Some(oid) = existing.get(&record) {
        // The record may have been fetched just now.
        let store = Store::load(&flux.repo, &flux.settings)?;
        store.ensure_not_foreign(&flux.repo, &task.id)?;
        let found = store::parse_record(&flux.repo, oid)?;
        // The other task may have the same ports.
        if found.port != task.port {
            ports::release(task, &run);
        }
        if found.phase != Phase::Starting {
            return Ok(duplicate_task(&task.id).into());
        }
        // The transaction failed half way, as on a full disk. No other command is at work on it,
        // since we hold the lock.
        finish(flux, &found, lock)?;
    } else {
        ports::release(task, &run);
        run.remove()?;
        if existing.contains_key(&branch) && !task.keeps_branch() {
            return Ok(duplicate_branch(&task.branch).into());
        }
    }
    let full = full_disk_hint(&error, &[flux.repo.common_dir()]);
    Ok(error.context(start.failure().hints(full)))
}

pub(crate) fn ensure_new_id(flux: &Flux, store: &Store, id: &TaskId) -> Result<()> {
    store.ensure_not_foreign(&flux.repo, id)?;
    if store.tasks.iter().any(|stored| stored.id == *id) {
        return Err(duplicate_task(id).into());
    }
    Ok(())
}

fn duplicate_task(id: &TaskId) -> Failure {
    Failure::new(format!("the task '{id}' exists already"))
        .hint(format!("to go to the task: git flux attach {id}"))
        .hint(format!("to merge and remove it: git flux cleanup {id}"))
}

/// A hint for `run` and `adopt`.
pub(crate) const OTHER_ID_HINT: &str = "choose another name with --name";

fn duplicate_branch(branch: &BranchName) -> Failure {
    Failure::new(format!("the branch '{branch}' exists already"))
        .hint(OTHER_ID_HINT)
        .hint(format!(
            "to delete the branch: git branch -d {}",
            word(branch)
        ))
}
