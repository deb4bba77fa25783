//! Merges the work of each task into its target, in the quarantine.

use std::iter::zip;

use anyhow::Result;

use super::cache::{Landing, LandingKey};
use super::radar::Radar;
use super::side::Side;
use crate::git::conflicts::hunks::find_functions;
use crate::git::conflicts::merge_batch::{NoResult, TrialResult, is_lasting};
use crate::git::conflicts::touched::Touched;
use crate::git::{ObjectId, Repo};

impl Radar<'_> {
    /// Merges each task into its target, as far as the limit allows.
    pub(super) fn land(&mut self, sides: &mut [Side]) -> Result<()> {
        let mut open = Vec::new();
        for at in 0..sides.len() {
            let side = &sides[at];
            let mut found = self.cache.landing(&landing_key(side));
            if found.is_none() {
                found = self.land_without_git(side)?;
                if let Some(landing) = &found {
                    self.cache.put_landing(landing_key(side), landing.clone());
                }
            }
            match found {
                Some(landing) => sides[at].landing = Some(landing),
                None => open.push(at),
            }
        }
        open.truncate(self.limit);
        self.land_with_git(sides, &open)
    }

    /// Returns the landing of a task that has not changed anything, or whose target has not moved.
    fn land_without_git(&self, side: &Side) -> Result<Option<Landing>> {
        let repo = self.repo(side)?;
        let base = self.flux.repo.merge_base(&side.tip, &side.target)?;
        let target = repo.tree_of(&side.target)?;
        let is_done = base.as_ref() == Some(&side.tip) && repo.tree_of(&side.tip)? == side.tree;
        let tree = match base {
            None => {
                let why = "they have no commit in common".to_owned();
                return Ok(Some(Landing {
                    merged: Err(NoResult::Refused(why)),
                    touched: Touched::default(),
                }));
            }
            _ if is_done => &target,
            Some(base) if base == side.target => &side.tree,
            Some(_) => return Ok(None),
        };
        Ok(Some(Landing {
            touched: repo.touched(&target, tree)?,
            merged: Ok(TrialResult {
                tree: tree.clone(),
                files: Vec::new(),
                is_approximate: false,
            }),
        }))
    }

    /// Returns the repository with the objects of a task: the quarantine for uncommitted work.
    pub(super) fn repo(&self, side: &Side) -> Result<&Repo> {
        let repo = &self.flux.repo;
        match repo.has_object(&side.tree) {
            true => Ok(repo),
            false => Ok(self.quarantine.get()?.objects()),
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
            Ok((side.target.clone(), side.landing_merge(quarantine)?))
        });
        let mut answers = self.ask(merges.collect::<Result<_>>()?)?;
        let objects = quarantine.objects();
        let targets = open.iter().map(|at| objects.tree_of(&sides[*at].target));
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
    LandingKey::new([&side.target, &side.tip, &side.tree])
}
