//! Setup of the worktree, in the task's pane before the agent.
//!
//! Each command is a job in the foreground. ^C ends it, as a failure; after ^Z it is resumed at
//! once. Its background processes continue beside the agent, and get SIGHUP when that has ended.

use std::fmt::Display;
use std::io::{self, Write as _};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;
use nix::sys::termios::{self, FlushArg};

use super::group::{has_processes, is_in_session, signal_group, spawn, wait_in_front};
use super::job::Job;
use crate::run::launch::SetupStep;
use crate::sanitize;

impl Job {
    /// Prints and runs the setup commands in the foreground, one after another, and discards what
    /// was typed meanwhile. If one fails, fails if setup is required, and otherwise prints a
    /// warning and continues.
    pub(super) fn run_setup(&mut self) -> Result<()> {
        let setup = self.launch.ready.clone();
        for step in &setup.steps {
            self.running.setup.step = Some(step.name.clone());
            if let Some(failed) = self.run_step(step)? {
                ensure!(!setup.required, failed);
                print_line(format_args!("warning: {failed}"))?;
                self.running.setup.missed.push(failed);
            }
        }
        if !setup.steps.is_empty() {
            self.running.setup.step = None;
            self.run.write_running(&self.running)?;
            // The agent must not read text that was typed before.
            termios::tcflush(io::stdin(), FlushArg::TCIFLUSH).ok();
        }
        Ok(())
    }

    /// Prints a setup command, runs it in the foreground and waits until it ends. Returns why it
    /// could not be started or how it failed; `None` if it succeeded. Fails if the launcher
    /// received SIGHUP or SIGTERM.
    fn run_step(&mut self, step: &SetupStep) -> Result<Option<String>> {
        self.run.write_running(&self.running)?;
        let name = &step.name;
        print_line(format_args!("$ {name}"))?;
        let (program, args) = step.argv.split_first().context("no program")?;
        let mut command = self.command(&program.0);
        let child = match spawn(command.args(args.iter().map(|arg| &arg.0))) {
            Ok(child) => child,
            Err(error) => return Ok(Some(format!("'{name}' could not be started: {error}"))),
        };
        let exit = wait_in_front(child, &mut self.signals, |signal| {
            self.received.pass_on(signal, &self.run, child);
        })?;
        self.take_terminal();
        if has_processes(child) {
            self.leftovers.push(child);
        }
        if let Some(signal) = self.received.signal.and_then(|n| Signal::try_from(n).ok()) {
            bail!("'{name}' got {signal}");
        }
        Ok((!exit.is_success()).then(|| format!("'{name}' {exit}")))
    }

    /// Sends SIGHUP to the process groups that setup commands have left in the background, if they
    /// are still in the launcher's session.
    pub(super) fn hang_up_leftovers(&self) {
        for group in self.leftovers.iter().filter(|group| is_in_session(**group)) {
            signal_group(*group, Signal::SIGHUP);
        }
    }
}

/// Prints a line on standard output, with control characters escaped. First resets colours that an
/// earlier command left on; ends with `\r\n`.
pub(super) fn print_line(line: impl Display) -> Result<()> {
    let line = sanitize::line(&line.to_string());
    let mut out = io::stdout().lock();
    let result = write!(out, "\x1b[0m{line}\r\n").and_then(|()| out.flush());
    result.context("could not write to the pane")
}
