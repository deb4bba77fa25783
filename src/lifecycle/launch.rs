//! What is to run in the pane of a task: put there, and seen to run.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::start::Work;
use super::trust::Init;
use super::{Flux, find_target, ports, watch};
use crate::agent::AgentCommand;
use crate::git::Lock;
use crate::interrupt;
use crate::launcher::notify::Notices;
use crate::run::RunDir;
use crate::run::launch::Launch;
use crate::run::launch::Ready;
use crate::system::clock::{in_seconds, seconds};
use crate::system::program::ourselves;
use crate::task::{Bytes, Exit, Task};
use crate::tmux::open::{Opened, PaneProgram};
use crate::tmux::target::Place;
use crate::ui::shown;

/// Opens the place, makes the worktree `ready` and waits until the work has begun in it; what is open then is in
/// `opened`, also where it fails.
///
/// # Errors
/// When something of it fails, or the user interrupts.
pub(super) fn launch(
    flux: &Flux,
    task: &Task,
    work: &Work,
    (ready, init): (&Ready, Option<&Init>),
    place: &Place,
    (run, lock): (&RunDir, &Lock),
    opened: &mut Option<Opened>,
) -> Result<()> {
    let directory = directory(task);
    if let (None, Some(wanted)) = (&directory, &task.directory) {
        let wanted = shown(Path::new(&wanted.0));
        flux.ui.status(format_args!(
            "There is no directory '{wanted}' in the worktree of '{}': its agent starts at the top.",
            task.id
        ));
    }
    let mut open = |verb: &str, about: &Path| {
        let launcher = ourselves()?;
        let place = place.open(&PaneProgram {
            task: &task.id,
            repo: flux.repo.common_dir(),
            dir: &task.worktree,
            argv: [launcher.as_os_str(), OsStr::new(verb), about.as_os_str()],
            lock,
        })?;
        if place.exits_unattached {
            flux.ui.warning(
                "'exit-unattached' is on: tmux ends, with the agent, when no terminal is attached to it",
            );
            flux.ui.hint("tmux set-option -s exit-unattached off");
        }
        *opened = Some(place);
        anyhow::Ok(())
    };
    match work {
        Work::Shell => {
            run.write_exit(&none_runs())?;
            open("__shell", directory.as_ref().unwrap_or(&task.worktree))
        }
        Work::Agent {
            agent,
            program,
            prompt,
        } => {
            let source = flux.repo.home();
            let command = AgentCommand {
                agent,
                program,
                prompt,
            };
            let mut launch = Launch::new(task, &command, source, run)?;
            launch.ready = ready.clone();
            launch.directory = directory.map(|path| Bytes(path.into()));
            if let Some(init) = init {
                launch.ready.steps.splice(0..0, init.put(run)?);
            }
            ports::tell(task, &flux.repo.project(), &mut launch.env);
            Notices::arrange(task, flux.settings.notify()?, run)?;
            run.write_launch(&launch, prompt)?;
            let request = File::open(run.launch()).context("could not read the launch file")?;
            interrupt::check()?;
            open("__run", &run.launch())?;
            watch::until_started(flux, &task.id, (run, &request), opened.as_ref())
        }
    }
}

/// Returns the directory in the worktree of a task that its agent starts in; none for the top, or
/// where there is none, as on another commit, or it lies elsewhere by a link.
pub(crate) fn directory(task: &Task) -> Option<PathBuf> {
    let path = task.worktree.join(&task.directory.as_ref()?.0);
    let is_real = path.canonicalize().is_ok_and(|real| real == path) && path.is_dir();
    is_real.then_some(path)
}

/// The pane that counts, and since when its launcher runs, in seconds since 1970. tmux may have
/// made a pane and said that it failed, and we another one: it is the one whose launcher took the task.
///
/// # Errors
/// When it is not known what runs.
pub(super) fn taken_up(
    flux: &Flux,
    task: &Task,
    run: &RunDir,
    opened: Option<Opened>,
) -> Result<(Opened, Option<u64>)> {
    let mut opened = opened.context("the pane was not opened")?;
    let running = run.running().unwrap_or_default();
    let launcher = running.as_ref().map(|running| running.launcher);
    if launcher != Some(opened.target.pane_pid) {
        opened.target = find_target(flux, task)?.unwrap_or(opened.target);
    }
    Ok((opened, running.map(|running| in_seconds::of(running.since))))
}

/// Returns why the launcher has no agent, if its program could not be executed.
///
/// # Errors
/// When what it left cannot be read.
pub(super) fn not_executed(run: &RunDir) -> Result<Option<Exit>> {
    Ok(run.exit()?.filter(|exit| exit.error.is_some()))
}

/// No agent has ended here, but none runs.
pub(super) fn none_runs() -> Exit {
    Exit {
        at: seconds(),
        ..Exit::default()
    }
}
