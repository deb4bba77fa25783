//! The tasks whose agents wait for their user, of every repository that has a pane on the tmux server.

use std::path::PathBuf;

use super::everywhere::repositories;
use super::observe;
use crate::context::Flux;
use crate::store::Store;
use crate::task::{State, Task};
use crate::ui::Ui;

/// A task whose agent needs an answer, or was interrupted.
pub(crate) struct Waiting {
    /// Since when, in seconds since 1970, if that is known.
    since: Option<u64>,
    /// Where its repository can be opened.
    pub(crate) home: PathBuf,
    pub(crate) task: Task,
}

/// Those that wait, the one that has waited longest first: of `here`, and of all other repositories. What cannot be
/// read is passed over.
pub(crate) fn everywhere(ui: &Ui, here: Option<&Flux>) -> Vec<Waiting> {
    let mut found = here.map(of).unwrap_or_default();
    for (common_dir, flux) in repositories(ui).unwrap_or_default() {
        let is_here = here.is_some_and(|here| here.repo.common_dir() == common_dir);
        if let Ok(flux) = flux
            && !is_here
        {
            found.extend(of(&flux));
        }
    }
    found.sort_by_key(|one| one.since.unwrap_or(u64::MAX));
    found
}

/// Those of one repository.
fn of(flux: &Flux) -> Vec<Waiting> {
    let Ok(store) = Store::load(&flux.repo, &flux.settings) else {
        return Vec::new();
    };
    let own = flux.own_tasks(&store);
    let tasks: Vec<&Task> = own.filter_map(|stored| stored.task.as_ref().ok()).collect();
    let states = observe::each(flux, &store, &tasks).unwrap_or_default();
    let waits = |state: &State| matches!(state, State::Waiting(_) | State::Interrupted);
    let waiting = tasks
        .iter()
        .zip(states)
        .filter(|(_, (state, _))| waits(state));
    let waiting = waiting.map(|(task, (_, found))| Waiting {
        since: found.since,
        home: flux.repo.home().to_owned(),
        task: Task::clone(task),
    });
    waiting.collect()
}
