//! Lands the tasks of one target, one tested batch after the other.

use std::mem;
use std::time::{Duration, Instant};

use anyhow::{Error, Result, anyhow};

use super::back::{self, Fault};
use super::batch::{BatchSize, GateAnswer, KnownTarget, Prefix, PrefixSearch};
use super::chain::{self, Built, Candidates, Chain, LandTask, LeftOut, Link, Misfit, Undecided};
use super::chain_refs::ChainRefs;
use super::finding::{GateFinding, Tester};
use super::landing::{Landed, LandingOutcome, PrefixLanding, remove_integrated};
use super::progress::ProgressMarks;
use super::results::{LandEvent, PassedBatch, TargetMove, TaskResult};
use super::signed;
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::Lock;
use crate::interrupt;
use crate::lifecycle::cleanup::called_command::CalledCommand;
use crate::lifecycle::gate;
use crate::task::{ObjectId, TaskId};

/// The landing of the tasks of one target.
pub(crate) struct Queue<'a> {
    pub(crate) flux: &'a Flux,
    /// For hints.
    pub(crate) command: CalledCommand,
    pub(crate) tester: Tester<'a>,
    pub(crate) tell: &'a mut dyn FnMut(LandEvent) -> Result<()>,
    /// The lock of landings.
    pub(crate) lock: &'a Lock,
    pub(crate) fate: Landed,
    pub(crate) size: BatchSize,
    pub(crate) results: Vec<(TaskId, TaskResult)>,
    pub(crate) moves: Vec<TargetMove>,
    /// The commit of the target that passes.
    pub(crate) green: Option<ObjectId>,
    /// The tasks about which the gate gave no verdict.
    pub(crate) undecided: Vec<Undecided>,
    /// The time when the tests of the present batch began, and the number of runs before. A batch
    /// is tested again if a task or the target changes meanwhile.
    pub(crate) begun: Option<(Instant, usize)>,
}

/// The number of attempts for tasks or a target that keep changing.
const ATTEMPTS: usize = 5;

impl Queue<'_> {
    /// Lands the tasks, which have one target, in their order: the longest part of each batch that
    /// passes. Tasks that fail, conflict or are refused stop no other.
    ///
    /// # Errors
    /// If the target does not pass or cannot be moved, or if interrupted.
    pub(crate) fn land(&mut self, mut pending: Vec<LandTask>) -> Result<()> {
        let mut attempts = 0;
        while !pending.is_empty() {
            interrupt::check()?;
            let candidates = Candidates {
                tasks: &pending,
                limit: self.size.get(),
                undecided: &self.undecided,
            };
            let Built { chain, left_out } = chain::build(self.flux, &candidates)?;
            let before = pending.len();
            for (id, why) in left_out {
                self.settle(&mut pending, &id, why)?;
            }
            let is_stuck = match chain {
                Some(chain) => !self.land_chain(&chain, &mut pending)?,
                None => pending.len() == before,
            };
            attempts = if is_stuck { attempts + 1 } else { 0 };
            if attempts == ATTEMPTS {
                for task in mem::take(&mut pending) {
                    let why = format!("'{}' or its target keeps changing", task.id);
                    self.note(task.id, TaskResult::Refused(anyhow!(why)))?;
                }
            }
        }
        Ok(())
    }

    /// Tests the tasks together, in their order, and lands nothing. Leaves out a task that does not
    /// pass, and tests the others again.
    ///
    /// # Errors
    /// If the target does not pass, or if interrupted.
    pub(crate) fn check(&mut self, mut tasks: Vec<LandTask>) -> Result<()> {
        let (begun, before) = (Instant::now(), self.tester.runs);
        loop {
            let candidates = Candidates {
                tasks: &tasks,
                limit: usize::MAX,
                undecided: &[],
            };
            let Built { chain, left_out } = chain::build(self.flux, &candidates)?;
            let stop = match &chain {
                Some(chain) => self.test(chain)?,
                None => None,
            };
            if let (Some((at, answer)), Some(chain)) = (stop, &chain) {
                let id = chain.links[at].facts.task.id.clone();
                tasks.retain(|task| task.id != id);
                self.note(id, TaskResult::of_answer(answer))?;
                continue;
            }
            let built = Built { chain, left_out };
            let runs = self.runs_since(before);
            return self.note_checked(built, runs, begun.elapsed());
        }
    }

    /// Notes the results of `--check`: the tasks of a chain that passes fit, and those whose changes
    /// the chain has anyway.
    fn note_checked(&mut self, built: Built, runs: Option<usize>, time: Duration) -> Result<()> {
        let left_out = built.left_out.into_iter();
        let (contained, left_out): (Vec<_>, Vec<_>) =
            left_out.partition(|(_, why)| matches!(why, LeftOut::Later(Misfit::Contained)));
        if let Some(chain) = built.chain {
            let contained = contained.into_iter().map(|(id, _)| id);
            let ids: Vec<TaskId> = chain.ids().cloned().chain(contained).collect();
            let batch = PassedBatch {
                ids: ids.clone(),
                runs,
                time,
            };
            (self.tell)(LandEvent::Passed(batch))?;
            for id in ids {
                self.note(id, TaskResult::Fits)?;
            }
        }
        for (id, why) in left_out {
            let result = TaskResult::of_left_out(&id, &self.command, why);
            self.note(id, result)?;
        }
        Ok(())
    }

    /// Returns how often the gate has run since its number of runs was `before`; `None` without a
    /// gate.
    fn runs_since(&self, before: usize) -> Option<usize> {
        let runs = self.tester.runs - before;
        self.tester.has_gate().then_some(runs)
    }

    /// Tests a chain for `--check`, which lands nothing. Returns the position of the first task
    /// that does not pass, and the answer about it; `None` if all pass. Fails if the target does
    /// not pass.
    fn test(&mut self, chain: &Chain) -> Result<Option<(usize, GateAnswer<GateFinding>)>> {
        let commits = chain.links.iter().map(|link| &link.commit);
        let refs = ChainRefs::create(self.flux, &commits.collect::<Vec<_>>(), self.lock)?;
        let prefix = self.search(chain);
        self.delete(refs);
        let prefix = prefix?;
        match (prefix.green, prefix.stop) {
            (Some(green), stop) => Ok(stop.map(|answer| (green, answer))),
            (None, stop) => Err(self.target_error(chain, stop)),
        }
    }

    /// Deletes the refs of a chain. If that fails, the next command does it.
    fn delete(&self, refs: ChainRefs) {
        if let Err(error) = refs.delete(self.flux, self.lock) {
            self.flux.ui.warn_of(&error);
        }
    }

    /// Handles a task that was left out of the chain: removes it, unless landed tasks are kept, if
    /// its target has all its changes; sends it back on a conflict; notes its result. Leaves it in
    /// `pending` if it is to be tried again.
    fn settle(&mut self, pending: &mut Vec<LandTask>, id: &TaskId, why: LeftOut) -> Result<()> {
        let result = match why {
            LeftOut::Later(_) => return Ok(()),
            LeftOut::Refused(error) => TaskResult::Refused(error),
            LeftOut::Integrated(facts) => {
                let why = facts.nothing_to_merge().unwrap_or_default();
                match self.fate {
                    Landed::Kept => TaskResult::Integrated(None, why),
                    Landed::Removed => match remove_integrated(self.flux, &facts).transpose() {
                        None => return Ok(()),
                        removed => TaskResult::Integrated(removed, why),
                    },
                }
            }
            LeftOut::Conflict(facts) => {
                TaskResult::Conflict(back::send(self.flux, &facts, Fault::Conflict)?)
            }
        };
        pending.retain(|task| task.id != *id);
        self.note(id.clone(), result)
    }

    fn note(&mut self, id: TaskId, result: TaskResult) -> Result<()> {
        (self.tell)(LandEvent::Result(&id, &result))?;
        self.results.push((id, result));
        Ok(())
    }

    /// Tests a chain, the trial merges for one target that are each made on top of the one before, and
    /// lands those before the first that does not pass. Returns `false`, with nothing landed, if a
    /// task or the target has changed since the chain was made.
    fn land_chain(&mut self, chain: &Chain, pending: &mut Vec<LandTask>) -> Result<bool> {
        let commits = chain.links.iter().map(|link| &link.commit);
        let refs = ChainRefs::create(self.flux, &commits.collect::<Vec<_>>(), self.lock)?;
        let marks = ProgressMarks::set(self.flux, chain.ids());
        let done = self.test_and_land(chain, pending);
        if matches!(done, Ok(true)) {
            self.begun = None;
        }
        drop(marks);
        self.delete(refs);
        done
    }

    fn test_and_land(&mut self, chain: &Chain, pending: &mut Vec<LandTask>) -> Result<bool> {
        let start = (Instant::now(), self.tester.runs);
        let (begun, before) = *self.begun.get_or_insert(start);
        let prefix = self.search(chain)?;
        let Some(green) = prefix.green else {
            return Err(self.target_error(chain, prefix.stop));
        };
        self.green = Some(chain.base.clone());
        if green > 0 {
            if !self.land_prefix(chain, pending, green)? {
                return Ok(false);
            }
            let batch = PassedBatch {
                ids: chain.ids().take(green).cloned().collect(),
                runs: self.runs_since(before),
                time: begun.elapsed(),
            };
            (self.tell)(LandEvent::Passed(batch))?;
        }
        let Some(answer) = prefix.stop else {
            self.size.grow();
            return Ok(true);
        };
        self.size.shrink();
        let Link { facts, commit } = &chain.links[green];
        let id = facts.task.id.clone();
        pending.retain(|task| task.id != id);
        let result = match answer {
            GateAnswer::Green => return Ok(true),
            GateAnswer::Unknown(finding) => {
                let (id, commit) = (id.clone(), commit.clone());
                self.undecided.push(Undecided { id, commit });
                TaskResult::Unknown(finding)
            }
            GateAnswer::Red(finding) => {
                let sent = back::send(self.flux, facts, Fault::Red(&finding))?;
                TaskResult::Red(finding, Some(sent))
            }
        };
        self.note(id, result)?;
        Ok(true)
    }

    fn search(&mut self, chain: &Chain) -> Result<Prefix<GateFinding>> {
        let is_landed = self.green.as_ref() == Some(&chain.base);
        let target = match is_landed || self.tester.is_known_green(&chain.base)? {
            true => KnownTarget::Green,
            false => KnownTarget::Unknown,
        };
        let search = PrefixSearch::new(chain.links.len(), target);
        search.run(|position, kind| {
            interrupt::check()?;
            self.tester.test(chain.commit(position), kind)
        })
    }

    /// Lands the first `green` tasks of a chain, and takes them from those pending. Returns `false`
    /// if a task or the target has changed.
    fn land_prefix(
        &mut self,
        chain: &Chain,
        pending: &mut Vec<LandTask>,
        green: usize,
    ) -> Result<bool> {
        let ids: Vec<TaskId> = chain.ids().take(green).cloned().collect();
        let tasks = ids
            .iter()
            .filter_map(|id| pending.iter().find(|task| task.id == *id));
        let commits = signed::sign(self.flux, chain, green)?;
        let landing = PrefixLanding {
            flux: self.flux,
            chain,
            tasks: tasks.collect(),
            commits: &commits,
            fate: self.fate,
        };
        let LandingOutcome::Done(removed) = landing.run()? else {
            let what = format!("'{}' or a task has changed; planning again", chain.branch);
            self.flux.ui.status(what);
            return Ok(false);
        };
        self.green = commits.last().cloned();
        let moved = TargetMove {
            branch: chain.branch.clone(),
            from: chain.base.clone(),
            tasks: ids.clone(),
            commits,
        };
        moved.add_to(&mut self.moves);
        pending.retain(|task| !ids.contains(&task.id));
        let mut removed = removed.into_iter();
        for id in ids {
            self.note(id, TaskResult::Landed(removed.next()))?;
        }
        Ok(true)
    }

    /// Returns the error that the target itself does not pass, which blames no task.
    fn target_error(&self, chain: &Chain, stop: Option<GateAnswer<GateFinding>>) -> Error {
        let branch = &chain.branch;
        let (what, finding) = match stop {
            Some(GateAnswer::Red(finding)) => (format!("'{branch}' itself does not pass"), finding),
            Some(GateAnswer::Unknown(finding)) => (format!("no verdict on '{branch}'"), finding),
            Some(GateAnswer::Green) | None => return anyhow!("internal error: no answer"),
        };
        let failure = Failure::new(format!("{what}: {}", finding.why));
        let log = finding.log.map(|log| gate::log_hint(&log));
        // In the chain, a task before it may be the one that does not pass.
        let alone = (chain.links.len() > 1).then(|| {
            format!(
                "if a task mends '{branch}', land it first: {}",
                self.command.for_tasks("<task>", "")
            )
        });
        failure.hints(log).hints(alone).into()
    }
}
