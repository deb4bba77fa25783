//! A program in the foreground of this process's terminal, as a shell runs it.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::sys::signal::{self, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd;

use super::group::{exit_of, foreground, give_terminal, spawn};
use crate::system::process;
use crate::task::Exit;

/// Runs a program as a job of its own in the foreground of the terminal, so that ^C reaches only
/// it, waits until it ends, and takes the terminal back. If it stops (^Z), this process stops too,
/// until a shell continues it; without a shell, continues it at once.
pub(crate) fn run_in_front(command: &mut Command) -> Result<Exit> {
    let job = spawn(command).context("could not start another git flux")?;
    foreground(job);
    let exit = loop {
        match waitpid(job, Some(WaitPidFlag::WUNTRACED)) {
            // It was faster than the line above.
            Ok(WaitStatus::Stopped(_, Signal::SIGTTIN | Signal::SIGTTOU)) => foreground(job),
            Ok(WaitStatus::Stopped(..)) => {
                give_terminal(unistd::getpgrp());
                stop_with_group();
                foreground(job);
            }
            Err(Errno::EINTR) => {}
            status => {
                let status = status.context("could not wait for git flux");
                if let Some(exit) = status.map(exit_of).transpose() {
                    break exit;
                }
            }
        }
    };
    give_terminal(unistd::getpgrp());
    exit
}

/// The number of times that this process has sent itself SIGTSTP and not noticed yet.
static OWN_STOPS: AtomicUsize = AtomicUsize::new(0);

/// Stops this process and its group as ^Z does, until a shell continues them. Does nothing if no
/// shell can.
pub(crate) fn stop_with_group() {
    if process::is_job_of_shell() {
        // This process catches SIGTSTP; the others, such as the git that has started it, do not.
        OWN_STOPS.fetch_add(1, Ordering::Relaxed);
        signal::killpg(unistd::getpgrp(), Signal::SIGTSTP).ok();
        signal::raise(Signal::SIGSTOP).ok();
    }
}

/// Returns whether a SIGTSTP that was caught comes from [`stop_with_group`].
pub(crate) fn is_own_stop() -> bool {
    let less = |count: usize| count.checked_sub(1);
    let before = OWN_STOPS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    before.is_ok()
}
