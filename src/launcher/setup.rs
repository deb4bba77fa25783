//! What runs in a task's pane before its agent, and makes its worktree ready.
//!
//! Each command is a job of the terminal, as the agent will be: it can be watched, asked and
//! ended with ^C, which counts as a failure. ^Z is not for it: it goes on at once. What it
//! leaves in the background goes on beside the agent, and is hung up when that has ended.

use std::fmt::Display;
use std::io::{self, Write as _};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use nix::sys::termios::{self, FlushArg};

use super::group::{hang_up, is_left, is_ours, spawn, wait_in_front};
use super::job::Job;
use crate::run::launch::SetupStep;
use crate::sanitize;

impl Job {
    /// Runs all steps.
    pub(super) fn make_ready(&mut self) -> Result<()> {
        let ready = self.launch.ready.clone();
        for step in &ready.steps {
            self.running.setup.step = Some(step.name.clone());
            if let Some(failed) = self.run_step(step)? {
                ensure!(!ready.required, failed);
                say(format_args!("warning: {failed}"))?;
                self.running.setup.missed.push(failed);
            }
        }
        if !ready.steps.is_empty() {
            self.running.setup.step = None;
            self.run.write_running(&self.running)?;
            // What was typed meanwhile was not meant for the agent.
            termios::tcflush(io::stdin(), FlushArg::TCIFLUSH).ok();
        }
        Ok(())
    }

    /// Runs one step to its end, and returns how it failed, if it did.
    fn run_step(&mut self, step: &SetupStep) -> Result<Option<String>> {
        self.run.write_running(&self.running)?;
        let name = &step.name;
        say(format_args!("$ {name}"))?;
        let (program, args) = step.argv.split_first().context("there is no program")?;
        let mut command = self.command(&program.0);
        let child = match spawn(command.args(args.iter().map(|arg| &arg.0))) {
            Ok(child) => child,
            Err(error) => return Ok(Some(format!("'{name}' could not be started: {error}"))),
        };
        let exit = wait_in_front(child, &mut self.signals, |signal| {
            self.received.pass_on(signal, &self.run, child);
        })?;
        self.take_terminal();
        if is_left(child) {
            self.left.push(child);
        }
        ensure!(self.received.signal.is_none(), "'{name}' was hung up");
        Ok((!exit.is_success()).then(|| format!("'{name}' {exit}")))
    }

    /// Hangs up what the steps left, as a shell does with its jobs.
    pub(super) fn hang_up_leftovers(&self) {
        for group in self.left.iter().filter(|group| is_ours(**group)) {
            hang_up(*group, Signal::SIGHUP);
        }
    }
}

/// Prints a line of our own in the pane, in no colour that another has left.
fn say(line: impl Display) -> Result<()> {
    let line = sanitize::line(&line.to_string());
    let mut out = io::stdout().lock();
    let written = write!(out, "\x1b[0m{line}\r\n").and_then(|()| out.flush());
    written.context("could not write to the pane")
}
