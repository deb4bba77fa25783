//! What the launcher in the pane of a task is told.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::plan::{AgentRun, NewPane};
use super::ports;
use crate::agent::AgentCommand;
use crate::context::Flux;
use crate::launcher::notify::Notices;
use crate::run::RunDir;
use crate::run::launch::Launch;
use crate::system::clock::seconds;
use crate::task::{Bytes, Exit, How, Task};
use crate::tmux::open::Opened;
use crate::ui::shown;

/// Prepares what the launcher is told, and the files that go with it.
///
/// # Errors
/// When a file cannot be written.
pub(super) fn prepare(flux: &Flux, task: &Task, pane: &NewPane, run: &AgentRun) -> Result<Launch> {
    let dir = flux.run_dir(&task.id);
    let source = flux.repo.home();
    let command = AgentCommand {
        agent: &run.agent,
        program: &run.program,
        prompt: &run.prompt,
    };
    let mut launch = Launch::new(task, &command, source, &dir)?;
    launch.ready = pane.ready.clone();
    launch.directory = directory(task).map(|path| Bytes(path.into()));
    if let Some(init) = &pane.init {
        launch.ready.steps.splice(0..0, init.put(&dir)?);
    }
    ports::set_env(task, &flux.repo.project(), &mut launch.env);
    Notices::arrange(task, flux.settings.notify()?, &dir)?;
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
pub(super) fn warn_of_end(flux: &Flux, opened: &Opened) {
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

/// Returns why the launcher has no agent, if its program could not be executed.
///
/// # Errors
/// When what it left cannot be read.
pub(super) fn not_executed(run: &RunDir) -> Result<Option<Exit>> {
    Ok(run.exit()?.filter(|exit| exit.error().is_some()))
}

/// No agent has ended here, but none runs.
pub(super) fn none_runs() -> Exit {
    Exit::new(How::Unseen, seconds())
}
