//! `git flux stop`

use anyhow::Result;
use clap::Args;
use clap_complete::ArgValueCompleter;

use super::{candidates, choose_own, settled};
use crate::context::Flux;
use crate::failure::{self, DECLINED, Failure};
use crate::lifecycle::observe;
use crate::lifecycle::stop::{can_stop, stop};
use crate::store::{Store, Stored};
use crate::task::TaskId;
use crate::ui::{self, Ui};

/// End the agents of tasks, and keep everything
#[derive(Debug, Args)]
#[command(override_usage = "git flux stop [<options>] [<task>...]")]
pub(crate) struct Stop {
    /// dry run: only say which agents would be stopped
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// the tasks: each its id, or the beginning of it
    #[arg(value_name = "<task>", add = ArgValueCompleter::new(candidates::further_running))]
    tasks: Vec<String>,
    /// stop all agents that run
    #[arg(long, conflicts_with = "tasks")]
    all: bool,
}

impl Stop {
    pub(crate) fn run(self) -> Result<()> {
        let flux = Flux::open(Ui::default())?;
        let store = match self.dry_run {
            true => Store::load(&flux.repo, &flux.settings)?,
            false => settled(&flux)?,
        };
        let tasks = self.meant(&flux, &store)?;
        if tasks.is_empty() {
            flux.ui.status("there is nothing to stop");
            return Ok(());
        }
        // All are asked before the first is waited for.
        let ask = |stored: &&Stored| match can_stop(&flux, stored.readable()?)? && !self.dry_run {
            true => stop(&flux, &stored.id),
            false => Ok(None),
        };
        let asked: Vec<_> = tasks.iter().map(ask).collect();
        let (all, mut failed) = (tasks.len(), 0);
        for (stored, asked) in tasks.into_iter().zip(asked) {
            let told = asked.and_then(|asked| match asked {
                Some(stopping) => {
                    let spinner = flux.ui.spinner(format_args!("stopping '{}'", stored.id));
                    stopping.wait()?;
                    drop(spinner);
                    stopped(&flux, &stored.id);
                    Ok(())
                }
                None => self.untouched(&flux, &store, stored),
            });
            let Err(error) = told else { continue };
            if all == 1 || failure::code(&error) == DECLINED {
                return Err(error);
            }
            ui::show(&error);
            failed += 1;
        }
        if self.dry_run {
            flux.ui.status("Nothing was done.");
        }
        match failed {
            0 => Ok(()),
            _ => Err(Failure::new(format!("{failed} of {all} agents were not stopped")).into()),
        }
    }

    /// The tasks that are meant, each once.
    fn meant<'a>(&self, flux: &Flux, store: &'a Store) -> Result<Vec<&'a Stored>> {
        if self.all {
            let runs = |stored: &&Stored| match &stored.task {
                Ok(task) => !matches!(can_stop(flux, task), Ok(false)),
                Err(_) => true,
            };
            return Ok(flux.own_tasks(store).filter(runs).collect());
        }
        let names: Vec<Option<&str>> = match self.tasks.as_slice() {
            [] => vec![None],
            names => names.iter().map(|name| Some(name.as_str())).collect(),
        };
        let mut tasks: Vec<&Stored> = Vec::new();
        for name in names {
            let stored = choose_own(flux, store, name, "stop")?;
            if !tasks.iter().any(|task| task.id == stored.id) {
                tasks.push(stored);
            }
        }
        Ok(tasks)
    }

    /// Says what would be done, or that there is nothing to do.
    fn untouched(&self, flux: &Flux, store: &Store, stored: &Stored) -> Result<()> {
        let (id, task) = (&stored.id, stored.readable()?);
        let label = observe::one(flux, store, task)?.0.label();
        match self.dry_run && can_stop(flux, task)? {
            true => flux
                .ui
                .data(format_args!("would stop the agent of '{id}': {label}")),
            false => {
                flux.ui
                    .status(format_args!("the agent of '{id}' does not run: {label}"));
                Ok(())
            }
        }
    }
}

fn stopped(flux: &Flux, id: &TaskId) {
    flux.ui.status(format_args!("stopped the agent of '{id}'"));
    flux.ui.hint(format_args!("to go on: git flux resume {id}"));
}
