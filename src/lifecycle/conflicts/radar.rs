//! Asks git which tasks conflict, as few questions as possible.
//!
//! A task is first merged into its target, in the quarantine. Two tasks with one target are then
//! merged as commits on top of it, so that the merge base is the target, and no task is blamed for
//! what the target has changed since. For two tasks with different targets, see `direct.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::zip;

use anyhow::{Context as _, Result};

use super::cache::{Cache, PairKey};
use super::finding::Finding;
use super::side::{OwnChange, Side};
use crate::context::Flux;
use crate::git::conflicts::hunks::find_functions;
use crate::git::conflicts::merge_batch::{Answer, MergeBatch, TrialMerge, is_lasting};
use crate::git::conflicts::relevant::relevant;
use crate::git::conflicts::touched::{Pair, Touched, candidates};
use crate::git::{ObjectId, Repo};
use crate::lifecycle::work::LazyQuarantine;

pub(super) struct Radar<'a> {
    pub(super) flux: &'a Flux,
    pub(super) quarantine: LazyQuarantine<'a>,
    pub(super) cache: Cache,
    /// The number of new questions of each kind.
    pub(super) limit: usize,
    /// The merges that were asked about now, by pair.
    pub(super) merges: BTreeMap<Pair, TrialMerge>,
}

/// A question about a pair.
pub(super) struct PairQuestion {
    pub(super) pair: Pair,
    /// The commit whose attributes count.
    pub(super) attributes: ObjectId,
    pub(super) merge: TrialMerge,
}

impl Radar<'_> {
    /// Runs trial merges, and returns their results in the same order. Each comes with the commit
    /// whose `.gitattributes` apply to it; runs one `git merge-tree --stdin` for all merges with
    /// the same commit.
    pub(super) fn ask(&self, merges: Vec<(ObjectId, TrialMerge)>) -> Result<Vec<Answer>> {
        if merges.is_empty() {
            return Ok(Vec::new());
        }
        let quarantine = self.quarantine.get()?;
        let mut by_commit: BTreeMap<ObjectId, Vec<(usize, TrialMerge)>> = BTreeMap::new();
        for (at, (commit, merge)) in merges.into_iter().enumerate() {
            by_commit.entry(commit).or_default().push((at, merge));
        }
        let mut answers = Vec::new();
        for (attributes, merges) in by_commit {
            let (places, merges): (Vec<usize>, Vec<TrialMerge>) = merges.into_iter().unzip();
            let batch = MergeBatch {
                quarantine,
                drivers: self.flux.repo.drivers(),
                attributes: &attributes,
            };
            answers.extend(zip(places, batch.ask(&merges)?));
        }
        answers.sort_by_key(|(at, _)| *at);
        Ok(answers.into_iter().map(|(_, answer)| answer).collect())
    }

    /// Determines which pairs of tasks conflict, of those that `is_wanted` accepts: from the cache, or
    /// by at most `limit` merges. Lists the tasks of the other pairs in `later`.
    pub(super) fn compare(
        &mut self,
        sides: &mut [Side],
        is_wanted: &dyn Fn(Pair) -> bool,
        freshness: Freshness,
    ) -> Result<Comparison> {
        let mut findings = BTreeMap::new();
        let mut open = Vec::new();
        let mut later: BTreeSet<usize> = BTreeSet::new();
        if sides.iter().any(|side| side.landing.is_none()) {
            later.extend(0..sides.len());
        }
        let unknown = self.find_unknown_pairs(sides)?.into_iter();
        findings.extend(unknown.filter(|(pair, _)| is_wanted(*pair)));
        let pairs = self.find_pairs(sides)?.into_iter();
        for pair in pairs.filter(|pair| is_wanted(*pair)) {
            match self.find_known(sides, pair, freshness)? {
                Some(finding) => drop(findings.insert(pair, finding)),
                None if open.len() < self.limit => open.push(pair),
                None => later.extend([pair.0, pair.1]),
            }
        }
        let members: BTreeSet<usize> = open.iter().flat_map(|pair| [pair.0, pair.1]).collect();
        let is_lost = |at: &usize| self.is_lost(&sides[*at]);
        let lost: Vec<usize> = members.into_iter().filter(is_lost).collect();
        self.land_with_git(sides, &lost)?;
        let answers = self.answer(sides, &open)?.into_iter();
        findings.extend(answers.map(|(pair, answer)| (pair, Finding::of(answer))));
        Ok(Comparison { findings, later })
    }

    /// Returns what is known about a pair without asking git.
    fn find_known(
        &mut self,
        sides: &[Side],
        pair: Pair,
        freshness: Freshness,
    ) -> Result<Option<Finding>> {
        let (one, two) = (&sides[pair.0], &sides[pair.1]);
        if is_same(one, two) {
            return Ok(Some(Finding::Same));
        }
        let known = self.cache.pair(&pair_key(one, two)?);
        let known = known.filter(|_| freshness == Freshness::Known);
        Ok(known.map(Finding::of))
    }

    /// Returns whether a task's tree after the merge into its target exists no more: its name is
    /// cached, but an earlier command made it in a temporary repository.
    fn is_lost(&self, side: &Side) -> bool {
        let quarantine = self.quarantine.get();
        side.merged_tree().is_some_and(|tree| {
            quarantine.is_ok_and(|quarantine| !quarantine.objects().has_object(tree))
        })
    }

    /// Returns the pairs of tasks that may conflict, by the paths that they touch, without tasks that
    /// were not merged into their targets yet.
    fn find_pairs(&self, sides: &[Side]) -> Result<BTreeSet<Pair>> {
        let mut pairs = BTreeSet::new();
        let mut by_target: BTreeMap<&ObjectId, Vec<usize>> = BTreeMap::new();
        for (at, side) in sides.iter().enumerate() {
            if side.merged_tree().is_some() {
                by_target.entry(&side.work.target).or_default().push(at);
            }
        }
        for landed in by_target.values() {
            let landings = landed.iter().filter_map(|at| sides[*at].landing.as_ref());
            let touched: Vec<&Touched> = landings.map(|landing| &landing.touched).collect();
            let found = candidates(&touched).into_iter();
            pairs.extend(found.map(|(one, two)| (landed[one], landed[two])));
        }
        if by_target.len() > 1 || sides.iter().any(has_failed) {
            pairs.extend(self.find_direct_pairs(sides)?);
        }
        Ok(pairs)
    }

    /// Returns all pairs of a task whose own changes are unknown, such as one without a common commit
    /// with its target. Leaves out tasks that were not merged into their targets yet.
    fn find_unknown_pairs(&self, sides: &[Side]) -> Result<BTreeMap<Pair, Finding>> {
        let mut pairs = BTreeMap::new();
        let is_open = |at: &usize| sides[*at].landing.is_none();
        let failed = sides.iter().enumerate();
        for (at, side) in failed.filter(|(_, side)| has_failed(side)) {
            let Err(why) = self.own(side)? else {
                continue;
            };
            let others = (0..sides.len()).filter(|other| *other != at && !is_open(other));
            pairs.extend(others.map(|other| {
                let pair = (at.min(other), at.max(other));
                (pair, Finding::Unknown(why.to_owned()))
            }));
        }
        Ok(pairs)
    }

    /// Returns the pairs of tasks that may conflict and have no common target, or one of which git
    /// cannot merge into it.
    fn find_direct_pairs(&self, sides: &[Side]) -> Result<Vec<Pair>> {
        let none = Touched::default();
        let own = sides
            .iter()
            .map(|side| Ok(self.own(side)?.map_or(&none, |own| &own.touched)));
        let own: Vec<&Touched> = own.collect::<Result<_>>()?;
        let is_open = |at: usize| sides[at].landing.is_none();
        let is_direct = |pair: &Pair| {
            let is_later = is_open(pair.0) || is_open(pair.1);
            !is_later && !is_on_target(&sides[pair.0], &sides[pair.1])
        };
        Ok(candidates(&own).into_iter().filter(is_direct).collect())
    }

    pub(super) fn own<'a>(&self, side: &'a Side) -> Result<Result<&'a OwnChange, &'a str>> {
        Ok(side.own(&self.flux.repo, self.repo(side)?))
    }

    /// Asks git about pairs, and caches the answers.
    fn answer(&mut self, sides: &[Side], pairs: &[Pair]) -> Result<Vec<(Pair, Answer)>> {
        let questions = pairs.iter().map(|pair| self.question(sides, *pair));
        let questions: Vec<PairQuestion> = questions.collect::<Result<_>>()?;
        let answers = self.ask_about(&questions)?;
        let mut found: BTreeMap<Pair, Answer> = BTreeMap::new();
        for (PairQuestion { pair, merge, .. }, answer) in zip(questions, answers) {
            found.insert(pair, answer);
            self.merges.insert(pair, merge);
        }
        self.keep_own(sides, &mut found)?;
        for (pair, answer) in &found {
            if is_lasting(answer) {
                let key = pair_key(&sides[pair.0], &sides[pair.1])?;
                self.cache.put_pair(key, answer.clone());
            }
        }
        Ok(found.into_iter().collect())
    }

    fn question(&self, sides: &[Side], pair: Pair) -> Result<PairQuestion> {
        let quarantine = self.quarantine.get()?;
        let (one, two) = (&sides[pair.0], &sides[pair.1]);
        let commits = match is_on_target(one, two) {
            true => one
                .merged_commit(quarantine)?
                .zip(two.merged_commit(quarantine)?),
            false => Some((one.commit(quarantine)?, two.commit(quarantine)?)),
        };
        let (ours, theirs) = commits.context("internal error: no merged tree")?;
        Ok(PairQuestion {
            pair,
            attributes: one.work.target.clone(),
            merge: TrialMerge { ours, theirs },
        })
    }

    /// Runs the trial merges of pairs, and finds the functions around the conflicts. The answers are
    /// in the order of the questions.
    pub(super) fn ask_about(&self, questions: &[PairQuestion]) -> Result<Vec<Answer>> {
        if questions.is_empty() {
            return Ok(Vec::new());
        }
        let merges = questions.iter().map(|question| {
            let merge = question.merge.clone();
            (question.attributes.clone(), merge)
        });
        let mut answers = self.ask(merges.collect())?;
        let quarantine = self.quarantine.get()?;
        let trees = questions
            .iter()
            .map(|question| quarantine.objects().tree_of(&question.merge.ours));
        let trees: Vec<ObjectId> = trees.collect::<Result<_>>()?;
        find_functions(quarantine, zip(&trees, &mut answers))?;
        Ok(answers)
    }
}

/// The results of the comparisons of all pairs.
pub(super) struct Comparison {
    pub(super) findings: BTreeMap<Pair, Finding>,
    /// The tasks that were not compared with all others, because of the limit.
    pub(super) later: BTreeSet<usize>,
}

/// The use of known answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    Known,
    Asked,
}

/// Returns whether git could not merge a task into its target.
fn has_failed(side: &Side) -> bool {
    side.landing
        .as_ref()
        .is_some_and(|landing| landing.merged.is_err())
}

/// Returns whether two tasks are compared on top of their common target.
pub(super) fn is_on_target(one: &Side, two: &Side) -> bool {
    let are_landed = one.merged_tree().is_some() && two.merged_tree().is_some();
    one.work.target == two.work.target && are_landed
}

/// Returns whether two tasks have made the same changes.
fn is_same(one: &Side, two: &Side) -> bool {
    let has_changed = one
        .landing
        .as_ref()
        .is_some_and(|it| !it.touched.is_empty());
    is_on_target(one, two) && one.merged_tree() == two.merged_tree() && has_changed
}

fn pair_key(one: &Side, two: &Side) -> Result<PairKey> {
    match (&one.landing, &two.landing) {
        (Some(a), Some(b)) if is_on_target(one, two) => {
            let parts = Repo::hash(&relevant(&a.touched, &b.touched))?;
            Ok(PairKey::new(&[&one.work.target, &parts]))
        }
        _ => {
            let parts = [one, two].map(|side| side.work.key());
            Ok(PairKey::new(parts.as_flattened()))
        }
    }
}
