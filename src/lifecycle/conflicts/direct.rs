//! Compares tasks that have no common target, or one of which git cannot merge into it, by what each
//! has changed itself.
//!
//! They are merged directly. If that conflicts in files that both have changed, and one of them has
//! changes of its target that the other lacks, which may be the cause, the own changes of both are
//! carried to a commit that both bases have, and compared there.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::zip;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::radar::{PairQuestion, Radar, is_on_target};
use super::side::{OwnChange, Side};
use crate::git::conflicts::carry::{Carried, Carry};
use crate::git::conflicts::merge_batch::{Answer, ConflictFile, NoResult, TrialMerge, TrialResult};
use crate::git::conflicts::quarantine::Quarantine;
use crate::git::conflicts::touched::{Pair, Touched};
use crate::git::{ObjectId, Unrelated};
use crate::sanitize::shown;

/// A task, by its index, and the commit that its own changes are carried to.
type Place = (usize, ObjectId);

/// The own changes of tasks, carried to older commits.
struct CarriedTasks {
    /// The commit of each pair.
    bases: BTreeMap<Pair, ObjectId>,
    tasks: BTreeMap<Place, Result<CarriedTask, NoResult>>,
}

struct CarriedTask {
    carried: Carried,
    /// What the task has changed since its base.
    own: Touched,
    /// The difference between the commit and the carried tree.
    touched: Touched,
}

impl Radar<'_> {
    /// Replaces the answers about the pairs that have no common target: only what both tasks have
    /// changed themselves counts.
    pub(super) fn keep_own(
        &mut self,
        sides: &[Side],
        answers: &mut BTreeMap<Pair, Answer>,
    ) -> Result<()> {
        let mut unclear = Vec::new();
        for (pair, answer) in answers.iter_mut() {
            let two = [&sides[pair.0], &sides[pair.1]];
            let (false, Ok(result)) = (is_on_target(two[0], two[1]), answer) else {
                continue;
            };
            self.keep_files(result, two)?;
            if !result.files.is_empty() && !self.is_exact(two)? {
                unclear.push(*pair);
            }
        }
        let carried = self.carry(sides, &unclear)?;
        let mut questions = Vec::new();
        for pair in unclear {
            match carried.commits(pair, self.quarantine.get()?)? {
                Ok([ours, theirs]) => questions.push(PairQuestion {
                    pair,
                    attributes: sides[pair.0].work.target.clone(),
                    merge: TrialMerge { ours, theirs },
                }),
                Err(why) => drop(answers.insert(pair, Err(why))),
            }
        }
        let found = self.ask_about(&questions)?;
        for (PairQuestion { pair, merge, .. }, answer) in zip(questions, found) {
            let answer = answer.and_then(|result| carried.conclude(pair, result));
            answers.insert(pair, answer);
            self.merges.insert(pair, merge);
        }
        Ok(())
    }

    /// Removes conflicts in files that only one of two tasks has changed itself: the other has them
    /// from its target.
    fn keep_files(&self, result: &mut TrialResult, sides: [&Side; 2]) -> Result<()> {
        let (Ok(one), Ok(two)) = (self.own(sides[0])?, self.own(sides[1])?) else {
            return Ok(());
        };
        let (one, two) = (&one.touched, &two.touched);
        // One has renamed a file that the other has changed.
        let is_renamed = |a: &Touched, b: &Touched| a.deleted.iter().any(|path| b.has(path));
        let renamed = [(one, two), (two, one)].map(|(a, b)| is_renamed(a, b).then_some(a));
        let is_own = |file: &ConflictFile| {
            let mut renamed = renamed.iter().flatten();
            (one.has(&file.path) && two.has(&file.path))
                || renamed.any(|own| own.added.iter().any(|added| added.path == file.path))
                // One has added a file to a directory that the other has renamed.
                || file.kind == "file location"
        };
        result.files.retain(is_own);
        Ok(())
    }

    /// Returns whether a direct merge of two tasks compares only their own changes: their last
    /// common commit has the bases of both.
    fn is_exact(&self, sides: [&Side; 2]) -> Result<bool> {
        let repo = &self.flux.repo;
        let (Ok(one), Ok(two)) = (self.own(sides[0])?, self.own(sides[1])?) else {
            return Ok(false);
        };
        let Some(common) = repo.merge_base(&sides[0].work.tip, &sides[1].work.tip)? else {
            return Ok(false);
        };
        let has =
            |base: &ObjectId| anyhow::Ok(repo.merge_base(base, &common)?.as_ref() == Some(base));
        Ok(has(&one.base)? && has(&two.base)?)
    }

    /// Carries the own changes of both tasks of each pair to the last common commit of their bases,
    /// by one `git merge-tree --stdin` for all tasks with the same target, and none for a task whose
    /// base is that commit.
    fn carry(&self, sides: &[Side], pairs: &[Pair]) -> Result<CarriedTasks> {
        let mut all = CarriedTasks {
            bases: self.find_bases(sides, pairs)?,
            tasks: BTreeMap::new(),
        };
        let members = all.bases.iter();
        let places =
            members.flat_map(|(pair, base)| [(pair.0, base.clone()), (pair.1, base.clone())]);
        let places: BTreeSet<Place> = places.collect();
        let (mut open, mut merges) = (Vec::new(), Vec::new());
        for place in places {
            let side = &sides[place.0];
            let carry = self.carry_of(side, &place.1)?;
            if let Some(known) = carry.known() {
                let task = self.carried_task(side, &place.1, known)?;
                all.tasks.insert(place, Ok(task));
                continue;
            }
            merges.push((
                side.work.target.clone(),
                self.quarantine.get()?.merge_of(&carry)?,
            ));
            open.push((place, carry));
        }
        let answers = self.ask(merges)?;
        for ((place, carry), answer) in zip(open, answers) {
            let carried = |result| {
                let carried = self.quarantine.get()?.carried(&carry, result)?;
                self.carried_task(&sides[place.0], &place.1, carried)
            };
            let task = match answer {
                Ok(result) => Ok(carried(result)?),
                Err(why) => Err(why),
            };
            all.tasks.insert(place, task);
        }
        Ok(all)
    }

    /// Returns the last common commit of the bases of each pair, if there is one.
    fn find_bases(&self, sides: &[Side], pairs: &[Pair]) -> Result<BTreeMap<Pair, ObjectId>> {
        let mut bases = BTreeMap::new();
        for pair in pairs {
            if let (Ok(one), Ok(two)) = (self.own(&sides[pair.0])?, self.own(&sides[pair.1])?) {
                let base = self.flux.repo.merge_base(&one.base, &two.base)?;
                bases.extend(base.map(|base| (*pair, base)));
            }
        }
        Ok(bases)
    }

    fn carry_of(&self, side: &Side, to: &ObjectId) -> Result<Carry> {
        let own = self.own(side)?;
        let OwnChange { base, .. } = own.ok().context("internal error: no base")?;
        let objects = self.quarantine.get()?.objects();
        Ok(Carry {
            tree: side.work.tree(objects)?,
            from: objects.tree_of(base)?,
            to: objects.tree_of(to)?,
        })
    }

    fn carried_task(&self, side: &Side, to: &ObjectId, carried: Carried) -> Result<CarriedTask> {
        let own = self.own(side)?;
        let OwnChange { touched, .. } = own.ok().context("internal error: no base")?;
        let objects = self.quarantine.get()?.objects();
        Ok(CarriedTask {
            own: touched.clone(),
            touched: objects.touched(&objects.tree_of(to)?, &carried.tree)?,
            carried,
        })
    }
}

impl CarriedTasks {
    /// Writes a commit of each of the two tasks of a pair, with the common commit as its parent, or
    /// returns why there is none.
    fn commits(
        &self,
        pair: Pair,
        quarantine: &Quarantine,
    ) -> Result<Result<[ObjectId; 2], NoResult>> {
        let (base, [one, two]) = match self.find(pair) {
            Ok(found) => found,
            Err(why) => return Ok(Err(why)),
        };
        let write = |task: &CarriedTask| {
            let objects = quarantine.objects();
            objects.write_commit(&task.carried.tree, &[base])
        };
        Ok(Ok([write(one)?, write(two)?]))
    }

    fn find(&self, pair: Pair) -> Result<(&ObjectId, [&CarriedTask; 2]), NoResult> {
        let base = self.bases.get(&pair);
        let base = base.ok_or_else(|| NoResult::Refused(Unrelated.to_string()))?;
        let task = |at| match self.tasks.get(&(at, base.clone())) {
            Some(Ok(task)) => Ok(task),
            Some(Err(why)) => Err(why.clone()),
            None => Err(NoResult::Refused("internal error: not carried".to_owned())),
        };
        Ok((base, [task(pair.0)?, task(pair.1)?]))
    }

    /// Returns the answer about a pair for the merge of its two commits: conflicts in files whose
    /// changes could not be carried do not count. If there are no others, but both have changed such
    /// a file, the answer is unknown.
    fn conclude(&self, pair: Pair, mut result: TrialResult) -> Answer {
        let (_, tasks) = self.find(pair)?;
        let [one, two] = tasks;
        result.is_approximate |= tasks.iter().any(|task| task.carried.is_approximate);
        let is_carried = |path: &Path| !tasks.iter().any(|task| task.has_failed(path));
        result.files.retain(|file| is_carried(&file.path));
        let unclear = one.find_unclear(two).or_else(|| two.find_unclear(one));
        match unclear {
            Some(path) if result.files.is_empty() => {
                let path = shown(path);
                let why =
                    format!("their targets differ in lines of '{path}' that these tasks change");
                Err(NoResult::Inexact(why))
            }
            _ => Ok(result),
        }
    }
}

impl CarriedTask {
    /// Returns whether the changes of a file could not be carried.
    fn has_failed(&self, path: &Path) -> bool {
        self.carried.conflicts.iter().any(|failed| failed == path)
    }

    /// Returns a file whose changes could not be carried and that another task has touched, too.
    fn find_unclear(&self, other: &Self) -> Option<&PathBuf> {
        let mut failed = self.carried.conflicts.iter();
        failed.find(|path| other.own.has(path) || other.touched.has(path) || other.has_failed(path))
    }
}
