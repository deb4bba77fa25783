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

/// Returns the recorded pane of a task, with its current session and window: `tmux list-panes -a`.
/// `None` if it was closed or none is recorded. Fails if the pane's server runs without a socket:
/// it is unknown whether the pane was closed.
pub(crate) fn find_pane(task: &Task) -> Result<Option<Target>> {
    task.target.as_ref().map_or(Ok(None), find)
}

fn find(target: &Target) -> Result<Option<Target>> {
    let panes = pane::list(Some(&target.socket))?;
    ensure_reachable(target, &panes)?;
    let pane = panes.iter().find(|pane| pane.matches(target));
    Ok(pane.map(|pane| pane.with_current_names(target)))
}

/// Fails if the tmux server of `target` runs, but did not list `panes`, because the server's socket
/// was deleted. Waits up to two seconds, or until ^C, for a server that is ending.
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

/// Finds the pane on the user's tmux server whose process is the launcher in the file `running`;
/// `None` if there is none. Since the agent can write that file, the system must confirm the
/// process or, if it cannot, the pane's options must name the task.
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

/// Finds the pane that git flux opened in the session of a task on the user's tmux server; used for
/// a pane with only a shell, which has no `running` file. `None` if there is none.
pub(super) fn find_shell(flux: &Flux, task: &Task) -> Result<Option<Target>> {
    let session = session_name(&flux.repo.project(), &task.id);
    let session_of = |pane: &Pane| pane.as_session_of(flux.repo.common_dir(), &session);
    Ok(pane::list(None)?.iter().find_map(session_of))
}

/// Sends SIGHUP to the launcher, if a process is proven to be it, and closes the pane `opened`, if
/// any. Waits until both have ended; fails after 15 seconds.
pub(super) fn hang_up(run: &RunDir, opened: Option<&Target>) -> Result<()> {
    if let Some(launcher) = run.proven_launcher(opened) {
        signal::kill(Pid::from_raw(launcher), Signal::SIGHUP).ok();
    }
    match opened {
        Some(target) => close(target, run),
        None => wait_for_end(run, None),
    }
}

/// Closes the pane `target` of a task, and waits until its process and the launcher have ended,
/// even on ^C. Fails after 15 seconds. A newer pane with the same id stays open.
pub(crate) fn close(target: &Target, run: &RunDir) -> Result<()> {
    // A server of another PID namespace has other numbers.
    let is_ours = process::is_child(target.pane_pid, target.server_pid) != Some(false);
    let process = (target.pane_pid, process::start_time(target.pane_pid));
    let is_closed = match pane::close(target) {
        Ok(is_closed) => is_closed,
        Err(error) if find(target)?.is_some() => return Err(error),
        // It was closed already.
        Err(_) => false,
    };
    wait_for_end(run, (is_closed && is_ours).then_some(process))
}

/// Waits until the launcher and the process in the pane have ended, even on ^C; fails after 15
/// seconds. Checks the launcher's lock, because the agent can write the other run files.
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

/// Fails if the agent that the file `running` names still leads a process group in the worktree, or
/// if the system cannot tell. Succeeds without the file, and if the system was restarted. The
/// caller knows that the launcher has ended.
pub(super) fn ensure_no_orphan(task: &Task, run: &RunDir) -> Result<()> {
    let id = &task.id;
    let Some(running) = run.running()? else {
        return Ok(());
    };
    let gone = "although its launcher is gone";
    let orphan = running.orphan(&task.worktree).with_context(|| {
        let what = format!("the agent of '{id}' may be alive, {gone}");
        Failure::new(what).hint(run.removal_hint("running"))
    })?;
    let Some(orphan) = orphan else {
        return Ok(());
    };
    let what = format!("the agent of '{id}' is still alive (process {orphan}), {gone}");
    Err(Failure::new(what)
        .hint(format!("to end it: kill {orphan}"))
        .into())
}
