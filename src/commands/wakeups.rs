//! The events that wake the commands that wait for tasks.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, ErrorKind};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::run::schedule::Schedule;
use crate::run::watch::{Wakeup, Watch};
use crate::task::{Target, Task, TaskId};
use crate::tmux::pane::{self, Pane};
use crate::ui::Ui;
use crate::{agent, interrupt};

/// The time between two observations if no files can be watched.
pub(super) const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// The events after which the tasks are observed again.
pub(super) struct Wakeups {
    pub(super) watch: Watch,
    sender: Sender<Wakeup>,
    news: Receiver<Wakeup>,
    schedule: Schedule,
    /// The panes of tasks whose agents show their state there.
    panes: Vec<(TaskId, Target)>,
    /// Set for each pane process whose terminal is watched.
    is_watched: HashMap<i32, bool>,
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
        Ok(Self {
            watch,
            sender,
            news,
            schedule: Schedule::new(Instant::now()),
            panes: Vec::new(),
            is_watched: HashMap::new(),
            changed: BTreeSet::new(),
        })
    }

    /// Returns a sender of more events, for another thread.
    pub(super) fn sender(&self) -> Sender<Wakeup> {
        self.sender.clone()
    }

    /// Lets the polls of agents end some time after their last output: an idle command starts no
    /// process then. A change of a file on a network may go unnoticed.
    pub(super) fn rest(&mut self) {
        self.schedule.rests = true;
    }

    /// Returns the directories in which files have changed since the last call.
    pub(super) fn take_changed(&mut self) -> BTreeSet<PathBuf> {
        mem::take(&mut self.changed)
    }

    /// Notes that an observation of the tasks begins now: output until now needs no other one, and
    /// the time until the next one starts now.
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

    /// Watches the terminals of the pending tasks' panes for output, and forgets the panes of other
    /// tasks. If one cannot be watched, as outside Linux, all are observed more often.
    pub(super) fn watch_terminals(&mut self, pending: &BTreeSet<TaskId>) {
        self.panes.retain(|(id, _)| pending.contains(id));
        let mut servers: HashMap<&Path, Vec<Pane>> = HashMap::new();
        for (_, target) in &self.panes {
            if self.is_watched.contains_key(&target.pane_pid) {
                continue;
            }
            let panes = servers
                .entry(&target.socket)
                .or_insert_with(|| pane::list_quickly(&target.socket).unwrap_or_default());
            let pane = panes.iter().find(|pane| pane.matches(target));
            let is_watched = pane.is_some_and(|pane| self.watch.watch_terminal(&pane.tty));
            self.is_watched.insert(target.pane_pid, is_watched);
        }
        let mut targets = self.panes.iter();
        self.schedule.has_reports = targets.all(|(_, target)| self.is_watched[&target.pane_pid]);
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

    /// Notes an event. Returns whether it is a change of a run.
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
