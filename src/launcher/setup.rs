//! What runs in a task's pane before its agent, and makes its worktree ready.
//!
//! Each command is a job of the terminal, as the agent will be: it can be watched, asked and
//! ended with ^C, which counts as a failure. ^Z is not for it: it goes on at once. What it
//! leaves in the background goes on beside the agent, and is hung up when that has ended.

use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;

use anyhow::{Context as _, Error, Result, anyhow};
use nix::sys::signal::Signal;
use nix::sys::termios::{self, FlushArg};
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;
use signal_hook::iterator::Signals;

use super::group::{Received, changed, exit_of, foreground, hang_up, is_left, is_ours};
use super::job::Job;
use crate::run::launch::{Ready, Running, Step};
use crate::sanitize;
use crate::task::Exit;

/// Why the agent is not started.
pub(super) struct Failed {
    pub(super) error: Error,
    /// What we received meanwhile.
    pub(super) received: Received,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self {
            error,
            received: Received::default(),
        }
    }
}

impl Job {
    /// Runs all steps. The process groups that still have somebody in them are put into `left`.
    pub(super) fn make_ready(
        &self,
        running: &mut Running,
        signals: &mut Signals,
        left: &mut Vec<Pid>,
    ) -> Result<(), Failed> {
        let Ready {
            steps, required, ..
        } = &self.launch.ready;
        for step in steps {
            running.setup.step = Some(step.name.clone());
            let Some(failed) = self.run_step(step, running, signals, left)? else {
                continue;
            };
            if *required {
                return Err(anyhow!(failed).into());
            }
            say(&format!("warning: {failed}"))?;
            running.setup.missed.push(failed);
        }
        if !steps.is_empty() {
            running.setup.step = None;
            self.run.write_running(running)?;
            // What was typed meanwhile was not meant for the agent.
            termios::tcflush(io::stdin(), FlushArg::TCIFLUSH).ok();
        }
        Ok(())
    }

    /// Runs one step to its end, and says how it failed, if it did.
    fn run_step(
        &self,
        step: &Step,
        running: &Running,
        signals: &mut Signals,
        left: &mut Vec<Pid>,
    ) -> Result<Option<String>, Failed> {
        self.run.write_running(running)?;
        say(&format!("$ {}", step.name))?;
        let (program, args) = step.argv.split_first().context("there is no program")?;
        let mut command = self.command(&program.0);
        let command = command.args(args.iter().map(|arg| &arg.0)).process_group(0);
        let name = &step.name;
        let child = match command.spawn() {
            Ok(child) => Pid::from_raw(i32::try_from(child.id()).map_err(Error::from)?),
            Err(error) => return Ok(Some(format!("'{name}' could not be started: {error}"))),
        };
        let (exit, received) = self.wait_for_step(child, signals)?;
        if is_left(child) {
            left.push(child);
        }
        if received.any() {
            let error = anyhow!("'{name}' was hung up");
            return Err(Failed { error, received });
        }
        Ok((!exit.is_success()).then(|| format!("'{name}' {exit}")))
    }

    /// Gives a step the terminal until it has ended.
    fn wait_for_step(&self, step: Pid, signals: &mut Signals) -> Result<(Exit, Received)> {
        foreground(step);
        let mut received = Received::default();
        let exit = loop {
            if let Some(exit) = ended(step)? {
                break exit;
            }
            for signal in signals.wait() {
                received.pass_on(signal, &self.run, step);
            }
        };
        self.take_terminal();
        Ok((exit, received))
    }
}

/// How a job ended, if it has. One that was stopped goes on: nobody could wake it.
fn ended(job: Pid) -> Result<Option<Exit>> {
    while let Some(status) = changed(job)? {
        if let Some(exit) = exit_of(status) {
            return Ok(Some(exit));
        }
        if let WaitStatus::Stopped(..) = status {
            foreground(job);
        }
    }
    Ok(None)
}

/// Hangs up what the steps left, as a shell does with its jobs.
pub(super) fn hang_up_leftovers(left: &[Pid]) {
    for group in left.iter().filter(|group| is_ours(**group)) {
        hang_up(*group, Signal::SIGHUP);
    }
}

/// A line of our own in the pane, in no colour that another has left.
fn say(line: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    let written = write!(out, "\x1b[0m{}\r\n", sanitize::line(line)).and_then(|()| out.flush());
    written.context("could not write to the pane")
}
