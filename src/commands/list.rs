//! `git flux list`, and `git flux` alone: the tasks, or the first steps.

mod conflict_column;
mod unseen_column;

use std::collections::BTreeSet;
use std::fmt::Display;
use std::mem;
use std::path::Path;
use std::thread;

use anyhow::Result;
use clap::Args;
use console::Style;
use jiff::Timestamp;

use super::object::conflicts::opponents;
use super::object::{PorcelainArgs, TaskObject};
use super::table::Table;
use super::{Faults, warn_if_unknown};
use crate::context::Flux;
use crate::git::Git;
use crate::lifecycle::observe;
use crate::lifecycle::repositories::find_repositories;
use crate::sanitize;
use crate::store::{Store, StoredTask};
use crate::system::clock::this_second;
use crate::task::{Divergence, GateState, GateVerdict, State, Status, Task, TaskId, version};
use crate::ui::words::age;
use crate::ui::{Ui, colour, shown};

/// List all tasks: state, age, changes, description
#[derive(Debug, Default, Args)]
#[command(override_usage = "git flux list [<options>]")]
pub(crate) struct ListArgs {
    /// list the tasks of all repositories with a pane on this tmux server
    #[arg(long)]
    all_repos: bool,
    /// machine-readable output: an array of task objects
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    porcelain: PorcelainArgs,
}

const FIRST_STEPS: &str = "\
There are no tasks in this repository. To start one:

    git flux run \"<description>\"

Then:

    git flux                    list the tasks
    git flux attach <task>      go to a task: watch, answer, take over
    git flux cleanup <task>     merge it and remove it
    git flux restore            bring back a removed task

'git flux -h' lists all commands, 'git help flux' is the manual.";

/// The state of a task that was fetched.
const FOREIGN: &str = "foreign";

/// A row of the table: a task, or a record that is foreign or unreadable.
struct TaskRow {
    object: TaskObject,
    cells: [String; 13],
    /// Seconds since 1970. Unreadable records come last.
    created: Timestamp,
    status: Option<Status>,
}

struct Rows {
    project: String,
    rows: Vec<TaskRow>,
}

/// Prints the tasks of this repository, or the first steps if there are none: `git flux` without a
/// command.
pub(super) fn run_default() -> Result<()> {
    let ui = Ui::default();
    let rows = current_rows(&ui)?;
    if rows.rows.is_empty() {
        return ui.data(FIRST_STEPS);
    }
    ListArgs::default().print(&ui, &[rows], Faults::default())
}

impl ListArgs {
    pub(crate) fn run(self) -> Result<()> {
        let ui = Ui::default();
        let mut faults = Faults::default();
        let repositories = if self.all_repos {
            all_rows(&ui, &mut faults)?
        } else {
            vec![current_rows(&ui)?]
        };
        self.print(&ui, &repositories, faults)
    }

    /// Prints the tasks of some repositories as tables, JSON or lines, and warns of tasks whose
    /// changes could not be determined. Fails at the end if something could not be read, but not
    /// because of fetched tasks and records of a newer git flux.
    fn print(&self, ui: &Ui, repositories: &[Rows], mut faults: Faults) -> Result<()> {
        let rows = || repositories.iter().flat_map(|repository| &repository.rows);
        if self.json {
            ui.json(&rows().map(|row| &row.object).collect::<Vec<_>>())?;
        } else if let Some(mut lines) = self.porcelain.lines() {
            rows().for_each(|row| row.object.write(&mut lines));
            ui.bytes(&lines.into_bytes())?;
        } else if rows().next().is_none() {
            let server = if self.all_repos {
                " with a pane on this tmux server"
            } else {
                ""
            };
            ui.status(format_args!("no tasks{server}"));
            ui.hint("git flux run \"<description>\"");
        } else {
            self.print_tables(ui, repositories)?;
        }
        for row in rows() {
            let is_known = match &row.status {
                // The state says it.
                Some(status) => warn_if_unknown(ui, status) || status.state == State::NoWorktree,
                None => [FOREIGN, version::NEWER].contains(&row.object.state.state),
            };
            if !is_known {
                faults.count();
            }
        }
        faults.ensure_none("not everything could be read")
    }

    fn print_tables(&self, ui: &Ui, repositories: &[Rows]) -> Result<()> {
        for Rows { project, rows } in repositories {
            if self.all_repos {
                ui.data(Style::new().bold().apply_to(sanitize::line(project)))?;
            }
            print_table(ui, rows)?;
        }
        // A pipe may end on the same terminal: no hint there.
        if ui.width().is_some() {
            let flux = if self.all_repos {
                "git -C <repository> flux"
            } else {
                "git flux"
            };
            ui.status("");
            ui.hint(format_args!(
                "{flux} attach <task>, {flux} status <task>, {flux} cleanup <task>"
            ));
        }
        Ok(())
    }
}

/// Reads the tasks of the current repository, as rows of the table. A thread reads the refs while
/// the repository is opened.
fn current_rows(ui: &Ui) -> Result<Rows> {
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
    let rows = read_rows(&flux, &store);
    // The program ends soon, and to drop a thousand tasks takes longer than to print them.
    mem::forget((flux, store));
    rows
}

fn read_rows(flux: &Flux, store: &Store) -> Result<Rows> {
    let _spinner = flux.ui.spinner("reading the worktrees");
    let tasks = store.tasks.iter().filter_map(|one| one.task.as_ref().ok());
    let tasks: Vec<&Task> = tasks.collect();
    let mut rows = Vec::new();
    if !tasks.is_empty() {
        let now = this_second();
        let observed = observe::observe_tasks(flux, store, &tasks)?;
        let report = conflict_column::compare(flux, store, &observed)?;
        let unseen = unseen_column::count(flux, store, report.as_ref());
        rows.extend(observed.into_iter().map(|one| {
            let id = &one.status.task.id;
            let mut object = TaskObject::of(&one.status);
            object.conflicts = report.as_ref().and_then(|report| opponents(report, id));
            object.unseen = unseen.of(id);
            let cell = unseen.cell(id);
            TaskRow::of(one.status, object, cell, now)
        }));
    }
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
    Ok(Rows {
        project: flux.repo.home().to_string_lossy().into_owned(),
        rows,
    })
}

/// Reads the tasks of all repositories that have a pane on this tmux server, as rows. Warns of a
/// repository that cannot be read, and counts it in `faults` unless its directory is gone.
fn all_rows(ui: &Ui, faults: &mut Faults) -> Result<Vec<Rows>> {
    let mut all = Vec::new();
    for (common_dir, flux) in find_repositories(ui)? {
        let found = flux.and_then(|flux| {
            let store = Store::load(&flux.repo, &flux.settings)?;
            read_rows(&flux, &store)
        });
        match found {
            Ok(rows) => all.push(rows),
            Err(error) => {
                if common_dir.exists() {
                    faults.count();
                }
                let place = shown(&common_dir);
                ui.warning(format_args!("'{place}' could not be listed: {error:#}"));
            }
        }
    }
    Ok(all)
}

const HEAD: &str =
    "TASK STATE FOR AGENT OWNER AGE FILES COMMITS UNSEEN CONFLICTS GATE LAND DESCRIPTION";

/// The columns that a narrow terminal omits, in this order.
const OPTIONAL: [&str; 10] = [
    "AGE",
    "AGENT",
    "FILES",
    "COMMITS",
    "FOR",
    "CONFLICTS",
    "UNSEEN",
    "GATE",
    "LAND",
    "OWNER",
];

fn print_table(ui: &Ui, rows: &[TaskRow]) -> Result<()> {
    // Show agents if they differ, and owners if another user has a task.
    let statuses = || rows.iter().filter_map(|row| row.status.as_ref());
    let agents: BTreeSet<&str> = statuses().map(|status| &*status.task.agent).collect();
    let has_owners = statuses().any(|status| status.owner.is_some());
    let has_verdicts = statuses().any(|status| status.gate.is_some());
    let cells = rows.iter().map(|row| {
        let mut cells = row.cells.to_vec();
        if agents.len() < 2 {
            cells[3].clear();
        }
        if !has_owners {
            cells[4].clear();
        }
        if has_verdicts && cells[9].is_empty() {
            "-".clone_into(&mut cells[9]);
        }
        cells
    });
    let table = Table {
        head: &HEAD.split(' ').collect::<Vec<_>>(),
        rows: cells.collect(),
        optional: &OPTIONAL,
    };
    table.print(ui)
}

impl TaskRow {
    fn of(status: Status, object: TaskObject, unseen: String, now: Timestamp) -> Self {
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
