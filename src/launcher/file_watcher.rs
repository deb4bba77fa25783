//! Records changes of an agent's state that its own files show but no hook reports.
//!
//! A thread of the launcher waits until one of these files is written.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context as _, Result};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use super::job::Job;
use super::notify::{Notifier, start_notifier};
use crate::agent::{self, Files};
use crate::run::RunDir;
use crate::run::events::{self, Event, EventLog};
use crate::run::launch::{Launch, Running};
use crate::task::Activity;
use crate::task::finding::{STALLED, TITLE_LAG};
use crate::tmux::pane;

/// The number of checks after a write, one after each [`TITLE_LAG`].
const CHECKS_PER_WRITE: i64 = (STALLED.as_secs() + 1) / TITLE_LAG.as_secs() + 1;

/// Watches the files of an agent.
pub(super) struct FileWatcher {
    watcher: RecommendedWatcher,
    /// `false` while the directory does not exist.
    is_watching: bool,
    files: &'static Files,
    /// The directory of the files.
    dir: PathBuf,
    run: RunDir,
    launch: Launch,
    running: Running,
    notifier: Option<Notifier>,
    writes: Receiver<()>,
}

impl FileWatcher {
    /// Creates a watcher of the files in which a job's agent records its state. Returns `None` if
    /// this agent has no such files, or if the system cannot watch files.
    pub(super) fn of(job: &Job) -> Option<Self> {
        let (launch, run) = (job.launch.clone(), job.run.clone());
        let files = agent::profile(&launch.agent).files.as_ref()?;
        let variable = |name: &str| launch.env.iter().find(|(key, _)| key.0 == name);
        let dir = (files.dir)(&|name| variable(name).map(|(_, value)| value.0.clone()))?;
        let (sender, writes) = channel();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading must not cause another check.
            if event.is_ok_and(|event| !event.kind.is_access()) {
                sender.send(()).ok();
            }
        });
        Some(Self {
            watcher: watcher.ok()?,
            is_watching: false,
            files,
            dir,
            notifier: Notifier::of(&run),
            run,
            launch,
            running: job.running.clone(),
            writes,
        })
    }

    /// Records changes of the agent's state after each write to its files; runs forever. Reads the
    /// files every two seconds for 12 seconds after a write, because some states that contradict a
    /// hook's report count only when they are two or ten seconds old.
    pub(super) fn run(&mut self) {
        // Files may have been written before the watch.
        let mut checks_left = CHECKS_PER_WRITE;
        self.watch();
        loop {
            let longest = match checks_left {
                0 => Duration::MAX,
                _ => TITLE_LAG.unsigned_abs(),
            };
            checks_left = match self.writes.recv_timeout(longest) {
                Ok(()) => CHECKS_PER_WRITE,
                Err(RecvTimeoutError::Timeout) => checks_left - 1,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            // One check is enough for several writes.
            self.writes.try_iter().for_each(drop);
            self.watch();
            drop(self.record());
        }
    }

    /// Starts to watch the directory of the agent's files or, while it does not exist, the nearest
    /// existing directory above it. Does nothing once the directory of the files itself is watched.
    fn watch(&mut self) {
        if self.is_watching {
            return;
        }
        self.is_watching = self.watcher.watch(&self.dir, self.files.mode).is_ok();
        if !self.is_watching {
            let mut above = self.dir.ancestors().skip(1);
            let mode = RecursiveMode::NonRecursive;
            above.find(|dir| self.watcher.watch(dir, mode).is_ok());
        }
    }

    /// Appends an event to the run's log if the agent's files show a new state, sets the pane's
    /// `@flux_state`, and notifies the user. Waits until the process that notifies has ended.
    fn record(&self) -> Result<()> {
        let path = self.run.events();
        let log = EventLog::open(&path)?;
        let before = events::last(&path)?.context("the run has no events")?;
        let Some(event) = self.changed_event(&before) else {
            return Ok(());
        };
        log.append(&event)?;
        drop(log);
        if event.state != before.state {
            pane::set_own_state(self.running.launcher, event.state.into_str());
        }
        let env = &self.launch.env;
        let child = start_notifier(self.notifier.clone(), Some(&before), &event, env)?;
        child.map_or(Ok(()), |mut child| Ok(child.wait().map(drop)?))
    }

    fn changed_event(&self, before: &Event) -> Option<Event> {
        if before.state == Activity::Exited {
            return None;
        }
        let worktree = &self.launch.worktree;
        let event = (self.files.read)(&self.dir, &self.running, worktree, before)?;
        (!event.has_state_of(before)).then(|| event.with_session_of(before))
    }
}
