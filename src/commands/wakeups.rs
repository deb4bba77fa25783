//! The events that wake the commands that wait for tasks.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, ErrorKind};
use std::mem;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use jiff::Timestamp;

use crate::run::schedule::Schedule;
use crate::run::watch::{Wakeup, Watch};
use crate::task::{PaneId, Target, Task, TaskId};
use crate::tmux::pane::{self, Pane};
use crate::ui::Ui;
use crate::{agent, interrupt};

/// The time between two observations if no files can be watched.
pub(super) const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// A pane of a server, whatever gets the numbers later: the server's process and its start, the pane
/// and its process.
type PaneKey = (u32, Timestamp, PaneId, i32);

fn key(target: &Target) -> PaneKey {
    let (pid, start) = (target.server_pid, target.server_start);
    (pid, start, target.pane, target.pane_pid)
}

/// The terminal of a pane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PaneTerminal {
    Watched,
    Unwatched,
    /// The pane is closed. A new start of the agent opens another one.
    Gone,
}

/// The events after which the tasks are observed again.
pub(super) struct Wakeups {
    pub(super) watch: Watch,
    sender: Sender<Wakeup>,
    news: Receiver<Wakeup>,
    schedule: Schedule,
    /// The panes of tasks whose agents show their state there.
    panes: Vec<(TaskId, Target)>,
    /// The terminals of panes on servers that have listed theirs.
    terminals: HashMap<PaneKey, PaneTerminal>,
    /// The directories with changes since [`Wakeups::take_changed`].
    changed: BTreeSet<PathBuf>,
}

impl Wakeups {
    /// Creates a watch without files. If no files can be watched at all, warns, and polls instead:
    /// each agent watches files, too, and the system may have a limit for all together.
    pub(super) fn new() -> Result<Self> {
        let (sender, news) = channel();
        let watch = match Watch::new(sender.clone()) {
            Ok(watch) => watch,
            Err(error) => {
                let seconds = POLL_INTERVAL.as_secs();
                let what = format_args!("reading the tasks every {seconds} seconds: {error:#}");
                Ui::default().warning(what);
                Watch::blind(sender.clone())?
            }
        };
        Ok(Self::of(watch, (sender, news)))
    }

    fn of(watch: Watch, (sender, news): (Sender<Wakeup>, Receiver<Wakeup>)) -> Self {
        Self {
            watch,
            sender,
            news,
            schedule: Schedule::new(Instant::now()),
            panes: Vec::new(),
            terminals: HashMap::new(),
            changed: BTreeSet::new(),
        }
    }

    /// Returns a sender of more events, for another thread.
    pub(super) fn sender(&self) -> Sender<Wakeup> {
        self.sender.clone()
    }

    /// Lets the polling of agents end after 70 seconds without output, if all terminals report it:
    /// an idle command then starts no process. A change of a file on a network may go unnoticed.
    pub(super) fn rest(&mut self) {
        self.schedule.rests = true;
    }

    /// Returns the directories in which files have changed since the last call.
    pub(super) fn take_changed(&mut self) -> BTreeSet<PathBuf> {
        mem::take(&mut self.changed)
    }

    /// Notes that the tasks are observed now: forgets the output until now, and counts the time
    /// until the next observation from now.
    pub(super) fn note_observation(&mut self) {
        self.watch.reset_output();
        self.schedule.note_poll(Instant::now());
    }

    /// Returns whether a terminal has had output since the last observation.
    pub(super) fn has_output(&self) -> bool {
        self.schedule.has_output
    }

    /// Replaces the panes to watch with those of `tasks` whose agents show their state in the title
    /// or output of their pane.
    pub(super) fn note_panes(&mut self, tasks: &[&Task]) {
        let shown = tasks
            .iter()
            .filter(|task| agent::profile(&task.agent).is_observable());
        let panes = shown.filter_map(|task| Some((task.id.clone(), task.target.clone()?)));
        self.panes = panes.collect();
    }

    /// Watches the terminals of the pending tasks' panes for output, and forgets panes that are closed
    /// and those of other tasks. If one cannot be watched, as outside Linux, or its server does not
    /// answer, all are observed more often.
    pub(super) fn watch_terminals(&mut self, pending: &BTreeSet<TaskId>) {
        self.panes.retain(|(id, _)| pending.contains(id));
        let mut servers: HashMap<PathBuf, Option<Vec<Pane>>> = HashMap::new();
        let (watch, terminals) = (&mut self.watch, &mut self.terminals);
        self.panes.retain(|(_, target)| {
            if let Some(known) = terminals.get(&key(target)) {
                return *known != PaneTerminal::Gone;
            }
            let ask = || pane::list_quickly(&target.socket).ok();
            let panes = servers.entry(target.socket.clone()).or_insert_with(ask);
            // Without an answer, the next call asks again.
            let Some(panes) = panes else { return true };
            // No server runs now.
            if panes.is_empty() {
                return false;
            }
            let terminal = match panes.iter().find(|pane| pane.matches(target)) {
                None => PaneTerminal::Gone,
                Some(pane) if watch.watch_terminal(&pane.tty) => PaneTerminal::Watched,
                Some(_) => PaneTerminal::Unwatched,
            };
            terminals.insert(key(target), terminal);
            terminal != PaneTerminal::Gone
        });
        let is_watched =
            |target: &Target| terminals.get(&key(target)) == Some(&PaneTerminal::Watched);
        let mut targets = self.panes.iter();
        self.schedule.has_reports = targets.all(|(_, target)| is_watched(target));
    }

    /// Waits until the tasks have to be observed again: a run directory has changed, or an
    /// observation is due. Returns `false` at the deadline; fails on ^C, and if the reader of
    /// standard output has closed the pipe.
    pub(super) fn wait(&mut self, deadline: Option<Instant>) -> Result<bool> {
        let poll = self
            .watch
            .is_blind()
            .then(|| Instant::now() + POLL_INTERVAL);
        loop {
            interrupt::check()?;
            let now = Instant::now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Ok(false);
            }
            let due = (!self.panes.is_empty()).then(|| self.schedule.next_poll());
            let due = due.flatten().into_iter().chain(poll).min();
            if due.is_some_and(|due| due <= now) {
                return Ok(true);
            }
            if self.receive(due.into_iter().chain(deadline).min())? {
                // One observation covers all pending events.
                while let Ok(event) = self.news.try_recv() {
                    self.note(event)?;
                }
                return Ok(true);
            }
        }
    }

    /// Receives all events until `end`. Returns whether one of them is a change of a run. Fails as
    /// [`Wakeups::wait`] does.
    pub(super) fn pause(&mut self, end: Instant) -> Result<bool> {
        let mut is_run = false;
        while Instant::now() < end {
            interrupt::check()?;
            is_run |= self.receive(Some(end))?;
        }
        Ok(is_run)
    }

    /// Waits for an event, at most until `end`. Returns whether it is a change of a run.
    fn receive(&mut self, end: Option<Instant>) -> Result<bool> {
        let news = match end {
            Some(end) => {
                let left = end.saturating_duration_since(Instant::now());
                self.news.recv_timeout(left)
            }
            None => self.news.recv().map_err(Into::into),
        };
        match news {
            Ok(event) => self.note(event),
            Err(RecvTimeoutError::Timeout) => Ok(false),
            Err(RecvTimeoutError::Disconnected) => bail!("could not watch the tasks any longer"),
        }
    }

    /// Records the directory of a run that has changed, or the time of output. Returns whether a
    /// run has changed. Fails if the reader of standard output has closed the pipe.
    fn note(&mut self, event: Wakeup) -> Result<bool> {
        match event {
            Wakeup::Run(dir) => {
                self.changed.insert(dir);
                return Ok(true);
            }
            Wakeup::Output(_) => self.schedule.note_output(Instant::now()),
            Wakeup::Signal => {}
            Wakeup::Closed => return Err(io::Error::from(ErrorKind::BrokenPipe).into()),
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::net::UnixListener;
    use std::path::Path;

    use serde_json::json;

    use super::*;

    /// Returns a task of an agent that shows its state in its pane, on a server with this socket.
    fn task(socket: &Path) -> Task {
        let record = json!({
            "version": 1, "id": "fix", "title": "Fix", "phase": "active", "agent": "claude",
            "branch": "fix", "base": "0".repeat(40), "into": "main", "worktree": "/fix",
            "created": 1,
            "target": {
                "kind": "session", "session": "fix", "window": "@1", "pane": "%1", "pane_pid": 2,
                "socket": socket, "server_pid": 3, "server_start": 1,
            },
        });
        Task::from_json(record.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn pane_is_forgotten_when_its_server_says_that_it_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("socket");
        let task = task(&socket);
        let (sender, news) = channel();
        let watch = Watch::without_signals(sender.clone()).unwrap();
        let mut wakeups = Wakeups::of(watch, (sender, news));
        let mut watch_terminals = || {
            wakeups.note_panes(&[&task]);
            wakeups.watch_terminals(&[task.id.clone()].into());
            (wakeups.panes.len(), wakeups.schedule.has_reports)
        };
        // It takes the question, and does not answer.
        let listener = UnixListener::bind(&socket).unwrap();
        assert_eq!(watch_terminals(), (1, false));
        drop(listener);
        fs::remove_file(&socket).unwrap();
        for _ in 0..2 {
            assert_eq!(watch_terminals(), (0, true));
        }
    }
}
