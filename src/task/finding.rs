//! From what was seen of a task to its state: which source counts when they disagree.

use super::seen::Seen;
use super::{Found, Habit, Heard, Phase, Said, Source, State, Title, Why};

/// How old what an agent has said must be, in milliseconds, before its title may contradict
/// it: the title follows with the next picture it paints.
const LAG: u64 = 2_000;

/// How long after its last output an agent counts as being at work, in seconds.
const STIR: u64 = 3;

/// How long an agent that paints while it is at work shows nothing once it is not, in seconds.
const PAUSE: u64 = 10;

/// How long one that has said nothing shows nothing until it is taken for waiting, in seconds.
const STILL: u64 = 60;

/// How long an agent may take to start up, in seconds: meanwhile it is idle.
const START: u64 = 5;

impl State {
    /// Concludes the state of a task from what was seen, and says from what.
    pub(crate) fn of(phase: Phase, seen: &Seen) -> (Self, Found) {
        if seen.elsewhere {
            return (Self::Elsewhere, from(Source::Worktree));
        }
        if seen.unreadable {
            return (Self::Unknown, Found::default());
        }
        match (phase, seen.locked) {
            (Phase::Starting, true) => return (Self::Starting, from(Source::Lock)),
            (Phase::Removing, true) => return (Self::Removing, from(Source::Lock)),
            (Phase::Starting | Phase::Removing, false) => {
                return (Self::Incomplete, from(Source::Record));
            }
            (Phase::Active, _) => {}
        }
        if !seen.worktree {
            return (Self::NoWorktree, from(Source::Worktree));
        }
        if !seen.branch {
            return (Self::NoBranch, from(Source::Branch));
        }
        match (&seen.exit, seen.alive) {
            (Some(exit), _) => {
                let found = Found {
                    since: Some(exit.at),
                    ..from(Source::Exit)
                };
                match exit.is_none() {
                    true => (Self::Idle, found),
                    false => (Self::Ended(exit.clone()), found),
                }
            }
            (None, Some(true)) if seen.runs_elsewhere => {
                let found = Found {
                    since: seen.started,
                    ..from(Source::Process)
                };
                (Self::RunningElsewhere, found)
            }
            (None, Some(true)) => Self::alive(seen),
            (None, _) => {
                let found = Found {
                    guess: seen.other_machine,
                    ..from(Source::Process)
                };
                (Self::Lost, found)
            }
        }
    }

    /// The state of an agent whose process is alive.
    fn alive(seen: &Seen) -> (Self, Found) {
        if seen.in_setup {
            let found = Found {
                since: seen.started,
                ..from(Source::Process)
            };
            return (Self::Opening, found);
        }
        let heard = seen.heard.map(|heard| (heard, Source::Hook));
        let written = seen.written.map(|written| (written, Source::Transcript));
        // What is written down later is later; of one moment the hook has more to say.
        let newest = match (heard, written) {
            (Some(heard), Some(written)) if written.0.at > heard.0.at => Some(written),
            (heard, written) => heard.or(written),
        };
        let Some((last, source)) = newest else {
            return Self::silent(seen);
        };
        // The clock may have been set back since; then nothing is fresh.
        let fresh = last.at <= seen.now && seen.now - last.at < LAG;
        if let Some(state) = corrected(&last, seen.title.filter(|_| !fresh)) {
            return (state, from(Source::Title));
        }
        let still = last.at / 1000 + PAUSE < seen.now / 1000
            && seen.stirred.is_some_and(|at| at + PAUSE < seen.now / 1000);
        if last.said == Said::Working && seen.title.is_none() && seen.habit == Habit::Busy && still
        {
            return (Self::Interrupted, guess());
        }
        let found = Found {
            since: Some(last.at / 1000),
            ..from(source)
        };
        (said(&last, seen), found)
    }

    /// The state of an agent that is alive, and has said nothing.
    fn silent(seen: &Seen) -> (Self, Found) {
        let stirs = seen.habit == Habit::Quiet
            && seen
                .stirred
                .is_some_and(|at| (seen.now / 1000).saturating_sub(at) <= STIR);
        let by_title = from(Source::Title);
        match seen.title {
            Some(Title::Working) => (Self::Working, by_title),
            Some(Title::Asking) => (Self::Waiting(Some(Why::Permission)), by_title),
            // It may have done its turn, or be at a dialog of its own: it needs its user.
            Some(Title::Idle) if seen.is_up() => (Self::Waiting(None), by_title),
            Some(Title::Idle) => (Self::Opening, by_title),
            None if stirs => (Self::Working, guess()),
            // Before it says anything it may ask whether its directory can be trusted.
            None if seen.habit == Habit::Busy && seen.is_still() => (Self::Waiting(None), guess()),
            None => {
                let found = Found {
                    since: seen.started,
                    ..from(Source::Process)
                };
                (Self::Running(seen.started), found)
            }
        }
    }
}

/// Found there, and it is not known since when.
fn from(source: Source) -> Found {
    Found {
        source,
        ..Found::default()
    }
}

fn guess() -> Found {
    Found {
        guess: true,
        ..from(Source::Activity)
    }
}

impl Seen {
    /// Whether the agent has been up for a while, and shown nothing in it.
    fn is_still(&self) -> bool {
        let long = |since: u64| since + STILL < self.now / 1000;
        self.started.is_some_and(long) && self.stirred.is_some_and(long)
    }

    /// Whether the agent has had the time to start up.
    fn is_up(&self) -> bool {
        let started = self.started.unwrap_or_default();
        !(started..started + START).contains(&(self.now / 1000))
    }
}

/// What the agent's title makes of what it said, if it contradicts: that Esc was pressed
/// fires no hook, nor does a yes to a question.
fn corrected(heard: &Heard, title: Option<Title>) -> Option<State> {
    match (heard.said, title?) {
        (Said::Working, Title::Idle) => Some(State::Interrupted),
        (Said::Working, Title::Asking) => Some(State::Waiting(Some(Why::Permission))),
        (Said::Working, Title::Working) => None,
        // A dialog that was left by Esc is still shown as one, and still needs its user.
        (Said::Waiting, Title::Idle | Title::Asking) => None,
        (_, Title::Working) => Some(State::Working),
        (_, Title::Asking) => Some(State::Waiting(Some(Why::Permission))),
        (_, Title::Idle) => None,
    }
}

fn said(heard: &Heard, seen: &Seen) -> State {
    match heard.said {
        Said::Starting => State::Opening,
        Said::Working => State::Working,
        Said::Waiting => State::Waiting(heard.why),
        Said::Done => State::Done,
        Said::Failed => State::Failed,
        Said::Interrupted => State::Interrupted,
        // Of an earlier run.
        Said::Exited => State::Running(seen.started),
    }
}

#[cfg(test)]
mod tests;
