//! `git flux resume`

use anyhow::Result;
use clap::Args;
use clap_complete::ArgValueCompleter;

use super::starting::{self, Layouts};
use super::{Faults, candidates, choose_own, settled};
use crate::agent::AgentCommand;
use crate::context::Flux;
use crate::failure::Failure;
use crate::lifecycle::other_machine::{confirm_ended, find_doubt, find_launcher};
use crate::lifecycle::resume::{continue_session, ensure_stopped, read_prompt, restart, resume};
use crate::lifecycle::start::plan::Started;
use crate::run::launcher::Launcher;
use crate::store::{Store, Stored};
use crate::task::{Phase, Task};
use crate::ui::Ui;
use crate::ui::words::capital;

/// Start the agent of a task again, where it was
#[derive(Debug, Args)]
#[command(override_usage = "git flux resume [<options>] [<task>]")]
pub(crate) struct Resume {
    /// be quiet: print the task's id alone
    #[arg(short, long)]
    quiet: bool,
    /// agree to start over where the agent cannot go on
    #[arg(short, long)]
    yes: bool,
    /// the task: its id or a part of it, its branch or its worktree
    #[arg(value_name = "<task>", add = ArgValueCompleter::new(candidates::stopped))]
    task: Option<String>,
    /// resume all whose agent is lost, or was ended by a signal that git flux did not send
    #[arg(long, conflicts_with = "task")]
    all: bool,
    /// start over with the prompt, also where the agent could go on
    #[arg(long)]
    over: bool,
    #[command(flatten)]
    layouts: Layouts,
    /// agree that an agent that was started on another machine has ended
    #[arg(long)]
    gone: bool,
}

impl Resume {
    pub(crate) fn run(self) -> Result<()> {
        let flux = Flux::open(Ui { quiet: self.quiet })?;
        let store = settled(&flux)?;
        if self.all {
            return self.every(&flux, &store);
        }
        let stored = choose_own(&flux, &store, self.task.as_deref(), "resume")?;
        starting::ensure_not_ended(&flux, &self.one(&flux, stored)?)
    }

    /// Resumes all whose agent has not ended by itself, nor by git flux. One that fails leaves the others.
    fn every(&self, flux: &Flux, store: &Store) -> Result<()> {
        let stands = |stored: &&Stored| match &stored.task {
            Ok(task) => task.phase == Phase::Active && is_cut_off(flux, task),
            Err(_) => true,
        };
        let all: Vec<&Stored> = flux.own_tasks(store).filter(stands).collect();
        if all.is_empty() {
            flux.ui.status("there is nothing to resume");
            return Ok(());
        }
        let (mut started, mut faults) = (Vec::new(), Faults::default());
        for stored in &all {
            started.extend(faults.note(self.one(flux, stored))?);
        }
        let ended = starting::ended(flux, &started)?;
        ended.iter().for_each(|error| faults.show(error));
        let (failed, all) = (faults.0, all.len());
        faults.ensure_none(format_args!("{failed} of {all} tasks were not resumed"))
    }

    fn one(&self, flux: &Flux, stored: &Stored) -> Result<Started> {
        let task = stored.readable()?;
        ensure_stopped(flux, task)?;
        let description = read_prompt(flux, task, &stored.oid)?;
        let command = format!("git flux resume {}", task.id);
        let doubt = find_doubt(flux, task)?;
        confirm_ended(&flux.ui, doubt.as_deref(), self.gone, &command)?;
        let resumed = continue_session(flux, task, &description).filter(|_| !self.over);
        let (agent, verb) = match resumed {
            Some(agent) => (agent, "resumed"),
            None => (self.anew(flux, task, &description)?, "started over"),
        };
        let started = resume(flux, &task.id, agent, self.layouts.layout())?;
        starting::tell(flux, &started, verb)?;
        Ok(started)
    }

    /// The work from its beginning, once that is agreed to.
    fn anew(&self, flux: &Flux, task: &Task, description: &[u8]) -> Result<AgentCommand> {
        let Task { id, agent, .. } = task;
        let run = restart(flux, task, description)?;
        if self.over || self.yes {
            return Ok(run);
        }
        let cannot = format!("the agent of '{id}', {agent}, cannot go on where it was");
        if !flux.ui.can_ask() {
            let hint = format!("to start over with its prompt: git flux resume {id} --yes");
            return Err(Failure::new(cannot).hint(hint).into());
        }
        let question = format!("{}. Start over with its prompt?", capital(&cannot));
        flux.ui.ensure_agreed(question)?;
        Ok(run)
    }
}

/// Whether the agent of a task is lost, or was ended by a signal that git flux did not send; also
/// where that cannot be told: why is said when it is resumed.
fn is_cut_off(flux: &Flux, task: &Task) -> bool {
    let runs = |launcher: &Launcher| matches!(launcher, Launcher::Here | Launcher::Elsewhere(_));
    match flux.run_dir(&task.id).exit() {
        Ok(Some(exit)) => exit.is_by_signal(),
        Ok(None) => !find_launcher(flux, task).is_ok_and(|launcher| runs(&launcher)),
        Err(_) => true,
    }
}
