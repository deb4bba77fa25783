//! The one way down: what is archived of a task, and what goes.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::archive::{self, Kept, free_name};
use super::cleanup::scratch;
use super::fate::{Worktree, is_registered};
use super::start::ports;
use crate::context::Flux;
use crate::git::{Lock, ObjectId, Transaction, exclude, refs, trash, worktree};
use crate::store::{self, ARCHIVE, Stored, base_ref, task_ref};
use crate::task::{RefName, Task};

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

/// Where what a task has done is, once its refs are gone.
enum Whereabouts {
    Archived,
    /// It has done nothing, or it is in the archive as it was: a ref that has everything that the
    /// deleted branch has, and what it stands at; none if no branch is deleted.
    Elsewhere(Option<(RefName, ObjectId)>),
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
        let mut worktree = self.put_away(how, &guard)?;
        if let Err(error) = exclude::remove(&task.worktree) {
            flux.ui.warning(format_args!("{error:#}"));
        }
        store::remove_config(&flux.repo, task, &guard)?;
        drop(guard);
        let wanted = worktree.as_deref().and_then(archive::name_of);
        let always = !matches!(how, Worktree::Discard | Worktree::Foreign);
        let archive = self.delete_refs(wanted.clone(), always)?;
        if let (Some(place), Some(name)) = (&mut worktree, &archive)
            && wanted.as_ref() != Some(name)
        {
            let renamed = place.with_file_name(name);
            fs::rename(&place, &renamed).context("could not name a worktree in the trash")?;
            *place = renamed;
        }
        let run = flux.run_dir(&task.id);
        run.remove()?;
        ports::release(task, &run);
        Ok(Kept { archive, worktree })
    }

    /// Does with the worktree what is to be done, and returns where it is kept. `guard` is the
    /// repository's lock.
    fn put_away(&self, how: &Worktree, guard: &Lock) -> Result<Option<PathBuf>> {
        let (flux, repo, path) = (self.flux, &self.flux.repo, &self.task.worktree);
        match how {
            Worktree::Foreign => Ok(None),
            Worktree::Discard => worktree::remove(repo, path, guard).map(|()| None),
            Worktree::Moved(trash) => {
                if is_registered(flux, self.task)? {
                    trash::unregister(repo, path, trash)?;
                }
                Ok(Some(trash.clone()))
            }
            Worktree::Keep | Worktree::KeepOnly => {
                let trash = flux.trash_for(self.task)?;
                if matches!(how, Worktree::KeepOnly) {
                    fs::write(trash.join(archive::trash::ONLY), "")
                        .context("could not mark a worktree in the trash")?;
                }
                let removed = trash::RemovedWorktree {
                    path,
                    commit: self.tip,
                    trash: &trash,
                };
                if removed.move_to_trash(repo, guard)? {
                    return Ok(Some(trash));
                }
                fs::remove_dir_all(&trash).context("could not remove an unused directory")?;
                Ok(None)
            }
        }
    }

    /// Deletes branch, base and record in one transaction, which also keeps below
    /// `refs/flux/archive` what they stood at. Returns the name there: that in the trash, which is
    /// `wanted`, unless an earlier task has it. A task that has done nothing is not kept, but
    /// `always`, if the transaction can verify that another ref has the commit of its branch.
    ///
    /// # Errors
    /// When git fails: then nothing has changed.
    pub(super) fn delete_refs(
        &self,
        mut wanted: Option<String>,
        always: bool,
    ) -> Result<Option<String>> {
        let (flux, task, id) = (self.flux, self.task, &self.task.id);
        let message = format!("flux cleanup: {id}");
        let mut base = Some(task.base.clone());
        loop {
            let (name, proof) = match (self.whereabouts(always)?, wanted.take()) {
                (Whereabouts::Archived, None) => (Some(free_name(flux, id, "")?), None),
                (Whereabouts::Archived, wanted) => (wanted, None),
                (Whereabouts::Elsewhere(proof), _) => (None, proof),
            };
            let mut refs = Transaction::default();
            if let Some(name) = &name {
                refs = self.archive(refs, name, base.as_ref());
            }
            if let Some((name, object)) = &proof {
                refs = refs.verify(name, object);
            }
            if let Some(tip) = self.deleted() {
                refs = refs.delete(&task.branch_ref(), tip);
            }
            if let Some(base) = &base {
                refs = refs.delete(&base_ref(id), base);
            }
            let refs = refs.delete(&task_ref(id), self.oid);
            let Err(error) = refs.commit(&flux.repo, &message, self.lock) else {
                return Ok(name);
            };
            // An earlier task of this id may be in the archive: it stays. The base may have been
            // moved, and so may the proof.
            let next = name.as_ref().map(|name| free_name(flux, id, name));
            let next = next.transpose()?;
            let found = self.find_ref(&base_ref(id))?;
            let is_proven = match &proof {
                Some((name, object)) => self.find_ref(name)?.as_ref() == Some(object),
                None => true,
            };
            if next == name && found == base && is_proven {
                return Err(error);
            }
            (wanted, base) = (next, found);
        }
    }

    /// Returns what a ref stands at, if it is there.
    fn find_ref(&self, name: &RefName) -> Result<Option<ObjectId>> {
        Ok(refs::list(self.flux.repo.home(), &[name])?.remove(name))
    }

    /// The tip of the branch, if that goes with the task.
    fn deleted(&self) -> Option<&ObjectId> {
        self.tip.filter(|_| !self.task.keeps_branch())
    }

    fn whereabouts(&self, always: bool) -> Result<Whereabouts> {
        let task = self.task;
        let proof = if let (Some(name), Some(tip)) = (&task.restored, self.tip) {
            // What did not come back is in the archive still.
            let name = RefName::new(format!("{ARCHIVE}{name}/tip"));
            let found = self.find_ref(&name)?.filter(|found| found == tip);
            found.map(|tip| (name, tip))
        } else if always || self.tip.is_some_and(|tip| tip != task.start()) {
            None
        } else if let Some(tip) = self.deleted() {
            let own = task.branch_ref();
            let others = refs::list_containing(self.flux.repo.home(), tip)?;
            others.into_iter().find(|(name, _)| *name != own)
        } else {
            return Ok(Whereabouts::Elsewhere(None));
        };
        Ok(proof.map_or(Whereabouts::Archived, |proof| {
            Whereabouts::Elsewhere(Some(proof))
        }))
    }

    /// Adds what the archive keeps. Of a branch that is gone that is the commit it began at.
    fn archive(&self, refs: Transaction, name: &str, base: Option<&ObjectId>) -> Transaction {
        let task = self.task;
        let part = |part: &str| RefName::new(format!("{ARCHIVE}{name}/{part}"));
        let refs = refs
            .create(&part("tip"), self.tip.unwrap_or(task.start()))
            .create(&part("base"), base.unwrap_or(&task.base))
            .create(&part("task"), self.oid);
        let Some(removal) = &task.removal else {
            return refs;
        };
        let snapshot = removal.snapshot.iter().map(|oid| (part("snapshot"), oid));
        let own = removal.own.iter().map(|(name, oid)| (part(name), oid));
        let parts = snapshot.chain(own);
        parts.fold(refs, |refs, (name, oid)| refs.create(&name, oid))
    }
}

/// Archives a task that is elsewhere and deletes its branch and record here. The caller has
/// made sure that it is, and holds the task's lock.
///
/// # Errors
/// When a step fails; what is left is still a task then.
pub(crate) fn drop_from_copy(
    flux: &Flux,
    stored: &Stored,
    tip: Option<&ObjectId>,
    lock: &Lock,
) -> Result<Kept> {
    let (repo, task) = (&flux.repo, stored.readable()?);
    let trash = flux.trash_for(task)?;
    {
        let guard = flux.lock_repo()?;
        if !trash::move_entry_of(repo.common_dir(), &task.worktree, &trash)? {
            fs::remove_dir(&trash).context("could not remove an unused directory")?;
        }
        store::remove_config(repo, task, &guard)?;
    }
    let teardown = Teardown {
        flux,
        task,
        oid: &stored.oid,
        tip,
        lock,
    };
    let archive = teardown.delete_refs(archive::name_of(&trash), true)?;
    flux.run_dir(&task.id).remove()?;
    Ok(Kept {
        archive,
        worktree: None,
    })
}
