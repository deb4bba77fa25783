//! `git flux restore`

use anyhow::{Result, bail};
use clap::Args;
use clap_complete::ArgValueCompleter;
use std::slice;

use super::removed::{self, content};
use super::revert::revert;
use super::{Faults, candidates, load_recovered, starting};
use crate::context::Flux;
use crate::failure::Failure;
use crate::interrupt;
use crate::lifecycle::archive::delete::drop_for_good;
use crate::lifecycle::archive::{self, Archived, Listed, Unread};
use crate::lifecycle::restore::{harmless, prepare};
use crate::lifecycle::start::plan::Started;
use crate::lifecycle::start::start;
use crate::sanitize;
use crate::store::{Store, Stored};
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
    /// the removed task: its name in the archive or a part of it
    #[arg(value_name = "<task>", add = ArgValueCompleter::new(candidates::archived))]
    task: Option<String>,
    /// list what can be restored: age, size, how it ended
    #[arg(short, long, conflicts_with_all = ["task", "drop", "empty"])]
    list: bool,
    /// delete a removed task for good
    #[arg(long, conflicts_with = "empty")]
    drop: bool,
    /// delete all removed tasks for good
    #[arg(long, conflicts_with = "task")]
    empty: bool,
    /// restore what came from elsewhere with refs that were fetched
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
        if self.empty {
            let is_ours = |one: &&Archived| !one.foreign && flux.remover(one).is_none();
            let ours: Vec<&Archived> = all.archived.iter().filter(is_ours).collect();
            return self.delete(&flux, &ours, &all.unread);
        }
        let one = self.choose(&flux, &store, &all)?;
        if let Some(owner) = flux.remover(one) {
            let name = &one.name;
            let failure = Failure::new(format!("'{name}' was removed by '{owner}'"));
            bail!(failure.hint(format!("git flux log {name}")));
        }
        if self.drop {
            return self.delete(&flux, &[one], &[]);
        }
        if !one.foreign {
            return bring_back(&flux, &store, one);
        }
        let one = harmless(&flux, &store, one)?;
        if !self.foreign {
            agree(&flux, &one)?;
        }
        bring_back(&flux, &store, &one)
    }

    fn choose<'a>(&self, flux: &Flux, store: &Store, all: &'a Listed) -> Result<&'a Archived> {
        let Some(name) = &self.task else {
            return removed::pick(flux, all, "restore");
        };
        archive::find(all, name).map_err(|error| {
            let tasks = store.tasks.iter();
            let begins = tasks.filter(|stored| stored.id.as_str().starts_with(name));
            let [Stored { id, .. }] = begins.collect::<Vec<_>>()[..] else {
                return error;
            };
            let failure = Failure::new(format!("'{id}' is not removed"));
            failure.hint(format!("git flux attach {id}")).into()
        })
    }

    /// Deletes removed tasks, once that is agreed to.
    fn delete(&self, flux: &Flux, which: &[&Archived], unread: &[Unread]) -> Result<()> {
        if which.is_empty() {
            flux.ui.status("there is nothing to delete");
            return self.clear(flux, unread, Faults::default());
        }
        self.agree_to_delete(flux, which)?;
        let mut faults = Faults::default();
        for one in which {
            interrupt::check()?;
            let (name, branch, tip) = (&one.name, sanitize::line(&one.task.branch), &one.tip);
            match drop_for_good(flux, one) {
                Ok(()) => {
                    let commits = format!("the commits of '{branch}' were at {tip}");
                    flux.ui.status(format_args!("deleted '{name}' ({commits})"));
                }
                Err(error) if which.len() == 1 && !self.empty => return Err(error),
                Err(error) => faults.show(&error),
            }
        }
        self.clear(flux, unread, faults)
    }

    fn agree_to_delete(&self, flux: &Flux, which: &[&Archived]) -> Result<()> {
        let question = if let [one] = which {
            format!("Delete '{}' for good ({})?", one.name, content(flux, one))
        } else {
            for one in which {
                let content = content(flux, one);
                flux.ui.status(format_args!("  {}  {content}", one.name));
            }
            format!("Delete these {} for good?", which.len())
        };
        if self.yes {
            return Ok(());
        }
        if !flux.ui.can_ask() {
            let failure = Failure::new("nobody can be asked whether to delete");
            let failure = failure.hint("git flux restore --list");
            bail!(failure.hint("add --yes to agree"));
        }
        flux.ui.ensure_agreed(question)
    }

    /// Deletes what could not be deleted before, where everything is to go, and names what stays
    /// since it cannot be read.
    fn clear(&self, flux: &Flux, unread: &[Unread], mut faults: Faults) -> Result<()> {
        if self.empty && faults.is_empty() {
            let left = flux.clear_leftovers()?;
            left.iter().for_each(|error| faults.show(error));
        }
        for one in unread {
            removed::name(flux, one.refusal());
            faults.count();
        }
        faults.ensure_none("not everything could be deleted")
    }
}

/// Starts the task again where it was.
fn bring_back(flux: &Flux, store: &Store, one: &Archived) -> Result<()> {
    let mut starts = [prepare(flux, store, one)?];
    starting::add_scripts(flux, &mut starts)?;
    let [start_of] = &mut starts;
    tell(flux, one, &start(flux, start_of)?)
}

/// Shows what would be restored and asks for it.
///
/// # Errors
/// When it is declined, or there is no terminal.
fn agree(flux: &Flux, one: &Archived) -> Result<()> {
    let (ui, name, task) = (&flux.ui, &one.name, &one.task);
    let about = format!("'{name}' is foreign: this repository has not removed it");
    if !ui.can_ask() {
        bail!(Failure::new(about).hint(format!("git flux restore {name} --foreign")));
    }
    ui.status(about);
    let [branch, agent] = [&*task.branch, &task.agent].map(sanitize::line);
    ui.status(format_args!("  Branch: {branch}"));
    ui.status(format_args!("  Worktree: {}", shown(&task.worktree)));
    ui.status(format_args!("  Agent: {agent}"));
    ui.ensure_agreed("Restore it?")
}

fn tell(flux: &Flux, one: &Archived, started: &Started) -> Result<()> {
    let (ui, task) = (&flux.ui, &started.task);
    let id = &task.id;
    // It is restored all the same.
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
        "restored '{id}' {how}: worktree '{worktree}', branch '{branch}', session '{session}'"
    ));
    if let Some(merged) = one.merged()
        && let Some(undo) = revert(flux, merged)?
    {
        ui.status("What was merged stays merged.");
        ui.hint(undo);
    }
    ui.hint(format_args!("git flux attach {id}"));
    for error in starting::early_failures(flux, slice::from_ref(started))? {
        ui.warning(format_args!("{error:#}"));
    }
    Ok(())
}
