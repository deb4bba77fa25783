//! The one way down.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::archive::{self, Kept};
use super::cleanup::scratch;
use super::conclude::Conclusion;
use super::fate::{Worktree, is_registered};
use super::start::ports;
use crate::context::Flux;
use crate::git::{Lock, ObjectId, hide, keep, worktree};
use crate::store;
use crate::task::Task;

/// A task that is about to go. Its agent has ended, and its lock is held.
pub(super) struct Teardown<'a> {
    pub(super) flux: &'a Flux,
    pub(super) task: &'a Task,
    /// Its record.
    pub(super) oid: &'a ObjectId,
    /// The tip of its branch, if that is there.
    pub(super) tip: Option<&'a ObjectId>,
    pub(super) lock: &'a Lock,
}

impl Teardown<'_> {
    /// The one way down: worktree, configuration, then branch, base and record in
    /// one transaction that keeps what they stood at below `refs/flux/archive`.
    /// What is gone already is no error.
    ///
    /// Returns what was kept, and where.
    ///
    /// # Errors
    /// When a step fails; the record is still there then, and says so.
    pub(super) fn run(&self, how: &Worktree) -> Result<Kept> {
        let (flux, task) = (self.flux, self.task);
        scratch::clear(flux, &task.id, Some(task))?;
        let guard = flux.lock_repo()?;
        let place = self.put_away(how, &guard)?;
        if let Err(error) = hide::forget(&task.worktree) {
            flux.ui.warning(format_args!("{error:#}"));
        }
        store::remove_config(&flux.repo, task, &guard)?;
        drop(guard);
        let kept = self.conclude(how, place)?;
        let run = flux.run_dir(&task.id);
        run.remove()?;
        ports::release(task, &run);
        Ok(kept)
    }

    /// Does with the worktree what is to be done, and returns where it is kept. `guard` is the
    /// repository's lock.
    fn put_away(&self, how: &Worktree, guard: &Lock) -> Result<Option<PathBuf>> {
        let (flux, repo, path) = (self.flux, &self.flux.repo, &self.task.worktree);
        match how {
            Worktree::Foreign => Ok(None),
            Worktree::Discard => worktree::forget(repo, path, guard).map(|()| None),
            Worktree::Moved(trash) => {
                if is_registered(flux, self.task)? {
                    keep::forget(repo, path, trash)?;
                }
                Ok(Some(trash.clone()))
            }
            Worktree::Keep | Worktree::KeepOnly => {
                let trash = flux.trash_for(self.task)?;
                if matches!(how, Worktree::KeepOnly) {
                    fs::write(trash.join(archive::trash::ONLY), "")
                        .context("could not mark a worktree in the trash")?;
                }
                let removed = keep::Removed {
                    path,
                    commit: self.tip,
                    trash: &trash,
                };
                if keep::take(repo, &removed, guard)? {
                    return Ok(Some(trash));
                }
                fs::remove_dir_all(&trash).context("could not remove an unused directory")?;
                Ok(None)
            }
        }
    }

    /// Removes the refs, and gives the worktree in the trash the name that they have in the archive.
    fn conclude(&self, how: &Worktree, place: Option<PathBuf>) -> Result<Kept> {
        let wanted = place.as_deref().and_then(archive::name_of);
        let conclusion = Conclusion {
            task: self.task,
            oid: self.oid,
            tip: self.tip,
            wanted: wanted.clone(),
            always: !matches!(how, Worktree::Discard | Worktree::Foreign),
        };
        let name = conclusion.commit(self.flux, self.lock)?;
        let worktree = match (place, &name) {
            (Some(place), Some(name)) if wanted.as_ref() != Some(name) => {
                let renamed = place.with_file_name(name);
                fs::rename(place, &renamed).context("could not name a worktree in the trash")?;
                Some(renamed)
            }
            (place, _) => place,
        };
        let archive = name;
        Ok(Kept { archive, worktree })
    }
}
