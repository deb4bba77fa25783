//! Whose a task is: several users of one group may share a repository.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nix::unistd::{Uid, User};

use super::archive::Archived;
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{Lock, Sharing};
use crate::sanitize;
use crate::store::{Store, StoredTask};
use crate::system::sharing::is_ours;
use crate::task::{Task, TaskId};

/// Returns the name of the user who owns the directory at `path`, if that is another one.
pub(crate) fn other_owner(path: &Path) -> Option<String> {
    let there = path.symlink_metadata().ok()?;
    if is_ours(path, &there) {
        return None;
    }
    let user = User::from_uid(Uid::from_raw(there.uid())).ok().flatten();
    let name = user.map(|user| sanitize::line(&user.name));
    Some(name.unwrap_or_else(|| there.uid().to_string()))
}

impl Flux {
    /// Returns the name of the user whose task it is, if that is another one: who owns its run
    /// directory, or else its worktree.
    pub(crate) fn owner(&self, task: &Task) -> Option<String> {
        let run = self.run_dir(&task.id).0;
        match run.symlink_metadata() {
            Ok(_) => other_owner(&run),
            Err(_) => other_owner(&task.worktree),
        }
    }

    /// Returns the tasks that are not another user's.
    pub(crate) fn own_tasks<'a>(&self, store: &'a Store) -> impl Iterator<Item = &'a StoredTask> {
        let is_own = |stored: &&StoredTask| match &stored.task {
            Ok(task) => self.owner(task).is_none(),
            Err(_) => other_owner(&self.run_dir(&stored.id).0).is_none(),
        };
        store.tasks.iter().filter(is_own)
    }

    /// Returns the name of the user who has removed a task, if that is another one: who owns its
    /// place in the trash.
    pub(crate) fn remover(&self, one: &Archived) -> Option<String> {
        other_owner(&self.trash().join(&one.name))
    }

    /// Refuses the task of another user.
    ///
    /// # Errors
    /// The refusal, with the name of that user.
    pub(crate) fn ensure_own(&self, task: &Task) -> Result<()> {
        self.owner(task)
            .map_or(Ok(()), |owner| Err(refusal(&task.id, &owner).into()))
    }

    /// Takes the lock of one task, for the whole of its start or removal.
    ///
    /// # Errors
    /// When the task is another user's, or on interruption.
    pub(crate) fn lock_task(&self, id: &TaskId) -> Result<Lock> {
        let path = self.prepare_run(id)?;
        let other = format!("another git flux that works on '{id}'");
        Lock::acquire(&path, Sharing::Private, &other, |text| self.ui.status(text))
    }

    /// Takes the lock of one task if no command holds it.
    ///
    /// # Errors
    /// When the task is another user's.
    pub(crate) fn try_lock_task(&self, id: &TaskId) -> Result<Option<Lock>> {
        Lock::try_acquire(&self.prepare_run(id)?, Sharing::Private)
    }

    /// Makes the directory that all runs are in, and returns the lock of this one.
    fn prepare_run(&self, id: &TaskId) -> Result<PathBuf> {
        let run = self.run_dir(id);
        if let Some(owner) = other_owner(&run.0) {
            return Err(refusal(id, &owner).into());
        }
        let sharing = self.repo.sharing()?;
        for dir in [self.repo.flux_dir(), self.repo.runs_dir()] {
            let made = sharing.make_dir(&dir);
            made.with_context(|| format!("could not make '{}'", dir.display()))?;
        }
        Ok(run.lock())
    }
}

fn refusal(id: &TaskId, owner: &str) -> Failure {
    Failure::new(format!("'{id}' is a task of '{owner}'")).hint(format!("git flux status {id}"))
}
