//! One file per command: its arguments, then ask, act, print. [`cli`] lists them all.

mod adopt;
mod attach;
mod candidates;
mod cleanup;
pub(crate) mod cli;
pub(crate) mod completions;
mod config;
mod conflicts;
mod deletion;
mod diff;
mod gate;
mod gc;
mod help;
mod install;
mod land;
mod list;
mod log;
mod object;
mod removed;
mod restore;
mod resume;
mod revert;
mod review;
mod run;
mod send;
mod starting;
mod status;
mod stop;
mod styles;
mod table;
mod task_watch;
mod text;
mod wait;
mod wakeups;
mod watch;

use std::fmt::Display;

use anyhow::{Error, Result};

use crate::context::Flux;
use crate::failure::{self, DECLINED, Failure, USAGE, Verb};
use crate::lifecycle::recover::recover;
use crate::lifecycle::{archive, observe};
use crate::store::{Store, StoredTask};
use crate::task::{Status, Task};
use crate::ui::{self, Ui};

/// Repairs the tasks whose last command was killed, reports that, and returns all tasks.
fn load_recovered(flux: &Flux) -> Result<Store> {
    let store = Store::load(&flux.repo, &flux.settings)?;
    if recover(flux, &store)? {
        Store::load(&flux.repo, &flux.settings)
    } else {
        Ok(store)
    }
}

/// Returns the task that `name` selects; without a name, the task of the current worktree, or else
/// the one that the user picks. Fails if there is none, or if the user cannot be asked.
fn choose<'a>(
    flux: &Flux,
    store: &'a Store,
    name: Option<&str>,
    verb: Verb,
) -> Result<&'a StoredTask> {
    if let Some(name) = name {
        return store
            .find_by_name(&flux.repo, name, verb)
            .map_err(|error| with_restore_hint(flux, name, error));
    }
    let dir = flux.repo.current();
    let is_here = |task: &Task| Some(task.worktree.as_path()) == dir;
    let mut tasks = store.tasks.iter();
    if let Some(stored) = tasks.find(|one| one.task.as_ref().is_ok_and(is_here)) {
        return Ok(stored);
    }
    if store.tasks.is_empty() {
        let hint = "to start a task: git flux run \"<description>\"";
        return Err(Failure::new("there are no tasks").hint(hint).into());
    }
    if !flux.ui.can_ask() {
        let message = "no task given, and not inside a task's worktree";
        let failure = Failure::new(message).hint(format!("git flux {verb} <task>"));
        return Err(failure
            .hint("to see the tasks: git flux list")
            .code(USAGE)
            .into());
    }
    pick(flux, store, verb)
}

fn pick<'a>(flux: &Flux, store: &'a Store, verb: Verb) -> Result<&'a StoredTask> {
    let states = observe::state_labels(flux, store)?;
    let mut tasks: Vec<_> = store.tasks.iter().zip(states).collect();
    // The order of `git flux list`.
    tasks.sort_by_key(|(stored, _)| stored.created());
    let row = |(stored, state): &(&StoredTask, String)| {
        let task = stored.task.as_ref();
        let title = task.map_or("(its record cannot be read)", |task| &task.title);
        [stored.id.to_string(), state.clone(), title.to_owned()]
    };
    let rows: Vec<_> = tasks.iter().map(row).collect();
    let question = format!("Which task? ({verb})");
    Ok(tasks[flux.ui.pick(question, &rows)?].0)
}

/// Returns a task as [`choose`] does, which may ask the user; fails if it belongs to another user.
/// A task with an unreadable record is returned.
fn choose_own<'a>(
    flux: &Flux,
    store: &'a Store,
    name: Option<&str>,
    verb: Verb,
) -> Result<&'a StoredTask> {
    let stored = choose(flux, store, name, verb)?;
    let task = stored.task.as_ref();
    task.map_or(Ok(()), |task| flux.ensure_own(task))?;
    Ok(stored)
}

/// Adds the hint `git flux restore <name>` to an error, if a removed task has exactly this name;
/// returns the error unchanged otherwise.
fn with_restore_hint(flux: &Flux, name: &str, error: Error) -> Error {
    let archived = archive::list(flux).unwrap_or_default();
    match error.downcast::<Failure>() {
        Ok(failure) if archived.iter().any(|one| one.name == name) => failure
            .hint(format!("to restore it: git flux restore {name}"))
            .into(),
        Ok(failure) => failure.into(),
        Err(error) => error,
    }
}

/// Returns whether git could read the changes of a task. If not, prints a warning with the reason
/// and hints.
fn warn_if_unknown(ui: &Ui, status: &Status) -> bool {
    let Some(git_refusal) = &status.git_refusal else {
        return true;
    };
    let (id, why) = (&status.task.id, &git_refusal.why);
    ui.warning(format_args!("the changes of '{id}' are unknown: {why}"));
    git_refusal.hints.iter().for_each(|hint| ui.hint(hint));
    false
}

/// The number of tasks that failed, of several. Each was shown.
#[derive(Debug, Default)]
pub(super) struct Faults(usize);

impl Faults {
    /// Returns the value of a result. An error is printed and counted, and gives `None`; but an
    /// error with exit code 130, when the user declined or interrupted, is returned.
    fn note<T>(&mut self, done: Result<T>) -> Result<Option<T>> {
        match done {
            Ok(done) => Ok(Some(done)),
            Err(error) if failure::exit_code(&error) == DECLINED => Err(error),
            Err(error) => {
                self.show(&error);
                Ok(None)
            }
        }
    }

    /// Prints an error on standard error, and counts it.
    pub(super) fn show(&mut self, error: &Error) {
        ui::show(error);
        self.count();
    }

    /// Prints a warning on standard error, and counts it as a failure.
    pub(super) fn warn(&mut self, ui: &Ui, message: impl Display) {
        ui.warning(message);
        self.count();
    }

    /// Counts a failure that was printed already.
    pub(super) fn count(&mut self) {
        self.0 += 1;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0 == 0
    }

    pub(super) fn ensure_none(&self, message: impl Display) -> Result<()> {
        match self.0 {
            0 => Ok(()),
            _ => Err(Failure::new(message.to_string()).into()),
        }
    }
}
