//! The repositories that have a task's pane on the tmux server, and their tasks that wait for the user.

use std::collections::BTreeSet;
use std::iter;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::observe;
use crate::context::Flux;
use crate::git::Repo;
use crate::settings::Settings;
use crate::store::Store;
use crate::task::{State, Task};
use crate::tmux::pane;
use crate::ui::Ui;

/// A task whose agent needs an answer, or was interrupted.
pub(crate) struct Waiting {
    /// Since when, in seconds since 1970, if that is known.
    since: Option<u64>,
    /// Where its repository can be opened.
    pub(crate) home: PathBuf,
    pub(crate) task: Task,
}

/// Finds the repositories by the options on the panes: their git directories, and what opens them. A pane
/// may outlive its repository, and its option may have been tampered with.
///
/// # Errors
/// When tmux does not answer.
pub(crate) fn repositories(ui: &Ui) -> Result<Vec<(PathBuf, Result<Flux>)>> {
    let panes = pane::list(None)?.into_iter();
    let found: BTreeSet<PathBuf> = panes.filter_map(|pane| pane.repo).collect();
    let opened = found.into_iter().map(|common_dir| {
        let flux = open(&common_dir, ui);
        (common_dir, flux)
    });
    Ok(opened.collect())
}

fn open(common_dir: &Path, ui: &Ui) -> Result<Flux> {
    let mut repo = Repo::open_at(common_dir)?;
    let settings = Settings::load(repo.home())?;
    // Who wrote the option may have written that, too.
    if let Some(key) = settings.own_filter() {
        repo.refuse_worktrees(key);
    }
    let ui = ui.clone();
    Ok(Flux { repo, settings, ui })
}

/// Returns the tasks that wait, the one that has waited longest first: of `here`, and of all other
/// repositories. What cannot be read is passed over.
pub(crate) fn waiting(ui: &Ui, here: Option<&Flux>) -> Vec<Waiting> {
    let mut found = here.map(waiting_in).unwrap_or_default();
    for (common_dir, flux) in repositories(ui).unwrap_or_default() {
        let is_here = here.is_some_and(|here| here.repo.common_dir() == common_dir);
        if let Ok(flux) = flux
            && !is_here
        {
            found.extend(waiting_in(&flux));
        }
    }
    found.sort_by_key(|one| one.since.unwrap_or(u64::MAX));
    found
}

/// Returns those of one repository.
fn waiting_in(flux: &Flux) -> Vec<Waiting> {
    let Ok(store) = Store::load(&flux.repo, &flux.settings) else {
        return Vec::new();
    };
    let own = flux.own_tasks(&store);
    let tasks: Vec<&Task> = own.filter_map(|stored| stored.task.as_ref().ok()).collect();
    let states = observe::each(flux, &store, &tasks).unwrap_or_default();
    let waits = |state: &State| matches!(state, State::Waiting(_) | State::Interrupted);
    let waiting = iter::zip(tasks, states).filter(|(_, (state, _))| waits(state));
    let waiting = waiting.map(|(task, (_, found))| Waiting {
        since: found.since,
        home: flux.repo.home().to_owned(),
        task: task.clone(),
    });
    waiting.collect()
}
