//! The end of an agent, asked for; everything else of its task stays.

use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal;
use nix::unistd::Pid;

use super::elsewhere::ensure_here;
use super::other_machine::{doubt, ensure_not_elsewhere};
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

/// How long an agent may take to end: its launcher kills it before that.
const PATIENCE: Duration = Duration::from_secs(20);

const PAUSE: Duration = Duration::from_millis(10);

/// An agent that was asked to end, and the locks that say so.
pub(crate) struct Stopping {
    id: TaskId,
    run: RunDir,
    _request: Option<Lock>,
    _lock: Lock,
}

/// Returns whether the agent of a task runs.
///
/// # Errors
/// When that is not known, it runs where it cannot be seen, or the task is about to come or go.
pub(super) fn is_running(flux: &Flux, task: &Task) -> Result<bool> {
    ensure_here(flux, task)?;
    let (id, run) = (&task.id, flux.run_dir(&task.id));
    if task.phase != Phase::Active {
        let failure = Failure::new(format!("'{id}' is {}", task.phase.into_str()));
        return Err(failure.hint(format!("git flux status {id}")).into());
    }
    run.ensure_known()?;
    if run.exit()?.is_some() {
        return Ok(false);
    }
    ensure_not_elsewhere(flux, task)?;
    if run.is_alive()? {
        return Ok(true);
    }
    ensure_no_orphan(task, &run).map(|()| false)
}

/// Returns whether the agent of a task runs, and could be stopped.
///
/// # Errors
/// When it runs and could not be, or it is not known whether it runs.
pub(crate) fn can_stop(flux: &Flux, task: &Task) -> Result<bool> {
    if is_running(flux, task)? {
        return ensure_no_jobs(task, &flux.run_dir(&task.id)).map(|()| true);
    }
    let Some(doubt) = doubt(flux, task)? else {
        return Ok(false);
    };
    let hint = format!("to stop it, there: git flux stop {}", task.id);
    Err(Failure::new(doubt).hint(hint).into())
}

/// Fails if something was begun in the shell that ^Z has brought: it would end with the agent.
fn ensure_no_jobs(task: &Task, run: &RunDir) -> Result<()> {
    let agent = run.running()?.and_then(|running| running.agent);
    let (Some(target), Some(agent)) = (&task.target, agent) else {
        return Ok(());
    };
    let id = &task.id;
    let jobs = process::put_aside(target.pane_pid, Some(agent)).with_context(|| {
        let what = format!("it is not known what runs in the pane of '{id}' beside its agent");
        Failure::new(what).hint(format!("look, and end it there: git flux attach {id}"))
    })?;
    let Some(job) = jobs.first() else {
        return Ok(());
    };
    let (name, pid) = (sanitize::line(&job.name), job.pid);
    let what = format!(
        "the agent of '{id}' is suspended, and what was begun in its pane would end with it: {name} (process {pid})"
    );
    let hint = format!("git flux attach {id}");
    Err(Failure::new(what).hint(hint).into())
}

/// Asks the agent of a task to end; none if it does not run.
///
/// # Errors
/// When it cannot be stopped.
pub(crate) fn stop(flux: &Flux, id: &TaskId) -> Result<Option<Stopping>> {
    let lock = flux.lock_task(id)?;
    let store = Store::load(&flux.repo, &flux.settings)?;
    let task = store.find(&flux.repo, id)?.readable()?;
    if !can_stop(flux, task)? {
        return Ok(None);
    }
    let run = flux.run_dir(id);
    // By this the launcher tells us from a terminal that goes: it leaves the pane to a shell.
    let request = Lock::attempt(&run.stop_lock(), Sharing::Private)?;
    ask(task, &run)?;
    Ok(Some(Stopping {
        id: id.clone(),
        run,
        _request: request,
        _lock: lock,
    }))
}

impl Stopping {
    /// Waits until the agent has ended.
    ///
    /// # Errors
    /// When it does not.
    pub(crate) fn wait(self) -> Result<()> {
        await_agent(&self.id, &self.run)?;
        self.run.remove_stop_lock();
        Ok(())
    }
}

/// Asks an agent to end: by the signal on which it closes its session, sent through its launcher,
/// which sees to it that it ends. What the launcher's mark says, the agent may have written: where
/// no process proves to be the launcher, the pane is closed.
///
/// # Errors
/// When that fails.
pub(super) fn ask(task: &Task, run: &RunDir) -> Result<()> {
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

/// Waits until an agent that was asked to has ended, and sees to it that its end says who asked.
///
/// # Errors
/// When it does not end, or the user interrupts.
pub(super) fn await_agent(id: &TaskId, run: &RunDir) -> Result<()> {
    let ended = || Ok((run.exit()?.is_some() || !run.is_alive()?).then_some(()));
    wait_until(PATIENCE, PAUSE, ended)?.with_context(|| {
        Failure::new(format!("the agent of '{id}' does not end"))
            .hint(format!("git flux attach {id}"))
    })?;
    // A full disk is in the way of nothing.
    drop(run.note_stopped());
    Ok(())
}
