//! What `git flux wait` is woken by.

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

/// What wakes `wait` for another look.
pub(super) struct Wakeups {
    pub(super) watch: Watch,
    news: Receiver<Wakeup>,
    schedule: Schedule,
    /// The panes of the tasks of which something can be learned there.
    panes: BTreeMap<TaskId, Target>,
    /// Which of them were looked for, by their processes, and whether their terminals tell of output.
    terminals: HashMap<i32, bool>,
}

impl Wakeups {
    pub(super) fn new() -> Result<Self> {
        let (sender, news) = channel();
        Ok(Self {
            watch: Watch::new(sender)?,
            news,
            schedule: Schedule::new(Instant::now()),
            panes: BTreeMap::new(),
            terminals: HashMap::new(),
        })
    }

    /// Notes that a look begins: it sees what was told until now.
    pub(super) fn begin_look(&mut self) {
        self.watch.reset_output();
        self.schedule.note_poll(Instant::now());
    }

    /// Notes the panes of those `tasks` of which something can be learned there.
    pub(super) fn note_panes(&mut self, tasks: &[&Task]) {
        let shown = tasks
            .iter()
            .filter(|task| agent::profile(&task.agent).shows());
        let panes = shown.filter_map(|task| Some((task.id.clone(), task.target.clone()?)));
        self.panes = panes.collect();
    }

    /// Watches the terminals of those tasks that are waited for still, as far as that can be done.
    pub(super) fn watch_terminals(&mut self, open: &BTreeSet<TaskId>) {
        self.panes.retain(|id, _| open.contains(id));
        let mut servers: HashMap<&Path, Vec<Pane>> = HashMap::new();
        for target in self.panes.values() {
            if self.terminals.contains_key(&target.pane_pid) {
                continue;
            }
            let panes = servers
                .entry(&target.socket)
                .or_insert_with(|| pane::list_quickly(&target.socket).unwrap_or_default());
            let pane = panes.iter().find(|pane| pane.matches(target));
            let has_reports = pane.is_some_and(|pane| self.watch.watch_terminal(&pane.tty));
            self.terminals.insert(target.pane_pid, has_reports);
        }
        let mut targets = self.panes.values();
        self.schedule.has_reports = targets.all(|target| self.terminals[&target.pane_pid]);
    }

    /// Waits until it is time for another look; `false` if that is not before the deadline.
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
                    // Of many at once one look is enough.
                    if { self.news.try_iter() }
                        .filter(|news| *news == Wakeup::Output)
                        .count()
                        > 0
                    {
                        self.schedule.note_output(Instant::now());
                    }
                    return Ok(true);
                }
                Ok(Wakeup::Output) => self.schedule.note_output(Instant::now()),
                Ok(Wakeup::Signal) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => bail!("nothing can be watched any more"),
            }
        }
    }
}
