//! The panes that tasks run in.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use crate::failure::Failure;
use crate::system::{process, wait_until};
use crate::task::{Target, Task};
use crate::tmux::pane::{self, Pane};

/// The panes of every server that tasks run on.
pub(crate) struct Panes(pub(super) HashMap<PathBuf, Vec<Pane>>);

impl Panes {
    /// One `tmux list-panes` for each server that one of `tasks` was started on.
    ///
    /// # Errors
    /// When a server does not answer, or cannot be reached.
    pub(crate) fn of<'a>(tasks: impl Iterator<Item = &'a Task>) -> Result<Self> {
        let mut servers = HashMap::new();
        for target in tasks.filter_map(|task| task.target.as_ref()) {
            if !servers.contains_key(&target.socket) {
                servers.insert(target.socket.clone(), pane::list(Some(&target.socket))?);
            }
            ensure_reached(target, &servers[&target.socket])?;
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

/// How long a server that ends may take to leave its panes.
const ENDS: Duration = Duration::from_secs(2);

const PAUSE: Duration = Duration::from_millis(20);

/// Refuses where the server of a target runs, and is not the one that told `panes`: something has deleted its socket.
pub(crate) fn ensure_reached(target: &Target, panes: &[Pane]) -> Result<()> {
    let is_told = panes.iter().any(|pane| pane.is_beside(target));
    let runs = || process::is_child(target.pane_pid, target.server_pid) == Some(true);
    let is_settled = || Ok((is_told || !runs()).then_some(()));
    if wait_until(ENDS, PAUSE, is_settled)?.is_some() {
        return Ok(());
    }
    let (server, socket) = (target.server_pid, target.socket.display());
    let message = format!("the tmux server {server} has lost its socket '{socket}'");
    let hint = format!("kill -USR1 {server}: tmux makes it anew");
    Err(Failure::new(message).hint(hint).into())
}
