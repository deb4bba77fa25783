//! `git flux resume`

use anyhow::Result;
use clap::Args;
use clap_complete::ArgValueCompleter;

use super::early::{self, Batch};
use super::layout::Layouts;
use super::{candidates, choose_own, settled};
use crate::context::Flux;
use crate::failure::Failure;
use crate::lifecycle::other_machine::{doubt, ensure_gone, launcher};
use crate::lifecycle::resume::{description, ensure_stopped, from_the_beginning, going_on, resume};
use crate::lifecycle::start::plan::{AgentRun, Started};
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
        early::ensure_not_ended(&flux, &self.one(&flux, stored)?)
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
        let (mut batch, mut unasked) = (Batch::default(), Vec::new());
        for stored in &all {
            if !flux.ui.can_ask() && self.asks(flux, stored) {
                unasked.push(stored.id.as_str());
                continue;
            }
            batch.note(self.one(flux, stored))?;
        }
        batch.note_ends(flux)?;
        let failed = batch.failed + unasked.len();
        if failed == 0 {
            return Ok(());
        }
        let failure = format!("{failed} of {} tasks were not resumed", all.len());
        if unasked.is_empty() {
            return Err(Failure::new(failure).into());
        }
        let unasked = unasked.join(", ");
        Err(Failure::new(format!(
            "{failure}; the agents of these cannot go on where they were: {unasked}"
        ))
        .hint("to start them over with their prompts: git flux resume --all --yes")
        .into())
    }

    /// Whether it would have to be asked whether a task may start over. What it fails of
    /// otherwise is found when it is resumed.
    fn asks(&self, flux: &Flux, stored: &Stored) -> bool {
        let Ok(task) = &stored.task else { return false };
        let of = || -> Result<bool> {
            ensure_stopped(flux, task)?;
            let description = description(flux, task, &stored.oid)?;
            Ok(!description.is_empty() && going_on(flux, task, &description).is_none())
        };
        !self.over && !self.yes && of().unwrap_or(false)
    }

    fn one(&self, flux: &Flux, stored: &Stored) -> Result<Started> {
        let task = stored.readable()?;
        ensure_stopped(flux, task)?;
        let description = description(flux, task, &stored.oid)?;
        let doubt = doubt(flux, task)?;
        let command = format!("git flux resume {}", task.id);
        ensure_gone(&flux.ui, doubt.as_deref(), self.gone, &command)?;
        let going_on = if self.over {
            None
        } else {
            going_on(flux, task, &description)
        };
        let (agent, verb) = match going_on {
            Some(agent) => (agent, "resumed"),
            None => (self.anew(flux, task, &description)?, "started over"),
        };
        let started = resume(flux, &task.id, agent, self.layouts.layout())?;
        early::tell(flux, &started, verb)?;
        Ok(started)
    }

    /// The work from its beginning, once that is agreed to.
    fn anew(&self, flux: &Flux, task: &Task, description: &[u8]) -> Result<AgentRun> {
        let id = &task.id;
        let agent = from_the_beginning(flux, task, description)?;
        if self.over || self.yes {
            return Ok(agent);
        }
        let cannot = format!(
            "the agent of '{id}', {}, cannot go on where it was",
            task.agent
        );
        if !flux.ui.can_ask() {
            return Err(Failure::new(cannot)
                .hint(format!(
                    "to start over with its prompt: git flux resume {id} --yes"
                ))
                .into());
        }
        let question = format!("{}. Start over with its prompt?", capital(&cannot));
        flux.ui.ensure_agreed(question)?;
        Ok(agent)
    }
}

/// Whether the agent of a task is lost, or was ended by a signal that git flux did not send; also
/// where that cannot be told: why is said when it is resumed.
fn is_cut_off(flux: &Flux, task: &Task) -> bool {
    match flux.run_dir(&task.id).exit() {
        Ok(Some(exit)) => exit.is_by_signal(),
        Ok(None) => !matches!(
            launcher(flux, task),
            Ok(Launcher::Here | Launcher::Elsewhere(_))
        ),
        Err(_) => true,
    }
}
