//! Stops the agent of a task.

use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal;
use nix::unistd::Pid;

use super::copied_repository::ensure_not_copied;
use super::other_machine::{ensure_not_elsewhere, find_doubt};
use super::pane::{close, ensure_no_orphan};
use crate::agent;
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{Lock, Sharing};
use crate::run::RunDir;
use crate::sanitize;
use crate::store::Store;
use crate::system::{process, wait_until};
use crate::task::{Phase, Task, TaskId};

/// The time limit for an agent to end. Its launcher kills it earlier.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// An agent that was told to stop, and the locks held until it has ended.
pub(crate) struct StopRequest {
    id: TaskId,
    run: RunDir,
    _request: Option<Lock>,
    _lock: Lock,
}

/// Returns whether the agent of a task, or its setup, runs here; `false` also if it was started on
/// another machine and may run. Fails if it runs elsewhere or without its launcher, or if the task
/// is not active or in a copied repository.
pub(super) fn is_running(flux: &Flux, task: &Task) -> Result<bool> {
    ensure_not_copied(flux, task)?;
    let (id, run) = (&task.id, flux.run_dir(&task.id));
    if task.phase != Phase::Active {
        let failure = Failure::new(format!("'{id}' is {}", task.phase.into_str()));
        return Err(failure
            .hint(format!(
                "to see the state of the task: git flux status {id}"
            ))
            .into());
    }
    run.ensure_launcher_known()?;
    if run.exit()?.is_some() {
        return Ok(false);
    }
    ensure_not_elsewhere(flux, task)?;
    if run.is_alive()? {
        return Ok(true);
    }
    ensure_no_orphan(task, &run).map(|()| false)
}

/// Returns whether the agent of a task runs and can be stopped; `false` if it does not run. Fails
/// if it runs or may run on another machine, or if other jobs in its pane would end with it.
pub(crate) fn can_stop(flux: &Flux, task: &Task) -> Result<bool> {
    if is_running(flux, task)? {
        return ensure_no_background_jobs(task, &flux.run_dir(&task.id)).map(|()| true);
    }
    let Some(doubt) = find_doubt(flux, task)? else {
        return Ok(false);
    };
    let hint = format!("to stop it, there: git flux stop {}", task.id);
    Err(Failure::new(doubt).hint(hint).into())
}

/// Fails if the shell that runs while the agent is suspended (^Z) has other jobs, which would end
/// with the agent. Fails also if the system cannot tell.
fn ensure_no_background_jobs(task: &Task, run: &RunDir) -> Result<()> {
    let agent = run.running()?.and_then(|running| running.agent);
    let (Some(target), Some(agent)) = (&task.target, agent) else {
        return Ok(());
    };
    let id = &task.id;
    let jobs = process::jobs_of(target.pane_pid, Some(agent)).with_context(|| {
        let what = format!("cannot tell what else runs in the pane of '{id}'");
        Failure::new(what).hint(format!("to check: git flux attach {id}"))
    })?;
    let Some(job) = jobs.first() else {
        return Ok(());
    };
    let (name, pid) = (sanitize::line(&job.name), job.pid);
    let what = format!("stopping '{id}' would also end '{name}' (process {pid}) in its pane");
    let hint = format!("to end it yourself: git flux attach {id}");
    Err(Failure::new(what).hint(hint).into())
}

/// Tells the agent of a task to stop, and returns before it has ended, with the task locked until
/// the result is dropped. `None` if the agent does not run. Fails if [`can_stop`] does.
pub(crate) fn stop(flux: &Flux, id: &TaskId) -> Result<Option<StopRequest>> {
    let lock = flux.lock_task(id)?;
    let store = Store::load(&flux.repo, &flux.settings)?;
    let task = store.find(&flux.repo, id)?.readable()?;
    if !can_stop(flux, task)? {
        return Ok(None);
    }
    let run = flux.run_dir(id);
    // With this file the launcher knows that no terminal hung up, and runs a shell.
    let request = Lock::try_acquire(&run.stop_lock(), Sharing::Private)?;
    request_stop(task, &run)?;
    Ok(Some(StopRequest {
        id: id.clone(),
        run,
        _request: request,
        _lock: lock,
    }))
}

impl StopRequest {
    pub(crate) fn wait(self) -> Result<()> {
        wait_for_agent_end(&self.id, &self.run)?;
        self.run.remove_stop_lock();
        Ok(())
    }
}

/// Sends the agent's stop signal to its launcher, which forwards it and kills the agent if the
/// agent ignores it. If no process is proven to be the launcher, closes the pane, if one is
/// recorded, and waits for the pane's end.
pub(super) fn request_stop(task: &Task, run: &RunDir) -> Result<()> {
    match (run.proven_launcher(task.target.as_ref()), &task.target) {
        (Some(launcher), _) => {
            let signal = agent::profile(&task.agent).stop_signal;
            signal::kill(Pid::from_raw(launcher), signal).ok();
            Ok(())
        }
        (None, Some(target)) => close(target, run),
        (None, None) => Ok(()),
    }
}

/// Waits until the agent has ended, and records that git flux stopped it. Fails after 20 seconds or
/// on ^C.
pub(super) fn wait_for_agent_end(id: &TaskId, run: &RunDir) -> Result<()> {
    let ended = || Ok((run.exit()?.is_some() || !run.is_alive()?).then_some(()));
    wait_until(STOP_TIMEOUT, POLL_INTERVAL, ended)?.with_context(|| {
        Failure::new(format!("the agent of '{id}' does not end"))
            .hint(format!("to look at its pane: git flux attach {id}"))
    })?;
    // Best effort: the disk may be full.
    drop(run.note_stopped());
    Ok(())
}
