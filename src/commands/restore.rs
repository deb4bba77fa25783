//! `git flux restore`

use anyhow::{Result, bail};
use clap::Args;
use clap_complete::ArgValueCompleter;
use std::slice;

use super::revert::revert_hint;
use super::{candidates, deletion, load_recovered, removed, starting};
use crate::context::Flux;
use crate::failure::{Failure, Verb};
use crate::lifecycle::archive::{self, Archived, Listing};
use crate::lifecycle::restore::{limit_foreign, prepare};
use crate::lifecycle::start::plan::Started;
use crate::lifecycle::start::start;
use crate::sanitize;
use crate::store::{Store, StoredTask};
use crate::ui::{Ui, shown};

/// Bring back a task that was removed
#[derive(Debug, Args)]
#[command(override_usage = "git flux restore [<options>] [<task>]")]
pub(crate) struct RestoreArgs {
    /// be quiet: print the task's id alone
    #[arg(short, long)]
    quiet: bool,
    /// agree to the deletion
    #[arg(short, long)]
    yes: bool,
    /// the removed task: its name or a part of it
    #[arg(value_name = "<task>", add = ArgValueCompleter::new(candidates::archived))]
    task: Option<String>,
    /// list what can be restored: age, size, how it ended
    #[arg(short, long, conflicts_with_all = ["task", "drop"])]
    list: bool,
    /// delete a removed task for good
    #[arg(long)]
    drop: bool,
    /// restore a task whose refs were fetched from elsewhere
    #[arg(long, requires = "task", conflicts_with = "drop")]
    foreign: bool,
    /// machine-readable output of --list: an array of objects
    #[arg(long, requires = "list")]
    json: bool,
}

impl RestoreArgs {
    pub(crate) fn run(self) -> Result<()> {
        let flux = Flux::open(Ui { quiet: self.quiet })?;
        if self.list {
            return removed::print(&flux, &archive::list_all(&flux)?, self.json);
        }
        let store = load_recovered(&flux)?;
        let all = archive::list_all(&flux)?;
        let one = self.choose(&flux, &store, &all)?;
        if let Some(owner) = flux.trash_owner(one) {
            let name = &one.name;
            let failure = Failure::new(format!("'{name}' was removed by '{owner}'"));
            bail!(failure.hint(format!("git flux log {name}")));
        }
        if self.drop {
            if !self.yes {
                let question = deletion::question(&flux, &[one]);
                deletion::ensure_agreed(&flux, question)?;
            }
            return deletion::delete(&flux, one);
        }
        if !one.foreign {
            return restore_task(&flux, &store, one);
        }
        let one = limit_foreign(&flux, &store, one)?;
        if !self.foreign {
            ask_about_foreign(&flux, &one)?;
        }
        restore_task(&flux, &store, &one)
    }

    fn choose<'a>(&self, flux: &Flux, store: &Store, all: &'a Listing) -> Result<&'a Archived> {
        let Some(name) = &self.task else {
            return removed::pick(flux, all, Verb::Restore);
        };
        archive::find(all, name).map_err(|error| {
            let tasks = store.tasks.iter();
            let begins = tasks.filter(|stored| stored.id.as_str().starts_with(name));
            let [StoredTask { id, .. }] = begins.collect::<Vec<_>>()[..] else {
                return error;
            };
            let failure = Failure::new(format!("'{id}' is not removed"));
            failure
                .hint(format!("to go to the task: git flux attach {id}"))
                .into()
        })
    }
}

/// Restores a removed task, starts its pane, and reports it. May ask to approve setup scripts. If
/// its agent cannot be executed, or fails within half a second, only warns.
fn restore_task(flux: &Flux, store: &Store, one: &Archived) -> Result<()> {
    let mut starts = [prepare(flux, store, one)?];
    starting::add_scripts(flux, &mut starts)?;
    let [start_of] = &mut starts;
    report(flux, one, &start(flux, start_of)?)
}

/// Shows a removed task that was fetched from another repository, and asks whether to restore it.
/// Fails if the user declines or cannot be asked.
fn ask_about_foreign(flux: &Flux, one: &Archived) -> Result<()> {
    let (ui, name, task) = (&flux.ui, &one.name, &one.task);
    let about = format!("'{name}' is foreign: it was removed in another repository");
    if !ui.can_ask() {
        bail!(Failure::new(about).hint(format!(
            "to restore it here: git flux restore {name} --foreign"
        )));
    }
    ui.status(about);
    let [branch, agent] = [&*task.branch, &task.agent].map(sanitize::line);
    ui.status(format_args!("  Branch: {branch}"));
    ui.status(format_args!("  Worktree: {}", shown(&task.worktree)));
    ui.status(format_args!("  Agent: {agent}"));
    ui.ensure_agreed("Restore it?", false)
}

fn report(flux: &Flux, one: &Archived, started: &Started) -> Result<()> {
    let (ui, task) = (&flux.ui, &started.task);
    let id = &task.id;
    // The task is restored nevertheless.
    if let Err(error) = starting::ensure_executed(flux, started) {
        ui.warning(format_args!("{error:#}"));
    }
    if ui.quiet {
        return ui.data(id);
    }
    let how = match (&one.trash, one.snapshot()) {
        (Some(_), _) => "as it was, ignored files too",
        (None, Some(_)) => "from its snapshot, without ignored files",
        (None, None) => "from its commits",
    };
    let (worktree, branch) = (shown(&task.worktree), &task.branch);
    let session = &started.opened.target.session;
    ui.status(format_args!(
        "restored '{id}' ({how}): worktree '{worktree}', branch '{branch}', session '{session}'"
    ));
    if let Some(merged) = one.merged()
        && let Some(undo) = revert_hint(flux, merged)?
    {
        ui.status("What was merged stays merged.");
        ui.hint(undo);
    }
    ui.hint(format_args!("to go to the task: git flux attach {id}"));
    for error in starting::wait_for_early_failures(flux, slice::from_ref(started))? {
        ui.warning(format_args!("{error:#}"));
    }
    Ok(())
}
