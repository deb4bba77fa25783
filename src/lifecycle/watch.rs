//! What the launcher in a new pane says of itself.

use std::fs::File;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Error, Result};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::sys::termios::{LocalFlags, tcgetattr};

use super::Flux;
use super::start::Started;
use crate::failure::Failure;
use crate::interrupt;
use crate::run::RunDir;
use crate::run::launch::Running;
use crate::run::watch::RunWatch;
use crate::system::process::is_alive;
use crate::task::{Exit, Target, TaskId};
use crate::tmux::open::Opened;
use crate::tmux::pane;

/// How long to wait for what is not told: that the pane has closed, for one.
const PAUSE: Duration = Duration::from_millis(100);

/// How many lines of the pane are shown where the setup failed.
const LINES: usize = 20;

/// Waits until the launcher has started the agent, or has said why not. It has half a minute
/// to take the task; what runs before the agent then may take as long as it likes.
///
/// # Errors
/// When it does neither, what runs before the agent fails, or the user interrupts.
pub(super) fn until_started(
    flux: &Flux,
    id: &TaskId,
    (run, request): (&RunDir, &File),
    opened: Option<&Opened>,
) -> Result<()> {
    let watch = RunWatch::of(run);
    let mut spinner = flux.ui.spinner("starting the agent");
    let mut step = None;
    let begun = Instant::now();
    let mut through = None::<Instant>;
    loop {
        // In this order: the launcher lets go of its request once it has written all, and how it
        // ended comes last.
        if through.is_none() && !run.launch().exists() && is_free(request) {
            through = Some(Instant::now());
        }
        let exit = run.exit()?;
        let running = run.running()?;
        if let Some(Running { setup, agent, .. }) = &running {
            if agent.is_some() {
                for missed in &setup.missed {
                    flux.ui.warning(missed);
                }
                return Ok(());
            }
            if let (Some(exit), Some(_)) = (&exit, &setup.step) {
                return Err(failed(flux, id, exit, opened));
            }
            if step != setup.step {
                drop(spinner.take());
                spinner = match &setup.step {
                    Some(step) => flux.ui.spinner(format_args!(
                        "setting up (git flux attach {id} shows it): {step}"
                    )),
                    None => flux.ui.spinner("starting the agent"),
                };
                step.clone_from(&setup.step);
            }
        }
        if exit.is_some() {
            return Ok(());
        }
        interrupt::check()?;
        // Its process has gone without a mark: it could not write one.
        let gone = opened.is_some_and(|opened| !is_alive(opened.target.pane_pid, None));
        if through.is_some_and(|since| since.elapsed() > Duration::from_secs(2)) && !gone {
            // The launcher lives on, so it has started the agent: another has written over its mark.
            return Ok(());
        }
        if gone && begun.elapsed() > Duration::from_secs(2) && run.exit()?.is_none() {
            return Err(Failure::new("the pane closed before the agent was started").into());
        }
        if begun.elapsed() > Duration::from_secs(30) && running.is_none() {
            return Err(
                Failure::new("the pane did not start its program within 30 seconds").into(),
            );
        }
        watch.wait(PAUSE);
    }
}

/// Returns whether the launcher does not hold its request, or not any more.
fn is_free(request: &File) -> bool {
    request.try_lock_shared().is_ok() && request.unlock().is_ok()
}

/// The error for what ran before the agent and failed; what it said is shown.
fn failed(flux: &Flux, id: &TaskId, exit: &Exit, opened: Option<&Opened>) -> Error {
    let said = exit.error.clone().unwrap_or_else(|| exit.to_string());
    let failure = Failure::new(said);
    let lines = opened.and_then(|opened| last_lines(&opened.target, id, LINES));
    let Some(lines) = lines else {
        // The pane was closed: that is why.
        return failure.into();
    };
    let end = lines.iter().rposition(|line| line.contains(&end_of(id)));
    for line in &lines[..end.unwrap_or(lines.len())] {
        flux.ui.quote(line);
    }
    failure
        .hint("to start it all the same: git config flux.setupRequired false")
        .into()
}

/// What the launcher says last names this command.
fn end_of(id: &TaskId) -> String {
    format!("git flux cleanup {id}")
}

/// The end of what is on a pane whose agent has ended or was not started. The launcher's own
/// line comes last: once that is there, everything is. None if the pane has gone.
pub(crate) fn last_lines(target: &Target, id: &TaskId, count: usize) -> Option<Vec<String>> {
    let end = end_of(id);
    let begun = Instant::now();
    loop {
        let lines = pane::capture(target, count).ok()?;
        if begun.elapsed() > Duration::from_secs(2) || lines.iter().any(|line| line.contains(&end))
        {
            return Some(lines);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Returns how the agents of `started` ended, of each that does so by `until`. One that has taken
/// over its terminal (raw mode) is up, and not waited for any longer.
///
/// # Errors
/// When what one of them left cannot be read.
pub(crate) fn early_exits<'a>(
    flux: &Flux,
    started: &[&'a Started],
    until: Instant,
) -> Result<Vec<(&'a Started, Exit)>> {
    let mut ended = Vec::new();
    let mut left = started.to_vec();
    while !left.is_empty() && Instant::now() < until && !interrupt::requested() {
        let mut waiting = Vec::new();
        for one in left {
            match flux.run_dir(&one.task.id).exit()? {
                // A shell is no agent.
                Some(exit) if exit.is_none() => {}
                Some(exit) => ended.push((one, exit)),
                None if is_raw(&one.opened.tty) => {}
                None => waiting.push(one),
            }
        }
        left = waiting;
        if !left.is_empty() {
            thread::sleep(Duration::from_millis(5));
        }
    }
    Ok(ended)
}

fn is_raw(tty: &str) -> bool {
    let flags = OFlag::O_RDONLY | OFlag::O_NOCTTY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let terminal = open(tty, flags, Mode::empty()).and_then(tcgetattr);
    terminal.is_ok_and(|mode| !mode.local_flags.contains(LocalFlags::ICANON))
}
