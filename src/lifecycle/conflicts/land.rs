//! Merges the work of each task into its target, in the quarantine.

use std::collections::hash_map::Entry;
use std::iter::zip;

use anyhow::{Result, ensure};

use super::cache::{Landing, LandingKey};
use super::radar::Radar;
use super::side::Side;
use crate::git::conflicts::hunks::find_functions;
use crate::git::conflicts::merge_batch::{NoResult, TrialResult, is_lasting};
use crate::git::conflicts::touched::{Touched, candidates};
use crate::git::{ObjectId, Repo, Unrelated};

/// The target's tree after a merge of a task.
enum LandedTree {
    /// Known without a merge, with what differs from before.
    Known(ObjectId, Touched),
    /// Known only after a merge.
    Merged,
}

impl Radar<'_> {
    /// Merges each task into its target, as far as the limit allows.
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

    /// Returns the landing of a task if it or its target has not changed anything, or if their changes
    /// are to different files; `None` if git has to merge it.
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
                merged: Err(NoResult::Refused(format!("{error:#}"))),
            },
        };
        if is_lasting(&landing.merged) {
            let key = landing_key(side);
            self.cache.put_landing(key, landing.clone());
        }
        Some(landing)
    }

    fn find_landed_tree(&mut self, side: &Side) -> Result<LandedTree> {
        let history = &self.flux.repo;
        let bases = history.merge_bases(&side.work.tip, &side.work.target)?;
        let [base] = &bases[..] else {
            ensure!(!bases.is_empty(), Unrelated);
            return Ok(LandedTree::Merged);
        };
        let target = history.tree_of(&side.work.target)?;
        if *base == side.work.target {
            let repo = self.repo(side)?;
            let tree = side.work.tree(repo)?;
            let touched = repo.touched(&target, &tree)?;
            return Ok(LandedTree::Known(tree, touched));
        }
        if *base == side.work.tip && side.work.uncommitted.is_none() {
            return Ok(LandedTree::Known(target, Touched::default()));
        }
        self.combine(side, base, &target)
    }

    /// Adds the changes of a task since `base` to the tree of its target, if no file is concerned by
    /// both: by [`candidates`], as with two tasks.
    fn combine(&mut self, side: &Side, base: &ObjectId, target: &ObjectId) -> Result<LandedTree> {
        let history = &self.flux.repo;
        let trees = [history.tree_of(base)?, target.clone()];
        let theirs = match self.moves.entry(trees) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let [old, new] = place.key();
                let touched = history.touched(old, new)?;
                place.insert(touched)
            }
        };
        let objects = self.quarantine.get()?.objects();
        let Some(own) = side.own(history, objects) else {
            return Ok(LandedTree::Merged);
        };
        if !candidates(&[own, theirs]).is_empty() {
            return Ok(LandedTree::Merged);
        }
        let tree = objects.replace_files(target, &side.work.tree(objects)?, own)?;
        let touched = objects.touched(target, &tree)?;
        Ok(LandedTree::Known(tree, touched))
    }

    /// Returns the repository with the objects of a task: the quarantine for uncommitted work.
    pub(super) fn repo(&self, side: &Side) -> Result<&Repo> {
        let repo = &self.flux.repo;
        match side.work.uncommitted {
            None => Ok(repo),
            Some(_) => Ok(self.quarantine.get()?.objects()),
        }
    }

    /// Merges tasks into their targets, with one git for each target.
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
