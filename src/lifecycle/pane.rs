//! Finds and closes the pane of a task, and finds an agent that survived its launcher.

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

/// The time limit for a launcher to end its agent and itself.
const END_TIMEOUT: Duration = Duration::from_secs(15);

/// The interval of checks for the end of a process.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// The time limit for an ending server to close its panes.
const SERVER_TIMEOUT: Duration = Duration::from_secs(2);

/// Finds the pane of a task, with its current names; none if it is closed.
pub(crate) fn find_pane(task: &Task) -> Result<Option<Target>> {
    task.target.as_ref().map_or(Ok(None), find)
}

fn find(target: &Target) -> Result<Option<Target>> {
    let panes = pane::list(Some(&target.socket))?;
    ensure_reachable(target, &panes)?;
    let pane = panes.iter().find(|pane| pane.matches(target));
    Ok(pane.map(|pane| pane.with_current_names(target)))
}

/// Fails if the server of a target runs, but did not list `panes`: its socket was deleted.
fn ensure_reachable(target: &Target, panes: &[Pane]) -> Result<()> {
    let is_listed = panes.iter().any(|pane| pane.is_on_server_of(target));
    let runs = || process::is_child(target.pane_pid, target.server_pid) == Some(true);
    let is_settled = || Ok((is_listed || !runs()).then_some(()));
    if wait_until(SERVER_TIMEOUT, SERVER_TIMEOUT / 100, is_settled)?.is_some() {
        return Ok(());
    }
    let (server, socket) = (target.server_pid, target.socket.display());
    let message = format!("the tmux server {server} has lost its socket '{socket}'");
    let hint = format!("to recreate it: kill -USR1 {server}");
    Err(Failure::new(message).hint(hint).into())
}

/// Finds the pane of the launcher in the file `running`. Since the agent can write that file, the process
/// must prove to be the launcher; if the system cannot tell, the pane must have the task's options.
pub(crate) fn find_target(flux: &Flux, task: &Task) -> Result<Option<Target>> {
    let run = flux.run_dir(&task.id);
    let Some(running) = run.running()? else {
        return Ok(None);
    };
    let is_proven = |pane: &&Pane| {
        let has_options = || pane.belongs_to(&task.id, flux.repo.common_dir());
        pane.pid() == running.launcher && run.is_launcher(pane.pid()).unwrap_or_else(has_options)
    };
    let session = session_name(&flux.repo.project(), &task.id);
    let panes = pane::list(None)?;
    let pane = panes.iter().find(is_proven);
    Ok(pane.map(|pane| pane.target(&session)))
}

/// Finds the session of a task that runs only a shell, which has no `running` file.
pub(super) fn find_shell(flux: &Flux, task: &Task) -> Result<Option<Target>> {
    let session = session_name(&flux.repo.project(), &task.id);
    let session_of = |pane: &Pane| pane.as_session_of(flux.repo.common_dir(), &session);
    Ok(pane::list(None)?.iter().find_map(session_of))
}

/// Sends SIGHUP to the launcher, if it is proven, closes the pane `opened`, and waits until both have ended.
pub(super) fn hang_up(run: &RunDir, opened: Option<&Target>) -> Result<()> {
    if let Some(launcher) = run.proven_launcher(opened) {
        signal::kill(Pid::from_raw(launcher), Signal::SIGHUP).ok();
    }
    match opened {
        Some(target) => close(target, run),
        None => wait_for_end(run, None),
    }
}

/// Closes the task's pane, and waits until its launcher has ended. A newer pane with this id stays open.
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
    wait_for_end(run, (is_closed && is_ours).then_some(process))
}

/// Waits until the launcher and the process in the pane have ended, even on ^C. Checks the launcher's lock,
/// because the agent can write the other run files.
fn wait_for_end(run: &RunDir, in_pane: Option<(i32, Option<u64>)>) -> Result<()> {
    let (events, begun) = (RunWatch::of(run), Instant::now());
    while in_pane.is_some_and(|(pid, born)| process::is_alive(pid, born)) || run.is_alive()? {
        if begun.elapsed() > END_TIMEOUT {
            let failure = Failure::new("the agent does not end");
            return Err(failure.hint(run.removal_hint("alive")).into());
        }
        events.wait(POLL_INTERVAL);
    }
    Ok(())
}

/// Fails if the launcher has ended, but its agent is alive, or this is not known.
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
