//! What the launcher in a new pane says of itself.

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

/// How many lines of the pane are shown where the setup failed.
const LINES: usize = 20;

/// How long to wait for what is not told: that the pane has closed, for one.
const PAUSE: Duration = Duration::from_millis(100);

/// How long to wait between two looks at what is over in a moment.
const SHORT_PAUSE: Duration = Duration::from_millis(20);

/// How long a pane may take to start its program.
const OPENING: Duration = Duration::from_secs(30);

/// How long it may take until what a process has left shows.
const LAG: Duration = Duration::from_secs(2);

/// A launcher in a new pane that is to start its agent.
struct StartWatch<'a> {
    flux: &'a Flux,
    id: &'a TaskId,
    run: RunDir,
    /// The launch file, which the launcher holds until it has written all.
    request: &'a File,
    opened: &'a OpenedPane,
    begun: Instant,
    /// When it was seen to have let go of its request.
    released: Option<Instant>,
    /// What of the setup runs.
    step: Option<String>,
    spinner: Option<Spinner>,
}

/// Waits until the launcher has started the agent, or has said why not. It has half a minute
/// to take the task; what runs before the agent then may take as long as it likes.
///
/// # Errors
/// When it does neither, what runs before the agent fails, or the user interrupts.
pub(super) fn until_started(
    flux: &Flux,
    id: &TaskId,
    request: &File,
    opened: &OpenedPane,
) -> Result<()> {
    let run = flux.run_dir(id);
    let news = RunWatch::of(&run);
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
    while !watch.has_started()? && !watch.has_lost_its_mark()? {
        interrupt::check()?;
        news.wait(PAUSE);
    }
    Ok(())
}

impl StartWatch<'_> {
    /// Returns whether the launcher says that the agent runs, or has ended.
    ///
    /// # Errors
    /// When what runs before the agent has failed, or nothing has started in time.
    fn has_started(&mut self) -> Result<bool> {
        // In this order: the launcher lets go of its request once it has written all, and how it
        // ended comes last.
        if self.released.is_none() && !self.run.launch().exists() && is_free(self.request) {
            self.released = Some(Instant::now());
        }
        let exit = self.run.exit()?;
        let Some(Running { setup, agent, .. }) = self.run.running()? else {
            if exit.is_none() && self.begun.elapsed() > OPENING {
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
        self.show(setup.step);
        Ok(exit.is_some())
    }

    /// Returns whether the launcher lives on without its mark: it has started the agent, and another
    /// has written over it.
    ///
    /// # Errors
    /// When its process has gone without a mark: it could not write one.
    fn has_lost_its_mark(&self) -> Result<bool> {
        let is_gone = !is_alive(self.opened.target.pane_pid, None);
        if is_gone && self.begun.elapsed() > LAG && self.run.exit()?.is_none() {
            return Err(Failure::new("the pane closed before the agent was started").into());
        }
        let released = self.released.is_some_and(|since| since.elapsed() > LAG);
        Ok(released && !is_gone)
    }

    /// Shows which step of the setup runs.
    fn show(&mut self, step: Option<String>) {
        if self.step == step {
            return;
        }
        // One at a time.
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

    /// Returns the error for what ran before the agent and failed; what it said is shown.
    fn setup_failure(&mut self, exit: &Exit) -> Error {
        let said = exit.error().map_or_else(|| exit.to_string(), str::to_owned);
        let failure = Failure::new(said);
        let Some(lines) = last_lines(&self.opened.target, self.id, LINES) else {
            // The pane was closed: that is why.
            return failure.into();
        };
        let end = end_of(self.id);
        let end = lines.iter().rposition(|line| line.contains(&end));
        for line in &lines[..end.unwrap_or(lines.len())] {
            self.flux.ui.quote(line);
        }
        let hint = "to start it all the same: git config flux.setupRequired false";
        failure.hint(hint).into()
    }
}

/// Returns whether the launcher does not hold its request, or not any more.
fn is_free(request: &File) -> bool {
    request.try_lock_shared().is_ok() && request.unlock().is_ok()
}

/// Returns the command that the launcher names in its last line.
fn end_of(id: &TaskId) -> String {
    format!("git flux cleanup {id}")
}

/// Returns the end of what is on a pane whose agent has ended or was not started. The launcher's own
/// line comes last: once that is there, everything is. None if the pane has gone.
pub(crate) fn last_lines(target: &Target, id: &TaskId, count: usize) -> Option<Vec<String>> {
    let end = end_of(id);
    let mut lines = Vec::new();
    let look = || {
        lines = pane::capture(target, count)?;
        Ok(lines.iter().any(|line| line.contains(&end)).then_some(()))
    };
    wait_until(LAG, SHORT_PAUSE, look).ok()?;
    Some(lines)
}

/// Returns how the agents of `started` ended, of each that does so in the time `patience`. One that has
/// taken over its terminal (raw mode) is up, and not waited for any longer.
///
/// # Errors
/// When what one of them left cannot be read.
pub(crate) fn early_exits<'a>(
    flux: &Flux,
    started: impl IntoIterator<Item = &'a Started>,
    patience: Duration,
) -> Result<Vec<(&'a Started, Exit)>> {
    let mut ended = Vec::new();
    let mut left: Vec<&Started> = started.into_iter().collect();
    let look = || {
        for one in mem::take(&mut left) {
            match flux.run_dir(&one.task.id).exit()? {
                // A shell is no agent.
                Some(exit) if exit.is_none() => {}
                Some(exit) => ended.push((one, exit)),
                None if is_raw(&one.opened.tty) => {}
                None => left.push(one),
            }
        }
        Ok((left.is_empty() || interrupt::requested()).then_some(()))
    };
    wait_until(patience, SHORT_PAUSE, look)?;
    Ok(ended)
}

fn is_raw(tty: &str) -> bool {
    let flags = OFlag::O_RDONLY | OFlag::O_NOCTTY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let terminal = open(tty, flags, Mode::empty()).and_then(tcgetattr);
    terminal.is_ok_and(|mode| !mode.local_flags.contains(LocalFlags::ICANON))
}
