//! The rows of the table: the tasks of a repository, read and formatted.

use std::fmt::Display;
use std::mem;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::Result;
use console::Style;
use jiff::Timestamp;

use super::{conflict_column, unseen_column};
use crate::commands::object::TaskObject;
use crate::commands::object::conflicts::opponents;
use crate::context::Flux;
use crate::failure::{self, DECLINED};
use crate::git::Git;
use crate::lifecycle::observe::{self, ObservedState};
use crate::lifecycle::repositories::find_repositories;
use crate::sanitize;
use crate::store::{Store, StoredTask};
use crate::system::clock::this_second;
use crate::task::{Divergence, GateState, GateVerdict, State, Status, Task, TaskId, version};
use crate::ui::words::age;
use crate::ui::{Ui, colour, shown};

/// The state of a task that was fetched.
pub(super) const FOREIGN: &str = "foreign";

/// A row of the table: a task, or a record that is foreign or unreadable.
#[derive(Clone)]
pub(in crate::commands) struct TaskRow {
    pub(in crate::commands) id: TaskId,
    pub(in crate::commands) object: TaskObject,
    pub(in crate::commands) cells: [String; 13],
    /// Seconds since 1970. Unreadable records come last.
    pub(in crate::commands) created: Timestamp,
    pub(in crate::commands) status: Option<Status>,
}

/// The rows of a repository.
#[derive(Clone)]
pub(in crate::commands) struct Rows {
    /// The directory in which commands for this repository run.
    pub(in crate::commands) home: PathBuf,
    pub(in crate::commands) rows: Vec<TaskRow>,
}

/// Reads the tasks of the current repository, as rows of the table.
pub(super) fn current_rows(ui: &Ui) -> Result<Rows> {
    let (flux, store) = open_current(ui)?;
    let rows = read_rows(&flux, &store);
    // The program ends soon, and to drop a thousand tasks takes longer than to print them.
    mem::forget((flux, store));
    rows
}

/// Opens the current repository. A thread reads the refs meanwhile.
pub(super) fn open_current(ui: &Ui) -> Result<(Flux, Store)> {
    let (flux, refs) = thread::scope(|scope| {
        let read = || Store::read_refs(Path::new("."));
        let refs = (!Git::has_repository_env()).then(|| scope.spawn(read));
        (Flux::open(ui.clone()), refs.map(|refs| refs.join()))
    });
    let flux = flux?;
    let store = match refs {
        Some(refs) => {
            let refs = refs.expect("reading refs does not panic")?;
            Store::from_refs(&flux.repo, &flux.settings, refs)?
        }
        None => Store::load(&flux.repo, &flux.settings)?,
    };
    Ok((flux, store))
}

/// Reads the tasks of a repository, as rows of the table.
pub(super) fn read_rows(flux: &Flux, store: &Store) -> Result<Rows> {
    let _spinner = flux.ui.spinner("reading the worktrees");
    let tasks: Vec<&Task> = store.readable().collect();
    let mut rows = Vec::new();
    if !tasks.is_empty() {
        let now = this_second();
        let observed = observe::observe_tasks(flux, store, &tasks)?;
        let report = conflict_column::compare(flux, store, &observed)?;
        let unseen = unseen_column::count(flux, store, report.as_ref().ok());
        rows.extend(observed.into_iter().map(|one| {
            let id = &one.status.task.id;
            let mut object = TaskObject::of(&one.status);
            object.conflicts = opponents(&report, id);
            object.unseen = unseen.of(id);
            let cell = unseen.cell(id);
            TaskRow::of(one.status, object, cell, now)
        }));
    }
    Ok(complete(flux, store, rows))
}

/// Reads the states of the tasks of a repository, as rows of the table. Commits, changed files,
/// conflicts and verdicts are unknown in these rows.
pub(super) fn read_states(flux: &Flux, store: &Store) -> Result<Rows> {
    let tasks: Vec<&Task> = store.readable().collect();
    let states = observe::states(flux, store, &tasks)?;
    let now = this_second();
    let row = |(task, seen): (&&Task, ObservedState)| {
        let status = Status {
            task: Task::clone(task),
            owner: flux.owner(task),
            state: seen.state,
            found: seen.found,
            divergence: None,
            changes: None,
            land: seen.land,
            git_refusal: None,
            gate: None,
        };
        let object = TaskObject::of(&status);
        TaskRow::of(status, object, String::new(), now)
    };
    let rows = tasks.iter().zip(states).map(row).collect();
    Ok(complete(flux, store, rows))
}

/// Adds a row for each record that cannot be read, and for each that was fetched from another
/// repository, and sorts all rows by age.
fn complete(flux: &Flux, store: &Store, mut rows: Vec<TaskRow>) -> Rows {
    for StoredTask { id, task, .. } in &store.tasks {
        if let Err(error) = task {
            let (why, state) = (format!("{error:#}"), version::state_of(error));
            let text = format!("its record cannot be read: {why}");
            rows.push(TaskRow::unknown(id, state, why, text));
        }
    }
    for StoredTask { id, task, .. } in &store.foreign {
        let text = task.as_ref().map_or("", |task| &task.title);
        let why = "its record was not made in this repository";
        rows.push(TaskRow::unknown(id, FOREIGN, why, text));
    }
    rows.sort_by_key(|row| row.created);
    Rows {
        home: flux.repo.home().to_owned(),
        rows,
    }
}

/// Opens all repositories that have a pane on this tmux server, and returns the result of `read` for
/// each. Leaves out one that cannot be opened or read, and calls `fail` with its git directory and a
/// message. Fails on ^C.
pub(super) fn read_all<T>(
    ui: &Ui,
    mut read: impl FnMut(Flux, Store) -> Result<T>,
    mut fail: impl FnMut(&Path, String),
) -> Result<Vec<T>> {
    let mut all = Vec::new();
    for (common_dir, flux) in find_repositories(ui)? {
        let found = flux.and_then(|flux| {
            let store = Store::load(&flux.repo, &flux.settings)?;
            read(flux, store)
        });
        match found {
            Ok(rows) => all.push(rows),
            Err(error) if failure::exit_code(&error) == DECLINED => return Err(error),
            Err(error) => {
                let place = shown(&common_dir);
                let message = format!("'{place}' could not be listed: {error:#}");
                fail(&common_dir, message);
            }
        }
    }
    Ok(all)
}

impl TaskRow {
    pub(in crate::commands) fn of(
        status: Status,
        object: TaskObject,
        unseen: String,
        now: Timestamp,
    ) -> Self {
        let (task, state) = (&status.task, &status.state);
        let unknown = || "?".to_owned();
        let ago = |then| age(then, now);
        let guess = if status.found.is_inferred { "?" } else { "" };
        let label = state.label() + guess;
        let commits = match status.divergence {
            Some(Divergence { ahead, behind: 0 }) => format!("+{ahead}"),
            Some(Divergence { ahead, behind }) => format!("+{ahead} -{behind}"),
            None => unknown(),
        };
        Self {
            id: task.id.clone(),
            cells: [
                task.id.to_string(),
                colour::paint(state.name(), &style(state), &label),
                status.found.since.map_or_else(|| "-".to_owned(), ago),
                sanitize::line(&task.agent),
                status.owner.clone().unwrap_or_default(),
                ago(task.created),
                status.changes.map_or_else(unknown, |c| c.files.to_string()),
                commits,
                unseen,
                conflict_column::cell(object.conflicts.as_deref().unwrap_or_default()),
                gate_cell(status.gate.as_ref()),
                status.land.map(|land| land.to_string()).unwrap_or_default(),
                sanitize::line(&task.title),
            ],
            object,
            created: task.created,
            status: Some(status),
        }
    }

    /// Replaces the state of a task, and its state in a landing, in the row: in its status, its
    /// cells and its JSON object.
    pub(super) fn update(&mut self, seen: ObservedState) {
        let ObservedState { state, found, land } = seen;
        if let Some(status) = self.status.take() {
            let status = Status {
                state,
                found,
                land,
                ..status
            };
            let mut object = TaskObject::of(&status);
            object.conflicts = self.object.conflicts.take();
            object.unseen = self.object.unseen;
            let unseen = mem::take(&mut self.cells[8]);
            *self = Self::of(status, object, unseen, this_second());
        }
    }

    /// Returns the row of a task of which only the id is known: `why` is the reason in JSON, `text`
    /// the description in the table.
    fn unknown(id: &TaskId, state: &'static str, why: impl Display, text: impl Display) -> Self {
        let style = match state {
            FOREIGN => Style::new().yellow(),
            _ => Style::new().red().bold(),
        };
        let mut cells = [(); 13].map(|()| "?".to_owned());
        cells[0] = id.to_string();
        cells[1] = colour::paint(state, &style, state);
        cells[8..12].fill(String::new());
        cells[12] = sanitize::line(&text.to_string());
        Self {
            id: id.clone(),
            object: TaskObject::unknown(id, state, why),
            cells,
            created: Timestamp::MAX,
            status: None,
        }
    }
}

fn gate_cell(verdict: Option<&GateVerdict>) -> String {
    let Some(verdict) = verdict else {
        return String::new();
    };
    let style = match verdict.state {
        GateState::Green => Style::new().green(),
        GateState::Red => Style::new().red(),
        GateState::Flaky => Style::new().yellow(),
        GateState::None => Style::new(),
    };
    colour::paint(verdict.state.into_str(), &style, verdict.label())
}

fn style(state: &State) -> Style {
    let plain = Style::new();
    match state {
        State::Running(_) | State::RunningElsewhere | State::Working => plain.green(),
        State::Waiting(_) => plain.yellow().bold(),
        State::Starting | State::Queued | State::Opening | State::Removing => plain.cyan(),
        State::Done => plain.blue(),
        State::Ended(exit) if exit.is_success() => plain.blue(),
        State::Ended(exit) if exit.stopped => plain,
        State::Idle => plain,
        State::Incomplete | State::NoWorktree | State::NoBranch => plain.red().bold(),
        _ => plain.yellow(),
    }
}
