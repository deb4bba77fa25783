//! The agent as a job of the terminal.

use std::env;
use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{self, Signal};
use nix::sys::termios::{self, FlushArg, SetArg, Termios};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{self, Pid};
use signal_hook::iterator::Signals;

use super::group::{
    EndSignal, exit_of, foreground, give_terminal, poll, signal_group, spawn, wait_for_group,
    wait_in_front,
};
use crate::git::admin;
use crate::run::RunDir;
use crate::run::begin::BeginDir;
use crate::run::launch::{Launch, Running};
use crate::sanitize;
use crate::system::clock::this_second;
use crate::system::regular_file::{open_file, read_file};
use crate::task::{Bytes, Exit, ExitReason};

/// Resets the screen after an agent: alternate screen, bracketed paste, mouse, focus and kitty keys
/// off, cursor on, default colours.
const RESET: &str = "\x1b[?1049l\x1b[?2004l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1006l\x1b[<u\x1b[?25h\x1b[0m";

/// Sets an empty title of the terminal (OSC 2).
const CLEAR_TITLE: &str = "\x1b]2;\x1b\\";

/// Variables that tmux sets for the pane.
const PANE_VARIABLES: &str = "TERM TERM_PROGRAM TERM_PROGRAM_VERSION TMUX TMUX_PANE";

/// The agent as a job of the terminal.
pub(super) struct Job {
    pub(super) launch: Launch,
    pub(super) run: RunDir,
    pub(super) running: Running,
    /// The settings of the terminal before the agent.
    pub(super) terminal: Option<Termios>,
    pub(super) signals: Signals,
    pub(super) received: EndSignal,
    /// Process groups in the background, left by setup.
    pub(super) leftovers: Vec<Pid>,
}

impl Job {
    /// Changes the working directory to the task's worktree. Fails if its path leads through a
    /// link, or if it is no worktree of the task's repository.
    pub(super) fn enter_worktree(&self) -> Result<()> {
        let worktree = &self.launch.worktree;
        change_dir(worktree)?;
        let here = env::current_dir().context("could not read the working directory")?;
        // The recorded path has no links, so a new link leads elsewhere.
        let common = self.run.common_dir().context("no launch file")?;
        if here != *worktree || !admin::is_ours(common, worktree)? {
            bail!("'{}' is not the task's worktree", here.display());
        }
        Ok(())
    }

    /// Changes the working directory to the one that the agent starts in, and returns it: the
    /// task's directory in the worktree, or the top of the worktree if that is missing or outside.
    fn enter_directory(&self) -> Result<PathBuf> {
        let top = &self.launch.worktree;
        if let Some(Bytes(directory)) = &self.launch.directory
            && env::set_current_dir(directory).is_ok()
            && env::current_dir().is_ok_and(|here| here.starts_with(top))
        {
            return Ok(directory.into());
        }
        change_dir(top)?;
        Ok(top.clone())
    }

    pub(super) fn command(&self, program: &OsStr) -> Command {
        command(&self.launch, program)
    }

    /// Starts the agent in the foreground of the terminal, writes its process id to the file
    /// `running`, and returns it. First prints the description, for an agent that is only a shell.
    /// Kills the agent if the file cannot be written.
    pub(super) fn start(&mut self) -> Result<Pid> {
        if let Some(file) = &self.launch.shown {
            let text = read_file(Path::new(&file.0)).context("could not read the task")?;
            let text = sanitize::text(&String::from_utf8_lossy(&text));
            writeln!(io::stdout(), "{}\n", text.trim_end())?;
        }
        if !self.launch.ready.wrapper.is_empty() {
            // The title would show that an earlier agent runs.
            write!(io::stdout(), "{CLEAR_TITLE}")?;
            io::stdout().flush()?;
            self.running.wrapper_since = Some(this_second());
        }
        let agent = self.spawn_agent()?;
        foreground(agent);
        self.running.agent = Some(agent.as_raw());
        let result = self.run.write_running(&self.running);
        if result.is_err() {
            // No command could stop the agent.
            signal::killpg(agent, Signal::SIGKILL).ok();
            waitpid(agent, None).ok();
        }
        result.map(|()| agent)
    }

    fn spawn_agent(&self) -> Result<Pid> {
        let words = self.launch.words(&self.run, self.running.launcher);
        let (program, args) = words.split_first().context("no program to start")?;
        let program = &program.0;
        let mut command = self.command(program);
        command.args(args.iter().map(|word| &word.0));
        command.env("PWD", self.enter_directory()?);
        if let Some(file) = &self.launch.input {
            let prompt = open_file(Path::new(&file.0));
            command.stdin(prompt.context("could not read the task")?);
        }
        let agent = spawn(&mut command);
        agent.with_context(|| format!("could not start '{}'", program.to_string_lossy()))
    }

    /// Waits until the agent ends, without a time limit, and returns its exit status. Meanwhile
    /// runs a shell whenever the agent is suspended (^Z), and ends the agent on SIGHUP and SIGTERM.
    pub(super) fn wait_for_agent(&mut self, agent: Pid) -> Result<Exit> {
        loop {
            while let Some(status) = poll(agent)? {
                if let Some(exit) = exit_of(status) {
                    if self.received.signal.is_some() {
                        wait_for_group(agent);
                    }
                    return Ok(self.with_unseen_reason(exit));
                }
                match status {
                    WaitStatus::Stopped(_, Signal::SIGTTIN | Signal::SIGTTOU) => foreground(agent),
                    WaitStatus::Stopped(..) if self.received.signal.is_none() => {
                        self.run_shell_while_stopped(agent)?;
                    }
                    _ => {}
                }
            }
            for signal in self.signals.wait() {
                // The agent gets no ^C and ^Z that were typed while it was in the background.
                self.received.pass_on(signal, &self.run, agent);
            }
        }
    }

    /// Returns `exit`, how the agent or its wrapper has ended. A wrapper can succeed without the
    /// agent: if no start of the agent was recorded, or in a job step of Slurm no end, the reason
    /// becomes [`ExitReason::Unseen`].
    fn with_unseen_reason(&self, mut exit: Exit) -> Exit {
        let has_wrapper = self.running.wrapper_since.is_some();
        let unseen = || BeginDir(&self.run.0).find_unseen_part();
        if exit.is_success() && has_wrapper && unseen().is_some() {
            exit.reason = ExitReason::Unseen;
        }
        exit
    }

    /// Prints a message and runs the user's shell until that exits, while the agent is suspended
    /// (^Z); then resumes the agent. If the shell cannot be started, resumes the agent without
    /// waiting.
    fn run_shell_while_stopped(&mut self, agent: Pid) -> Result<()> {
        let agent_settings = termios::tcgetattr(io::stdin()).ok();
        self.take_terminal();
        // If the pane is closed, a signal will follow.
        drop(writeln!(
            io::stdout(),
            "{RESET}\r\nThe agent is suspended. Leave this shell (exit, or Ctrl+d) to resume it."
        ));
        // Without a shell, resume at once.
        if let Ok(shell) = spawn(&mut self.command(&self.launch.shell)) {
            wait_in_front(shell, &mut self.signals, |signal| {
                if self.received.pass_on(signal, &self.run, agent) {
                    signal_group(shell, Signal::SIGHUP);
                }
            })?;
        }
        self.take_terminal();
        set_terminal(agent_settings.as_ref());
        foreground(agent);
        Ok(())
    }

    pub(super) fn take_terminal(&self) {
        give_terminal(unistd::getpgrp());
        set_terminal(self.terminal.as_ref());
    }

    /// Resets the terminal, prints how the agent has ended and what to do next, and replaces this
    /// process by the user's shell. Returns without a shell if the agent was a shell itself and
    /// could be started.
    pub(super) fn exec_shell(&self, exit: &Exit) -> Result<()> {
        self.take_terminal();
        // The shell must not run text that was typed for the agent.
        termios::tcflush(io::stdin(), FlushArg::TCIFLUSH).ok();
        let program = self.launch.argv.first();
        let program = program.and_then(|program| Path::new(&program.0).file_name());
        let id = &self.launch.id;
        let mut lines = vec![
            format!("{} {exit}", program.unwrap_or_default().to_string_lossy()),
            format!("To merge its work and remove the task: git flux cleanup {id}"),
        ];
        if !exit.is_success() {
            lines.insert(1, format!("To start it again: git flux resume {id}"));
        }
        let lines = lines.iter().map(|line| sanitize::line(line) + "\r\n");
        write!(io::stdout(), "{RESET}\r\n{}", lines.collect::<String>())?;
        io::stdout().flush()?;
        // The agent was a shell itself.
        if self.launch.shown.is_some() && exit.error().is_none() {
            return Ok(());
        }
        // The profile of a login shell would change the environment.
        exec(self.command(&self.launch.shell))
    }
}

/// Returns a command that runs `program` in the environment of the agent, in this pane.
pub(super) fn command(launch: &Launch, program: &OsStr) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    for name in PANE_VARIABLES.split(' ') {
        command.envs(env::var_os(name).map(|value| (name, value)));
    }
    let vars = launch.env.iter();
    command.envs(vars.map(|(name, value)| (&name.0, &value.0)));
    command
}

pub(super) fn change_dir(dir: &Path) -> Result<()> {
    env::set_current_dir(dir).with_context(|| format!("could not enter '{}'", dir.display()))
}

/// Replaces this process by another program. Returns only an error, if that program cannot be
/// started.
pub(super) fn exec(mut command: Command) -> Result<()> {
    let error = command.exec();
    let program = command.get_program().display();
    Err(error).with_context(|| format!("could not start '{program}'"))
}

fn set_terminal(settings: Option<&Termios>) {
    if let Some(settings) = settings {
        termios::tcsetattr(io::stdin(), SetArg::TCSADRAIN, settings).ok();
    }
}
