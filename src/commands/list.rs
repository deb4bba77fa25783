//! `git flux list`

use std::collections::BTreeSet;
use std::mem;
use std::path::Path;
use std::thread;

use anyhow::{Context as _, Result};
use clap::Args;
use console::Style;

use super::object::TaskObject;
use super::porcelain::Porcelain;
use super::table::Table;
use super::{Faults, warn_unlooked};
use crate::context::Flux;
use crate::git::Git;
use crate::lifecycle::everywhere::repositories;
use crate::lifecycle::observe;
use crate::sanitize;
use crate::store::Store;
use crate::system::clock::seconds;
use crate::task::{Divergence, State, Status, Task, version};
use crate::ui::words::age;
use crate::ui::{Ui, colour, shown};

/// List all tasks: state, age, what has changed, description
#[derive(Debug, Default, Args)]
#[command(override_usage = "git flux list [<options>]")]
pub(crate) struct List {
    /// list the tasks of every repository that has a pane on this tmux server
    #[arg(long)]
    everywhere: bool,
    /// machine-readable output: an array of task objects
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    porcelain: Porcelain,
}

/// One row: a task, or a record that is none of this repository, or cannot be read.
enum Row {
    Task(Box<Status>),
    Foreign {
        id: String,
        title: String,
    },
    Broken {
        id: String,
        state: &'static str,
        error: String,
    },
}

impl Row {
    fn object(&self) -> TaskObject {
        match self {
            Self::Task(status) => TaskObject::of(status),
            Self::Foreign { id, .. } => TaskObject::unknown(id, "foreign", FOREIGN),
            Self::Broken { id, state, error } => TaskObject::unknown(id, state, error),
        }
    }
}

/// Why nothing but the id is known of a foreign record.
const FOREIGN: &str = "this repository has not made its record";

/// The rows of one repository.
pub(super) struct Rows {
    project: String,
    rows: Vec<Row>,
}

impl Rows {
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl List {
    pub(crate) fn run(self) -> Result<()> {
        let ui = Ui::default();
        let mut faults = Faults::default();
        let repositories = if self.everywhere {
            everywhere(&ui, &mut faults)?
        } else {
            vec![here(&ui)?]
        };
        self.print(&ui, &repositories, faults)
    }

    /// Prints the tasks, and fails in the end if something of them could not be told.
    pub(super) fn print(&self, ui: &Ui, repositories: &[Rows], mut faults: Faults) -> Result<()> {
        self.tables(ui, repositories)?;
        for repository in repositories {
            for row in &repository.rows {
                let is_known = match row {
                    // That it is broken is known.
                    Row::Task(status) => {
                        warn_unlooked(ui, status) || status.state == State::NoWorktree
                    }
                    Row::Foreign { .. } => true,
                    Row::Broken { state, .. } => *state == version::NEWER,
                };
                if !is_known {
                    faults.count();
                }
            }
        }
        faults.ensure_none("not everything could be read")
    }

    fn tables(&self, ui: &Ui, repositories: &[Rows]) -> Result<()> {
        let all = || repositories.iter().flat_map(|repository| &repository.rows);
        if self.json {
            let objects: Vec<TaskObject> = all().map(Row::object).collect();
            return ui.json(&objects);
        }
        if let Some(mut lines) = self.porcelain.lines() {
            for row in all() {
                row.object().write(&mut lines);
            }
            return ui.bytes(&lines.into_bytes());
        }
        if all().next().is_none() {
            let server = if self.everywhere {
                " with a pane on this tmux server"
            } else {
                ""
            };
            ui.status(format_args!("no tasks{server}"));
            ui.hint("git flux run \"<what is to be done>\"");
            return Ok(());
        }
        for repository in repositories {
            if self.everywhere {
                ui.data(
                    Style::new()
                        .bold()
                        .apply_to(sanitize::line(&repository.project)),
                )?;
            }
            print_table(ui, &repository.rows)?;
        }
        // The reader of a pipe may be a terminal's own, and has its place there.
        if ui.width().is_some() {
            self.hint(ui);
        }
        Ok(())
    }

    /// Says what to do with the tasks.
    fn hint(&self, ui: &Ui) {
        let place = if self.everywhere {
            "-C <repository> "
        } else {
            ""
        };
        let flux = format!("git {place}flux");
        ui.status("");
        ui.hint(format_args!(
            "{flux} attach <task>, {flux} status <task>, {flux} cleanup <task>"
        ));
    }
}

/// The tasks of the repository that the caller stands in. Nothing is changed here, so the
/// refs may be as they were while it was opened.
pub(super) fn here(ui: &Ui) -> Result<Rows> {
    let (flux, refs) = thread::scope(|scope| {
        let here = || Store::refs(Path::new("."));
        let refs = (!Git::is_directed()).then(|| scope.spawn(here));
        (Flux::open(ui.clone()), refs.map(|refs| refs.join()))
    });
    let flux = flux?;
    let store = match refs {
        Some(refs) => {
            let refs = refs.expect("reading refs does not panic")?;
            Store::of(&flux.repo, &flux.settings, refs)?
        }
        None => Store::load(&flux.repo, &flux.settings)?,
    };
    let rows = rows(&flux, &store);
    // The program ends with the list: to take a thousand tasks apart takes longer than to print them.
    mem::forget((flux, store));
    rows
}

fn rows(flux: &Flux, store: &Store) -> Result<Rows> {
    let _spinner = flux.ui.spinner("looking at the worktrees");
    let tasks = store.tasks.iter();
    let tasks: Vec<&Task> = tasks.filter_map(|one| one.task.as_ref().ok()).collect();
    let statuses = if tasks.is_empty() {
        Vec::new()
    } else {
        observe::statuses(flux, store, &tasks)?
    };
    let mut statuses = statuses.into_iter();
    let mut rows = Vec::new();
    for stored in &store.tasks {
        rows.push(match &stored.task {
            Ok(_) => Row::Task(Box::new(
                statuses.next().context("a task was not looked at")?,
            )),
            Err(error) => Row::Broken {
                id: stored.id.to_string(),
                state: version::state_of(error),
                error: format!("{error:#}"),
            },
        });
    }
    rows.extend(store.foreign.iter().map(|stored| {
        let task = stored.task.as_ref();
        Row::Foreign {
            id: stored.id.to_string(),
            title: task.map_or_else(|_| String::new(), |task| task.title.clone()),
        }
    }));
    rows.sort_by_key(|row| match row {
        Row::Task(status) => status.task.created,
        Row::Foreign { .. } | Row::Broken { .. } => u64::MAX,
    });
    Ok(Rows {
        project: flux.repo.home().to_string_lossy().into_owned(),
        rows,
    })
}

/// The rows of all repositories that have a task's pane on this server.
fn everywhere(ui: &Ui, faults: &mut Faults) -> Result<Vec<Rows>> {
    let mut all = Vec::new();
    for (common_dir, flux) in repositories(ui)? {
        let found = flux.and_then(|flux| {
            let store = Store::load(&flux.repo, &flux.settings)?;
            rows(&flux, &store)
        });
        match found {
            Ok(rows) => all.push(rows),
            Err(error) => {
                let what = format!("'{}' cannot be listed: {error:#}", shown(&common_dir));
                if common_dir.exists() {
                    faults.count();
                }
                ui.warning(what);
            }
        }
    }
    Ok(all)
}

/// The columns of the list.
const HEAD: [&str; 9] = [
    "TASK",
    "STATE",
    "FOR",
    "AGENT",
    "OWNER",
    "AGE",
    "FILES",
    "COMMITS",
    "DESCRIPTION",
];

/// The columns that go first where the terminal is narrow.
const SPARE: [&str; 6] = ["AGE", "AGENT", "FILES", "COMMITS", "FOR", "OWNER"];

/// Agents are named where there are several, and owners where there is another one.
fn is_shown(column: &str, rows: &[Row]) -> bool {
    let statuses = rows.iter().filter_map(|row| match row {
        Row::Task(status) => Some(status),
        Row::Foreign { .. } | Row::Broken { .. } => None,
    });
    match column {
        "AGENT" => {
            let agents: BTreeSet<&str> = statuses.map(|status| &*status.task.agent).collect();
            agents.len() > 1
        }
        "OWNER" => { statuses }.any(|status| status.owner.is_some()),
        _ => true,
    }
}

fn print_table(ui: &Ui, rows: &[Row]) -> Result<()> {
    let now = seconds();
    let is_shown = HEAD.map(|column| is_shown(column, rows));
    let cells = rows.iter().map(|row| chosen(cells(row, now), is_shown));
    let table = Table {
        head: chosen(HEAD, is_shown),
        rows: cells.collect(),
        spare: &SPARE,
    };
    let lines = table.lines(ui.width(), |row, at, text| match at {
        1 => paint(&rows[row], text),
        _ => text.to_owned(),
    });
    // At once: there may be thousands.
    ui.data(lines.join("\n"))
}

fn chosen<T>(cells: [T; 9], is_shown: [bool; 9]) -> Vec<T> {
    let cells = cells.into_iter().zip(is_shown);
    cells.filter_map(|(cell, is)| is.then_some(cell)).collect()
}

/// The state in its colour.
fn paint(row: &Row, text: &str) -> String {
    let slot = match row {
        Row::Task(status) => status.state.name(),
        Row::Foreign { .. } => "foreign",
        Row::Broken { state, .. } => state,
    };
    colour::paint(slot, &style(row), text)
}

fn style(row: &Row) -> Style {
    let plain = Style::new();
    match row {
        Row::Broken { .. } => plain.red().bold(),
        Row::Foreign { .. } => plain.yellow(),
        Row::Task(status) => match &status.state {
            State::Running(_) | State::RunningElsewhere | State::Working => plain.green(),
            State::Waiting(_) => plain.yellow().bold(),
            State::Done => plain.blue(),
            State::Starting | State::Opening | State::Removing => plain.cyan(),
            State::Ended(exit) if exit.is_success() => plain.blue(),
            State::Ended(exit) if exit.stopped => plain,
            State::Idle => plain,
            State::Ended(_)
            | State::Failed
            | State::Interrupted
            | State::Lost
            | State::Elsewhere
            | State::Unknown => plain.yellow(),
            State::Incomplete | State::NoWorktree | State::NoBranch => plain.red().bold(),
        },
    }
}

fn cells(row: &Row, now: u64) -> [String; 9] {
    let unknown = || "?".to_owned();
    let of_record = |id: &str, state: &str, text: &str| {
        let [since, agent, owner, age, files, commits] = [(); 6].map(|()| unknown());
        let (id, state, text) = (id.to_owned(), state.to_owned(), sanitize::line(text));
        [id, state, since, agent, owner, age, files, commits, text]
    };
    match row {
        Row::Foreign { id, title } => of_record(id, "foreign", title),
        Row::Broken { id, state, error } => {
            of_record(id, state, &format!("its record cannot be read: {error}"))
        }
        Row::Task(status) => {
            let task = &status.task;
            let files = status.changes.map_or_else(unknown, |c| c.files.to_string());
            let commits = match status.divergence {
                Some(Divergence { ahead, behind: 0 }) => format!("+{ahead}"),
                Some(Divergence { ahead, behind }) => format!("+{ahead} -{behind}"),
                None => unknown(),
            };
            let ago = |then: u64| age(now.saturating_sub(then));
            [
                task.id.to_string(),
                label(status),
                status.found.since.map_or_else(|| "-".to_owned(), ago),
                sanitize::line(&task.agent),
                status.owner.clone().unwrap_or_default(),
                ago(task.created),
                files,
                commits,
                sanitize::line(&task.title),
            ]
        }
    }
}

/// The state in a word, with a mark where it is a guess.
fn label(status: &Status) -> String {
    let guess = if status.found.guess { "?" } else { "" };
    format!("{}{guess}", status.state.label())
}
