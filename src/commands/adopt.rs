//! `git flux adopt`

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use clap_complete::ArgValueCompleter;

use super::starting::{self, Layouts};
use super::{candidates, load_recovered};
use crate::agent::AgentCommand;
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::worktree;
use crate::lifecycle::adopt::{Adoption, adopt, find_displaced, real_path, reconnect};
use crate::lifecycle::branch_uses::ensure_main_is_known;
use crate::lifecycle::resume::{restart_command, resume};
use crate::lifecycle::start::OTHER_ID_HINT;
use crate::lifecycle::start::plan::{Start, choose_place};
use crate::task::{Task, TaskId};
use crate::ui::{Ui, shown};

/// Turn an existing worktree into a task
#[derive(Debug, Args)]
#[command(override_usage = "git flux adopt [<options>] <path> [<description>...]")]
pub(crate) struct AdoptArgs {
    /// be quiet: print the task's id alone
    #[arg(short, long)]
    quiet: bool,
    /// the worktree
    #[arg(value_name = "path", add = ArgValueCompleter::new(candidates::worktrees))]
    path: PathBuf,
    /// the agent that works on it
    #[arg(long, value_name = "name", add = ArgValueCompleter::new(candidates::agents))]
    agent: Option<String>,
    /// merge into this branch at cleanup, instead of the current one
    #[arg(long, value_name = "branch", add = ArgValueCompleter::new(candidates::branches))]
    into: Option<String>,
    /// the task's id, instead of one made from its description or its branch
    #[arg(long, value_name = "id")]
    name: Option<String>,
    #[command(flatten)]
    layouts: Layouts,
    /// the description of the work; without it, no agent is started
    #[arg(value_name = "<description>")]
    description: Vec<OsString>,
}

impl AdoptArgs {
    pub(crate) fn run(self) -> Result<()> {
        let flux = Flux::open(Ui { quiet: self.quiet })?;
        let store = load_recovered(&flux)?;
        let worktrees = worktree::list(flux.repo.home())?;
        ensure_main_is_known(&flux, &worktrees)?;
        let real = real_path(&self.path);
        if let Some(Task { id, .. }) = find_displaced(&flux, &store, &worktrees, &real)? {
            reconnect(&flux, id, &real)?;
            flux.ui.status(format_args!(
                "reconnected '{}' to the task '{id}'",
                shown(&real)
            ));
            flux.ui.hint(format_args!(
                "to see the state of the task: git flux status {id}"
            ));
            return Ok(());
        }
        let description = self
            .description
            .join(&OsString::from(" "))
            .into_encoded_bytes();
        let adoption = Adoption {
            flux: &flux,
            store: &store,
            worktrees: &worktrees,
            path: &self.path,
            agent: self.agent.as_deref(),
            into: self.into.as_deref(),
            name: self.name.as_deref(),
            description: &description,
        };
        let mut start = adoption.prepare()?;
        let agent = self.agent_command(&flux, &start)?;
        adopt(&flux, &mut start, &worktrees)?;
        let task = &start.task;
        let id = &task.id;
        flux.ui.status(format_args!(
            "adopted '{}' as '{id}'; cleanup keeps its branch '{}'",
            shown(&task.worktree),
            task.branch
        ));
        if let Some(agent) = agent {
            return self.start(&flux, id, agent);
        }
        if self.quiet {
            return flux.ui.data(id);
        }
        for (what, command) in [
            ("to go to the task", "attach"),
            ("to see its changes", "diff"),
            ("to merge and remove it", "cleanup"),
        ] {
            flux.ui
                .hint(format_args!("{what}: git flux {command} {id}"));
        }
        Ok(())
    }

    /// Returns the command that starts the agent with the description; `None` without a
    /// description. Fails if the agent is not installed, or if no pane can be opened for it.
    fn agent_command(&self, flux: &Flux, start: &Start) -> Result<Option<AgentCommand>> {
        if start.description.is_empty() {
            return Ok(None);
        }
        choose_place(
            flux,
            &start.task.id,
            self.layouts.layout(),
            Some(OTHER_ID_HINT),
        )?;
        restart_command(flux, &start.task, &start.description).map(Some)
    }

    fn start(&self, flux: &Flux, id: &TaskId, agent: AgentCommand) -> Result<()> {
        let started = resume(flux, id, agent, None, self.layouts.layout()).with_context(|| {
            let message = format!("'{id}' is a task now, but its agent did not start");
            Failure::new(message).hint(format!("git flux resume {id} --restart"))
        })?;
        starting::report(flux, &started, "started")?;
        starting::ensure_no_early_failure(flux, &started)
    }
}
