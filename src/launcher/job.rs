//! The agent as a job of its terminal, as a shell has it.

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
    Received, changed, exit_of, foreground, give_terminal, hang_up, spawn, wait_for_group,
    wait_in_front,
};
use crate::git::admin;
use crate::git::regular_file::open_file;
use crate::run::RunDir;
use crate::run::file::read_end;
use crate::run::launch::{Launch, Running};
use crate::sanitize;
use crate::task::{Bytes, Exit};

/// What undoes a screen that an agent left behind: alternate screen, bracketed
/// paste, mouse, focus and kitty keys off, cursor on, colours plain.
const RESET: &str = "\x1b[?1049l\x1b[?2004l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1006l\x1b[<u\x1b[?25h\x1b[0m";

/// What belongs to the pane, and not to the agent.
const OF_PANE: &str = "TERM TERM_PROGRAM TERM_PROGRAM_VERSION TMUX TMUX_PANE";

/// The agent as a job of this terminal.
pub(super) struct Job {
    pub(super) launch: Launch,
    pub(super) run: RunDir,
    pub(super) running: Running,
    /// How the terminal was before the agent, if there is one.
    pub(super) terminal: Option<Termios>,
    pub(super) signals: Signals,
    pub(super) received: Received,
    /// The process groups that setup has left.
    pub(super) left: Vec<Pid>,
}

impl Job {
    /// Goes to the worktree. An agent that may do everything must not start anywhere else.
    pub(super) fn enter(&self) -> Result<()> {
        let worktree = &self.launch.worktree;
        go_to(worktree)?;
        let here = env::current_dir().context("could not tell where this is")?;
        // The record's path has no links in it; one put there since leads elsewhere.
        let common = self.run.common_dir().context("no launch file")?;
        if here != *worktree || !admin::is_ours(common, worktree)? {
            bail!("'{}' is not the task's worktree", here.display());
        }
        Ok(())
    }

    /// Goes to the directory that the agent starts in, for what has to be made ready before it is
    /// at the top, and returns it. Where it leads out of the worktree by now, the top it is.
    fn enter_directory(&self) -> Result<PathBuf> {
        let top = &self.launch.worktree;
        if let Some(Bytes(directory)) = &self.launch.directory
            && env::set_current_dir(directory).is_ok()
            && env::current_dir().is_ok_and(|here| here.starts_with(top))
        {
            return Ok(directory.into());
        }
        go_to(top)?;
        Ok(top.clone())
    }

    pub(super) fn command(&self, program: &OsStr) -> Command {
        let mut command = Command::new(program);
        command.env_clear();
        // What belongs to the pane stays as tmux made it.
        for name in OF_PANE.split(' ') {
            command.envs(env::var_os(name).map(|value| (name, value)));
        }
        let own = self.launch.env.iter();
        command.envs(own.map(|(name, value)| (&name.0, &value.0)));
        command
    }

    /// Starts the agent, and marks that it runs.
    pub(super) fn start(&mut self) -> Result<Pid> {
        // The task, where a person is to read it.
        if let Some(file) = &self.launch.shown {
            let text = read_end(Path::new(&file.0), u64::MAX).context("could not read the task")?;
            let text = sanitize::text(&String::from_utf8_lossy(&text));
            writeln!(io::stdout(), "{}\n", text.trim_end())?;
        }
        let agent = self.spawn_agent()?;
        foreground(agent);
        self.running.agent = Some(agent.as_raw());
        let marked = self.run.write_running(&self.running);
        if marked.is_err() {
            // Nobody would know of it.
            signal::killpg(agent, Signal::SIGKILL).ok();
            waitpid(agent, None).ok();
        }
        marked.map(|()| agent)
    }

    /// Starts the agent in a process group of its own.
    fn spawn_agent(&self) -> Result<Pid> {
        let wrapper = self.launch.ready.wrapper.iter();
        let mut words = wrapper.chain(&self.launch.argv);
        let program = &words.next().context("there is no program to start")?.0;
        let mut command = self.command(program);
        command.args(words.map(|word| &word.0));
        command.env("PWD", self.enter_directory()?);
        if let Some(file) = &self.launch.input {
            let prompt = open_file(Path::new(&file.0));
            command.stdin(prompt.context("could not read the task")?);
        }
        let agent = spawn(&mut command);
        agent.with_context(|| format!("could not start '{}'", program.to_string_lossy()))
    }

    /// Waits for the agent's end.
    pub(super) fn wait_for_agent(&mut self, agent: Pid) -> Result<Exit> {
        loop {
            while let Some(status) = changed(agent)? {
                if let Some(exit) = exit_of(status) {
                    if self.received.signal.is_some() {
                        wait_for_group(agent);
                    }
                    return Ok(exit);
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
                // ^C and ^Z typed while the agent is not in front are not for it.
                self.received.pass_on(signal, &self.run, agent);
            }
        }
    }

    /// Gives the user a shell, since the agent was stopped (^Z), until they leave it, then goes on
    /// with the agent.
    fn run_shell_while_stopped(&mut self, agent: Pid) -> Result<()> {
        let agents = termios::tcgetattr(io::stdin()).ok();
        self.take_terminal();
        // The pane may have gone: then we are about to hear of it.
        drop(writeln!(
            io::stdout(),
            "{RESET}\r\nThe agent is stopped. Leave this shell (exit, or Ctrl+d) to resume it."
        ));
        // Without a shell there is nowhere else to be.
        if let Ok(shell) = spawn(&mut self.command(&self.launch.shell)) {
            wait_in_front(shell, &mut self.signals, |signal| {
                if self.received.pass_on(signal, &self.run, agent) {
                    hang_up(shell, Signal::SIGHUP);
                }
            })?;
        }
        self.take_terminal();
        set_terminal(agents.as_ref());
        foreground(agent);
        Ok(())
    }

    pub(super) fn take_terminal(&self) {
        give_terminal(unistd::getpgrp());
        set_terminal(self.terminal.as_ref());
    }

    /// Restores the terminal, says how the agent ended, and becomes the user's shell.
    pub(super) fn exec_shell(&self, exit: &Exit) -> Result<()> {
        self.take_terminal();
        // What was typed or pasted to the agent, and never read, is no command.
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
        // A shell that was the agent itself is not followed by another.
        if self.launch.shown.is_some() && exit.error().is_none() {
            return Ok(());
        }
        // No login shell: its profile would undo the environment that was carried here.
        become_program(self.command(&self.launch.shell))
    }
}

/// Goes to a directory.
pub(super) fn go_to(dir: &Path) -> Result<()> {
    env::set_current_dir(dir).with_context(|| format!("could not enter '{}'", dir.display()))
}

/// Becomes another program.
pub(super) fn become_program(mut command: Command) -> Result<()> {
    let error = command.exec();
    let program = command.get_program().display();
    Err(error).with_context(|| format!("could not start '{program}'"))
}

/// Gives the terminal these settings, if there is one.
fn set_terminal(settings: Option<&Termios>) {
    if let Some(settings) = settings {
        termios::tcsetattr(io::stdin(), SetArg::TCSADRAIN, settings).ok();
    }
}
