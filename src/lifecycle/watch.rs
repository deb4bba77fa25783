//! What the launcher in a new pane says of itself.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::sys::termios::{LocalFlags, tcgetattr};

use super::Flux;
use crate::agent::launch::RunDir;
use crate::agent::process::is_alive;
use crate::failure::Failure;
use crate::interrupt;
use crate::task::Exit;
use crate::tmux::target::Opened;

/// Waits until the launcher has started the agent, or has said why not.
///
/// # Errors
/// When it does neither, or the user interrupts.
pub(super) fn until_started(flux: &Flux, run: &RunDir, opened: Option<&Opened>) -> Result<()> {
    let _spinner = flux.ui.spinner("starting the agent");
    let begun = Instant::now();
    loop {
        let running = run.running()?;
        let started = running.is_some_and(|running| running.agent.is_some());
        if started || run.exit()?.is_some() {
            return Ok(());
        }
        interrupt::check()?;
        // Its process has gone without a mark: it could not write one.
        let gone = opened.is_some_and(|opened| !is_alive(opened.target.pane_pid, None));
        if gone && begun.elapsed() > Duration::from_secs(2) {
            return Err(Failure::new("the pane closed before the agent was started").into());
        }
        if begun.elapsed() > Duration::from_secs(30) {
            return Err(
                Failure::new("the pane did not start its program within 30 seconds").into(),
            );
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// How the agent ended, if it did within its first second. An agent that has
/// taken over its terminal (raw mode) is up; it is not waited for any longer.
///
/// # Errors
/// When what it left cannot be read.
pub(super) fn early_exit(run: &RunDir, tty: &str) -> Result<Option<Exit>> {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(1) && !interrupt::requested() {
        if let Some(exit) = run.exit()? {
            return Ok(Some(exit));
        }
        if is_raw(tty) {
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(None)
}

fn is_raw(tty: &str) -> bool {
    let flags = OFlag::O_RDONLY | OFlag::O_NOCTTY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let terminal = open(tty, flags, Mode::empty()).and_then(tcgetattr);
    terminal.is_ok_and(|mode| !mode.local_flags.contains(LocalFlags::ICANON))
}
