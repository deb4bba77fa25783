//! The program in a task's pane: it starts the agent, sees how it ends, and
//! leaves the user a shell.
//!
//! It is the leader of the pane's session and does what a shell does with a
//! job: the agent has its own process group and the terminal. ^C reaches the
//! agent alone, ^Z brings a shell whose end resumes the agent, and when the
//! pane goes, the agent gets the hang-up and its end is still recorded.

use std::env;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{self, Signal};
use nix::sys::termios::{self, FlushArg, SetArg, Termios};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{self, Pid};
use signal_hook::consts::{
    SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU,
};
use signal_hook::iterator::Signals;

use super::events::{self, Event, START};
use super::follow;
use super::job::{Received, changed, exit_of, give_terminal, see_off};
use super::launch::{Launch, Running, now};
use super::machine::Machine;
use super::notify::{self, Notices};
use super::process::{boot, born};
use super::run::{RunDir, whole};
use super::setup::{Failed, Progress, dismiss};
use crate::git::admin;
use crate::git::regular_file::open_file;
use crate::sanitize;
use crate::task::{Bytes, Exit, How, Said, State, version};
use crate::tmux::pane;

/// What undoes a screen that an agent left behind: alternate screen, bracketed
/// paste, mouse, focus and kitty keys off, cursor on, colours plain.
const RESET: &str = "\x1b[?1049l\x1b[?2004l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1006l\x1b[<u\x1b[?25h\x1b[0m";

/// Runs the agent that the file at `path` describes. Returns only if no shell is to follow.
///
/// # Errors
/// When the request was taken back, or the agent cannot be started.
pub(crate) fn run(path: &Path) -> Result<()> {
    let run = RunDir(path.parent().context("no launch file")?.to_owned());
    // Installed first: from here on nothing ends the launcher unseen. What tmux left
    // ignored (SIGTTIN, SIGTTOU) is caught as well, and so as usual for the agent.
    let mut signals = Signals::new([
        SIGCHLD, SIGHUP, SIGTERM, SIGINT, SIGQUIT, SIGTSTP, SIGCONT, SIGTTIN, SIGTTOU,
    ])?;
    let nothing = "there is nothing to start: the task was taken back";
    let mut request = open_file(path).context(nothing)?;
    // Held until the agent is started, or it is written down why not: no mark that an agent
    // writes changes that, for the file is gone by then.
    request.try_lock().ok();
    let mut bytes = Vec::new();
    request.read_to_end(&mut bytes).context(nothing)?;
    let launch: Launch =
        version::parse(&bytes, version::RUN).context("the launch file cannot be read")?;
    let pid = unistd::getpid().as_raw();
    let mut running = Running {
        launcher: pid,
        born: born(pid),
        boot: boot(),
        machine: Some(Machine::here()),
        worktree: Some(Bytes(launch.worktree.clone().into())),
        agent: None,
        since: now(),
        setup: Progress::default(),
    };
    // Who waits for our end, or asks whether we live, looks at this lock: it comes before the
    // mark. The shell that we become has it no more.
    let _alive = run.live();
    // The mark comes before the request goes: who takes a request back and
    // finds it gone finds the mark.
    run.write_running(&running)?;
    fs::remove_file(path).context(nothing)?;
    note(&run, &Event::new(Said::Starting, START));
    let notices = Notices::of(&run);

    let job = Job {
        launch,
        run,
        terminal: termios::tcgetattr(io::stdin()).ok(),
    };
    let mut left = Vec::new();
    // Without any, it runs at once, as its pane says.
    let has_steps = !job.launch.ready.steps.is_empty();
    if has_steps {
        pane::mark_own(pid, Said::Starting.into_str());
    }
    let ready = job
        .enter()
        .map_err(Failed::from)
        .and_then(|()| job.make_ready(&mut running, &mut signals, &mut left));
    let (mut exit, received) = match ready.and_then(|()| Ok(job.start(&running)?)) {
        Ok(agent) => {
            drop(request);
            if has_steps {
                pane::mark_own_running(pid);
            }
            let running = Running {
                agent: Some(agent.as_raw()),
                ..running
            };
            let _follower = follow::begin(&job.run, &job.launch, running);
            job.attend(agent, signals)?
        }
        Err(Failed { error, received }) => {
            let exit = Exit::new(How::Unstarted(format!("{error:#}")), now());
            (exit, received)
        }
    };
    received.note(&mut exit);
    let hung_up = received.hung_up;
    dismiss(&left);
    let end = Event::new(Said::Exited, "exit").saying(&exit.to_string());
    note(&job.run, &end);
    if !hung_up && let Some(screen) = pane::capture_own() {
        drop(job.run.write_screen(&screen));
    }
    // The last that is written: who finds it finds all.
    job.run.write_exit(&exit)?;
    if !hung_up {
        // Who stopped it knows.
        if !exit.stopped {
            drop(notify::begin(notices, None, &end, &job.launch.env));
        }
        pane::mark_own(pid, State::Ended(exit.clone()).name());
        job.hand_over(&exit)?;
    }
    Ok(())
}

/// Adds to what has happened. What counts is in files of its own: a full disk is no reason
/// to start nothing.
fn note(run: &RunDir, event: &Event) {
    drop(events::append(&run.events(), event));
}

/// Becomes the user's shell in `worktree`: for a task whose agent has ended.
///
/// # Errors
/// When the worktree is gone, or the shell cannot be started.
pub(crate) fn shell(worktree: &Path) -> Result<()> {
    env::set_current_dir(worktree)
        .with_context(|| format!("could not enter '{}'", worktree.display()))?;
    let shell = super::shell();
    Err(Command::new(&shell).exec())
        .with_context(|| format!("could not start '{}'", shell.to_string_lossy()))
}

/// The agent as a job of this terminal.
pub(super) struct Job {
    pub(super) launch: Launch,
    pub(super) run: RunDir,
    /// How the terminal was before the agent, if there is one.
    terminal: Option<Termios>,
}

impl Job {
    /// Goes to the worktree. An agent that may do everything must not start anywhere else.
    fn enter(&self) -> Result<()> {
        let worktree = &self.launch.worktree;
        env::set_current_dir(worktree)
            .with_context(|| format!("could not enter '{}'", worktree.display()))?;
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
        env::set_current_dir(top)
            .with_context(|| format!("could not enter '{}'", top.display()))?;
        Ok(top.clone())
    }

    pub(super) fn command(&self, program: &std::ffi::OsStr) -> Command {
        let mut command = Command::new(program);
        command.env_clear();
        // What belongs to the pane stays as tmux made it.
        for name in [
            "TERM",
            "TERM_PROGRAM",
            "TERM_PROGRAM_VERSION",
            "TMUX",
            "TMUX_PANE",
        ] {
            if let Some(value) = env::var_os(name) {
                command.env(name, value);
            }
        }
        command.envs(
            self.launch
                .env
                .iter()
                .map(|(name, value)| (&name.0, &value.0)),
        );
        command
    }

    fn start(&self, running: &Running) -> Result<Pid> {
        if let Some(file) = &self.launch.shown {
            let text = whole(Path::new(&file.0)).context("could not read the task")?;
            let mut out = io::stdout().lock();
            writeln!(
                out,
                "{}\n",
                sanitize::text(&String::from_utf8_lossy(&text)).trim_end()
            )?;
        }
        let wrapper = self.launch.ready.wrapper.iter();
        let words: Vec<_> = wrapper.chain(&self.launch.argv).collect();
        let (program, args) = words
            .split_first()
            .context("there is no program to start")?;
        let mut command = self.command(&program.0);
        command.env("PWD", self.enter_directory()?);
        if let Some(file) = &self.launch.input {
            let prompt = open_file(Path::new(&file.0));
            command.stdin(prompt.context("could not read the task")?);
        }
        let child = command
            .args(args.iter().map(|arg| &arg.0))
            .process_group(0)
            .spawn()
            .with_context(|| format!("could not start '{}'", program.0.to_string_lossy()))?;
        let agent = Pid::from_raw(i32::try_from(child.id())?);
        give_terminal(agent);
        // It may have been stopped for touching the terminal before it was its own.
        signal::killpg(agent, Signal::SIGCONT).ok();
        let marked = self.run.write_running(&Running {
            agent: Some(agent.as_raw()),
            ..running.clone()
        });
        if marked.is_err() {
            // Nobody would know of it.
            signal::killpg(agent, Signal::SIGKILL).ok();
            waitpid(agent, None).ok();
        }
        marked.map(|()| agent)
    }

    /// Waits for the agent's end; returns what we received meanwhile.
    fn attend(&self, agent: Pid, mut signals: Signals) -> Result<(Exit, Received)> {
        let mut ending = Received::default();
        loop {
            while let Some(status) = changed(agent)? {
                if let Some(exit) = exit_of(status) {
                    if ending.any() {
                        see_off(agent);
                    }
                    return Ok((exit, ending));
                }
                match status {
                    WaitStatus::Stopped(_, Signal::SIGTTIN | Signal::SIGTTOU) => {
                        self.resume(agent, None);
                    }
                    WaitStatus::Stopped(..) if !ending.any() => {
                        ending = self.lend_shell(agent, &mut signals)?;
                    }
                    _ => {}
                }
            }
            for received in signals.wait() {
                // ^C and ^Z typed while the agent is not in front are not for it.
                ending.pass_on(received, &self.run, agent);
            }
        }
    }

    /// The agent was stopped (^Z): a shell until the user leaves it, then on with the agent.
    /// Returns what we received meanwhile.
    fn lend_shell(&self, agent: Pid, signals: &mut Signals) -> Result<Received> {
        let mut ending = Received::default();
        let agents = self
            .terminal
            .as_ref()
            .and_then(|_| termios::tcgetattr(io::stdin()).ok());
        self.take_terminal();
        // The pane may have gone: then we are about to hear of it.
        drop(writeln!(
            io::stdout(),
            "{RESET}\r\nThe agent is stopped. Leave this shell (exit, or Ctrl+d) to resume it."
        ));
        let shell = self.command(&self.launch.shell).process_group(0).spawn();
        let Ok(shell) = shell else {
            // There is nowhere else to be.
            self.resume(agent, agents.as_ref());
            return Ok(ending);
        };
        let shell = Pid::from_raw(i32::try_from(shell.id())?);
        give_terminal(shell);
        signal::killpg(shell, Signal::SIGCONT).ok();
        'shell: loop {
            while let Some(status) = changed(shell)? {
                match status {
                    WaitStatus::Exited(..) | WaitStatus::Signaled(..) => break 'shell,
                    WaitStatus::Stopped(..) => {
                        signal::killpg(shell, Signal::SIGCONT).ok();
                    }
                    _ => {}
                }
            }
            for received in signals.wait() {
                if ending.pass_on(received, &self.run, agent) {
                    signal::killpg(shell, Signal::SIGHUP).ok();
                    signal::killpg(shell, Signal::SIGCONT).ok();
                }
            }
        }
        self.resume(agent, agents.as_ref());
        Ok(ending)
    }

    fn resume(&self, agent: Pid, terminal: Option<&Termios>) {
        if let Some(terminal) = terminal {
            self.take_terminal();
            termios::tcsetattr(io::stdin(), SetArg::TCSADRAIN, terminal).ok();
        }
        give_terminal(agent);
        signal::killpg(agent, Signal::SIGCONT).ok();
    }

    pub(super) fn take_terminal(&self) {
        give_terminal(unistd::getpgrp());
        if let Some(terminal) = &self.terminal {
            termios::tcsetattr(io::stdin(), SetArg::TCSADRAIN, terminal).ok();
        }
    }

    /// Restores the terminal, says how the agent ended, and becomes the user's shell.
    fn hand_over(&self, exit: &Exit) -> Result<()> {
        self.take_terminal();
        // What was typed or pasted to the agent, and never read, is no command.
        termios::tcflush(io::stdin(), FlushArg::TCIFLUSH).ok();
        let agent = self.launch.argv.first();
        let agent = agent.and_then(|program| Path::new(&program.0).file_name());
        let id = &self.launch.id;
        let mut lines = vec![
            format!("{} {exit}", agent.unwrap_or_default().to_string_lossy()),
            format!("To merge its work and remove the task: git flux cleanup {id}"),
        ];
        if !exit.is_success() {
            lines.insert(1, format!("To start it again: git flux resume {id}"));
        }
        let lines: Vec<String> = lines.iter().map(|line| sanitize::line(line)).collect();
        write!(io::stdout(), "{RESET}\r\n{}\r\n", lines.join("\r\n"))?;
        io::stdout().flush()?;
        // A shell that was the agent itself is not followed by another.
        if self.launch.shown.is_some() && exit.error().is_none() {
            return Ok(());
        }
        // No login shell: its profile would undo the environment that was carried here.
        Err(self.command(&self.launch.shell).exec()).with_context(|| {
            let shell = self.launch.shell.as_bytes();
            format!("could not start '{}'", String::from_utf8_lossy(shell))
        })
    }
}
