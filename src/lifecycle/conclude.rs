//! The end of a task: what is archived of it, and what goes.

use anyhow::Result;

use super::archive::free_name;
use crate::context::Flux;
use crate::git::{ObjectId, Transaction, refs};
use crate::store::{ARCHIVE, base_ref, task_ref};
use crate::system::Lock;
use crate::task::{RefName, Task};

/// A task of which nothing is left but its refs.
pub(super) struct Conclusion<'a> {
    pub(super) task: &'a Task,
    /// Its record.
    pub(super) oid: &'a ObjectId,
    /// The tip of its branch, if that is there.
    pub(super) tip: Option<&'a ObjectId>,
    /// The name that its worktree has in the trash.
    pub(super) wanted: Option<String>,
    /// Whether it goes to the archive also where it has done nothing.
    pub(super) always: bool,
}

/// Where what a task has done is, once its refs are gone.
enum Kept {
    Archived,
    /// It has done nothing, or it is in the archive as it was.
    Elsewhere {
        /// A ref that has everything that the deleted branch has, and what it stands at.
        proof: Option<(RefName, ObjectId)>,
    },
}

impl Conclusion<'_> {
    /// Deletes branch, base and record in one transaction, which also keeps below
    /// `refs/flux/archive` what they stood at. Returns the name there: that in the trash, unless
    /// an earlier task has it. A task that has done nothing is not kept if the transaction can
    /// verify that another ref has the commit of its branch.
    ///
    /// # Errors
    /// When git fails: then nothing has changed.
    pub(super) fn commit(mut self, flux: &Flux, lock: &Lock) -> Result<Option<String>> {
        let (repo, task, oid) = (&flux.repo, self.task, self.oid);
        let id = &task.id;
        let mut base = Some(task.base.clone());
        loop {
            let kept = self.kept(flux)?;
            let (name, proof) = match (kept, self.wanted.take()) {
                (Kept::Archived, None) => (Some(free_name(flux, id, "")?), None),
                (Kept::Archived, wanted) => (wanted, None),
                (Kept::Elsewhere { proof }, _) => (None, proof),
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
            let message = format!("flux cleanup: {id}");
            let refs = refs.delete(&task_ref(id), oid);
            let Err(error) = refs.commit(repo, &message, lock) else {
                return Ok(name);
            };
            // An earlier task of this id may be in the archive: it stays. The base may have been
            // moved, and so may the proof.
            let next = name.as_ref().map(|name| free_name(flux, id, name));
            let next = next.transpose()?;
            let [found, stands] =
                [Some(base_ref(id)), proof.as_ref().map(|(n, _)| n.clone())].map(|name| {
                    name.map(|name| anyhow::Ok(refs::list(repo.home(), &[&name])?.remove(&name)))
                });
            let found = found.transpose()?.flatten();
            let stands = stands.transpose()?.flatten();
            if next == name && found == base && stands == proof.map(|(_, object)| object) {
                return Err(error);
            }
            (self.wanted, base) = (next, found);
        }
    }

    /// The tip of the branch, if that goes with the task.
    fn deleted(&self) -> Option<&ObjectId> {
        self.tip.filter(|_| !self.task.keeps_branch())
    }

    fn kept(&self, flux: &Flux) -> Result<Kept> {
        let task = self.task;
        let home = flux.repo.home();
        if let (Some(name), Some(tip)) = (&task.restored, self.tip) {
            // What did not come back is in the archive still.
            let name = RefName::new(format!("{ARCHIVE}{name}/tip"));
            let found = refs::list(home, &[&name])?.remove(&name);
            let proof = found.filter(|found| found == tip).map(|tip| (name, tip));
            return Ok(match proof {
                None => Kept::Archived,
                proof => Kept::Elsewhere { proof },
            });
        }
        if self.always || self.tip.is_some_and(|tip| tip != task.start()) {
            return Ok(Kept::Archived);
        }
        let Some(tip) = self.deleted() else {
            return Ok(Kept::Elsewhere { proof: None });
        };
        let own = task.branch_ref();
        let proof = refs::containing(home, tip)?
            .into_iter()
            .find(|(name, _)| *name != own);
        Ok(match proof {
            None => Kept::Archived,
            proof => Kept::Elsewhere { proof },
        })
    }

    /// Adds what the archive keeps. Of a branch that is gone that is the commit it began at.
    fn archive(&self, refs: Transaction, name: &str, base: Option<&ObjectId>) -> Transaction {
        let task = self.task;
        let part = |part: &str| RefName::new(format!("{ARCHIVE}{name}/{part}"));
        let refs = refs
            .create(&part("tip"), self.tip.unwrap_or(task.start()))
            .create(&part("base"), base.unwrap_or(&task.base))
            .create(&part("task"), self.oid);
        let removal = task.removal.as_ref();
        let snapshot = removal.and_then(|removal| removal.snapshot.as_ref());
        let refs = snapshot.into_iter().fold(refs, |refs, snapshot| {
            refs.create(&part("snapshot"), snapshot)
        });
        let own = removal.map_or(&[][..], |removal| &removal.own);
        own.iter()
            .fold(refs, |refs, (name, oid)| refs.create(&part(name), oid))
    }
}
