//! The events that wake `git flux wait`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

use anyhow::{Result, bail};

use crate::run::schedule::Schedule;
use crate::run::watch::{Wakeup, Watch};
use crate::task::{Target, Task, TaskId};
use crate::tmux::pane::{self, Pane};
use crate::{agent, interrupt};

/// The events after which `wait` observes the tasks again.
pub(super) struct Wakeups {
    pub(super) watch: Watch,
    news: Receiver<Wakeup>,
    schedule: Schedule,
    /// The panes of tasks whose agents show their state there.
    panes: BTreeMap<TaskId, Target>,
    /// Set for each pane process whose terminal is watched.
    is_watched: HashMap<i32, bool>,
}

impl Wakeups {
    pub(super) fn new() -> Result<Self> {
        let (sender, news) = channel();
        Ok(Self {
            watch: Watch::new(sender)?,
            news,
            schedule: Schedule::new(Instant::now()),
            panes: BTreeMap::new(),
            is_watched: HashMap::new(),
        })
    }

    /// Notes that an observation of the tasks begins now: output until now needs no other one, and
    /// the time until the next one starts now.
    pub(super) fn note_observation(&mut self) {
        self.watch.reset_output();
        self.schedule.note_poll(Instant::now());
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
        self.panes.retain(|id, _| pending.contains(id));
        let mut servers: HashMap<&Path, Vec<Pane>> = HashMap::new();
        for target in self.panes.values() {
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
        let mut targets = self.panes.values();
        self.schedule.has_reports = targets.all(|target| self.is_watched[&target.pane_pid]);
    }

    /// Waits until the tasks have to be observed again: a run directory has changed, or an
    /// observation is due. Returns `false` at the deadline; fails on ^C.
    pub(super) fn wait(&mut self, deadline: Option<Instant>) -> Result<bool> {
        loop {
            interrupt::check()?;
            let now = Instant::now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Ok(false);
            }
            let due = (!self.panes.is_empty()).then(|| self.schedule.next_poll());
            if due.is_some_and(|due| due <= now) {
                return Ok(true);
            }
            let news = match due.into_iter().chain(deadline).min() {
                Some(next) => self.news.recv_timeout(next - now),
                None => self.news.recv().map_err(Into::into),
            };
            match news {
                Ok(Wakeup::Run) => {
                    // One observation covers all pending events.
                    let events: Vec<Wakeup> = self.news.try_iter().collect();
                    if events.contains(&Wakeup::Output) {
                        self.schedule.note_output(Instant::now());
                    }
                    return Ok(true);
                }
                Ok(Wakeup::Output) => self.schedule.note_output(Instant::now()),
                Ok(Wakeup::Signal) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("could not watch the tasks any longer")
                }
            }
        }
    }
}
