//! `git flux stop`

use anyhow::Result;
use clap::Args;
use clap_complete::ArgValueCompleter;

use super::{Faults, candidates, choose_own, load_recovered};
use crate::context::Flux;
use crate::failure::Verb;
use crate::lifecycle::observe;
use crate::lifecycle::stop::{StopRequest, can_stop, stop};
use crate::store::{Store, StoredTask};
use crate::ui::Ui;

/// Stop the agents of tasks, and keep everything
#[derive(Debug, Args)]
#[command(override_usage = "git flux stop [<options>] [<task>...]")]
pub(crate) struct StopArgs {
    /// dry run: only say which agents would be stopped
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// the tasks: each its id or a part of it, its branch or its worktree
    #[arg(value_name = "<task>", add = ArgValueCompleter::new(candidates::further_running))]
    tasks: Vec<String>,
    /// stop all running agents
    #[arg(long, conflicts_with = "tasks")]
    all: bool,
}

impl StopArgs {
    pub(crate) fn run(self) -> Result<()> {
        let flux = Flux::open(Ui::default())?;
        let store = if self.dry_run {
            Store::load(&flux.repo, &flux.settings)?
        } else {
            load_recovered(&flux)?
        };
        let tasks = self.selected(&flux, &store)?;
        if tasks.is_empty() {
            flux.ui.status("nothing to stop");
            return Ok(());
        }
        // Signal all agents before waiting for the first.
        let signal = |stored: &&StoredTask| -> Result<Option<StopRequest>> {
            if !can_stop(&flux, stored.readable()?)? || self.dry_run {
                return Ok(None);
            }
            stop(&flux, &stored.id)
        };
        let signalled: Vec<_> = tasks.iter().map(signal).collect();
        let (all, mut faults) = (tasks.len(), Faults::default());
        for (stored, stopping) in tasks.into_iter().zip(signalled) {
            let result = stopping.and_then(|it| self.finish(&flux, &store, stored, it));
            if all == 1 {
                result?;
            } else {
                faults.note(result)?;
            }
        }
        if self.dry_run {
            flux.ui.status("Nothing was done.");
        }
        let failed = faults.0;
        faults.ensure_none(format_args!("{failed} of {all} agents were not stopped"))
    }

    /// Returns the tasks to stop, each once: those named; with `--all`, the user's tasks except
    /// those whose agent does not run; otherwise that of the current worktree, or one that the user
    /// picks.
    fn selected<'a>(&self, flux: &Flux, store: &'a Store) -> Result<Vec<&'a StoredTask>> {
        if self.all {
            let runs = |stored: &&StoredTask| match &stored.task {
                Ok(task) => !matches!(can_stop(flux, task), Ok(false)),
                Err(_) => true,
            };
            return Ok(flux.own_tasks(store).filter(runs).collect());
        }
        if self.tasks.is_empty() {
            return Ok(vec![choose_own(flux, store, None, Verb::Stop)?]);
        }
        let mut tasks: Vec<&StoredTask> = Vec::new();
        for name in &self.tasks {
            let stored = choose_own(flux, store, Some(name), Verb::Stop)?;
            if !tasks.iter().any(|task| task.id == stored.id) {
                tasks.push(stored);
            }
        }
        Ok(tasks)
    }

    /// Waits up to 20 seconds until the agent signalled by `stopping` has ended, and reports that.
    /// Without `stopping`, reports the agent's state and, in a dry run, that it would be stopped.
    fn finish(
        &self,
        flux: &Flux,
        store: &Store,
        stored: &StoredTask,
        stopping: Option<StopRequest>,
    ) -> Result<()> {
        let (id, ui) = (&stored.id, &flux.ui);
        if let Some(stopping) = stopping {
            let spinner = ui.spinner(format_args!("stopping '{id}'"));
            stopping.wait()?;
            drop(spinner);
            ui.status(format_args!("stopped the agent of '{id}'"));
            ui.hint(format_args!("to continue: git flux resume {id}"));
            return Ok(());
        }
        let task = stored.readable()?;
        let label = observe::state_of(flux, store, task)?.0.label();
        if self.dry_run && can_stop(flux, task)? {
            return ui.data(format_args!("would stop the agent of '{id}': {label}"));
        }
        ui.status(format_args!("the agent of '{id}' is not running: {label}"));
        Ok(())
    }
}
