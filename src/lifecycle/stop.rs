//! The end of an agent, asked for; everything else of its task stays.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::sys::signal;
use nix::unistd::Pid;

use super::elsewhere::ensure_here;
use super::other_machine::{doubt, ensure_not_elsewhere};
use super::pane::ensure_no_orphan;
use crate::agent;
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{Lock, Sharing};
use crate::interrupt;
use crate::lifecycle::pane::close;
use crate::run::RunDir;
use crate::sanitize;
use crate::store::Store;
use crate::system::process;
use crate::task::{Phase, Task, TaskId};

/// How long an agent may take to end: its launcher kills it before that.
const PATIENCE: Duration = Duration::from_secs(20);

/// An agent that was asked to end, and the locks that say so.
pub(crate) struct Stopping {
    id: TaskId,
    run: RunDir,
    _request: Option<Lock>,
    _lock: Lock,
}

/// Returns whether the agent of a task runs, and could be stopped.
///
/// # Errors
/// When it runs and could not be, or it is not known whether it runs.
pub(crate) fn can_stop(flux: &Flux, task: &Task) -> Result<bool> {
    ensure_here(flux, task)?;
    let (id, run) = (&task.id, flux.run_dir(&task.id));
    if task.phase != Phase::Active {
        return Err(Failure::new(format!("'{id}' is {}", task.phase.into_str()))
            .hint(format!("git flux status {id}"))
            .into());
    }
    run.ensure_known()?;
    if run.exit()?.is_some() {
        return Ok(false);
    }
    ensure_not_elsewhere(flux, task)?;
    if let Some(doubt) = doubt(flux, task)? {
        return Err(Failure::new(doubt)
            .hint(format!("to stop it, there: git flux stop {id}"))
            .into());
    }
    if !run.is_alive()? {
        ensure_no_orphan(task, &run)?;
        return Ok(false);
    }
    ensure_no_jobs(task, &run)?;
    Ok(true)
}

/// Fails if something was begun in the shell that ^Z has brought: it would end with the agent.
fn ensure_no_jobs(task: &Task, run: &RunDir) -> Result<()> {
    let agent = run.running()?.and_then(|running| running.agent);
    let (Some(target), Some(agent)) = (&task.target, agent) else {
        return Ok(());
    };
    let id = &task.id;
    let jobs = process::put_aside(target.pane_pid, Some(agent)).with_context(|| {
        Failure::new(format!(
            "it is not known what runs in the pane of '{id}' beside its agent"
        ))
        .hint(format!("look, and end it there: git flux attach {id}"))
    })?;
    let Some(job) = jobs.first() else {
        return Ok(());
    };
    Err(Failure::new(format!(
        "the agent of '{id}' is suspended, and what was begun in its pane would end with it: {} (process {})",
        sanitize::line(&job.name),
        job.pid
    ))
    .hint(format!("git flux attach {id}"))
    .into())
}

/// Asks the agent of a task to end; none if it does not run.
///
/// # Errors
/// When it cannot be stopped.
pub(crate) fn stop(flux: &Flux, id: &TaskId) -> Result<Option<Stopping>> {
    let lock = flux.lock_task(id)?;
    let store = Store::load(&flux.repo, &flux.settings)?;
    let stored = store.find(&flux.repo, id)?;
    let task = stored.readable()?;
    if !can_stop(flux, task)? {
        return Ok(None);
    }
    let run = flux.run_dir(id);
    // By this the launcher tells us from a terminal that goes: it leaves the pane to a shell.
    let request = Lock::attempt(&run.stop(), Sharing::Private)?;
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
        self.run.remove_stop();
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
            signal::kill(
                Pid::from_raw(launcher),
                agent::profile(&task.agent).stop_signal,
            )
            .ok();
        }
        (None, Some(target)) => close(target, run)?,
        (None, None) => {}
    }
    Ok(())
}

/// Waits until an agent that was asked to has ended, and sees to it that its end says who asked.
///
/// # Errors
/// When it does not end, or the user interrupts.
pub(super) fn await_agent(id: &TaskId, run: &RunDir) -> Result<()> {
    let begun = Instant::now();
    while run.exit()?.is_none() && run.is_alive()? {
        interrupt::check()?;
        if begun.elapsed() > PATIENCE {
            return Err(Failure::new(format!("the agent of '{id}' does not end"))
                .hint(format!("git flux attach {id}"))
                .into());
        }
        thread::sleep(Duration::from_millis(5));
    }
    // A full disk is in the way of nothing.
    drop(run.note_stopped());
    Ok(())
}
