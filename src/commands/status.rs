//! `git flux status`

mod explain;
mod show;

use std::os::unix::ffi::OsStrExt as _;

use anyhow::{Context as _, Result};
use clap::Args;
use clap_complete::ArgValueCompleter;

use self::show::{Detail, PaneView, code, next};
use super::object::conflicts::{opponents, report_or_reason};
use super::object::{ConfigChangeObject, DetailObject, FileObject, TaskObject};
use super::{candidates, choose, warn_if_unknown};
use crate::context::Flux;
use crate::failure::{self, Verb};
use crate::git::Change;
use crate::git::shared_config::keys::ConfigEffect;
use crate::lifecycle::conflicts::{ConflictReport, Scope, find_conflicts};
use crate::lifecycle::observe::{self, ObservedTask, WorktreeState};
use crate::lifecycle::pane::find_pane;
use crate::lifecycle::review::{UnseenCounts, is_used};
use crate::lifecycle::shared_config;
use crate::lifecycle::shared_config::Comparison;
use crate::lifecycle::shared_config::change::SharedChange;
use crate::lifecycle::stash::StashFacts;
use crate::lifecycle::stash_pins::warn_of_removed_entries;
use crate::store::{Store, StoredTask};
use crate::task::{State, Status, Task, TaskId};
use crate::tmux::pane;
use crate::ui::Ui;

const SCREEN_LINES: usize = 15;

/// Show one task in detail, with the end of its screen
#[derive(Debug, Args)]
#[command(override_usage = "git flux status [<options>] [<task>]")]
pub(crate) struct StatusArgs {
    /// the task: its id or a part of it, its branch or its worktree
    #[arg(value_name = "<task>", add = ArgValueCompleter::new(candidates::tasks))]
    task: Option<String>,
    /// show the evidence for the state
    #[arg(long)]
    explain: bool,
    /// print only the path of its worktree
    #[arg(long, conflicts_with_all = ["json", "explain"])]
    path: bool,
    /// machine-readable output: a task object
    #[arg(long)]
    json: bool,
}

impl StatusArgs {
    pub(crate) fn run(self) -> Result<()> {
        let flux = Flux::open(Ui::default())?;
        let store = Store::load(&flux.repo, &flux.settings)?;
        let stored = choose(&flux, &store, self.task.as_deref(), Verb::Status)?;
        let task = stored.readable()?;
        if self.path {
            let path = task.worktree.as_os_str().as_bytes();
            flux.ui.bytes(&[path, b"\n"].concat())
        } else if self.explain {
            explain::print(&flux, &store, task, self.json)
        } else {
            self.show(&flux, &store, stored)
        }
    }

    fn show(&self, flux: &Flux, store: &Store, stored: &StoredTask) -> Result<()> {
        let task = stored.readable()?;
        let tasks: Vec<&Task> = store.readable().collect();
        let observed = observe::observe_tasks(flux, store, &tasks)?;
        let report = compare(flux, store, &observed, &task.id)?;
        let conflicts = opponents(&report, &task.id);
        let unseen = count_unseen(flux, store, task, report.as_ref().ok());
        let mut observed = observed.into_iter();
        let observed = observed.find(|one| one.status.task.id == task.id);
        let observed = observed.context("internal error: no status of the task")?;
        let mut status = observed.status;
        let pane = find_pane(task);
        let target = match &pane {
            Ok(target) if status.state != State::Elsewhere => target.clone(),
            Ok(_) | Err(_) => None,
        };
        let screen = match &target {
            Some(target) => PaneView::Lines(pane::capture(target, SCREEN_LINES)?),
            // The pane may be open: tmux failed.
            None if pane.is_err() => PaneView::Unknown,
            None => PaneView::Closed,
        };
        status.task.target = target.or(status.task.target);
        let files = match observed.work {
            WorktreeState::Read { files, .. } => files,
            WorktreeState::Missing | WorktreeState::Unreadable => Vec::new(),
        };
        warn_if_unknown(&flux.ui, &status);
        let stash = find_stash_entries(flux, &status);
        // Another user's copy, or that of another repository, is not for this one.
        let is_own = status.owner.is_none() && status.state != State::Elsewhere;
        let configuration = match is_own {
            true => shared_config::compare(flux, &task.id),
            false => Comparison::NoCopy,
        };
        if self.json {
            let mut object = object(&status, files, (stash, configuration), screen);
            object.task.conflicts = conflicts;
            object.task.unseen = unseen;
            return flux.ui.json(&object);
        }
        let next = next(flux, &status, stored)?;
        let detail = Detail {
            status,
            files,
            stash,
            configuration,
            conflicts: conflicts.unwrap_or_default(),
            unseen,
            screen,
            next,
        };
        detail.print(flux)?;
        if let Some(stash) = &detail.stash {
            warn_of_removed_entries(&flux.ui, &task.id, &stash.removed);
        }
        if let Err(error) = &pane {
            flux.ui.warning(format_args!("{error:#}"));
        }
        // The cause may be the run directory.
        if detail.status.state == State::Unknown
            && let Err(error) = flux.run_dir(&task.id).ensure_launcher_known()
        {
            flux.ui.warning(format_args!("{error:#}"));
            failure::hints(&error).for_each(|hint| flux.ui.hint(hint));
        }
        Ok(())
    }
}

/// Finds the conflicts of a task with all others and with its target. The reason, with a warning,
/// if that fails.
///
/// # Errors
/// Only on ^C.
fn compare<'a>(
    flux: &'a Flux,
    store: &Store,
    observed: &[ObservedTask],
    id: &TaskId,
) -> Result<Result<ConflictReport<'a>, String>> {
    let found = find_conflicts(flux, store, observed, Scope::Of(id), None);
    report_or_reason(flux, found, &format!("the conflicts of '{id}' are unknown"))
}

/// Counts the unseen files of a task that `report` has compared. `None` if they are not known, or
/// not shown here, as [`is_used`] says.
fn count_unseen(
    flux: &Flux,
    store: &Store,
    task: &Task,
    report: Option<&ConflictReport>,
) -> Option<usize> {
    let report = report.filter(|_| is_used(flux, store))?;
    let (_, work) = report.works.iter().find(|(id, _)| *id == task.id)?;
    let mut counts = UnseenCounts::load(flux, store, &report.quarantine);
    let count = counts.count(task, work);
    counts.save();
    count
}

/// Returns the stash entries that concern a task; `None` for another user's, and, with a warning,
/// if they cannot be read.
fn find_stash_entries(flux: &Flux, status: &Status) -> Option<StashFacts> {
    let found = match status.owner {
        Some(_) => return None,
        None => flux.stash_facts(&status.task.id),
    };
    found.inspect_err(|error| flux.ui.warn_of(error)).ok()
}

fn object(
    status: &Status,
    files: Vec<Change>,
    shared: (Option<StashFacts>, Comparison),
    screen: PaneView,
) -> DetailObject {
    let (stash, configuration) = shared;
    let id = &status.task.id;
    let change = |change: SharedChange| ConfigChangeObject {
        name: change.name(),
        change: change.describe(id),
        runs_program: change.effect == ConfigEffect::RunsProgram,
    };
    let files = files.into_iter().map(|file| FileObject {
        code: code(&file),
        path: Some(file.path),
    });
    let (own, removed) = stash.map(|stash| (stash.own, stash.removed)).unzip();
    DetailObject {
        task: TaskObject::of(status),
        files: files.collect(),
        stash: own,
        removed_stash_entries: removed,
        configuration: match configuration {
            Comparison::Changes(changes) => Some(changes.into_iter().map(change).collect()),
            Comparison::NoCopy | Comparison::Failed(_) => None,
        },
        screen: match screen {
            PaneView::Lines(lines) => Some(lines),
            PaneView::Closed | PaneView::Unknown => None,
        },
    }
}
