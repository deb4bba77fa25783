//! Times, taken in turns.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

use crate::world::World;

/// Does something once and returns how long the part took that counts; the number is another each time.
pub(crate) type Side<'a> = Box<dyn FnMut(usize) -> Result<Duration> + 'a>;

/// How long the same thing took, several times.
#[derive(Clone)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn median(&self) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let middle = sorted.len() / 2;
        (sorted[(sorted.len() - 1) / 2] + sorted[middle]) / 2
    }

    /// How much longer this took than something else in the same turn.
    pub(crate) fn above(&self, other: &Self) -> Self {
        let turns = self.0.iter().zip(&other.0);
        Self(turns.map(|(a, b)| a.saturating_sub(*b)).collect())
    }

    pub(crate) fn minimum(&self) -> Duration {
        self.0.iter().min().copied().expect("there is one at least")
    }
}

/// Measures all sides in turns, so that what else the machine does meets all of them, each time
/// beginning with another one; the first time is to warm up. `prepare` goes before each time.
///
/// # Errors
/// When a side fails.
pub(crate) fn in_turns(
    repetitions: usize,
    mut prepare: impl FnMut(usize) -> Result<()>,
    mut sides: Vec<Side<'_>>,
) -> Result<Vec<Times>> {
    let count = sides.len();
    let mut times: Vec<Times> = sides.iter().map(|_| Times(Vec::new())).collect();
    for turn in 0..=repetitions {
        prepare(turn)?;
        for at in (0..count).map(|at| (at + turn) % count) {
            let time = sides[at](turn)?;
            if turn > 0 {
                times[at].0.push(time);
            }
        }
    }
    Ok(times)
}

/// Runs a command, and returns the processor time that it and its children took.
pub(crate) fn processor_time(world: &World, mut command: Command) -> Result<Duration> {
    let before = time_of_children()?;
    world.run(&mut command)?;
    Ok(time_of_children()? - before)
}

/// Processor time of all children that have ended.
fn time_of_children() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let times = [usage.user_time(), usage.system_time()];
    let micros = times.map(|time| time.num_microseconds());
    Ok(Duration::from_micros(
        micros.iter().sum::<i64>().try_into()?,
    ))
}
