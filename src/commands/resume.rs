//! `git flux resume`

use anyhow::Result;
use clap::Args;
use clap_complete::ArgValueCompleter;

use super::starting::{self, Layouts};
use super::{Faults, candidates, choose_own, load_recovered};
use crate::agent::AgentCommand;
use crate::context::Flux;
use crate::failure::{Failure, Verb};
use crate::lifecycle::other_machine::{confirm_ended, find_doubt, find_launcher};
use crate::lifecycle::resume::{
    continue_command, ensure_stopped, read_prompt, restart_command, resume,
};
use crate::lifecycle::start::plan::Started;
use crate::run::launcher::Launcher;
use crate::store::{Store, StoredTask};
use crate::task::{Phase, Task};
use crate::ui::Ui;
use crate::ui::words::capitalize;

/// Start the agent of a task again, and continue its session
#[derive(Debug, Args)]
#[command(override_usage = "git flux resume [<options>] [<task>]")]
pub(crate) struct ResumeArgs {
    /// be quiet: print the task's id alone
    #[arg(short, long)]
    quiet: bool,
    /// agree to restart from the prompt if the session cannot be continued
    #[arg(short, long)]
    yes: bool,
    /// the task: its id or a part of it, its branch or its worktree
    #[arg(value_name = "<task>", add = ArgValueCompleter::new(candidates::stopped))]
    task: Option<String>,
    /// resume all tasks whose agent is lost, or was killed by another program
    #[arg(long, conflicts_with = "task")]
    all: bool,
    /// restart with the original prompt instead of continuing the session
    #[arg(long)]
    restart: bool,
    #[command(flatten)]
    layouts: Layouts,
    /// agree that an agent started on another machine has ended
    #[arg(long)]
    gone: bool,
}

impl ResumeArgs {
    pub(crate) fn run(self) -> Result<()> {
        let flux = Flux::open(Ui { quiet: self.quiet })?;
        let store = load_recovered(&flux)?;
        if self.all {
            return self.resume_all(&flux, &store);
        }
        let stored = choose_own(&flux, &store, self.task.as_deref(), Verb::Resume)?;
        starting::ensure_no_early_failure(&flux, &self.resume(&flux, stored)?)
    }

    /// Resumes all tasks of the user whose agent is lost, or was killed by a signal that git flux
    /// did not send. Prints failures and continues, unless the user declines; fails at the end if
    /// there was a failure.
    fn resume_all(&self, flux: &Flux, store: &Store) -> Result<()> {
        let is_resumed = |stored: &&StoredTask| match &stored.task {
            Ok(task) => task.phase == Phase::Active && was_killed(flux, task),
            Err(_) => true,
        };
        let all: Vec<&StoredTask> = flux.own_tasks(store).filter(is_resumed).collect();
        if all.is_empty() {
            flux.ui.status("nothing to resume");
            return Ok(());
        }
        let (mut started, mut faults) = (Vec::new(), Faults::default());
        for stored in &all {
            started.extend(faults.note(self.resume(flux, stored))?);
        }
        let errors = starting::wait_for_early_failures(flux, &started)?;
        errors.iter().for_each(|error| faults.show(error));
        let (failed, all) = (faults.0, all.len());
        faults.ensure_none(format_args!("{failed} of {all} tasks were not resumed"))
    }

    fn resume(&self, flux: &Flux, stored: &StoredTask) -> Result<Started> {
        let task = stored.readable()?;
        ensure_stopped(flux, task)?;
        let description = read_prompt(flux, task, &stored.oid)?;
        let doubt = find_doubt(flux, task)?;
        if let Some(doubt) = doubt.as_ref().filter(|_| !self.gone) {
            confirm_ended(flux, &task.id, doubt)?;
        }
        let session = continue_command(flux, task, &description).filter(|_| !self.restart);
        let (agent, verb) = match session {
            Some(agent) => (agent, "resumed"),
            None => (self.restart_command(flux, task, &description)?, "restarted"),
        };
        let started = resume(
            flux,
            &task.id,
            agent,
            doubt.as_deref(),
            self.layouts.layout(),
        )?;
        starting::report(flux, &started, verb)?;
        Ok(started)
    }

    /// Returns the command that starts the agent with the task's prompt. Asks the user first,
    /// unless `--restart` or `--yes` is given; fails if the user declines or cannot be asked.
    fn restart_command(
        &self,
        flux: &Flux,
        task: &Task,
        description: &[u8],
    ) -> Result<AgentCommand> {
        let Task { id, agent, .. } = task;
        let command = restart_command(flux, task, description)?;
        if self.restart || self.yes {
            return Ok(command);
        }
        let reason = format!("'{agent}', the agent of '{id}', cannot be continued");
        if !flux.ui.can_ask() {
            let hint = format!("to start again from the task's prompt: git flux resume {id} --yes");
            return Err(Failure::new(reason).hint(hint).into());
        }
        let question = format!(
            "{}. Start again from the task's prompt?",
            capitalize(&reason)
        );
        flux.ui.ensure_agreed(question, false)?;
        Ok(command)
    }
}

/// Returns whether the agent of a task is lost, or was ended by a signal that git flux did not
/// send; also `true` if that is unknown, since resuming reports the error.
fn was_killed(flux: &Flux, task: &Task) -> bool {
    let runs = |launcher: &Launcher| matches!(launcher, Launcher::Here | Launcher::Elsewhere(_));
    match flux.run_dir(&task.id).exit() {
        Ok(Some(exit)) => exit.is_by_signal(),
        Ok(None) => !find_launcher(flux, task).is_ok_and(|launcher| runs(&launcher)),
        Err(_) => true,
    }
}
