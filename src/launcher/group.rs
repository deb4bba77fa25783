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
use crate::system::clock::this_second;
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
    /// Ends a job if the signal `number` is SIGHUP or SIGTERM: records the signal, sends it to the
    /// job, and kills the job later if it is still there; does not wait. Does nothing and returns
    /// `false` for other signals.
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

    /// Records in a job's exit the signal that the launcher has received, if any, and whether git
    /// flux sent that signal, to stop the agent.
    pub(super) fn add_to(&self, exit: &mut Exit) {
        (exit.stopped, exit.received) = (self.is_stopped, self.signal);
    }
}

/// Starts a program as the leader of a new process group in the background, and returns its process
/// id.
pub(super) fn spawn(command: &mut Command) -> io::Result<Pid> {
    let child = command.process_group(0).spawn()?;
    Ok(Pid::from_raw(child.id().cast_signed()))
}

/// Moves a job to the foreground of the terminal, waits until it ends, and returns its exit status.
/// Resumes the job whenever it stops, and calls `handle` for each signal that the launcher
/// receives.
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

/// Returns the change of a child's wait status since the last call: it has exited, was killed, or
/// was stopped. Returns `None` if there is none; never waits.
pub(super) fn poll(pid: Pid) -> Result<Option<WaitStatus>> {
    match waitpid(pid, Some(WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED)) {
        Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => Ok(None),
        status => status.map(Some).context("could not wait for the agent"),
    }
}

/// Converts the wait status of a child that has exited or was killed to an [`Exit`] at the present
/// time. Returns `None` for any other wait status.
pub(super) fn exit_of(status: WaitStatus) -> Option<Exit> {
    let how = match status {
        WaitStatus::Exited(_, status) => ExitReason::Status(status),
        WaitStatus::Signaled(_, signal, _) => ExitReason::Signal(signal as i32),
        _ => return None,
    };
    Some(Exit::new(how, this_second()))
}

/// Ends a job: sends `signal` to its leader at once and, from a thread, to its whole group a second
/// later. Sends the group SIGHUP three seconds after SIGTERM, and SIGKILL after another five
/// seconds, while it has a process. The leader gets `signal` first, because a git that it runs may
/// leave a lock file if both get it at once.
fn end_job(job: Pid, signal: Signal) {
    signal::kill(job, signal).ok();
    signal::killpg(job, Signal::SIGCONT).ok();
    thread::spawn(move || {
        thread::sleep(GRACE);
        signal_group_left(job, signal);
        if signal == Signal::SIGTERM {
            thread::sleep(TERM_TIMEOUT);
            signal_group_left(job, Signal::SIGHUP);
        }
        thread::sleep(HANG_UP_TIMEOUT);
        signal_group_left(job, Signal::SIGKILL);
    });
}

/// Sends a signal to the processes of a job that may have ended, as [`signal_group`] does. Does nothing if
/// none is left: another process may have its id.
fn signal_group_left(job: Pid, signal: Signal) {
    if has_processes(job) {
        signal_group(job, signal);
    }
}

/// Waits at most a second until the other processes of a job have ended whose leader has ended,
/// then sends SIGHUP to those that are left.
pub(super) fn wait_for_group(job: Pid) {
    let has_ended = || Ok((!has_processes(job)).then_some(()));
    if !matches!(wait_until(GRACE, INTERVAL, has_ended), Ok(Some(()))) {
        signal_group(job, Signal::SIGHUP);
    }
}

/// Returns whether a job has live processes: also after its leader has ended. While it has, no
/// other process gets its id. Without information about processes, `kill(-job, 0)` decides, which
/// counts zombies.
pub(super) fn has_processes(job: Pid) -> bool {
    in_session(job).unwrap_or_else(|| signal::killpg(job, None).is_ok())
}

/// Returns whether the launcher's session has a live process in the process group `group`; `None`
/// if the system gives no information about processes.
fn in_session(group: Pid) -> Option<bool> {
    process::has_group(unistd::getpid().as_raw(), group.as_raw())
}

/// Returns whether a process group is in the launcher's session. Without information about
/// processes, makes it the terminal's foreground group for a moment, which fails for another
/// session.
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

/// Sends a signal to all processes of a job, and then SIGCONT, so that stopped ones receive it.
pub(super) fn signal_group(job: Pid, signal: Signal) {
    signal::killpg(job, signal).ok();
    signal::killpg(job, Signal::SIGCONT).ok();
}

/// Makes a job the foreground process group of the terminal, and resumes it with SIGCONT.
pub(super) fn foreground(job: Pid) {
    give_terminal(job);
    signal::killpg(job, Signal::SIGCONT).ok();
}

/// Makes `group` the foreground process group of the terminal. Returns `false` if that fails:
/// without a terminal, or if the group is of another session.
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

#[cfg(test)]
#[cfg(not(no_processes))]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::process::Stdio;

    use super::*;

    #[test]
    fn signal_group_left_signals_no_group_of_another_session() {
        let mut command = Command::new("cat");
        let command = command.process_group(0).stdin(Stdio::piped());
        let mut other = command.stdout(Stdio::piped()).spawn().unwrap();
        // This process leads no session, so its child is in that of another one.
        let group = Pid::from_raw(other.id().cast_signed());
        signal_group_left(group, Signal::SIGKILL);
        other.stdin.take().unwrap().write_all(b"alive").unwrap();
        let mut text = String::new();
        let mut stdout = other.stdout.take().unwrap();
        stdout.read_to_string(&mut text).unwrap();
        assert_eq!(text, "alive");
        assert!(other.wait().unwrap().success());
    }
}
