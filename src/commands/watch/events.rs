//! The events of the view, and the threads that they come from.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use anyhow::Result;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGWINCH};
use signal_hook::iterator::Signals;

use super::lines::{Panes, start_reader};
use super::model::{LastLines, TaskKey};
use super::screen::{ScreenReader, Shown};
use crate::commands::list::reader::TaskReader;
use crate::commands::list::rows::Rows;
use crate::failure::{DECLINED, exit_code};
use crate::run::watch::Wakeup;

/// An event of the view.
pub(super) enum Event {
    /// There are keys to read.
    Keys,
    Resized,
    /// SIGTSTP
    Suspended,
    /// SIGCONT
    Continued,
    /// SIGINT, SIGTERM, SIGHUP, or the terminal is closed.
    Ended,
    Rows(Vec<Rows>),
    LastLines(LastLines),
    Screen(Shown),
    /// Something could not be read.
    Trouble(String),
}

/// The threads that send events.
pub(super) struct Sources {
    pub(super) screen: ScreenReader,
    keys: Sender<()>,
    /// The thread of the keys waits for one.
    expects_keys: bool,
    tasks: Sender<Wakeup>,
}

impl Sources {
    /// Starts the threads that send the events of signals, keys, tasks and screens, and expects the
    /// first key. `reader` must have read the tasks once.
    pub(super) fn start(reader: TaskReader) -> Result<(Self, Receiver<Event>)> {
        let (sender, events) = channel();
        send_signals(sender.clone())?;
        let keys = send_keys(sender.clone());
        let tasks = reader.watch.wakeups.sender();
        let screens = sender.clone();
        let screen = ScreenReader::start(move |shown| drop(screens.send(Event::Screen(shown))));
        thread::spawn(move || send_tasks(reader, &sender));
        let mut sources = Self {
            screen,
            keys,
            expects_keys: false,
            tasks,
        };
        sources.expect_keys();
        Ok((sources, events))
    }

    /// Lets the next key send an event. Only one event comes, so that another program can read
    /// further keys.
    pub(super) fn expect_keys(&mut self) {
        if !self.expects_keys {
            self.keys.send(()).ok();
            self.expects_keys = true;
        }
    }

    /// Notes that the event of a key has come.
    pub(super) fn note_keys(&mut self) {
        self.expects_keys = false;
    }

    /// Lets the tasks be read again.
    pub(super) fn refresh(&self) {
        self.tasks.send(Wakeup::Run(PathBuf::new())).ok();
    }
}

fn send_signals(events: Sender<Event>) -> Result<()> {
    let signals = [SIGWINCH, SIGTSTP, SIGCONT, SIGINT, SIGTERM, SIGHUP];
    let mut signals = Signals::new(signals)?;
    thread::spawn(move || {
        for signal in signals.forever() {
            let event = match signal {
                SIGWINCH => Event::Resized,
                SIGTSTP => Event::Suspended,
                SIGCONT => Event::Continued,
                _ => Event::Ended,
            };
            events.send(event).ok();
        }
    });
    Ok(())
}

/// Starts a thread that waits for a key after each `()` sent to it, and then sends an event. Does
/// not read the key from standard input.
fn send_keys(events: Sender<Event>) -> Sender<()> {
    let (sender, requests) = channel();
    thread::spawn(move || {
        for () in requests {
            let stdin = io::stdin();
            let mut input = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
            while poll(&mut input, PollTimeout::NONE) == Err(Errno::EINTR) {}
            let found = input[0].revents().unwrap_or(PollFlags::POLLERR);
            let event = match found.intersects(PollFlags::POLLHUP | PollFlags::POLLERR) {
                true => Event::Ended,
                false => Event::Keys,
            };
            if events.send(event).is_err() {
                return;
            }
        }
    });
    sender
}

/// Reads the tasks whenever they may have changed, and sends them as events, until the view ends.
/// Starts a thread that reads the last lines of the tasks: at first of every task, later of those
/// whose run directory has changed.
fn send_tasks(mut reader: TaskReader, events: &Sender<Event>) {
    let mut rows = reader.rows().to_vec();
    let mut asked = Asked::All;
    let shown = events.clone();
    let lines = start_reader(move |lines| drop(shown.send(Event::LastLines(lines))));
    loop {
        // The reader lives as long as this one.
        lines.send(find_panes(&rows, &asked)).ok();
        match reader.next_rows() {
            Ok(next) => next.clone_into(&mut rows),
            // The signal has an event of its own.
            Err(error) if exit_code(&error) == DECLINED => return,
            Err(error) => drop(events.send(Event::Trouble(format!("error: {error:#}")))),
        }
        asked = Asked::With(ids_of_runs(&reader.take_changed()));
        if events.send(Event::Rows(rows.clone())).is_err() {
            return;
        }
    }
}

/// The tasks whose last lines are read.
enum Asked {
    All,
    /// Those whose run directory has this name.
    With(BTreeSet<OsString>),
}

/// Returns the names of those directories that are run directories.
fn ids_of_runs(dirs: &BTreeSet<PathBuf>) -> BTreeSet<OsString> {
    let is_run = |dir: &&PathBuf| {
        dir.parent()
            .is_some_and(|above| above.ends_with("flux/run"))
    };
    let runs = dirs.iter().filter(is_run);
    runs.filter_map(|dir| dir.file_name().map(Into::into))
        .collect()
}

/// Returns the tasks in `asked`, each with its pane; `None` for the pane if the agent does not run,
/// or if the task belongs to another user.
fn find_panes(repositories: &[Rows], asked: &Asked) -> Panes {
    let mut panes = Vec::new();
    for Rows { home, rows } in repositories {
        for row in rows {
            let is_asked = match asked {
                Asked::All => true,
                Asked::With(ids) => ids.contains(&OsString::from(row.id.as_str())),
            };
            if !is_asked {
                continue;
            }
            let status = row.status.as_ref();
            let alive = status.filter(|status| status.owner.is_none() && status.state.is_alive());
            let target = alive.and_then(|status| status.task.target.clone());
            let (home, id) = (home.clone(), row.id.clone());
            panes.push((TaskKey { home, id }, target));
        }
    }
    panes
}
