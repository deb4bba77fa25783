//! The program in a task's pane, which runs the agent and then a shell.
//!
//! It is the session leader of the terminal and treats the agent like a shell's job: in its own
//! process group, in the foreground. ^C reaches only the agent. ^Z opens a shell; leaving it resumes
//! the agent. When the pane is closed, the agent gets SIGHUP, and its exit status is recorded.

mod file_watcher;
mod foreground_child;
pub(crate) mod front;
mod git_words;
mod group;
pub(crate) mod hook;
mod job;
pub(crate) mod notify;
mod own_git;
mod queue_watcher;
mod setup;
pub(crate) mod stash;
mod stash_watcher;
mod worktree_lock;

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

use self::file_watcher::FileWatcher;
use self::group::EndSignal;
use self::job::Job;
use self::notify::Notifier;
use self::queue_watcher::QueueWatcher;
use self::stash_watcher::{SharedStash, StashWatcher};
use crate::run::RunDir;
use crate::run::events::{Event, EventLog, START};
use crate::run::launch::{Launch, Machine, Running, SetupProgress};
use crate::run::stash_notes::StashMoment;
use crate::system::clock::this_second;
use crate::system::process::boot_id;
use crate::system::program;
use crate::system::regular_file::open_file;
use crate::task::{Activity, Bytes, Exit, ExitReason, State, version};
use crate::tmux::pane;

/// Runs the launcher, the program in a task's pane: removes the launch file at `path`, runs setup
/// and the agent, and records the agent's exit. Then becomes the user's shell; returns if the
/// terminal is closed, or if the agent was a shell.
pub(crate) fn run(path: &Path) -> Result<()> {
    let run = RunDir(path.parent().context("no launch file")?.to_owned());
    // Installed first, so that each exit is recorded. tmux ignores SIGTTIN and SIGTTOU; catching
    // them gives the agent the defaults.
    let signals = Signals::new([
        SIGCHLD, SIGHUP, SIGTERM, SIGINT, SIGQUIT, SIGTSTP, SIGCONT, SIGTTIN, SIGTTOU,
    ])?;
    let (request, launch) = read_request(path).context(CANCELLED)??;
    let running = new_running(&launch);
    // Other commands check this lock once `running` exists. It is closed on exec.
    let _alive = run.hold_alive_lock();
    // Written first: a command that cannot remove the launch file relies on `running`.
    run.write_running(&running)?;
    fs::remove_file(path).context(CANCELLED)?;
    append_event(&run, &Event::new(Activity::Starting, START));
    let notifier = Notifier::of(&run);
    let mut job = Job {
        launch,
        run,
        running,
        terminal: termios::tcgetattr(io::stdin()).ok(),
        signals,
        received: EndSignal::default(),
        leftovers: Vec::new(),
    };
    let stash = SharedStash::of(&job);
    // Before the agent, which may drop entries at once.
    if let Some(mut watcher) = stash.as_ref().and_then(StashWatcher::of) {
        thread::spawn(move || watcher.run());
    }
    let mut exit = match start(&mut job) {
        Ok(agent) => {
            drop(request);
            if let Some(mut watcher) = FileWatcher::of(&job) {
                thread::spawn(move || watcher.run());
            }
            if let Some(watcher) = QueueWatcher::of(&job) {
                thread::spawn(move || drop(watcher.run()));
            }
            job.wait_for_agent(agent)?
        }
        Err(error) => Exit::new(ExitReason::NotStarted(format!("{error:#}")), this_second()),
    };
    job.received.add_to(&mut exit);
    job.hang_up_leftovers();
    if let Some(stash) = stash {
        // The thread may not get to the last change.
        stash.note(StashMoment::Change);
    }
    finish(&job, &exit, notifier)
}

const CANCELLED: &str = "the task was not started";

/// Opens and parses the launch file at `path`, and locks it until the returned file is closed;
/// continues without the lock if another process has it. The outer error is that the file cannot be
/// read, the inner one that its content is invalid.
fn read_request(path: &Path) -> io::Result<Result<(File, Launch)>> {
    let mut request = open_file(path)?;
    // Held until the agent has started or its failure is recorded. An agent cannot forge that,
    // because the file is removed by then.
    request.try_lock().ok();
    let mut bytes = Vec::new();
    request.read_to_end(&mut bytes)?;
    let launch =
        version::parse(&bytes, version::RUN_VERSION).context("its file 'launch' cannot be read");
    Ok(launch.map(|launch| (request, launch)))
}

/// Returns the content of the file `running` for this launcher: its process id, boot, machine,
/// worktree and start time, and no agent yet.
fn new_running(launch: &Launch) -> Running {
    let pid = unistd::getpid().as_raw();
    Running {
        launcher: pid,
        boot: boot_id(),
        machine: Some(Machine::current()),
        worktree: Some(Bytes(launch.worktree.clone().into())),
        agent: None,
        since: this_second(),
        wrapper_since: None,
        setup: SetupProgress::default(),
    }
}

/// Enters the task's worktree, locks it, links git's programs for the agent's own `git`, runs the
/// setup commands, and starts the agent. Returns the agent's process id. Sets the pane's
/// `@flux_state` if there are setup commands.
fn start(job: &mut Job) -> Result<Pid> {
    let has_steps = !job.launch.ready.steps.is_empty();
    if has_steps {
        pane::set_own_state(job.running.launcher, Activity::Starting.into_str());
    }
    job.enter_worktree()?;
    job.lock_worktree()?;
    job.link_git_programs()?;
    job.run_setup()?;
    if has_steps {
        pane::set_own_state(job.running.launcher, "running");
    }
    job.start()
}

/// Records the end of the run in its log and, unless it is not known how the agent ended
/// ([`ExitReason::Unseen`]), in the file `exit`. Then returns if the terminal is closed. Otherwise
/// also records the screen, notifies the user unless git flux stopped the agent, and becomes the
/// user's shell.
fn finish(job: &Job, exit: &Exit, notifier: Option<Notifier>) -> Result<()> {
    let end = Event::new(Activity::Exited, "exit").with_message(exit);
    append_event(&job.run, &end);
    let is_hung_up = job.received.is_hung_up;
    if !is_hung_up && let Some(screen) = pane::capture_own() {
        drop(job.run.write_screen(&screen));
    }
    // Before `exit`, after which another launcher of the task may lock it.
    job.unlock_worktree();
    // Without the file, the agent is lost.
    if !exit.is_unseen() {
        // Written last, when all other files are complete.
        job.run.write_exit(exit)?;
    }
    if is_hung_up {
        return Ok(());
    }
    if !exit.stopped {
        drop(notify::start_notifier(
            notifier,
            None,
            &end,
            &job.launch.env,
        ));
    }
    let state = if exit.is_unseen() {
        State::Lost
    } else {
        State::Ended(exit.clone())
    };
    pane::set_own_state(job.running.launcher, state.name());
    job.exec_shell(exit)
}

/// Appends an event to the log of a run, and ignores failures such as a full disk.
fn append_event(run: &RunDir, event: &Event) {
    drop(EventLog::open(&run.events()).and_then(|log| log.append(event)));
}

/// Changes the working directory to `worktree` and replaces this process by the user's shell, for a
/// task whose agent has ended. Returns only an error.
pub(crate) fn exec_shell(worktree: &Path) -> Result<()> {
    job::change_dir(worktree)?;
    job::exec(Command::new(program::user_shell()))
}
