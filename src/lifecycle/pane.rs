//! The pane of a task: found by its launcher, and closed; and an agent that has outlived both.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::context::Flux;
use crate::failure::Failure;
use crate::run::RunDir;
use crate::run::watch::RunWatch;
use crate::system::{process, wait_until};
use crate::task::{Target, Task};
use crate::tmux::pane::{self, Pane};
use crate::tmux::placement::session_name;

/// How long a launcher may take to end its agent and itself.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long to wait for a process whose end nothing tells.
const PAUSE: Duration = Duration::from_millis(2);

/// How long a server that ends may take to leave its panes.
const ENDS: Duration = Duration::from_secs(2);

/// Returns the pane of a task with the names that it has now; none if it is closed.
///
/// # Errors
/// When its server does not answer, or cannot be reached.
pub(crate) fn current(task: &Task) -> Result<Option<Target>> {
    task.target.as_ref().map_or(Ok(None), find)
}

fn find(target: &Target) -> Result<Option<Target>> {
    let panes = pane::list(Some(&target.socket))?;
    ensure_reached(target, &panes)?;
    let pane = panes.iter().find(|pane| pane.matches(target));
    Ok(pane.map(|pane| pane.with_current_names(target)))
}

/// Refuses where the server of a target runs, and is not the one that told `panes`: something has deleted its socket.
fn ensure_reached(target: &Target, panes: &[Pane]) -> Result<()> {
    let is_told = panes.iter().any(|pane| pane.is_on_server_of(target));
    let runs = || process::is_child(target.pane_pid, target.server_pid) == Some(true);
    let is_settled = || Ok((is_told || !runs()).then_some(()));
    if wait_until(ENDS, ENDS / 100, is_settled)?.is_some() {
        return Ok(());
    }
    let (server, socket) = (target.server_pid, target.socket.display());
    let message = format!("the tmux server {server} has lost its socket '{socket}'");
    let hint = format!("kill -USR1 {server}: tmux makes it anew");
    Err(Failure::new(message).hint(hint).into())
}

/// The pane whose process is the launcher that left its mark. The agent may have written that: the
/// process proves to be the launcher, or where the system does not tell, the pane was made for this task.
///
/// # Errors
/// When it is not known what runs.
pub(crate) fn find_target(flux: &Flux, task: &Task) -> Result<Option<Target>> {
    let run = flux.run_dir(&task.id);
    let Some(running) = run.running()? else {
        return Ok(None);
    };
    let is_proven = |pane: &&Pane| {
        let is_made_for_it = || pane.belongs_to(&task.id, flux.repo.common_dir());
        pane.pid() == running.launcher && run.is_launcher(pane.pid()).unwrap_or_else(is_made_for_it)
    };
    let session = session_name(&flux.repo.project(), &task.id);
    let panes = pane::list(None)?;
    let pane = panes.iter().find(is_proven);
    Ok(pane.map(|pane| pane.target(&session)))
}

/// The session that was made for a task whose shell leaves no mark.
///
/// # Errors
/// When it is not known what runs.
pub(super) fn find_shell(flux: &Flux, task: &Task) -> Result<Option<Target>> {
    let session = session_name(&flux.repo.project(), &task.id);
    let session_of = |pane: &Pane| pane.as_session_of(flux.repo.common_dir(), &session);
    Ok(pane::list(None)?.iter().find_map(session_of))
}

/// Ends what was started for a task: asks the launcher, if the system proves which process that is,
/// closes the pane that was `opened`, and waits until both have ended.
///
/// # Errors
/// When one does not.
pub(super) fn hang_up(run: &RunDir, opened: Option<&Target>) -> Result<()> {
    if let Some(launcher) = run.proven_launcher(opened) {
        signal::kill(Pid::from_raw(launcher), Signal::SIGHUP).ok();
    }
    match opened {
        Some(target) => close(target, run),
        None => await_end(run, None),
    }
}

/// Closes the task's pane if it is still the one that was made, and waits for
/// the launcher in it to end. A pane that is somebody else's by now is left alone.
///
/// # Errors
/// When it is not known what runs, or the agent does not end.
pub(crate) fn close(target: &Target, run: &RunDir) -> Result<()> {
    // A server of another PID namespace has other numbers.
    let is_ours = process::is_child(target.pane_pid, target.server_pid) != Some(false);
    let process = (target.pane_pid, process::born(target.pane_pid));
    let is_closed = match pane::close(target) {
        Ok(is_closed) => is_closed,
        Err(error) if find(target)?.is_some() => return Err(error),
        // It was closed already.
        Err(_) => false,
    };
    await_end(run, (is_closed && is_ours).then_some(process))
}

/// Waits until the launcher has ended, and the process that was in the pane; an interruption is no
/// reason to leave it half way. Who holds the launcher's lock counts, and not what is written beside
/// it: the agent may have done that.
///
/// # Errors
/// When one is still alive after [`PATIENCE`].
fn await_end(run: &RunDir, in_pane: Option<(i32, Option<u64>)>) -> Result<()> {
    let (news, begun) = (RunWatch::of(run), Instant::now());
    while in_pane.is_some_and(|(pid, born)| process::is_alive(pid, born)) || run.is_alive()? {
        if begun.elapsed() > PATIENCE {
            let failure = Failure::new("the agent does not end");
            return Err(failure.hint(run.removal_hint("alive")).into());
        }
        news.wait(PAUSE);
    }
    Ok(())
}

/// Fails if the agent of a launcher that is gone is still alive.
///
/// # Errors
/// Also when that cannot be told.
pub(super) fn ensure_no_orphan(task: &Task, run: &RunDir) -> Result<()> {
    let id = &task.id;
    let Some(running) = run.running()? else {
        return Ok(());
    };
    let gone = format!("the launcher of '{id}' is gone, but its agent");
    let orphan = running.orphan(&task.worktree).with_context(|| {
        Failure::new(format!("{gone} may be alive")).hint(run.removal_hint("running"))
    })?;
    let Some(orphan) = orphan else {
        return Ok(());
    };
    let failure = Failure::new(format!("{gone} is still alive (process {orphan})"));
    Err(failure.hint(format!("kill {orphan}")).into())
}
