//! The panes that tasks run in.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::Result;

use crate::task::{Target, Task};
use crate::tmux::pane::{self, Pane};

/// The panes of every server that tasks run on.
pub(crate) struct Panes(pub(super) HashMap<PathBuf, Vec<Pane>>);

impl Panes {
    /// One `tmux list-panes` for each server that one of `tasks` was started on.
    ///
    /// # Errors
    /// When a server does not answer.
    pub(crate) fn of<'a>(tasks: impl Iterator<Item = &'a Task>) -> Result<Self> {
        let mut servers = HashMap::new();
        for target in tasks.filter_map(|task| task.target.as_ref()) {
            if !servers.contains_key(&target.socket) {
                servers.insert(target.socket.clone(), pane::list(Some(&target.socket))?);
            }
        }
        Ok(Self(servers))
    }

    /// Whether the pane of a task is still there.
    pub(crate) fn has(&self, task: &Task) -> bool {
        self.named(task).is_some()
    }

    /// Returns the target of a task with the names that it has now; `None` if it is closed.
    pub(crate) fn named(&self, task: &Task) -> Option<Target> {
        let target = task.target.as_ref()?;
        let mut panes = self.0.get(&target.socket)?.iter();
        panes
            .find(|pane| pane.is(target))
            .map(|pane| pane.named(target))
    }
}
