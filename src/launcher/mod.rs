//! The program in a task's pane: it starts the agent, sees how it ends, and
//! leaves the user a shell.
//!
//! It is the leader of the pane's session and does what a shell does with a
//! job: the agent has its own process group and the terminal. ^C reaches the
//! agent alone, ^Z brings a shell whose end resumes the agent, and when the
//! pane goes, the agent gets the hang-up and its end is still recorded.

mod follow;
mod group;
pub(crate) mod hook;
mod job;
pub(crate) mod notify;
mod setup;

use std::env;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use nix::sys::termios;
use nix::unistd;
use signal_hook::consts::{
    SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU,
};
use signal_hook::iterator::Signals;

use self::job::Job;
use self::notify::Notices;
use self::setup::{Failed, dismiss};
use crate::git::regular_file::open_file;
use crate::run::RunDir;
use crate::run::events::{self, Event, START};
use crate::run::launch::{Launch, Progress, Running};
use crate::run::machine::Machine;
use crate::system::clock::now;
use crate::system::process::{boot, born};
use crate::system::program;
use crate::task::{Bytes, Exit, Said, State, version};
use crate::tmux::pane;

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
        pane::mark_own(pid, Said::Starting.name());
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
            let exit = Exit {
                error: Some(format!("{error:#}")),
                at: now(),
                ..Exit::default()
            };
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
    let shell = program::shell();
    Err(Command::new(&shell).exec())
        .with_context(|| format!("could not start '{}'", shell.to_string_lossy()))
}
