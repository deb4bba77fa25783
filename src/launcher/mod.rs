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

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;
use std::process::Command;
use std::thread;

use anyhow::{Context as _, Result};
use nix::sys::termios;
use nix::unistd::{self, Pid};
use signal_hook::consts::{
    SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU,
};
use signal_hook::iterator::Signals;

use self::follow::Follow;
use self::group::Received;
use self::job::Job;
use self::notify::Notices;
use crate::git::regular_file::open_file;
use crate::run::RunDir;
use crate::run::events::{Event, EventLog, START};
use crate::run::launch::{Launch, Machine, Running, SetupProgress};
use crate::system::clock::{seconds, this_second};
use crate::system::process::boot;
use crate::system::program;
use crate::task::{Bytes, Exit, How, Said, State, version};
use crate::tmux::pane;

/// Runs the agent that the file at `path` describes. Returns only if no shell is to follow.
///
/// # Errors
/// When the request was taken back, or the agent cannot be started.
pub(crate) fn run(path: &Path) -> Result<()> {
    let run = RunDir(path.parent().context("no launch file")?.to_owned());
    // Installed first: from here on nothing ends the launcher unseen. What tmux left
    // ignored (SIGTTIN, SIGTTOU) is caught as well, and so as usual for the agent.
    let signals = Signals::new([
        SIGCHLD, SIGHUP, SIGTERM, SIGINT, SIGQUIT, SIGTSTP, SIGCONT, SIGTTIN, SIGTTOU,
    ])?;
    let (request, launch) = read_request(path).context(TAKEN_BACK)??;
    let running = mark_of(&launch);
    // Who waits for our end, or asks whether we live, looks at this lock: it comes before the
    // mark. The shell that we become has it no more.
    let _alive = run.hold_alive_lock();
    // The mark comes before the request goes: who takes a request back and
    // finds it gone finds the mark.
    run.write_running(&running)?;
    fs::remove_file(path).context(TAKEN_BACK)?;
    note(&run, &Event::new(Said::Starting, START));
    let notices = Notices::of(&run);
    let mut job = Job {
        launch,
        run,
        running,
        terminal: termios::tcgetattr(io::stdin()).ok(),
        signals,
        received: Received::default(),
        left: Vec::new(),
    };
    let mut exit = match start(&mut job) {
        Ok(agent) => {
            drop(request);
            if let Some(mut follow) = Follow::of(&job) {
                thread::spawn(move || follow.note_all());
            }
            job.wait_for_agent(agent)?
        }
        Err(error) => Exit::new(How::Unstarted(format!("{error:#}")), seconds()),
    };
    job.received.note(&mut exit);
    job.hang_up_leftovers();
    finish(&job, &exit, notices)
}

const TAKEN_BACK: &str = "there is nothing to start: the task was taken back";

/// Reads the launch file, and returns it with a lock on it. That is held until the agent is started,
/// or it is written down why not: no mark that an agent writes changes that, for the file is gone by
/// then.
fn read_request(path: &Path) -> io::Result<Result<(File, Launch)>> {
    let mut request = open_file(path)?;
    request.try_lock().ok();
    let mut bytes = Vec::new();
    request.read_to_end(&mut bytes)?;
    let launch = version::parse(&bytes, version::RUN).context("the launch file cannot be read");
    Ok(launch.map(|launch| (request, launch)))
}

/// Returns the mark of this process as the launcher.
fn mark_of(launch: &Launch) -> Running {
    let pid = unistd::getpid().as_raw();
    Running {
        launcher: pid,
        boot: boot(),
        machine: Some(Machine::current()),
        worktree: Some(Bytes(launch.worktree.clone().into())),
        agent: None,
        since: this_second(),
        setup: SetupProgress::default(),
    }
}

/// Starts the agent in its worktree, once that is ready.
fn start(job: &mut Job) -> Result<Pid> {
    // Without any step, the agent runs at once, as its pane says.
    let has_steps = !job.launch.ready.steps.is_empty();
    if has_steps {
        pane::set_own_state(job.running.launcher, Said::Starting.into_str());
    }
    job.enter()?;
    job.make_ready()?;
    if has_steps {
        pane::set_own_state(job.running.launcher, "running");
    }
    job.start()
}

/// Writes down how the agent ended, and leaves its user a shell, unless the terminal goes.
fn finish(job: &Job, exit: &Exit, notices: Option<Notices>) -> Result<()> {
    let end = Event::new(Said::Exited, "exit").with_message(exit);
    note(&job.run, &end);
    let is_hung_up = job.received.is_hung_up;
    if !is_hung_up && let Some(screen) = pane::capture_own() {
        drop(job.run.write_screen(&screen));
    }
    // The last that is written: who finds it finds all.
    job.run.write_exit(exit)?;
    if is_hung_up {
        return Ok(());
    }
    // Who stopped it knows.
    if !exit.stopped {
        drop(notify::begin(notices, None, &end, &job.launch.env));
    }
    pane::set_own_state(job.running.launcher, State::Ended(exit.clone()).name());
    job.exec_shell(exit)
}

/// Adds to what has happened. What counts is in files of its own: a full disk is no reason
/// to start nothing.
fn note(run: &RunDir, event: &Event) {
    drop(EventLog::open(&run.events()).and_then(|log| log.append(event)));
}

/// Becomes the user's shell in `worktree`: for a task whose agent has ended.
///
/// # Errors
/// When the worktree is gone, or the shell cannot be started.
pub(crate) fn shell(worktree: &Path) -> Result<()> {
    job::go_to(worktree)?;
    job::become_program(Command::new(program::shell()))
}
