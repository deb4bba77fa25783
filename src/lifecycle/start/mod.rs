//! The one way up.
//!
//! A task comes in five ways: `run` makes all of it, `restore` brings it back from the archive, `adopt`
//! makes one of a worktree that is there, `resume` starts its agent again, and `attach` opens a shell for
//! it. Each is a [`Start`], which names what there is already, and its steps follow from that. The
//! record comes first ([`claim`]) and is completed last; in between a step that fails, or ^C, has
//! [`transaction`] undo what was begun.

pub(crate) mod branch;
pub(crate) mod changes;
pub(crate) mod claim;
mod copies;
pub(crate) mod launch;
pub(crate) mod plan;
pub(crate) mod ports;
pub(crate) mod prepare;
mod steps;
#[cfg(test)]
mod tests;
mod transaction;
pub(crate) mod trust;
pub(crate) mod watch;

use anyhow::{Context as _, Result};

use crate::context::Flux;
use crate::git::Lock;
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
    under_lock(flux, start, lock)?.context("the pane was not opened")
}

/// Makes a start under the task's lock. Returns the task with its pane, if one was opened.
///
/// # Errors
/// As [`start`].
pub(super) fn under_lock(flux: &Flux, start: &mut Start, lock: Lock) -> Result<Option<Started>> {
    let record = match &start.origin {
        Origin::Task(record) => record.clone(),
        _ => claim::claim(flux, start, &lock)?,
    };
    StartTransaction::new(flux, start, record, lock).run()
}
