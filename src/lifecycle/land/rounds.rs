//! Counts how often a task was sent back.

use anyhow::{Context as _, Result};

use crate::context::Flux;
use crate::git::{Lock, Transaction, refs};
use crate::lifecycle::cleanup::facts::Facts;
use crate::lifecycle::observe;
use crate::store::{self, Store};
use crate::system::clock::now;
use crate::task::{LandRounds, LandState, ObjectId, Phase, Rest, State, Task};

/// The rounds of a task that did not land.
pub(super) struct Rounds<'a> {
    flux: &'a Flux,
    facts: &'a Facts,
    lock: &'a Lock,
    /// Its record, and the object name of that; `None` if the task is gone or not active.
    record: Option<(ObjectId, Task)>,
}

/// The next round of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextRound {
    New,
    /// The task has the same commits as when it was sent back before, or is gone.
    Repeated,
    /// The agent works, and is not interrupted.
    Later,
    /// It was sent back too often.
    Blocked,
}

impl<'a> Rounds<'a> {
    /// Reads how often a task was sent back.
    pub(super) fn read(flux: &'a Flux, facts: &'a Facts, lock: &'a Lock) -> Result<Self> {
        // Another command may have changed it while the gate ran.
        let name = store::task_ref(&facts.task.id);
        let oid = refs::list(flux.repo.home(), &[&name])?.remove(&name);
        let parse = |oid: ObjectId| {
            let task = store::parse_record(&flux.repo, &oid)?;
            anyhow::Ok((oid, task))
        };
        let record = oid.map(parse).transpose()?;
        Ok(Self {
            flux,
            facts,
            lock,
            record: record.filter(|(_, task): &(_, Task)| task.phase == Phase::Active),
        })
    }

    fn last(&self) -> Option<&LandRounds> {
        self.record.as_ref()?.1.landing.as_ref()
    }

    /// Returns how often the task was sent back.
    pub(super) fn count(&self) -> usize {
        self.last().map_or(0, |last| last.count)
    }

    /// Returns the next round. If the last one was not enough, records that the task is blocked.
    pub(super) fn find_next(&mut self) -> Result<NextRound> {
        let limit = self.flux.settings.land_rounds()?;
        let last = self.last();
        if last.is_some_and(|last| last.is_blocked) {
            return Ok(NextRound::Blocked);
        }
        if self.record.is_none() || last.is_some_and(|last| last.tip == self.facts.tip) {
            return Ok(NextRound::Repeated);
        }
        if self.facts.state == State::Working {
            return Ok(NextRound::Later);
        }
        if self.count() < limit {
            return Ok(NextRound::New);
        }
        // Only a later message lets it land again.
        let run = self.flux.run_dir(&self.facts.task.id);
        run.forget_user_message()?;
        self.write(Some(LandRounds {
            is_blocked: true,
            ..self.rounds(self.count())
        }))?;
        Ok(NextRound::Blocked)
    }

    /// Records that the task was sent back once more, and returns what was recorded before.
    pub(super) fn add(&mut self) -> Result<Option<LandRounds>> {
        let before = self.last().cloned();
        self.write(Some(self.rounds(self.count() + 1)))?;
        Ok(before)
    }

    fn rounds(&self, count: usize) -> LandRounds {
        LandRounds {
            count,
            at: now(),
            tip: self.facts.tip.clone(),
            is_blocked: false,
            rest: Rest::default(),
        }
    }

    /// Records this in place of what was recorded before.
    pub(super) fn write(&mut self, rounds: Option<LandRounds>) -> Result<()> {
        let (oid, task) = self.record.as_mut().context("internal error: no record")?;
        task.landing = rounds;
        let also = Transaction::default();
        *oid = store::update(&self.flux.repo, oid, task, &[], also, self.lock)?;
        Ok(())
    }
}

/// Returns whether landings have blocked the task, and you have sent or typed something to its
/// agent since.
pub(crate) fn is_freed(flux: &Flux, store: &Store, task: &Task) -> Result<bool> {
    if !task.landing.as_ref().is_some_and(|last| last.is_blocked) {
        return Ok(false);
    }
    let seen = observe::states(flux, store, &[task])?;
    Ok(seen
        .iter()
        .all(|seen| seen.land != Some(LandState::Blocked)))
}

/// Removes from a task's record how often it was sent back, because the user has dealt with the
/// task. Does nothing if it was not sent back.
pub(crate) fn forget(flux: &Flux, oid: &ObjectId, task: &Task) -> Result<()> {
    if task.landing.is_none() {
        return Ok(());
    }
    let lock = flux.lock_task(&task.id)?;
    let mut task = store::parse_record(&flux.repo, oid)?;
    task.landing = None;
    let also = Transaction::default();
    store::update(&flux.repo, oid, &task, &[], also, &lock).map(drop)
}
