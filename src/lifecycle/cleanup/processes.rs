//! Finds the processes that a removal would end or leave without a working directory.

use anyhow::Result;

use crate::context::Flux;
use crate::lifecycle::other_machine;
use crate::lifecycle::pane::{ensure_no_orphan, find_pane};
use crate::sanitize;
use crate::system::process::{self, Process};
use crate::task::{Task, TaskId};
use crate::tmux::pane;

/// The agent of a task, and the processes in its pane and worktree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TaskProcesses {
    /// The agent runs.
    pub(crate) is_alive: bool,
    /// Why it is unknown whether the agent has ended.
    pub(crate) doubt: Option<String>,
    /// The program in the pane, if the agent has ended.
    pub(crate) foreground_pid: Option<i32>,
    /// Suspended and background jobs of the pane; `None` if unknown.
    pub(crate) jobs: Option<Vec<Process>>,
    /// Other processes whose working directory is in the worktree; `None` if unknown.
    pub(crate) others: Option<Vec<Process>>,
    /// The command was called in the task's pane, which is closed last.
    pub(crate) is_own_pane: bool,
}

impl TaskProcesses {
    /// Finds the agent of a task, and the processes in its pane and worktree, without stopping any;
    /// `ran` says that the agent ran a moment ago. Fails if tmux does not answer, or if the agent
    /// is alive without its launcher.
    pub(super) fn find(flux: &Flux, task: &Task, ran: bool) -> Result<Self> {
        let doubt = other_machine::find_doubt(flux, task)?;
        // Fails before anything is stopped if tmux does not answer.
        let pane = find_pane(task)?;
        let run = flux.run_dir(&task.id);
        let running = run.running()?;
        let ended = run.exit()?.is_some();
        let is_running = !ended && run.is_alive()?;
        let is_alive = ran || is_running;
        if !ended && !is_running {
            ensure_no_orphan(task, &run)?;
        }
        let shell = pane.map(|target| target.pane_pid);
        let agent = running.as_ref().and_then(|running| running.agent);
        let pane = find_in_pane(shell, agent, is_alive);
        let leader = shell.or(running.map(|running| running.launcher));
        let has_jobs = shell.is_some() && !is_alive;
        let mut others = process::with_cwd_in(&task.worktree, leader, has_jobs).ok();
        if let (Some((_, jobs)), Some(others)) = (&pane, &mut others) {
            others.retain(|one| !jobs.contains(one));
        }
        let (foreground, jobs) = pane.unzip();
        Ok(Self {
            is_alive,
            doubt,
            foreground_pid: foreground.flatten(),
            jobs,
            others,
            is_own_pane: task.target.as_ref().is_some_and(pane::is_own),
        })
    }

    /// Returns whether the agent, or the program in the foreground of its pane, has to be stopped;
    /// `false` in the pane that the command was called in, which is closed last.
    pub(crate) fn must_stop(&self) -> bool {
        (self.is_alive || self.foreground_pid.is_some()) && !self.is_own_pane
    }

    /// Returns whether the pane has to be closed before the last check: after the agent has ended,
    /// another program is in the foreground there, or the jobs cannot be listed. `false` in the
    /// pane that the command was called in.
    pub(crate) fn must_close_pane(&self) -> bool {
        (self.foreground_pid.is_some() || self.jobs.is_none()) && !self.is_own_pane
    }

    /// Names the program that has to be stopped: the one in the foreground of the task's pane after
    /// the agent has ended, or else the agent.
    pub(crate) fn name_stopped(&self, id: &TaskId) -> String {
        match self.foreground_pid {
            Some(pid) => format!("a program in the pane of '{id}' (process {pid})"),
            None => format!("the agent of '{id}'"),
        }
    }

    /// Describes the other processes whose working directory is in the worktree; `None` if there
    /// are none. If the system cannot list them, says that.
    pub(super) fn describe_others(&self) -> Option<String> {
        let Some(others) = &self.others else {
            return Some("this system cannot list the processes in the worktree".to_owned());
        };
        let (count, verb) = match others.len() {
            0 => return None,
            1 => ("1 other process".to_owned(), "is"),
            many => (format!("{many} other processes"), "are"),
        };
        Some(format!("{count} {verb} in the worktree: {}", join(others)))
    }

    /// Describes the suspended and background jobs that would end with the task's pane; `None` if
    /// there are none. If the system cannot list them, says that.
    pub(super) fn describe_jobs(&self, id: &TaskId) -> Option<String> {
        let Some(jobs) = &self.jobs else {
            let what = "this system cannot list the jobs in the pane of";
            return Some(format!("{what} '{id}'"));
        };
        let what = format!("the pane of '{id}' has jobs that end when it closes");
        (!jobs.is_empty()).then(|| format!("{what}: {}", join(jobs)))
    }

    /// Returns whether a job in the task's pane is suspended, and so may have unsaved work; also
    /// `true` if the jobs cannot be listed.
    pub(super) fn has_suspended_jobs(&self) -> bool {
        let jobs = self.jobs.as_ref();
        jobs.is_none_or(|jobs| jobs.iter().any(|one| one.is_suspended))
    }
}

/// Returns the foreground program and the suspended and background jobs of the pane whose first
/// process is `shell`; none without a pane. While the agent is alive, only jobs of a shell that
/// runs because the agent is suspended. `None` if the system cannot list them.
fn find_in_pane(
    shell: Option<i32>,
    agent: Option<i32>,
    is_alive: bool,
) -> Option<(Option<i32>, Vec<Process>)> {
    let Some(shell) = shell else {
        return Some((None, Vec::new()));
    };
    // Everything in the agent's pane ends with the agent, except jobs of its shell.
    if !is_alive {
        let foreground = process::foreground_group(shell).ok()?;
        return Some((foreground, process::jobs_of(shell, None).ok()?));
    }
    // Without an agent, only git flux has started processes there.
    match agent {
        Some(_) => Some((None, process::jobs_of(shell, agent).ok()?)),
        None => Some((None, Vec::new())),
    }
}

fn join(processes: &[Process]) -> String {
    let name = |one: &Process| format!("{} (process {})", one.name, one.pid);
    let names: Vec<String> = processes.iter().map(name).collect();
    sanitize::line(&names.join(", "))
}
