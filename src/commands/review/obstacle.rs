//! Whether comments can be sent to the agent of a task at all.

use anyhow::Result;

use crate::agent;
use crate::context::Flux;
use crate::failure::Failure;
use crate::lifecycle::observe;
use crate::lifecycle::recipient::agent_failure;
use crate::lifecycle::resume::can_resume;
use crate::store::{Store, StoredTask};
use crate::task::State;

/// Returns the error that a task's agent takes no comments, now or later, because it is a shell;
/// `None` if it may take some. Comments are printed for the user of a shell that is started again.
pub(super) fn find_obstacle(
    flux: &Flux,
    store: &Store,
    stored: &StoredTask,
) -> Result<Option<Failure>> {
    let task = stored.readable()?;
    let is_open =
        agent::profile(&task.agent).accepts_messages() || would_start(flux, store, stored)?;
    Ok((!is_open).then(|| agent_failure(task, "does not accept input")))
}

/// Returns whether the agent of a task would be started again with comments: it has ended, and can be
/// started.
pub(super) fn would_start(flux: &Flux, store: &Store, stored: &StoredTask) -> Result<bool> {
    let task = stored.readable()?;
    let (state, _) = observe::state_of(flux, store, task)?;
    let has_ended = matches!(state, State::Ended(_) | State::Idle | State::Lost);
    Ok(has_ended && can_resume(flux, task, &stored.oid)?)
}
