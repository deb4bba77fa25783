//! Finds the part of a task in landings.

use jiff::Timestamp;

use super::progress;
use crate::context::Flux;
use crate::run::events::{self, Event};
use crate::task::{Activity, LandRounds, LandState, Task};

/// Returns whether a running landing tests or lands the task, or else how often it was sent back,
/// or that this was too often. `None` if none of these. `last_key` is the time of the last key that
/// was pressed in the task's own session.
pub(crate) fn land_state(
    flux: &Flux,
    task: &Task,
    last_key: Option<Timestamp>,
) -> Option<LandState> {
    if progress::is_landing(flux, &task.id) {
        return Some(LandState::Landing);
    }
    let rounds = task.landing.as_ref()?;
    if rounds.is_blocked && !is_freed(flux, task, rounds, last_key) {
        return Some(LandState::Blocked);
    }
    (rounds.count > 0).then_some(LandState::Back(rounds.count))
}

/// Returns whether the user has sent or typed something to the agent of a task since the task was
/// blocked. An agent without hooks does not report what is typed: in a session of its own, a key
/// that tmux has noted counts.
fn is_freed(flux: &Flux, task: &Task, rounds: &LandRounds, last_key: Option<Timestamp>) -> bool {
    let run = flux.run_dir(&task.id);
    if run.has_user_message() || last_key.is_some_and(|at| at > rounds.at) {
        return true;
    }
    let read = events::read(&run.events());
    read.is_ok_and(|(events, _)| has_new_turn(&events, rounds.at))
}

/// Returns whether the agent has reported a turn that began after `at`: nothing was sent to it then,
/// so the user began the turn.
fn has_new_turn(events: &[Event], at: Timestamp) -> bool {
    let first = events.iter().position(|event| event.at > at);
    let (before, after) = events.split_at(first.unwrap_or(events.len()));
    let is_in_turn = |event: &Event| matches!(event.state, Activity::Working | Activity::Waiting);
    let mut after = after.iter();
    // A turn of before still goes on.
    if before.last().is_some_and(is_in_turn) && after.find(|event| !is_in_turn(event)).is_none() {
        return false;
    }
    // Some agents report only the end of a turn.
    after.any(|event| !matches!(event.state, Activity::Starting | Activity::Exited))
}

#[cfg(test)]
mod tests {
    use super::Activity::{Done, Exited, Failed, Starting, Waiting, Working};
    use super::*;

    #[test]
    fn new_turn_is_one_that_began_later() {
        for (before, after, expected) in [
            (&[][..], &[][..], false),
            (&[Working, Done], &[], false),
            (&[Working, Done], &[Exited, Starting], false),
            (&[Working, Done], &[Working], true),
            (&[Working, Done], &[Working, Done, Exited], true),
            (&[Done], &[Done], true),
            (&[], &[Working], true),
            // The turn was there before.
            (&[Done, Working], &[Waiting, Working, Done], false),
            (&[Waiting], &[Working, Failed, Exited], false),
            (&[Working], &[Done, Working], true),
        ] {
            let at = |second: i64| Timestamp::from_second(second).unwrap();
            let event = |state: &Activity, second| Event {
                at: at(second),
                ..Event::new(*state, "event")
            };
            let old = before.iter().map(|state| event(state, 5));
            let new = after.iter().map(|state| event(state, 6));
            let events: Vec<Event> = old.chain(new).collect();
            assert_eq!(
                has_new_turn(&events, at(5)),
                expected,
                "{before:?} {after:?}"
            );
        }
    }
}
