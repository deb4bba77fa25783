//! Commits the uncommitted files of a task before it is merged.

use anyhow::{Error, Result};

use super::facts::Facts;
use super::merge;
use super::options::Verify;
use crate::context::Flux;
use crate::failure::{self, Failure};
use crate::git::commit::CommitAll;
use crate::system::Lock;
use crate::task::Task;
use crate::ui::quoted;
use crate::ui::words::count;

/// A commit of all uncommitted files of a task.
pub(crate) struct FilesCommit<'a> {
    pub(crate) flux: &'a Flux,
    pub(crate) facts: &'a Facts,
    /// The default message if it is blank.
    pub(crate) message: &'a str,
    pub(crate) verify: Verify,
    pub(crate) lock: &'a Lock,
}

impl FilesCommit<'_> {
    /// Commits all uncommitted files of the task on its branch, with the user's hooks, and prints
    /// their number. Does neither if only line ends or times had changed.
    pub(crate) fn make(&self) -> Result<()> {
        let (flux, facts) = (self.flux, self.facts);
        let task = &facts.task;
        let offered = default_message(task);
        let message = match self.message.trim() {
            "" => &offered,
            _ => self.message,
        };
        let checkout = flux.repo.checkout(&task.worktree)?;
        let hooks = merge::hooks_for_commit(flux, facts)?;
        let commit = CommitAll {
            tip: &facts.tip,
            message,
            verify: self.verify == Verify::All,
            hooks: hooks.as_deref(),
        };
        let committed = commit.make(&checkout, self.lock);
        if committed.map_err(|error| not_committed(error, task))? {
            let files = count(facts.uncommitted.len(), "file");
            let what = format!("committed {files} on '{}'", task.branch);
            flux.ui.status(what);
        }
        Ok(())
    }
}

/// Returns the default message for a commit of the uncommitted files: `WIP: <title>`.
pub(crate) fn default_message(task: &Task) -> String {
    format!("WIP: {}", task.title)
}

/// Adds to the error of a commit, which git or a hook refused, the command to make it by hand.
fn not_committed(error: Error, task: &Task) -> Error {
    let path = quoted(&task.worktree);
    let failure = Failure::new(format!("could not commit the changes of '{}'", task.id));
    let hint = format!("git -C {path} add --all && git -C {path} commit");
    failure::wrap_in_failure(error, failure.hint(hint))
}
