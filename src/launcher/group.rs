//! Jobs: process groups of the launcher's session.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::sys::signal::{self, SigSet, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{self, Pid};
use signal_hook::iterator::Signals;

use crate::run::RunDir;
use crate::system::clock::seconds;
use crate::system::{Lock, process, wait_until};
use crate::task::{Exit, ExitReason};

/// The time limit for the rest of a job after a signal to its leader.
const GRACE: Duration = Duration::from_secs(1);

/// The time between SIGTERM and SIGHUP.
const TERM_TIMEOUT: Duration = Duration::from_secs(3);

/// The time between SIGHUP and SIGKILL.
const HANG_UP_TIMEOUT: Duration = Duration::from_secs(5);

const INTERVAL: Duration = Duration::from_millis(5);

/// A signal to the launcher that ends its job.
#[derive(Default)]
pub(super) struct EndSignal {
    /// The first signal.
    pub(super) signal: Option<i32>,
    /// The terminal may be closed.
    pub(super) is_hung_up: bool,
    /// Sent by a git flux that keeps the terminal.
    is_stopped: bool,
}

impl EndSignal {
    /// Ends a job after SIGHUP or SIGTERM. Returns `false` for other signals.
    pub(super) fn pass_on(&mut self, number: i32, run: &RunDir, job: Pid) -> bool {
        let Ok(signal @ (Signal::SIGHUP | Signal::SIGTERM)) = Signal::try_from(number) else {
            return false;
        };
        self.signal.get_or_insert(number);
        if Lock::is_held(&run.stop_lock()) {
            self.is_stopped = true;
        } else {
            self.is_hung_up = true;
        }
        end_job(job, signal);
        true
    }

    /// Adds the signal to the exit status of a job.
    pub(super) fn add_to(&self, exit: &mut Exit) {
        (exit.stopped, exit.received) = (self.is_stopped, self.signal);
    }
}

/// Starts a process in a new process group.
pub(super) fn spawn(command: &mut Command) -> io::Result<Pid> {
    let child = command.process_group(0).spawn()?;
    Ok(Pid::from_raw(child.id().cast_signed()))
}

/// Runs a job in the foreground until it ends, and handles signals meanwhile.
pub(super) fn wait_in_front(
    job: Pid,
    signals: &mut Signals,
    mut handle: impl FnMut(i32),
) -> Result<Exit> {
    foreground(job);
    loop {
        while let Some(status) = poll(job)? {
            if let Some(exit) = exit_of(status) {
                return Ok(exit);
            }
            // Resume a stopped job, because the user cannot.
            if let WaitStatus::Stopped(..) = status {
                foreground(job);
            }
        }
        signals.wait().for_each(&mut handle);
    }
}

/// Returns the change of a child's status since the last call, without waiting.
pub(super) fn poll(pid: Pid) -> Result<Option<WaitStatus>> {
    match waitpid(pid, Some(WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED)) {
        Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => Ok(None),
        status => status.map(Some).context("could not wait for the agent"),
    }
}

/// Returns the exit status of a job that has ended.
pub(super) fn exit_of(status: WaitStatus) -> Option<Exit> {
    let how = match status {
        WaitStatus::Exited(_, status) => ExitReason::Status(status),
        WaitStatus::Signaled(_, signal, _) => ExitReason::Signal(signal as i32),
        _ => return None,
    };
    Some(Exit::new(how, seconds()))
}

/// Ends a job: sends `signal` to the leader, later to the group, then SIGHUP, then SIGKILL. A git
/// that the leader runs may leave a lock if it gets the signal at once.
fn end_job(job: Pid, signal: Signal) {
    signal::kill(job, signal).ok();
    signal::killpg(job, Signal::SIGCONT).ok();
    thread::spawn(move || {
        thread::sleep(GRACE);
        signal_group(job, signal);
        if signal == Signal::SIGTERM {
            thread::sleep(TERM_TIMEOUT);
            signal_group(job, Signal::SIGHUP);
        }
        thread::sleep(HANG_UP_TIMEOUT);
        signal::killpg(job, Signal::SIGKILL).ok();
    });
}

/// Waits for the rest of a job whose leader has ended, then sends SIGHUP.
pub(super) fn wait_for_group(job: Pid) {
    let has_ended = || Ok((!has_processes(job)).then_some(()));
    if !matches!(wait_until(GRACE, INTERVAL, has_ended), Ok(Some(()))) {
        signal_group(job, Signal::SIGHUP);
    }
}

/// Returns whether a job whose leader has just ended has other processes. While it has, no other
/// process gets its id.
pub(super) fn has_processes(job: Pid) -> bool {
    in_session(job).unwrap_or_else(|| signal::killpg(job, None).is_ok())
}

/// Returns whether a process group is in this session; `None` if the system gives no information.
fn in_session(group: Pid) -> Option<bool> {
    process::has_group(unistd::getpid().as_raw(), group.as_raw())
}

/// Returns whether a process group is in this session. If the system gives no information, tries
/// to make it the foreground group, which fails for other sessions.
pub(super) fn is_in_session(group: Pid) -> bool {
    in_session(group).unwrap_or_else(|| {
        let front = unistd::tcgetpgrp(io::stdin());
        let is_in_session = give_terminal(group);
        if let (true, Ok(front)) = (is_in_session, front) {
            give_terminal(front);
        }
        is_in_session
    })
}

/// Sends a signal to all processes of a job, and resumes stopped ones.
pub(super) fn signal_group(job: Pid, signal: Signal) {
    signal::killpg(job, signal).ok();
    signal::killpg(job, Signal::SIGCONT).ok();
}

/// Moves a job to the foreground, and resumes it.
pub(super) fn foreground(job: Pid) {
    give_terminal(job);
    signal::killpg(job, Signal::SIGCONT).ok();
}

/// Makes `group` the terminal's foreground group. Returns `false` without a terminal, for one.
pub(super) fn give_terminal(group: Pid) -> bool {
    // SIGTTOU would stop a background process here. Children inherit the mask, so restore it.
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGTTOU);
    if mask.thread_block().is_err() {
        return false;
    }
    let is_given = unistd::tcsetpgrp(io::stdin(), group).is_ok();
    mask.thread_unblock().ok();
    is_given
}
