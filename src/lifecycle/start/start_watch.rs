//! Waits for the launcher in a new pane.

use std::fs::File;
use std::mem;
use std::time::{Duration, Instant};

use anyhow::{Error, Result};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::sys::termios::{LocalFlags, tcgetattr};

use super::plan::Started;
use crate::context::Flux;
use crate::failure::Failure;
use crate::interrupt;
use crate::run::RunDir;
use crate::run::launch::Running;
use crate::run::watch::RunWatch;
use crate::system::process::is_alive;
use crate::system::wait_until;
use crate::task::{Exit, Target, TaskId};
use crate::tmux::opened_pane::OpenedPane;
use crate::tmux::pane;
use crate::ui::Spinner;

/// The number of lines that a failed setup shows.
const SETUP_LINES: usize = 20;

/// The interval for checks without a file event, such as for a closed pane.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The interval for checks that end soon.
const SHORT_INTERVAL: Duration = Duration::from_millis(20);

/// The time limit for a pane to start its program.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);

/// The time limit until the files and output of an ended process are complete.
const EXIT_LAG: Duration = Duration::from_secs(2);

/// A launcher in a new pane that is to start its agent.
struct StartWatch<'a> {
    flux: &'a Flux,
    id: &'a TaskId,
    run: RunDir,
    /// The launch file, which the launcher locks until it has written its files.
    request: &'a File,
    opened: &'a OpenedPane,
    begun: Instant,
    /// The time when the lock was found released.
    released: Option<Instant>,
    /// The running setup step.
    step: Option<String>,
    spinner: Option<Spinner>,
}

/// Waits until the launcher in a new pane has started the agent, or failed to, and shows its
/// progress. Fails if the setup fails, if the pane closes or does not start within 30 seconds, or
/// on ^C. A setup may take any time.
pub(super) fn wait_until_started(
    flux: &Flux,
    id: &TaskId,
    request: &File,
    opened: &OpenedPane,
) -> Result<()> {
    let run = flux.run_dir(id);
    let events = RunWatch::of(&run);
    let mut watch = StartWatch {
        flux,
        id,
        run,
        request,
        opened,
        begun: Instant::now(),
        released: None,
        step: None,
        spinner: flux.ui.spinner("starting the agent"),
    };
    while !watch.has_started()? && !watch.has_lost_running_file()? {
        interrupt::check()?;
        events.wait(POLL_INTERVAL);
    }
    Ok(())
}

impl StartWatch<'_> {
    /// Returns whether the agent runs, has ended or could not be executed; shows the current setup
    /// step and warnings. Fails if the setup has failed, or the pane did not start within 30
    /// seconds.
    fn has_started(&mut self) -> Result<bool> {
        // In this order, because the launcher writes `exit` last, and unlocks the file when all is written.
        if self.released.is_none() && !self.run.launch().exists() && is_unlocked(self.request) {
            self.released = Some(Instant::now());
        }
        let exit = self.run.exit()?;
        let Some(Running { setup, agent, .. }) = self.run.running()? else {
            if exit.is_none() && self.begun.elapsed() > OPEN_TIMEOUT {
                let what = "the pane did not start its program within 30 seconds";
                return Err(Failure::new(what).into());
            }
            return Ok(exit.is_some());
        };
        if agent.is_some() {
            for missed in &setup.missed {
                self.flux.ui.warning(missed);
            }
            return Ok(true);
        }
        if let (Some(exit), Some(_)) = (&exit, &setup.step) {
            return Err(self.setup_failure(exit));
        }
        self.show_step(setup.step);
        Ok(exit.is_some())
    }

    /// Returns whether the launcher started the agent or failed more than two seconds ago, and
    /// lives, but the file `running` does not show that: another process replaced the file. Fails
    /// if the pane closed before the agent was started.
    fn has_lost_running_file(&self) -> Result<bool> {
        let is_gone = !is_alive(self.opened.target.pane_pid, None);
        if is_gone && self.begun.elapsed() > EXIT_LAG && self.run.exit()?.is_none() {
            return Err(Failure::new("the pane closed before the agent was started").into());
        }
        let released = self.released.is_some_and(|at| at.elapsed() > EXIT_LAG);
        Ok(released && !is_gone)
    }

    fn show_step(&mut self, step: Option<String>) {
        if self.step == step {
            return;
        }
        // Before the next one starts.
        drop(self.spinner.take());
        let (ui, id) = (&self.flux.ui, self.id);
        self.spinner = match &step {
            Some(step) => ui.spinner(format_args!(
                "setting up (git flux attach {id} shows it): {step}"
            )),
            None => ui.spinner("starting the agent"),
        };
        self.step = step;
    }

    /// Prints the last lines of the pane in which the setup failed, and returns the error. Prints
    /// nothing if the pane is closed, or on ^C.
    fn setup_failure(&mut self, exit: &Exit) -> Error {
        let message = exit.error().map_or_else(|| exit.to_string(), str::to_owned);
        let failure = Failure::new(message);
        let Some(lines) = last_lines(&self.opened.target, self.id, SETUP_LINES) else {
            // The pane was closed, or the user has interrupted the command.
            return failure.into();
        };
        let end = cleanup_command(self.id);
        let end = lines.iter().rposition(|line| line.contains(&end));
        for line in &lines[..end.unwrap_or(lines.len())] {
            self.flux.ui.quote(line);
        }
        let hint = "to start it anyway: git config flux.setupRequired false";
        failure.hint(hint).into()
    }
}

/// Returns whether no process holds the lock on the launch file `request`. Takes and releases a
/// shared lock to find out.
fn is_unlocked(request: &File) -> bool {
    request.try_lock_shared().is_ok() && request.unlock().is_ok()
}

/// Returns the command that the last line of the launcher names, `git flux cleanup <id>`. Runs
/// nothing.
fn cleanup_command(id: &TaskId) -> String {
    format!("git flux cleanup {id}")
}

/// Returns the last `count` lines of the pane `target`, after waiting up to two seconds for the
/// last line of the launcher. `None` if the pane cannot be read, or on ^C.
pub(crate) fn last_lines(target: &Target, id: &TaskId, count: usize) -> Option<Vec<String>> {
    let end = cleanup_command(id);
    let mut lines = Vec::new();
    let check = || {
        lines = pane::capture(target, count)?;
        Ok(lines.iter().any(|line| line.contains(&end)).then_some(()))
    };
    wait_until(EXIT_LAG, SHORT_INTERVAL, check).ok()?;
    Some(lines)
}

/// Waits until each agent has ended or has set its terminal to raw mode, at most for `timeout` or
/// until ^C. Returns the agents that have ended, with their exits.
pub(crate) fn wait_for_early_exits<'a>(
    flux: &Flux,
    started: impl IntoIterator<Item = &'a Started>,
    timeout: Duration,
) -> Result<Vec<(&'a Started, Exit)>> {
    let mut ended = Vec::new();
    let mut pending: Vec<&Started> = started.into_iter().collect();
    let check = || {
        for started in mem::take(&mut pending) {
            match flux.run_dir(&started.task.id).exit()? {
                // A shell is no agent.
                Some(exit) if exit.is_unseen() => {}
                Some(exit) => ended.push((started, exit)),
                None if is_raw(&started.opened) => {}
                None => pending.push(started),
            }
        }
        Ok((pending.is_empty() || interrupt::is_requested()).then_some(()))
    };
    wait_until(timeout, SHORT_INTERVAL, check)?;
    Ok(ended)
}

fn is_raw(opened: &OpenedPane) -> bool {
    let flags = OFlag::O_RDONLY | OFlag::O_NOCTTY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let terminal = open(opened.tty.as_str(), flags, Mode::empty()).and_then(tcgetattr);
    terminal.is_ok_and(|mode| !mode.local_flags.contains(LocalFlags::ICANON))
}
