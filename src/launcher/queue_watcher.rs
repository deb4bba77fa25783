//! Shows in the pane's `@flux_state` that the wrapper has not started the agent, and when it has.
//!
//! A thread of the launcher checks for the file that records the start. It does not watch it: the
//! system limits the number of watches, and many agents may be queued.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::job::Job;
use crate::run::RunDir;
use crate::run::events::{self, EventLog, START};
use crate::task::State;
use crate::tmux::pane;

/// The time in which a wrapper that does not wait starts the agent.
const AT_ONCE: Duration = Duration::from_secs(1);

/// The time between two checks.
const PAUSE: Duration = Duration::from_secs(2);

/// Waits for the start of an agent by its wrapper.
pub(super) struct QueueWatcher {
    run: RunDir,
    launcher: i32,
}

impl QueueWatcher {
    /// Creates a watcher of a job whose agent is started by a wrapper (`flux.wrapper`). Returns
    /// `None` if the agent has no wrapper.
    pub(super) fn of(job: &Job) -> Option<Self> {
        let running = &job.running;
        running.wrapper_since.map(|_| Self {
            run: job.run.clone(),
            launcher: running.launcher,
        })
    }

    /// Sets the pane's `@flux_state` to `queued` if the agent is not started within a second, and
    /// to `running` once it is started, unless it has reported its state by then.
    pub(super) fn run(&self) -> Result<()> {
        thread::sleep(AT_ONCE);
        if self.run.begun().exists() {
            return Ok(());
        }
        pane::set_own_state(self.launcher, State::Queued.name());
        while !self.run.begun().exists() {
            thread::sleep(PAUSE);
        }
        let path = self.run.events();
        // No hook sets the state before this.
        let _log = EventLog::open(&path)?;
        let last = events::last(&path)?.context("the run has no events")?;
        if last.event == START {
            pane::set_own_state(self.launcher, State::Running(None).name());
        }
        Ok(())
    }
}
