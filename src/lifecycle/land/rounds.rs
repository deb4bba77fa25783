//! Counts how often a task was sent back.

use anyhow::Result;

use crate::context::Flux;
use crate::git::{Lock, Transaction};
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

/// Counts a round in the task's record, unless it was sent back with the same commits before.
pub(super) fn count(flux: &Flux, facts: &Facts, lock: &Lock) -> Result<Count> {
    let limit = flux.settings.land_rounds()?;
    let mut task = store::parse_record(&flux.repo, &facts.oid)?;
    let before = task.landing.as_ref();
    if let Some(before) = before.filter(|before| before.tip == facts.tip) {
        let is_over = before.count > limit;
        return Ok(Count {
            rounds: before.count,
            state: if is_over {
                Counted::Blocked
            } else {
                Counted::Repeated
            },
        });
    }
    let rounds = before.map_or(0, |before| before.count) + 1;
    task.landing = Some(LandRounds {
        count: rounds,
        at: now(),
        tip: facts.tip.clone(),
        rest: Rest::default(),
    });
    write(flux, facts, &task, lock)?;
    let is_over = rounds > limit;
    let state = if is_over {
        Counted::Blocked
    } else {
        Counted::New
    };
    Ok(Count { rounds, state })
}

/// Writes the record of an active task. A task that is not, or has changed, keeps its record.
fn write(flux: &Flux, facts: &Facts, task: &Task, lock: &Lock) -> Result<()> {
    if task.phase != Phase::Active {
        return Ok(());
    }
    let also = Transaction::default();
    store::update(&flux.repo, &facts.oid, task, &[], also, lock).map(drop)
}

/// Forgets the rounds of a task: you have named it. Does nothing if there are none.
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
