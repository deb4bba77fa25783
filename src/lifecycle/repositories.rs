//! Finds all repositories with tasks on the tmux server, and the tasks that wait for the user.

use std::collections::BTreeSet;
use std::iter;
use std::path::{Path, PathBuf};

use anyhow::Result;
use jiff::Timestamp;

use super::observe;
use crate::context::Flux;
use crate::git::Repo;
use crate::settings::Settings;
use crate::store::Store;
use crate::task::{State, Task};
use crate::tmux::pane;
use crate::ui::Ui;

/// A task whose agent needs an answer, or was interrupted.
pub(crate) struct WaitingTask {
    /// The start of the wait.
    since: Option<Timestamp>,
    /// A directory of its repository.
    pub(crate) home: PathBuf,
    pub(crate) task: Task,
}

/// Finds the repositories that panes of the tmux server name in their options, and opens each.
/// Returns each common directory with the opened repository or the error: a pane may outlive its
/// repository, or its option may be forged.
pub(crate) fn find_repositories(ui: &Ui) -> Result<Vec<(PathBuf, Result<Flux>)>> {
    let panes = pane::list(None)?.into_iter();
    let found: BTreeSet<PathBuf> = panes.filter_map(|pane| pane.repo).collect();
    let opened = found.iter().map(|dir| (dir.clone(), open(dir, ui)));
    Ok(opened.collect())
}

fn open(common_dir: &Path, ui: &Ui) -> Result<Flux> {
    let mut repo = Repo::open_at(common_dir)?;
    let settings = Settings::load(repo.home())?;
    // The settings may be forged like the option.
    if let Some(key) = settings.repository_filter() {
        repo.refuse_worktrees(key);
    }
    let ui = ui.clone();
    Ok(Flux { repo, settings, ui })
}

/// Finds the user's tasks that wait for an answer or were interrupted, in `here` and in all
/// repositories with panes on the tmux server; the longest waiting first. Skips repositories that
/// cannot be read.
pub(crate) fn find_waiting(ui: &Ui, here: Option<&Flux>) -> Vec<WaitingTask> {
    let mut found = here.map(find_waiting_in).unwrap_or_default();
    for (common_dir, flux) in find_repositories(ui).unwrap_or_default() {
        let is_here = here.is_some_and(|here| here.repo.common_dir() == common_dir);
        if let Ok(flux) = flux
            && !is_here
        {
            found.extend(find_waiting_in(&flux));
        }
    }
    found.sort_by_key(|task| task.since.unwrap_or(Timestamp::MAX));
    found
}

fn find_waiting_in(flux: &Flux) -> Vec<WaitingTask> {
    let Ok(store) = Store::load(&flux.repo, &flux.settings) else {
        return Vec::new();
    };
    let own = flux.own_tasks(&store);
    let tasks: Vec<&Task> = own.filter_map(|stored| stored.task.as_ref().ok()).collect();
    let states = observe::states(flux, &store, &tasks).unwrap_or_default();
    let waits = |state: &State| matches!(state, State::Waiting(_) | State::Interrupted);
    let waiting = iter::zip(tasks, states).filter(|(_, seen)| waits(&seen.state));
    let waiting = waiting.map(|(task, seen)| WaitingTask {
        since: seen.found.since,
        home: flux.repo.home().to_owned(),
        task: task.clone(),
    });
    waiting.collect()
}
