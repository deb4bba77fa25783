//! The one way up.
//!
//! A task comes in five ways: `run` makes all of it, `restore` brings it back from the archive, `adopt`
//! makes one of a worktree that is there, `resume` starts its agent again, and `attach` opens a shell for
//! it. Each is a [`Start`], which names what there is already, and its steps follow from that. The
//! record comes first ([`claim`]) and is completed last; in between a step that fails, or ^C, has
//! [`transaction`] undo what was begun.

pub(crate) mod agent_launch;
pub(crate) mod branch;
mod copies;
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

use super::recover::finish_interrupted;
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{Lock, ObjectId, refs};
use crate::store::{self, Store, task_ref};
use crate::system::disk::disk_full;
use crate::task::{BranchName, Phase, Task, TaskId};
use crate::ui::word;
use plan::{Origin, Start, Started};
use steps::StartTransaction;
#[cfg(test)]
pub(super) use tests::world;

/// Starts a task that is new, or comes back from the archive.
///
/// # Errors
/// When a step fails or the user interrupts. Then nothing is left behind, or the error says what is.
pub(crate) fn start(flux: &Flux, start: &mut Start) -> Result<Started> {
    let id = start.task.id.clone();
    let lock = flux.lock_task(&id)?;
    if let Some(from) = start.archived()
        && let Err(error) = from.ensure_unchanged(flux)
    {
        flux.tidy_run(&id)?;
        return Err(error);
    }
    start_under_lock(flux, start, lock)?.context("the pane was not opened")
}

/// Makes a start under the task's lock. Returns the task with its pane, if one was opened.
///
/// # Errors
/// As [`start`].
pub(super) fn start_under_lock(
    flux: &Flux,
    start: &mut Start,
    lock: Lock,
) -> Result<Option<Started>> {
    let record = match &start.origin {
        Origin::Task(record) => record.clone(),
        _ => claim(flux, start, &lock)?,
    };
    StartTransaction::new(flux, start, record, lock).run()
}

/// Claims the id of a task with its record, before anything else of it exists, and ports for its
/// programs. Returns the record's object.
///
/// # Errors
/// When it is taken, or git fails: then nothing has changed.
fn claim(flux: &Flux, start: &mut Start, lock: &Lock) -> Result<ObjectId> {
    let run = flux.run_dir(&start.task.id);
    start.task.port = match start.origin {
        Origin::New { .. } | Origin::Archive(_) => ports::claim(flux, &run, start.task.port),
        Origin::Worktree | Origin::Task(_) => None,
    };
    let (task, tip) = (&start.task, start.tip());
    let created = store::create(&flux.repo, task, &start.description, tip, lock);
    created.or_else(|error| Err(refusal(flux, start, lock, error)?))
}

/// Returns why the id could not be claimed. What another task of that id has stays untouched.
fn refusal(flux: &Flux, start: &Start, lock: &Lock, error: Error) -> Result<Error> {
    let (task, run) = (&start.task, flux.run_dir(&start.task.id));
    let (record, branch) = (task_ref(&task.id), task.branch_ref());
    let existing = refs::list(flux.repo.home(), &[&record, &branch])?;
    if let Some(oid) = existing.get(&record) {
        // It may have been fetched just now.
        let store = Store::load(&flux.repo, &flux.settings)?;
        store.ensure_not_foreign(&flux.repo, &task.id)?;
        let found = Task::from_json(&flux.repo.read_file(oid, store::RECORD)?)?;
        // Those of the task that is there are its own.
        if found.port != task.port {
            ports::release(task, &run);
        }
        if found.phase != Phase::Starting {
            return Ok(exists(&task.id).into());
        }
        // The transaction failed half way, as it can on a full disk: the lock is
        // ours, so nobody else is at work on it.
        finish_interrupted(flux, &found, lock)?;
    } else {
        ports::release(task, &run);
        run.remove()?;
        if existing.contains_key(&branch) && !task.keeps_branch() {
            return Ok(branch_exists(&task.branch).into());
        }
    }
    let full = disk_full(&error, &[flux.repo.common_dir()]);
    let failure = start.refusal();
    Ok(error.context(full.into_iter().fold(failure, Failure::hint)))
}

/// Fails if there is a task of this id already.
///
/// # Errors
/// As it says.
pub(crate) fn ensure_id_is_free(flux: &Flux, store: &Store, id: &TaskId) -> Result<()> {
    store.ensure_not_foreign(&flux.repo, id)?;
    if store.tasks.iter().any(|stored| stored.id == *id) {
        return Err(exists(id).into());
    }
    Ok(())
}

fn exists(id: &TaskId) -> Failure {
    Failure::new(format!("the task '{id}' exists already"))
        .hint(format!("git flux attach {id}"))
        .hint(format!("git flux cleanup {id}"))
}

/// Returns the refusal of a branch that is taken.
fn branch_exists(branch: &BranchName) -> Failure {
    Failure::new(format!("the branch '{branch}' exists already"))
        .hint("choose another id with --name")
        .hint(format!("git branch -d {}", word(branch)))
}
