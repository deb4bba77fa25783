//! One file per command: its arguments at the head, then ask, tell the story, print. [`cli`] knows them all.

mod adopt;
mod attach;
mod candidates;
mod cleanup;
pub(crate) mod cli;
pub(crate) mod completions;
mod config;
mod diff;
mod help;
mod install;
mod list;
mod log;
mod object;
mod removed;
mod restore;
mod resume;
mod revert;
mod run;
mod send;
mod starting;
mod status;
mod stop;
mod table;
mod text;
mod wait;
mod wakeups;

use std::fmt::Display;

use anyhow::{Error, Result};

use crate::context::Flux;
use crate::failure::{self, DECLINED, Failure, USAGE};
use crate::lifecycle::recover::recover;
use crate::lifecycle::{archive, observe};
use crate::store::{Store, Stored};
use crate::task::{Status, Task};
use crate::ui::{self, Ui};

/// The tasks, after those have been settled whose last command died.
fn settled(flux: &Flux) -> Result<Store> {
    let store = Store::load(&flux.repo, &flux.settings)?;
    if recover(flux, &store)? {
        Store::load(&flux.repo, &flux.settings)
    } else {
        Ok(store)
    }
}

/// The task that is meant: the one named, else the one whose worktree we stand
/// in, else the one that is picked.
fn choose<'a>(flux: &Flux, store: &'a Store, name: Option<&str>, verb: &str) -> Result<&'a Stored> {
    if let Some(name) = name {
        return store
            .meant(&flux.repo, name, verb)
            .map_err(|error| removed(flux, name, error));
    }
    let here = flux.repo.current();
    let stands_in = |task: &Task| Some(task.worktree.as_path()) == here;
    let mut tasks = store.tasks.iter();
    if let Some(stored) = tasks.find(|one| one.task.as_ref().is_ok_and(stands_in)) {
        return Ok(stored);
    }
    if store.tasks.is_empty() {
        let hint = "git flux run \"<what is to be done>\"";
        return Err(Failure::new("there are no tasks").hint(hint).into());
    }
    if !flux.ui.can_ask() {
        let what = "which task? this is not the worktree of one, and nobody can be asked";
        let failure = Failure::new(what).hint(format!("git flux {verb} <task>"));
        return Err(failure.hint("git flux list").code(USAGE).into());
    }
    pick(flux, store, verb)
}

/// Returns the task that is picked.
fn pick<'a>(flux: &Flux, store: &'a Store, verb: &str) -> Result<&'a Stored> {
    let states = observe::state_labels(flux, store)?;
    let mut tasks: Vec<_> = store.tasks.iter().zip(states).collect();
    // In the order of the list.
    tasks.sort_by_key(|(stored, _)| stored.created());
    let row = |(stored, state): &(&Stored, String)| {
        let task = stored.task.as_ref();
        let title = task.map_or("(its record cannot be read)", |task| &task.title);
        [stored.id.to_string(), state.clone(), title.to_owned()]
    };
    let rows: Vec<_> = tasks.iter().map(row).collect();
    let question = format!("Which task? ({verb})");
    Ok(tasks[flux.ui.pick(question, &rows)?].0)
}

/// Returns the task that is meant as [`choose`] does, for a command that acts on it.
///
/// # Errors
/// When it is another user's.
fn choose_own<'a>(
    flux: &Flux,
    store: &'a Store,
    name: Option<&str>,
    verb: &str,
) -> Result<&'a Stored> {
    let stored = choose(flux, store, name, verb)?;
    let task = stored.task.as_ref();
    task.map_or(Ok(()), |task| flux.ensure_own(task))?;
    Ok(stored)
}

/// Adds how a task comes back that there was, and is not any more.
fn removed(flux: &Flux, name: &str, error: Error) -> Error {
    let archived = archive::list(flux).unwrap_or_default();
    match error.downcast::<Failure>() {
        Ok(failure) if archived.iter().any(|one| one.name == name) => {
            failure.hint(format!("git flux restore {name}")).into()
        }
        Ok(failure) => failure.into(),
        Err(error) => error,
    }
}

/// Says why the changes of a task are not known, if they are not. Returns whether they are known.
fn warn_unlooked(ui: &Ui, status: &Status) -> bool {
    let Some(unlooked) = &status.unlooked else {
        return true;
    };
    let (id, why) = (&status.task.id, &unlooked.why);
    ui.warning(format_args!("the changes of '{id}' are not known: {why}"));
    unlooked.hints.iter().for_each(|hint| ui.hint(hint));
    false
}

/// How many of many have failed; each was named.
#[derive(Debug, Default)]
pub(super) struct Faults(usize);

impl Faults {
    /// Returns what came of one, or shows its error, so that it leaves the others.
    ///
    /// # Errors
    /// The user's interruption, which ends all.
    fn note<T>(&mut self, done: Result<T>) -> Result<Option<T>> {
        match done {
            Ok(done) => Ok(Some(done)),
            Err(error) if failure::code(&error) == DECLINED => Err(error),
            Err(error) => {
                self.show(&error);
                Ok(None)
            }
        }
    }

    /// Shows the error of one.
    pub(super) fn show(&mut self, error: &Error) {
        ui::show(error);
        self.count();
    }

    /// Says what could not be told of one.
    pub(super) fn warn(&mut self, ui: &Ui, what: impl Display) {
        ui.warning(what);
        self.count();
    }

    /// Counts one that is named already.
    pub(super) fn count(&mut self) {
        self.0 += 1;
    }

    pub(super) fn none(&self) -> bool {
        self.0 == 0
    }

    /// Fails if any has.
    pub(super) fn ensure_none(&self, what: impl Display) -> Result<()> {
        match self.0 {
            0 => Ok(()),
            _ => Err(Failure::new(what.to_string()).into()),
        }
    }
}
