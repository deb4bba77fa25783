//! Notes what an agent keeps in files of its own where no hook tells it, beside what its hooks
//! have said: who waits for it hears of that, and its user is told.
//!
//! The launcher does it, in a thread that sleeps until one of these files is written.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context as _, Result};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use super::job::Job;
use super::notify::{self as notices, Notices};
use crate::agent::{self, Files};
use crate::run::RunDir;
use crate::run::events::{self, Event, EventLog};
use crate::run::launch::{Launch, Running};
use crate::task::Said;
use crate::task::finding::{LAG, PAUSE};
use crate::tmux::pane;

/// How often there is a look after something was written, or may have been, each after a [`LAG`].
const LOOKS: u64 = (PAUSE + 1) * 1000 / LAG + 1;

/// What is known of the files of an agent.
pub(super) struct Follow {
    files: RecommendedWatcher,
    /// Whether the directory itself is watched: it may not be there yet.
    is_watched: bool,
    kept: &'static Files,
    /// The directory of the files.
    dir: PathBuf,
    run: RunDir,
    launch: Launch,
    running: Running,
    notices: Option<Notices>,
    /// Something was written.
    written: Receiver<()>,
}

impl Follow {
    /// Returns what follows the files of the agent that was started; `None` for one that keeps none,
    /// or where nothing can be watched.
    pub(super) fn of(job: &Job) -> Option<Self> {
        let (launch, run) = (job.launch.clone(), job.run.clone());
        let kept = agent::profile(&launch.agent).files.as_ref()?;
        let variable = |name: &str| launch.env.iter().find(|(key, _)| key.0 == name);
        let dir = (kept.dir)(&|name| variable(name).map(|(_, value)| value.0.clone()))?;
        let (sender, written) = channel();
        let files = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // What is only read is no news, and would be read once more for that.
            if event.is_ok_and(|event| !event.kind.is_access()) {
                sender.send(()).ok();
            }
        });
        Some(Self {
            files: files.ok()?,
            is_watched: false,
            kept,
            dir,
            notices: Notices::of(&run),
            run,
            launch,
            running: job.running.clone(),
            written,
        })
    }

    /// Notes what is new whenever something was written, for ever: nothing is, once the launcher has
    /// noted that the agent has ended. What contradicts a hook counts only after a while, so there
    /// are some more looks.
    pub(super) fn note_all(&mut self) {
        // What was written before it is watched is not told.
        let mut left = LOOKS;
        self.watch();
        loop {
            let longest = match left {
                0 => Duration::MAX,
                _ => Duration::from_millis(LAG),
            };
            left = match self.written.recv_timeout(longest) {
                Ok(()) => LOOKS,
                Err(RecvTimeoutError::Timeout) => left - 1,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            // Of many at once one look is enough.
            self.written.try_iter().for_each(drop);
            self.watch();
            drop(self.note());
        }
    }

    /// Watches the directory of the files, or until it is there what it will be made in.
    fn watch(&mut self) {
        if self.is_watched {
            return;
        }
        self.is_watched = self.files.watch(&self.dir, self.kept.mode).is_ok();
        if !self.is_watched {
            let mut above = self.dir.ancestors().skip(1);
            let mode = RecursiveMode::NonRecursive;
            above.find(|dir| self.files.watch(dir, mode).is_ok());
        }
    }

    /// Adds what the files say to what has happened, if that is news.
    fn note(&self) -> Result<()> {
        let path = self.run.events();
        let log = EventLog::open(&path)?;
        let before = events::last(&path)?.context("the run has not begun")?;
        let Some(event) = self.news(&before) else {
            return Ok(());
        };
        log.append(&event)?;
        drop(log);
        if event.state != before.state {
            pane::set_own_state(self.running.launcher, event.state.into_str());
        }
        let env = &self.launch.env;
        let teller = notices::begin(self.notices.clone(), Some(&before), &event, env)?;
        teller.map_or(Ok(()), |mut teller| Ok(teller.wait().map(drop)?))
    }

    fn news(&self, before: &Event) -> Option<Event> {
        if before.state == Said::Exited {
            return None;
        }
        let worktree = &self.launch.worktree;
        let event = (self.kept.read)(&self.dir, &self.running, worktree, before)?;
        let event = Event {
            session: event.session.or_else(|| before.session.clone()),
            transcript: event.transcript.or_else(|| before.transcript.clone()),
            ..event
        };
        let known = |event: &Event| (event.state, event.why, event.about.clone());
        (known(&event) != known(before)).then_some(event)
    }
}
