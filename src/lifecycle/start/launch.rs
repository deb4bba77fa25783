//! What the launcher in the pane of a task is told: what goes before the agent, and what that is told.

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
use crate::system::clock::seconds;
use crate::system::program::which;
use crate::task::{Bytes, Exit, How, Task};
use crate::tmux::opened_pane::OpenedPane;
use crate::ui::shown;

/// Returns what is configured for every new worktree.
///
/// # Errors
/// When it means nothing, or the wrapper is not installed.
pub(crate) fn configured(flux: &Flux) -> Result<Setup> {
    let commands = flux.settings.setup();
    let steps = commands.iter().map(|command| SetupStep::shell(command));
    Ok(Setup {
        steps: steps.collect(),
        ..wrapped(flux)?
    })
}

/// Returns what goes before the agent in a worktree that is ready.
///
/// # Errors
/// As [`configured`].
pub(crate) fn wrapped(flux: &Flux) -> Result<Setup> {
    // It is needed later, when it is late to say what is wrong with it.
    flux.settings.notify()?;
    Ok(Setup {
        wrapper: wrapper(&flux.settings)?,
        steps: Vec::new(),
        required: flux.settings.setup_required()?,
    })
}

/// Returns the words of `flux.wrapper`, the first of them found on PATH.
fn wrapper(settings: &Settings) -> Result<Vec<Bytes>> {
    let words = settings.wrapper()?;
    let Some((program, args)) = words.split_first() else {
        return Ok(Vec::new());
    };
    let Some(program) = which(Path::new(program)) else {
        let what = format!("there is no '{program}' on PATH, to start agents by");
        let whence = settings.whence(&table::WRAPPER, "", settings.wrapper_as_written());
        let failure = whence.into_iter().fold(Failure::new(what), Failure::hint);
        return Err(failure.hint("git config --unset flux.wrapper").into());
    };
    let args = args.iter().map(OsString::from);
    Ok(iter::once(program.into()).chain(args).map(Bytes).collect())
}

/// An agent that is to be started.
#[derive(Clone)]
pub(crate) struct Chosen {
    pub(super) agent: Agent,
    program: PathBuf,
    /// What is put around the text of a task; none if it is told the text alone.
    template: Option<Vec<u8>>,
}

impl Chosen {
    /// Finds the agent of this name, which is told the text in the template if there is to be one.
    ///
    /// # Errors
    /// When it is not known or not installed, or its template cannot be read.
    pub(crate) fn find(flux: &Flux, name: &str, has_template: bool) -> Result<Self> {
        let (agent, program) = flux.settings.find_agent(name)?;
        let has_template = has_template && agent.prompt != Prompt::Shown;
        Ok(Self {
            template: has_template.then(|| template(flux)).transpose()?,
            agent,
            program,
        })
    }

    /// Returns what starts it on a task.
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
                Some(template) => prompt::fill(template, &fields),
                None => description.to_vec(),
            },
        }
    }
}

fn template(flux: &Flux) -> Result<Vec<u8>> {
    let Some((path, origin)) = flux.settings.template(flux.repo.home()) else {
        return Ok(prompt::TEMPLATE.as_bytes().to_vec());
    };
    fs::read(&path).with_context(|| {
        let path = shown(&path);
        let what = format!("could not read the template '{path}' ('flux.template', {origin})");
        Failure::new(what).hint("git config --unset flux.template")
    })
}

/// Prepares what the launcher is told, and the files that go with it.
///
/// # Errors
/// When a file cannot be written.
pub(super) fn prepare(
    flux: &Flux,
    task: &Task,
    pane: &NewPane,
    command: &AgentCommand,
) -> Result<Launch> {
    let dir = flux.run_dir(&task.id);
    let mut launch = Launch::new(task, command, flux.repo.home(), &dir)?;
    launch.ready = pane.ready.clone();
    launch.directory = directory(task).map(|path| Bytes(path.into()));
    if let Some(init) = &pane.init {
        launch.ready.steps.splice(0..0, init.put(&dir)?);
    }
    ports::set_env(task, &flux.repo.project(), &mut launch.env);
    Notifier::write_to(task, flux.settings.notify()?, &dir)?;
    Ok(launch)
}

/// Says that the directory is not there in which the agent was to start.
pub(super) fn warn_of_directory(flux: &Flux, task: &Task) {
    if let (None, Some(wanted)) = (directory(task), &task.directory) {
        let wanted = shown(Path::new(&wanted.0));
        flux.ui.status(format_args!(
            "There is no directory '{wanted}' in the worktree of '{}': its agent starts at the top.",
            task.id
        ));
    }
}

/// Says that the agent ends when its user is not looking.
pub(super) fn warn_of_end(flux: &Flux, opened: &OpenedPane) {
    if opened.exits_unattached {
        flux.ui.warning(
            "'exit-unattached' is on: tmux ends, with the agent, when no terminal is attached to it",
        );
        flux.ui.hint("tmux set-option -s exit-unattached off");
    }
}

/// Returns the directory in the worktree of a task that its agent starts in; none for the top, or
/// where there is none, as on another commit, or it lies elsewhere by a link.
pub(super) fn directory(task: &Task) -> Option<PathBuf> {
    let path = task.worktree.join(&task.directory.as_ref()?.0);
    let is_real = path.canonicalize().is_ok_and(|real| real == path) && path.is_dir();
    is_real.then_some(path)
}

/// Returns that no agent has ended here, but none runs.
pub(super) fn none_runs() -> Exit {
    Exit::new(How::Unseen, seconds())
}
