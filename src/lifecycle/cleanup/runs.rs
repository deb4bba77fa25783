//! What runs for a task, and would end with it or lose its directory.

use anyhow::Result;

use crate::context::Flux;
use crate::lifecycle::other_machine;
use crate::lifecycle::pane::{ensure_no_orphan, find_pane};
use crate::sanitize;
use crate::system::process::{self, Process};
use crate::task::{Task, TaskId};
use crate::tmux::pane;

/// What runs for a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Runs {
    /// Its agent runs, whatever else may be wrong with it.
    pub(crate) is_alive: bool,
    /// Why it is not known whether its agent has ended, if so.
    pub(crate) doubt: Option<String>,
    /// A program that runs in the pane, though the agent has ended.
    pub(crate) foreground: Option<i32>,
    /// Suspended and background jobs of the pane; none if that cannot be told.
    pub(crate) jobs: Option<Vec<Process>>,
    /// Other processes whose directory is in the worktree; none if that cannot be told.
    pub(crate) others: Option<Vec<Process>>,
    /// The command was called in the task's own pane, which is closed last.
    pub(crate) is_own_pane: bool,
}

impl Runs {
    /// Finds what runs for a task, whose agent ran `before` if that is true.
    ///
    /// # Errors
    /// When it cannot be told, or is out of reach.
    pub(super) fn find(flux: &Flux, task: &Task, before: bool) -> Result<Self> {
        let doubt = other_machine::find_doubt(flux, task)?;
        // Whether tmux answers is settled before anything is stopped.
        let pane = find_pane(task)?;
        let run = flux.run_dir(&task.id);
        let running = run.running()?;
        let ended = run.exit()?.is_some();
        let still = !ended && run.is_alive()?;
        let is_alive = before || still;
        if !ended && !still {
            ensure_no_orphan(task, &run)?;
        }
        let shell = pane.map(|target| target.pane_pid);
        let agent = running.as_ref().and_then(|running| running.agent);
        let pane = in_pane(shell, agent, is_alive);
        let leader = shell.or(running.map(|running| running.launcher));
        let has_jobs = shell.is_some() && !is_alive;
        let mut others = process::standing_in(&task.worktree, leader, has_jobs).ok();
        if let (Some((_, jobs)), Some(others)) = (&pane, &mut others) {
            others.retain(|one| !jobs.contains(one));
        }
        let (foreground, jobs) = pane.unzip();
        Ok(Self {
            is_alive,
            doubt,
            foreground: foreground.flatten(),
            jobs,
            others,
            is_own_pane: task.target.as_ref().is_some_and(pane::is_own),
        })
    }

    /// Returns whether something has to be stopped: an agent that runs, or what runs in its
    /// pane by now, unless it is who called.
    pub(crate) fn must_stop(&self) -> bool {
        (self.is_alive || self.foreground.is_some()) && !self.is_own_pane
    }

    /// Returns whether the pane has to be closed before the last look, for what runs in it by now
    /// may still write: there is such a program, or there may be.
    pub(crate) fn has_foreign_jobs(&self) -> bool {
        (self.foreground.is_some() || self.jobs.is_none()) && !self.is_own_pane
    }

    /// Names what is to be stopped.
    pub(crate) fn stopped(&self, id: &TaskId) -> String {
        match self.foreground {
            Some(pid) => format!("a program in the pane of '{id}' (process {pid})"),
            None => format!("the agent of '{id}'"),
        }
    }

    /// Names the other processes in the worktree, if there are any.
    pub(super) fn other_processes(&self) -> Option<String> {
        let Some(others) = &self.others else {
            return Some("this system does not tell which processes stand in it".to_owned());
        };
        let (count, verb) = match others.len() {
            0 => return None,
            1 => ("1 other process".to_owned(), "stands"),
            many => (format!("{many} other processes"), "stand"),
        };
        Some(format!("{count} {verb} in the worktree: {}", list(others)))
    }

    /// Names the jobs that would end with the pane, if there are any.
    pub(super) fn ending_jobs(&self, id: &TaskId) -> Option<String> {
        let Some(jobs) = &self.jobs else {
            return Some(format!(
                "this system does not tell what runs in the pane of '{id}', and would end with it"
            ));
        };
        let what = format!("what was put aside in the pane of '{id}' would end with it");
        (!jobs.is_empty()).then(|| format!("{what}: {}", list(jobs)))
    }

    /// Returns whether a job is suspended, or may be: it may hold what is not saved, and cannot say so.
    pub(super) fn has_suspended_jobs(&self) -> bool {
        let jobs = self.jobs.as_ref();
        jobs.is_none_or(|jobs| jobs.iter().any(|one| one.stopped))
    }
}

/// Returns the program in front and the jobs of the pane of a `shell`, in which the `agent` may
/// run; none if that cannot be told.
fn in_pane(
    shell: Option<i32>,
    agent: Option<i32>,
    is_alive: bool,
) -> Option<(Option<i32>, Vec<Process>)> {
    let Some(shell) = shell else {
        return Some((None, Vec::new()));
    };
    // What runs in its pane ends with it, but for what its shell has put aside.
    if !is_alive {
        let foreground = process::in_front(shell).ok()?;
        return Some((foreground, process::put_aside(shell, None).ok()?));
    }
    // Without an agent, nothing but us has begun anything there.
    match agent {
        Some(_) => Some((None, process::put_aside(shell, agent).ok()?)),
        None => Some((None, Vec::new())),
    }
}

/// Names processes.
fn list(processes: &[Process]) -> String {
    let name = |one: &Process| format!("{} ({})", one.name, one.pid);
    let names: Vec<String> = processes.iter().map(name).collect();
    sanitize::line(&names.join(", "))
}
