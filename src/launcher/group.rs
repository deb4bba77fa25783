//! Jobs, as a shell has them: process groups of ours that come to an end.

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

use crate::git::Lock;
use crate::run::RunDir;
use crate::system::clock::seconds;
use crate::system::{process, wait_until};
use crate::task::{Exit, ExitReason};

/// How long what a job's leader has begun may go on after the leader was asked to end.
const GRACE: Duration = Duration::from_secs(1);

/// How long an agent that was terminated may take until it is hung up.
const TERM_PATIENCE: Duration = Duration::from_secs(3);

/// How long one that was hung up may take until it is killed.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait until the next look at what is left of a job.
const PAUSE: Duration = Duration::from_millis(5);

/// The signals that ended a job, as far as we received them.
#[derive(Default)]
pub(super) struct Received {
    /// The first of them.
    pub(super) signal: Option<i32>,
    /// Whether the terminal goes, or may.
    pub(super) is_hung_up: bool,
    /// Whether a git flux sent it that leaves the terminal as it is.
    is_stopped: bool,
}

impl Received {
    /// Ends a job, and the agent with it, if a signal means that.
    pub(super) fn pass_on(&mut self, signal: i32, run: &RunDir, job: Pid) -> bool {
        let Ok(asked @ (Signal::SIGHUP | Signal::SIGTERM)) = Signal::try_from(signal) else {
            return false;
        };
        self.signal.get_or_insert(signal);
        if Lock::is_held(&run.stop()) {
            self.is_stopped = true;
        } else {
            self.is_hung_up = true;
        }
        end(job, asked);
        true
    }

    /// Notes in how a job ended why it did.
    pub(super) fn note(&self, exit: &mut Exit) {
        (exit.stopped, exit.received) = (self.is_stopped, self.signal);
    }
}

/// Starts a process in a group of its own.
pub(super) fn spawn(command: &mut Command) -> io::Result<Pid> {
    let child = command.process_group(0).spawn()?;
    Ok(Pid::from_raw(child.id().cast_signed()))
}

/// Gives a job the terminal until it has ended, and has signals of ours handled meanwhile.
pub(super) fn wait_in_front(
    job: Pid,
    signals: &mut Signals,
    mut handle: impl FnMut(i32),
) -> Result<Exit> {
    foreground(job);
    loop {
        while let Some(status) = changed(job)? {
            if let Some(exit) = exit_of(status) {
                return Ok(exit);
            }
            // One that was stopped goes on: nobody could wake it.
            if let WaitStatus::Stopped(..) = status {
                foreground(job);
            }
        }
        signals.wait().for_each(&mut handle);
    }
}

/// Returns what has become of a child since the last time, without waiting.
pub(super) fn changed(pid: Pid) -> Result<Option<WaitStatus>> {
    match waitpid(pid, Some(WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED)) {
        Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => Ok(None),
        status => status.map(Some).context("could not wait for the agent"),
    }
}

/// Returns how a job ended, if this says so.
pub(super) fn exit_of(status: WaitStatus) -> Option<Exit> {
    let how = match status {
        WaitStatus::Exited(_, status) => ExitReason::Status(status),
        WaitStatus::Signaled(_, signal, _) => ExitReason::Signal(signal as i32),
        _ => return None,
    };
    Some(Exit::new(how, seconds()))
}

/// Asks a job to end as we were asked to: first its leader alone, for a git that is killed in
/// the middle may leave a lock; then all of it; then SIGHUP, then SIGKILL.
fn end(job: Pid, asked: Signal) {
    signal::kill(job, asked).ok();
    signal::killpg(job, Signal::SIGCONT).ok();
    thread::spawn(move || {
        thread::sleep(GRACE);
        hang_up(job, asked);
        if asked == Signal::SIGTERM {
            thread::sleep(TERM_PATIENCE);
            hang_up(job, Signal::SIGHUP);
        }
        thread::sleep(PATIENCE);
        signal::killpg(job, Signal::SIGKILL).ok();
    });
}

/// Lets what a job has begun, whose leader has ended, come to its own end, and hangs up the rest.
pub(super) fn wait_for_group(job: Pid) {
    let has_ended = || Ok((!is_left(job)).then_some(()));
    if !matches!(wait_until(GRACE, PAUSE, has_ended), Ok(Some(()))) {
        hang_up(job, Signal::SIGHUP);
    }
}

/// Returns whether a job, whose leader has ended just now, has left a process: its number cannot be
/// another's as long as that is there.
pub(super) fn is_left(job: Pid) -> bool {
    in_session(job).unwrap_or_else(|| signal::killpg(job, None).is_ok())
}

/// Returns whether a process group is one of our session; `None` if the system does not tell.
fn in_session(group: Pid) -> Option<bool> {
    process::has_group(unistd::getpid().as_raw(), group.as_raw())
}

/// Returns whether a process group is one of our session, and not another's that has its number by
/// now. Where the system does not tell, the terminal does: it goes to no other session's.
pub(super) fn is_ours(group: Pid) -> bool {
    in_session(group).unwrap_or_else(|| {
        let front = unistd::tcgetpgrp(io::stdin());
        let is_ours = give_terminal(group);
        if let (true, Ok(front)) = (is_ours, front) {
            give_terminal(front);
        }
        is_ours
    })
}

/// Asks all of a job, also what is stopped.
pub(super) fn hang_up(job: Pid, asked: Signal) {
    signal::killpg(job, asked).ok();
    signal::killpg(job, Signal::SIGCONT).ok();
}

/// Gives a job the terminal. It may have been stopped for want of it.
pub(super) fn foreground(job: Pid) {
    give_terminal(job);
    signal::killpg(job, Signal::SIGCONT).ok();
}

/// Makes `group` the terminal's foreground group; `false` if that fails. There may be no terminal any more.
pub(super) fn give_terminal(group: Pid) -> bool {
    // From the background this would stop us; blocked, it is allowed. The mask
    // is put back at once, since children inherit it.
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGTTOU);
    if mask.thread_block().is_err() {
        return false;
    }
    let is_given = unistd::tcsetpgrp(io::stdin(), group).is_ok();
    mask.thread_unblock().ok();
    is_given
}
