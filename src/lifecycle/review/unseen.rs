//! The difference between what was looked at and what there is, as two trees.

use std::path::PathBuf;

use anyhow::Result;

use crate::context::Flux;
use crate::git::conflicts::carry::{Carried, Carry};
use crate::git::{ObjectId, Repo};
use crate::lifecycle::work::{LazyQuarantine, Work};

/// The unseen changes of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unseen {
    /// The tree of what was looked at, with what the target has brought since.
    pub(super) seen: ObjectId,
    /// The tree of all work.
    pub(super) present: ObjectId,
    /// The files in which the target has changed what was looked at. `seen` has them as the target
    /// has them.
    pub(super) conflicts: Vec<PathBuf>,
    /// It may be less another time: what was looked at could not be read, or not be carried to the
    /// present target.
    pub(super) is_doubtful: bool,
}

/// The commits to compare with.
pub(super) struct LookedAt<'a> {
    /// The snapshot that was looked at, if any.
    pub(super) seen: Option<&'a ObjectId>,
    /// The task's base.
    pub(super) base: &'a ObjectId,
}

impl Unseen {
    /// Finds what differs from the snapshot that the user has seen. Without one, or if it cannot be
    /// read or the target's later changes cannot be merged into it, finds all changes of the task.
    pub(super) fn find(
        flux: &Flux,
        looked_at: &LookedAt,
        work: &Work,
        quarantine: &LazyQuarantine,
    ) -> Result<Self> {
        let LookedAt { seen, base } = *looked_at;
        let repo = &flux.repo;
        let parent = seen.and_then(|seen| repo.parents_of(seen).ok()?.into_iter().next());
        if let (Some(seen), Some(parent)) = (seen, parent)
            && let Ok(found) = Self::since(flux, [seen, &parent], work, quarantine)
            && found.count(found.objects(flux, work, quarantine)?).is_ok()
        {
            return Ok(found);
        }
        match Self::since(flux, [base, base], work, quarantine) {
            Ok(all) => Ok(Self {
                is_doubtful: seen.is_some(),
                ..all
            }),
            // The difference from the target is larger, and found without a merge.
            Err(error) => {
                let from = repo.merge_base(&work.tip, &work.target)?.ok_or(error)?;
                let all = Self::since(flux, [&from, &from], work, quarantine)?;
                Ok(Self {
                    is_doubtful: true,
                    ..all
                })
            }
        }
    }

    /// Finds the task's changes since `commit`, a snapshot that was made when its branch was at `at`.
    /// What the target has brought to the task since is not among them: it is merged into the snapshot
    /// first. Fails if that merge cannot be made.
    fn since(
        flux: &Flux,
        [commit, at]: [&ObjectId; 2],
        work: &Work,
        quarantine: &LazyQuarantine,
    ) -> Result<Self> {
        let repo = &flux.repo;
        let bases = [at, &work.tip].map(|commit| repo.merge_base(commit, &work.target));
        let tree = repo.tree_of(commit)?;
        let carried = match bases {
            [Ok(Some(from)), Ok(Some(to))] => {
                let carry = Carry {
                    tree,
                    from: repo.tree_of(&from)?,
                    to: repo.tree_of(&to)?,
                };
                match carry.known() {
                    Some(known) => known,
                    None => quarantine
                        .get()?
                        .carry(&carry, repo.drivers(), &work.target)?,
                }
            }
            // Without a common commit, the target has brought nothing.
            [from, to] => {
                from.and(to)?;
                Carried {
                    tree,
                    conflicts: Vec::new(),
                    is_approximate: false,
                }
            }
        };
        let objects = match work.uncommitted {
            Some(_) => quarantine.get()?.objects(),
            None => repo,
        };
        Ok(Self {
            seen: carried.tree,
            present: work.tree(objects)?,
            conflicts: carried.conflicts,
            is_doubtful: false,
        })
    }

    /// Returns a repository that has both trees: the main one if it has them, or else the temporary
    /// repository `quarantine`.
    pub(super) fn objects<'a>(
        &self,
        flux: &'a Flux,
        work: &Work,
        quarantine: &'a LazyQuarantine,
    ) -> Result<&'a Repo> {
        let is_kept = work.uncommitted.is_none() && flux.repo.has_object(&self.seen);
        match is_kept {
            true => Ok(&flux.repo),
            false => Ok(quarantine.get()?.objects()),
        }
    }

    /// Counts the files that differ between the two trees; a renamed file counts once.
    pub(super) fn count(&self, objects: &Repo) -> Result<usize> {
        objects.count_changed(&self.seen, &self.present)
    }
}
