//! `git flux list`, and `git flux` alone: the tasks, or the first steps.

mod conflict_column;
mod follow;
pub(super) mod reader;
pub(super) mod rows;
mod unseen_column;

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;
use clap::Args;
use console::Style;

use self::reader::Scope;
use self::rows::{FOREIGN, Rows, TaskRow, current_rows, read_all, read_rows};
use super::object::PorcelainArgs;
use super::table::Table;
use super::{Faults, warn_if_unknown};
use crate::sanitize::shown;
use crate::task::{State, version};
use crate::ui::Ui;

/// List all tasks: state, age, changes, description
#[derive(Debug, Default, Args)]
#[command(override_usage = "git flux list [<options>]")]
pub(crate) struct ListArgs {
    /// list the tasks of all repositories with a pane on this tmux server
    #[arg(long)]
    all_repos: bool,
    /// with --json: print an object on a line of its own for each change
    #[arg(long, requires = "json", conflicts_with = "porcelain")]
    follow: bool,
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
        if self.follow {
            return follow::follow(Scope::of(self.all_repos));
        }
        let ui = Ui::default();
        let mut faults = Faults::default();
        let repositories = if self.all_repos {
            let fail = |common_dir: &Path, message| {
                ui.warning(message);
                // A pane may outlive its repository.
                if common_dir.exists() {
                    faults.count();
                }
            };
            read_all(&ui, |flux, store| read_rows(&flux, &store), fail)?
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
            ui.hint("to start a task: git flux run \"<description>\"");
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
        for Rows { home, rows } in repositories {
            if self.all_repos {
                ui.data(Style::new().bold().apply_to(shown(home)))?;
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
        if has_verdicts && cells[10].is_empty() {
            "-".clone_into(&mut cells[10]);
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
