//! Owners of tasks: several users of a group may share a repository.

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

/// Returns the name of the user who owns the directory at `path`; the user's number if there is no
/// name. `None` if that is the current user, or the path does not exist.
pub(crate) fn other_owner(path: &Path) -> Option<String> {
    let found = path.symlink_metadata().ok()?;
    if is_ours(path, &found) {
        return None;
    }
    let user = User::from_uid(Uid::from_raw(found.uid())).ok().flatten();
    let name = user.map(|user| sanitize::line(&user.name));
    Some(name.unwrap_or_else(|| found.uid().to_string()))
}

impl Flux {
    /// Returns the name of the other user to whom a task belongs, by the owner of its run directory
    /// or, without one, its worktree. `None` if that is the current user, or neither exists.
    pub(crate) fn owner(&self, task: &Task) -> Option<String> {
        let run = self.run_dir(&task.id).0;
        match run.symlink_metadata() {
            Ok(_) => other_owner(&run),
            Err(_) => other_owner(&task.worktree),
        }
    }

    /// Returns the tasks of the store that belong to the current user, also those whose record
    /// cannot be read.
    pub(crate) fn own_tasks<'a>(&self, store: &'a Store) -> impl Iterator<Item = &'a StoredTask> {
        let is_own = |stored: &&StoredTask| match &stored.task {
            Ok(task) => self.owner(task).is_none(),
            Err(_) => other_owner(&self.run_dir(&stored.id).0).is_none(),
        };
        store.tasks.iter().filter(is_own)
    }

    /// Returns the name of the other user who removed a task, by its directory in the trash. `None`
    /// if that is the current user, or there is no such directory.
    pub(crate) fn trash_owner(&self, entry: &Archived) -> Option<String> {
        other_owner(&self.trash().join(&entry.name))
    }

    /// Fails if a task belongs to another user than the current one, by the owner of its run
    /// directory or, without one, its worktree.
    pub(crate) fn ensure_own(&self, task: &Task) -> Result<()> {
        ensure_none(&task.id, self.owner(task))
    }

    /// Takes the lock of the task `id`, even if there is no such task, and creates its run
    /// directory. Waits for other processes, and prints for which. Fails for another user's task,
    /// on ^C, or if a program other than git flux holds the lock for 30 seconds.
    pub(crate) fn lock_task(&self, id: &TaskId) -> Result<Lock> {
        let path = self.prepare_lock(id)?;
        let other = format!("another git flux that works on '{id}'");
        Lock::acquire(&path, Sharing::Private, &other, |text| self.ui.status(text))
    }

    /// Takes the lock of the task `id`, even if there is no such task, without waiting, and creates
    /// its run directory; `None` if another process holds the lock. Fails for another user's task.
    pub(crate) fn try_lock_task(&self, id: &TaskId) -> Result<Option<Lock>> {
        Lock::try_acquire(&self.prepare_lock(id)?, Sharing::Private)
    }

    /// Creates the directory of all run directories, and returns the path of a task's lock file.
    /// Takes no lock. Fails if the task belongs to another user.
    fn prepare_lock(&self, id: &TaskId) -> Result<PathBuf> {
        let run = self.run_dir(id);
        ensure_none(id, other_owner(&run.0))?;
        let sharing = self.repo.sharing()?;
        for dir in [self.repo.flux_dir(), self.repo.runs_dir()] {
            let made = sharing.make_dir(&dir);
            made.with_context(|| format!("could not make '{}'", dir.display()))?;
        }
        Ok(run.lock())
    }
}

/// Fails if `owner` names another user as the owner of the task `id`; succeeds for `None`.
fn ensure_none(id: &TaskId, owner: Option<String>) -> Result<()> {
    let Some(owner) = owner else { return Ok(()) };
    let failure = Failure::new(format!("'{id}' is a task of '{owner}'"));
    Err(failure
        .hint(format!(
            "to see the state of the task: git flux status {id}"
        ))
        .into())
}
