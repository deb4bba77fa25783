//! What runs in a task's pane before its agent, and makes its worktree ready.
//!
//! Each command is a job of the terminal, as the agent will be: it can be watched, asked and
//! ended with ^C, which counts as a failure. ^Z is not for it: it goes on at once. What it
//! leaves in the background goes on beside the agent, and is hung up when that has ended.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;

use anyhow::{Context as _, Error, anyhow};
use nix::sys::signal::{self, Signal};
use nix::sys::termios::{self, FlushArg};
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use signal_hook::iterator::Signals;

use super::job::{Received, changed, exit_of, give_terminal, hang_up, is_left, is_ours};
use super::launch::Running;
use super::launcher::Job;
use crate::sanitize;
use crate::task::{Bytes, Exit};

/// What the launcher is told beside the agent itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ready {
    /// What is put before the agent's program.
    pub(crate) wrapper: Vec<Bytes>,
    /// What runs before it, one after the other.
    pub(crate) steps: Vec<Step>,
    /// Whether a step that fails is a reason not to start it.
    pub(crate) required: bool,
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Step {
    /// What it is called, in a line.
    pub(crate) name: String,
    pub(crate) argv: Vec<Bytes>,
}

impl Step {
    /// A command of the user's, for a shell.
    pub(crate) fn of_shell(command: &OsStr) -> Self {
        let text = command.to_string_lossy();
        let mut lines = text.trim().lines();
        let mut name = lines.next().unwrap_or_default().to_owned();
        if lines.next().is_some() {
            name.push_str(" …");
        }
        let argv = [OsString::from("sh"), "-c".into(), command.to_owned()];
        Self {
            name,
            argv: argv.map(Bytes).to_vec(),
        }
    }
}

/// How far the launcher has come with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// The step that runs now, or has failed.
    pub(crate) step: Option<String>,
    /// What failed, and was no reason to stop.
    pub(crate) missed: Vec<String>,
}

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
        let child = match command.spawn() {
            Ok(child) => Pid::from_raw(i32::try_from(child.id()).map_err(Error::from)?),
            Err(error) => {
                return Ok(Some(format!(
                    "'{}' could not be started: {error}",
                    step.name
                )));
            }
        };
        go_on(child);
        let mut ending = Received::default();
        let exit = loop {
            if let Some(exit) = ended(child)? {
                break exit;
            }
            for received in signals.wait() {
                ending.pass_on(received, &self.run, child);
            }
        };
        self.take_terminal();
        if is_left(child) {
            left.push(child);
        }
        if ending.any() {
            let error = anyhow!("'{}' was hung up", step.name);
            return Err(Failed {
                error,
                received: ending,
            });
        }
        let failed = !exit.is_success();
        Ok(failed.then(|| format!("'{}' {exit}", step.name)))
    }
}

/// How a job ended, if it has. One that was stopped goes on: nobody could wake it.
fn ended(job: Pid) -> Result<Option<Exit>, Failed> {
    while let Some(status) = changed(job)? {
        if let Some(exit) = exit_of(status) {
            return Ok(Some(exit));
        }
        if let WaitStatus::Stopped(..) = status {
            go_on(job);
        }
    }
    Ok(None)
}

/// Gives a job the terminal. It may have been stopped for want of it.
fn go_on(job: Pid) {
    give_terminal(job);
    signal::killpg(job, Signal::SIGCONT).ok();
}

/// Hangs up what the steps left, as a shell does with its jobs.
pub(super) fn dismiss(left: &[Pid]) {
    for group in left.iter().filter(|group| is_ours(**group)) {
        hang_up(*group, Signal::SIGHUP);
    }
}

/// A line of our own in the pane, in no colour that another has left.
fn say(line: &str) -> Result<(), Failed> {
    let mut out = io::stdout().lock();
    let written = write!(out, "\x1b[0m{}\r\n", sanitize::line(line)).and_then(|()| out.flush());
    Ok(written.context("could not write to the pane")?)
}
