//! Finds the part of a task in landings.

use super::progress;
use crate::context::Flux;
use crate::run::events;
use crate::store::Store;
use crate::task::{LandState, Task};

/// Returns whether a running landing tests or lands the task, or else how often it was sent back,
/// or that this was too often. `None` if none of these.
pub(crate) fn land_state(flux: &Flux, store: &Store, task: &Task) -> Option<LandState> {
    if progress::is_landing(flux, &task.id) {
        return Some(LandState::Landing);
    }
    let rounds = task.landing.as_ref()?;
    let limit = flux.settings.land_rounds().unwrap_or(usize::MAX);
    if rounds.count <= limit {
        return Some(LandState::Back(rounds.count));
    }
    // Nothing was sent to the agent with the last round, so an event comes from the user.
    let last = events::last(&flux.run_dir(&task.id).events());
    let has_event = last.ok().flatten().is_some_and(|last| last.at > rounds.at);
    let has_commits = store.tip(&task.branch) != Some(&rounds.tip);
    Some(match has_event || has_commits {
        true => LandState::Back(rounds.count),
        false => LandState::Blocked,
    })
}
