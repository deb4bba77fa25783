//! Tears a task down: archives it, then removes its worktree, configuration and refs.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::archive::{self, KeptParts, find_free_name};
use super::cleanup::scratch;
use super::disposal::{Disposal, ensure_unshared, is_registered};
use super::start::ports;
use crate::context::Flux;
use crate::git::{Lock, ObjectId, Transaction, exclude, refs, trash, worktree};
use crate::store::{self, ARCHIVE, StoredTask, base_ref, seen_ref, task_ref};
use crate::task::{RefName, Removal, Task, TaskId};

/// A task to tear down. Its agent has ended, and its lock is held.
pub(super) struct Teardown<'a> {
    pub(super) flux: &'a Flux,
    pub(super) task: &'a Task,
    pub(super) oid: &'a ObjectId,
    /// The tip of its branch, if it exists.
    pub(super) tip: Option<&'a ObjectId>,
    pub(super) lock: &'a Lock,
}

/// The location of a task's commits after its refs are deleted.
enum WorkLocation {
    Archived,
    /// There are none, or the archive has them already: a ref, with its object, that contains the
    /// tip of the deleted branch; `None` if no branch is deleted.
    Elsewhere(Option<(RefName, ObjectId)>),
}

/// The refs of a task that are deleted with its record.
#[derive(PartialEq, Eq)]
struct RecordRefs {
    base: Option<ObjectId>,
    /// The snapshot that the user has looked at, unless it was fetched.
    seen: Option<ObjectId>,
}

impl Teardown<'_> {
    /// Removes a task in this order: its worktree, as `disposal` says; its configuration; its base,
    /// record and, unless kept, branch in one transaction, which archives any work; its run
    /// directory and ports. Closes no pane. Returns the kept archive entry and worktree. If a step
    /// up to the transaction fails, the record still exists.
    pub(super) fn run(&self, disposal: &Disposal) -> Result<KeptParts> {
        let (flux, task) = (self.flux, self.task);
        scratch::sweep(flux, &task.id, Some(task))?;
        let guard = flux.lock_repo()?;
        let mut worktree = self.dispose_worktree(disposal, &guard)?;
        if worktree.is_none() {
            self.ensure_not_moved()?;
        }
        if let Err(error) = exclude::remove(&task.worktree) {
            flux.ui.warning(format_args!("{error:#}"));
        }
        store::remove_config(&flux.repo, task, &guard)?;
        drop(guard);
        let wanted = worktree.as_deref().and_then(archive::trash_name);
        let has_entries = task
            .removal
            .as_ref()
            .is_some_and(Removal::has_stash_entries);
        let must_archive = has_entries || !matches!(disposal, Disposal::Delete | Disposal::Leave);
        let archive = self.delete_refs(wanted.clone(), must_archive)?;
        if let (Some(place), Some(name)) = (&mut worktree, &archive)
            && wanted.as_ref() != Some(name)
        {
            let renamed = place.with_file_name(name);
            let what = || format!("could not move '{}' in the trash", place.display());
            fs::rename(&place, &renamed).with_context(what)?;
            *place = renamed;
        }
        let run = flux.run_dir(&task.id);
        flux.remove_run_dir(&task.id, self.lock)?;
        ports::release(task, &run);
        Ok(KeptParts { archive, worktree })
    }

    /// Moves the worktree to the trash, deletes it or leaves it, as `disposal` says. Returns the
    /// worktree's directory in the trash, `None` without one. `guard` is the repository's lock.
    fn dispose_worktree(&self, disposal: &Disposal, guard: &Lock) -> Result<Option<PathBuf>> {
        let (flux, repo, path) = (self.flux, &self.flux.repo, &self.task.worktree);
        match disposal {
            Disposal::Leave => Ok(None),
            Disposal::Delete => worktree::remove(repo, path, guard).map(|()| None),
            Disposal::InTrash(trash) => {
                if is_registered(flux, self.task)? {
                    trash::unregister(repo, path, trash)?;
                }
                Ok(Some(trash.clone()))
            }
            Disposal::Trash | Disposal::TrashSoleCopy => {
                // `git worktree remove`, which removes it from another file system, needs that.
                flux.worktree_lock(self.task).unlock()?;
                let trash = flux.make_trash_dir(self.task)?;
                if matches!(disposal, Disposal::TrashSoleCopy) {
                    let mark = trash.join(archive::trash::SOLE_COPY_MARK);
                    let what = || format!("could not write '{}'", mark.display());
                    fs::write(&mark, "").with_context(what)?;
                }
                let removed = trash::RemovedWorktree {
                    path,
                    commit: self.tip,
                    trash: &trash,
                };
                if removed.move_to_trash(repo, guard)? {
                    return Ok(Some(trash));
                }
                let what = || format!("could not remove '{}'", trash.display());
                fs::remove_dir_all(&trash).with_context(what)?;
                Ok(None)
            }
        }
    }

    /// Fails if the worktree was moved since it was observed, and its branch is to be deleted.
    /// Starts git only if nothing is at the worktree's path.
    fn ensure_not_moved(&self) -> Result<()> {
        let (flux, task) = (self.flux, self.task);
        if self.deleted_tip().is_none() || task.worktree.symlink_metadata().is_ok() {
            return Ok(());
        }
        ensure_unshared(flux, &worktree::list(flux.repo.home())?, task)
    }

    /// Deletes base, record and, unless kept, branch in one transaction that archives them; returns
    /// their archive name, if possible `wanted`. Archives nothing and returns `None` if the archive
    /// has the task already or, without `must_archive`, the task has no commits of its own. On
    /// failure nothing has changed.
    pub(super) fn delete_refs(
        &self,
        mut wanted: Option<String>,
        must_archive: bool,
    ) -> Result<Option<String>> {
        let (flux, task, id) = (self.flux, self.task, &self.task.id);
        let message = format!("flux cleanup: {id}");
        let mut found = self.find_record_refs()?;
        loop {
            let (name, proof) = match (self.find_work(must_archive)?, wanted.take()) {
                (WorkLocation::Archived, None) => (Some(find_free_name(flux, id, "")?), None),
                (WorkLocation::Archived, wanted) => (wanted, None),
                (WorkLocation::Elsewhere(proof), _) => (None, proof),
            };
            let mut refs = Transaction::default();
            if let Some(name) = &name {
                refs = self.archive(refs, name, &found);
            }
            if let Some((name, object)) = &proof {
                refs = refs.verify(name, object);
            }
            if let Some(tip) = self.deleted_tip() {
                refs = refs.delete(&task.branch_ref(), tip);
            }
            let refs = found.delete(refs, id).delete(&task_ref(id), self.oid);
            let Err(error) = refs.commit(&flux.repo, &message, self.lock) else {
                return Ok(name);
            };
            // An earlier task of this id may be in the archive and is kept. The other refs may have
            // moved.
            let next = name.as_ref().map(|name| find_free_name(flux, id, name));
            let next = next.transpose()?;
            let now = self.find_record_refs()?;
            let is_proven = match &proof {
                Some((name, object)) => self.find_ref(name)?.as_ref() == Some(object),
                None => true,
            };
            if next == name && now == found && is_proven {
                return Err(error);
            }
            (wanted, found) = (next, now);
        }
    }

    fn find_record_refs(&self) -> Result<RecordRefs> {
        let (repo, id) = (&self.flux.repo, &self.task.id);
        let (base, seen) = (base_ref(id), seen_ref(id));
        let mut found = refs::list(repo.home(), &[&base, &seen])?;
        let is_own = |commit: &ObjectId| repo.marks().has_made(&seen, commit) == Some(true);
        Ok(RecordRefs {
            base: found.remove(&base),
            seen: found.remove(&seen).filter(is_own),
        })
    }

    /// Returns the object of the ref `name` as git has it now; `None` if it does not exist.
    fn find_ref(&self, name: &RefName) -> Result<Option<ObjectId>> {
        Ok(refs::list(self.flux.repo.home(), &[name])?.remove(name))
    }

    /// Returns the commit of the branch that is deleted with the task. `None` if the branch is kept
    /// or missing.
    fn deleted_tip(&self) -> Option<&ObjectId> {
        self.tip.filter(|_| !self.task.keeps_branch())
    }

    fn find_work(&self, must_archive: bool) -> Result<WorkLocation> {
        let task = self.task;
        let proof = if let (Some(name), Some(tip)) = (&task.restored_from, self.tip) {
            // The archive still has a task whose restore failed.
            let name = RefName::new(format!("{ARCHIVE}{name}/tip"));
            let found = self.find_ref(&name)?.filter(|found| found == tip);
            found.map(|tip| (name, tip))
        } else if must_archive || self.tip.is_some_and(|tip| tip != task.start_commit()) {
            None
        } else if let Some(tip) = self.deleted_tip() {
            let own = task.branch_ref();
            let others = refs::list_containing(self.flux.repo.home(), tip)?;
            others.into_iter().find(|(name, _)| *name != own)
        } else {
            return Ok(WorkLocation::Elsewhere(None));
        };
        Ok(proof.map_or(WorkLocation::Archived, |proof| {
            WorkLocation::Elsewhere(Some(proof))
        }))
    }

    /// Adds the creation of the archive entry's refs to the transaction `refs`: tip, base, record,
    /// the snapshot that the user has seen, that of uncommitted files, per-worktree refs and stash
    /// entries. If the branch is gone, the commit where it started becomes the tip.
    fn archive(&self, refs: Transaction, name: &str, found: &RecordRefs) -> Transaction {
        let task = self.task;
        let part = |part: &str| RefName::new(format!("{ARCHIVE}{name}/{part}"));
        let refs = refs
            .create(&part("tip"), self.tip.unwrap_or(task.start_commit()))
            .create(&part("base"), found.base.as_ref().unwrap_or(&task.base))
            .create(&part("task"), self.oid);
        let seen = found.seen.iter();
        let refs = seen.fold(refs, |refs, seen| refs.create(&part(archive::SEEN), seen));
        let Some(removal) = &task.removal else {
            return refs;
        };
        let snapshot = removal.snapshot.iter().map(|oid| (part("snapshot"), oid));
        let own = removal
            .worktree_refs
            .iter()
            .map(|(name, oid)| (part(name), oid));
        let stash = task.stash_parts();
        let stash = stash
            .iter()
            .map(|(name, entry)| (part(name), &entry.commit));
        let parts = snapshot.chain(own).chain(stash);
        parts.fold(refs, |refs, (name, oid)| refs.create(&name, oid))
    }
}

impl RecordRefs {
    /// Adds the deletion of `refs/flux/base/<id>` and `refs/flux/seen/<id>` to the transaction
    /// `refs`.
    fn delete(&self, mut refs: Transaction, id: &TaskId) -> Transaction {
        if let Some(base) = &self.base {
            refs = refs.delete(&base_ref(id), base);
        }
        if let Some(seen) = &self.seen {
            refs = refs.delete(&seen_ref(id), seen);
        }
        refs
    }
}

/// Archives a task of a copied repository, and deletes its branch, unless kept, configuration and
/// record in this copy. Does not touch the original's worktree. The caller holds the task's lock;
/// if a step fails, the task still exists.
pub(crate) fn drop_from_copy(
    flux: &Flux,
    stored: &StoredTask,
    tip: Option<&ObjectId>,
    lock: &Lock,
) -> Result<KeptParts> {
    let (repo, task) = (&flux.repo, stored.readable()?);
    let trash = flux.make_trash_dir(task)?;
    {
        let guard = flux.lock_repo()?;
        if !trash::move_entry_of(repo.common_dir(), &task.worktree, &trash)? {
            let what = || format!("could not remove '{}'", trash.display());
            fs::remove_dir(&trash).with_context(what)?;
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
    let archive = teardown.delete_refs(archive::trash_name(&trash), true)?;
    flux.remove_run_dir(&task.id, lock)?;
    Ok(KeptParts {
        archive,
        worktree: None,
    })
}
