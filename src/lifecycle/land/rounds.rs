//! Counts how often a task was sent back.

use anyhow::Result;

use crate::context::Flux;
use crate::git::{Lock, Transaction, refs};
use crate::lifecycle::cleanup::facts::Facts;
use crate::store;
use crate::system::clock::now;
use crate::task::{LandRounds, ObjectId, Phase, Rest, Task};

/// The kind of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    New,
    /// The task has the same commits as when it was sent back before.
    Repeated,
    /// It is the last round.
    Blocked,
}

/// A counted round.
pub(super) struct Count {
    pub(super) rounds: usize,
    pub(super) state: Counted,
}

/// Counts in the task's record that it is sent back once more. Records nothing if it was sent back
/// with the same commits before, or if the task is gone or not active.
pub(super) fn count(flux: &Flux, facts: &Facts, lock: &Lock) -> Result<Count> {
    let limit = flux.settings.land_rounds()?;
    // Another command may have changed it while the gate ran.
    let record = store::task_ref(&facts.task.id);
    let found = refs::list(flux.repo.home(), &[&record])?.remove(&record);
    let Some(oid) = found else {
        let (rounds, state) = (0, Counted::Repeated);
        return Ok(Count { rounds, state });
    };
    let mut task = store::parse_record(&flux.repo, &oid)?;
    let before = task.landing.as_ref();
    if task.phase != Phase::Active {
        let (rounds, state) = (before.map_or(0, |before| before.count), Counted::Repeated);
        return Ok(Count { rounds, state });
    }
    let is_repeated = before.is_some_and(|before| before.tip == facts.tip);
    let rounds = before.map_or(0, |before| before.count) + usize::from(!is_repeated);
    if !is_repeated {
        task.landing = Some(LandRounds {
            count: rounds,
            at: now(),
            tip: facts.tip.clone(),
            rest: Rest::default(),
        });
        let also = Transaction::default();
        store::update(&flux.repo, &oid, &task, &[], also, lock)?;
    }
    let state = match (rounds > limit, is_repeated) {
        (true, _) => Counted::Blocked,
        (false, true) => Counted::Repeated,
        (false, false) => Counted::New,
    };
    Ok(Count { rounds, state })
}

/// Removes from a task's record how often it was sent back, because the user has named the task in
/// `git flux land <task>`. Does nothing if it was not sent back.
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
