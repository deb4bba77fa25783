//! Merges the work of each task into its target, in the quarantine.

use std::iter::zip;

use anyhow::Result;

use super::cache::{Landing, LandingKey};
use super::radar::Radar;
use super::side::Side;
use crate::failure;
use crate::git::conflicts::hunks::find_functions;
use crate::git::conflicts::merge_batch::{NoResult, TrialResult, is_lasting};
use crate::git::conflicts::touched::Touched;
use crate::git::{ObjectId, Repo, Unrelated};

/// The target's tree after a merge of a task.
enum LandedTree {
    /// Known without a merge, with what differs from before.
    Known(ObjectId, Touched),
    /// Known only after a merge.
    Merged,
}

impl Radar<'_> {
    /// Sets `landing` of each task to the result of a trial merge into its target: a cached one,
    /// one that needs no git, or one that git makes now, for at most `limit` tasks. Leaves it
    /// `None` for the others.
    pub(super) fn land(&mut self, sides: &mut [Side]) -> Result<()> {
        let mut open = Vec::new();
        for (at, side) in sides.iter_mut().enumerate() {
            side.landing = self.cache.landing(&landing_key(side));
            // To find out whether git has to be asked takes time, too.
            if side.landing.is_some() || open.len() == self.limit {
                continue;
            }
            side.landing = self.land_without_git(side);
            if side.landing.is_none() {
                open.push(at);
            }
        }
        self.land_with_git(sides, &open)
    }

    /// Returns the result of merging a task into its target if at most one of them has changed
    /// since their common commit; an error as the result if that cannot be found out. `None` if git
    /// has to merge them.
    fn land_without_git(&mut self, side: &Side) -> Option<Landing> {
        let landing = match self.find_landed_tree(side) {
            Ok(LandedTree::Merged) => return None,
            Ok(LandedTree::Known(tree, touched)) => Landing {
                touched,
                merged: Ok(TrialResult {
                    tree,
                    files: Vec::new(),
                    is_approximate: false,
                }),
            },
            Err(error) => Landing {
                touched: Touched::default(),
                merged: Err(NoResult::Refused(failure::reason(&error))),
            },
        };
        if is_lasting(&landing.merged) {
            let key = landing_key(side);
            self.cache.put_landing(key, landing.clone());
        }
        Some(landing)
    }

    fn find_landed_tree(&self, side: &Side) -> Result<LandedTree> {
        let repo = self.repo(side)?;
        let base = self
            .flux
            .repo
            .merge_base(&side.work.tip, &side.work.target)?;
        let base = base.ok_or(Unrelated)?;
        let target = repo.tree_of(&side.work.target)?;
        let tree = if base == side.work.target {
            side.work.tree(repo)?
        } else if base == side.work.tip && side.work.uncommitted.is_none() {
            target.clone()
        } else {
            return Ok(LandedTree::Merged);
        };
        let touched = repo.touched(&target, &tree)?;
        Ok(LandedTree::Known(tree, touched))
    }

    /// Returns the repository from which a task's objects can be read: this one or, if the task has
    /// uncommitted files, the quarantine, a temporary one that also reads this one's objects.
    pub(super) fn repo(&self, side: &Side) -> Result<&Repo> {
        let repo = &self.flux.repo;
        match side.work.uncommitted {
            None => Ok(repo),
            Some(_) => Ok(self.quarantine.get()?.objects()),
        }
    }

    /// Sets `landing` of the tasks with the indexes `open` to the result of a trial merge into
    /// their targets, and caches it. Runs one `git merge-tree --stdin` for all tasks with the same
    /// target.
    pub(super) fn land_with_git(&mut self, sides: &mut [Side], open: &[usize]) -> Result<()> {
        if open.is_empty() {
            return Ok(());
        }
        let quarantine = self.quarantine.get()?;
        let merges = open.iter().map(|at| {
            let side = &sides[*at];
            Ok((side.work.target.clone(), side.landing_merge(quarantine)?))
        });
        let mut answers = self.ask(merges.collect::<Result<_>>()?)?;
        let objects = quarantine.objects();
        let targets = open
            .iter()
            .map(|at| objects.tree_of(&sides[*at].work.target));
        let targets: Vec<ObjectId> = targets.collect::<Result<_>>()?;
        find_functions(quarantine, zip(&targets, &mut answers))?;
        for ((at, target), merged) in zip(zip(open, targets), answers) {
            let touched = match &merged {
                Ok(result) => quarantine.objects().touched(&target, &result.tree)?,
                Err(_) => Touched::default(),
            };
            let (side, landing) = (&mut sides[*at], Landing { merged, touched });
            if is_lasting(&landing.merged) {
                self.cache.put_landing(landing_key(side), landing.clone());
            }
            side.landing = Some(landing);
        }
        Ok(())
    }
}

fn landing_key(side: &Side) -> LandingKey {
    LandingKey::new(side.work.key())
}
