//! Builds the launch of an agent: setup, wrapper, agent and prompt.

use std::ffi::OsString;
use std::fs;
use std::iter;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::plan::NewPane;
use super::ports;
use crate::agent::{Agent, AgentCommand, Prompt, prompt};
use crate::context::Flux;
use crate::failure::Failure;
use crate::launcher::notify::Notifier;
use crate::run::launch::{Launch, Setup, SetupStep};
use crate::settings::{Settings, table};
use crate::system::clock::this_second;
use crate::system::program::which;
use crate::task::{Bytes, Exit, ExitReason, Task};
use crate::tmux::opened_pane::OpenedPane;
use crate::ui::shown;

/// Reads the setup of a new worktree from git config: the commands in `flux.setup` and the wrapper.
/// Runs none of them. Fails if the wrapper's program is not found, or if `flux.notify` or
/// `flux.setupRequired` is invalid.
pub(crate) fn load_setup(flux: &Flux) -> Result<Setup> {
    let commands = flux.settings.setup_commands();
    let steps = commands.iter().map(|command| SetupStep::shell(command));
    Ok(Setup {
        steps: steps.collect(),
        ..load_wrapper(flux)?
    })
}

/// Reads the wrapper of the agent from git config, without setup commands. Fails if the wrapper's
/// program is not found, or if `flux.notify` or `flux.setupRequired` is invalid.
pub(crate) fn load_wrapper(flux: &Flux) -> Result<Setup> {
    // Only checked: it is used later.
    flux.settings.notify_ways()?;
    Ok(Setup {
        wrapper: find_wrapper(&flux.settings)?,
        steps: Vec::new(),
        required: flux.settings.is_setup_required()?,
    })
}

/// Returns the words of `flux.wrapper`, the first one as the absolute path of the program, which is
/// on PATH or, with a `/`, relative to the working directory. Empty if it is not set; fails if the
/// program is not found.
pub(in crate::lifecycle) fn find_wrapper(settings: &Settings) -> Result<Vec<Bytes>> {
    let words = settings.wrapper()?;
    let Some((program, args)) = words.split_first() else {
        return Ok(Vec::new());
    };
    let Some(program) = which(Path::new(program)) else {
        let what = format!("flux.wrapper: '{program}' not found on PATH");
        let origin = settings.origin_hint(&table::WRAPPER, "", settings.wrapper_as_written());
        let failure = Failure::new(what).hints(origin);
        return Err(failure.hints(settings.removal_hint(&table::WRAPPER)).into());
    };
    let args = args.iter().map(OsString::from);
    Ok(iter::once(program.into()).chain(args).map(Bytes).collect())
}

/// An installed agent to start.
#[derive(Clone)]
pub(crate) struct ChosenAgent {
    pub(super) agent: Agent,
    program: PathBuf,
    /// The prompt template; none if the prompt is the description.
    template: Option<Vec<u8>>,
}

impl ChosenAgent {
    /// Finds the agent `name` and its program: on PATH or, with a `/`, from the working directory.
    /// With `has_template`, reads the prompt template, unless the agent only shows the prompt.
    /// Fails if the agent is unknown or not installed, or the template unreadable.
    pub(crate) fn find(flux: &Flux, name: &str, has_template: bool) -> Result<Self> {
        let (agent, program) = flux.settings.find_agent(name)?;
        let has_template = has_template && agent.prompt != Prompt::Shown;
        Ok(Self {
            template: has_template.then(|| read_template(flux)).transpose()?,
            agent,
            program,
        })
    }

    /// Returns the command that starts this agent with the prompt of a task: the filled template
    /// or, if there is no template, the description. Runs nothing.
    pub(crate) fn command(&self, flux: &Flux, task: &Task, description: &[u8]) -> AgentCommand {
        let project = flux.repo.project();
        let fields = [
            ("task", description.trim_ascii_end()),
            ("worktree", task.worktree.as_os_str().as_bytes()),
            ("branch", task.branch.as_bytes()),
            ("base", task.base.as_bytes()),
            ("project", project.as_bytes()),
        ];
        AgentCommand {
            agent: self.agent.clone(),
            program: self.program.clone(),
            prompt: match &self.template {
                Some(template) => prompt::fill_template(template, &fields),
                None => description.to_vec(),
            },
        }
    }
}

fn read_template(flux: &Flux) -> Result<Vec<u8>> {
    let Some((path, origin)) = flux.settings.template(flux.repo.home()) else {
        return Ok(prompt::TEMPLATE.as_bytes().to_vec());
    };
    fs::read(&path).with_context(|| {
        let path = shown(&path);
        let what = format!("could not read the template '{path}' ('flux.template', {origin})");
        Failure::new(what).hint("git config --unset flux.template")
    })
}

/// Returns the launch file's content for a task's agent, and writes its setup scripts and its
/// notification settings into the run directory. Starts nothing.
pub(super) fn build_launch(
    flux: &Flux,
    task: &Task,
    pane: &NewPane,
    command: &AgentCommand,
) -> Result<Launch> {
    let dir = flux.run_dir(&task.id);
    let mut launch = Launch::new(task, command, flux.repo.home(), &dir)?;
    launch.ready = pane.ready.clone();
    launch.directory = agent_directory(task).map(|path| Bytes(path.into()));
    if let Some(init) = &pane.init {
        launch.ready.steps.splice(0..0, init.write(&dir)?);
    }
    ports::set_env(task, &flux.repo.project(), &mut launch.env);
    Notifier::write_to(task, flux.settings.notify_ways()?, &dir)?;
    Ok(launch)
}

/// Prints that the agent starts at the top of its worktree, if the subdirectory to start in does
/// not exist or its path has a link. Else prints nothing.
pub(super) fn warn_of_missing_directory(flux: &Flux, task: &Task) {
    if let (None, Some(wanted)) = (agent_directory(task), &task.directory) {
        let wanted = shown(Path::new(&wanted.0));
        flux.ui.status(format_args!(
            "No directory '{wanted}' in the worktree of '{}': its agent starts at the top.",
            task.id
        ));
    }
}

pub(super) fn warn_of_exit_unattached(flux: &Flux, opened: &OpenedPane) {
    if opened.exits_unattached {
        flux.ui
            .warning("'exit-unattached' is on: detaching ends tmux and the agent");
        flux.ui.hint("tmux set-option -s exit-unattached off");
    }
}

/// Returns the path of the subdirectory of the worktree that the agent starts in. `None` if that is
/// the top; also if the subdirectory does not exist, or its path has a link.
pub(super) fn agent_directory(task: &Task) -> Option<PathBuf> {
    let path = task.worktree.join(&task.directory.as_ref()?.0);
    let is_real = path.canonicalize().is_ok_and(|real| real == path) && path.is_dir();
    is_real.then_some(path)
}

/// Returns the record of an exit, at this time, for a run in which no agent was started. Writes
/// nothing.
pub(super) fn not_started() -> Exit {
    Exit::new(ExitReason::Unseen, this_second())
}
