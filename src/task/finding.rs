//! From what was seen of a task to its state: which source counts when they disagree.

use super::seen::Seen;
use super::{Found, Heard, Phase, Said, Source, State, Title, Why};

/// How old what an agent has said must be, in milliseconds, before its title may contradict
/// it: the title follows with the next picture it paints.
const LAG: u64 = 2_000;

/// How long after its last output an agent counts as being at work, in seconds.
const STIR: u64 = 3;

/// How long an agent may take to start up, in seconds: meanwhile it is idle.
const START: u64 = 5;

impl State {
    /// Concludes the state of a task from what was seen, and says from what.
    pub(crate) fn of(phase: Phase, seen: &Seen) -> (Self, Found) {
        let from = |source| Found {
            source,
            ..Found::default()
        };
        if seen.unreadable {
            return (Self::Unknown, Found::default());
        }
        match (phase, seen.locked) {
            (Phase::Starting, true) => return (Self::Starting, from(Source::Lock)),
            (Phase::Removing, true) => return (Self::Removing, from(Source::Lock)),
            (Phase::Starting | Phase::Removing, false) => {
                return (Self::Interrupted, from(Source::Record));
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
                (Self::Ended(exit.clone()), found)
            }
            (None, Some(true)) => Self::alive(seen),
            (None, _) => (Self::Lost, from(Source::Process)),
        }
    }

    /// The state of an agent whose process is alive.
    fn alive(seen: &Seen) -> (Self, Found) {
        if let Some(heard) = &seen.heard {
            let hook = Found {
                source: Source::Hook,
                since: Some(heard.at / 1000),
                guess: false,
            };
            // The clock may have been set back since; then nothing is fresh.
            let fresh = heard.at <= seen.now && seen.now - heard.at < LAG;
            let title = seen.title.filter(|_| !fresh);
            return match corrected(heard, title) {
                Some(state) => (state, by_title()),
                None => (said(heard, seen), hook),
            };
        }
        match (seen.title, seen.stirred) {
            (Some(Title::Working), _) => (Self::Working, by_title()),
            (Some(Title::Asking), _) => (Self::Waiting(Some(Why::Permission)), by_title()),
            // It may have done its turn, or be at a dialog of its own: it needs its user.
            (Some(Title::Idle), _) if seen.is_up() => (Self::Waiting(None), by_title()),
            (Some(Title::Idle), _) => (Self::Opening, by_title()),
            (None, Some(at)) if (seen.now / 1000).saturating_sub(at) <= STIR => {
                let found = Found {
                    source: Source::Activity,
                    since: None,
                    guess: true,
                };
                (Self::Working, found)
            }
            (None, _) => {
                let found = Found {
                    source: Source::Process,
                    since: seen.started,
                    guess: false,
                };
                (Self::Running(seen.started), found)
            }
        }
    }
}

impl Seen {
    /// Whether the agent has had the time to start up.
    fn is_up(&self) -> bool {
        let started = self.started.unwrap_or_default();
        !(started..started + START).contains(&(self.now / 1000))
    }
}

/// A title has no time.
fn by_title() -> Found {
    Found {
        source: Source::Title,
        ..Found::default()
    }
}

/// What the agent's title makes of what it said, if it contradicts: that Esc was pressed
/// fires no hook, nor does a yes to a question.
fn corrected(heard: &Heard, title: Option<Title>) -> Option<State> {
    match (heard.said, title?) {
        (Said::Working, Title::Idle) => Some(State::Stopped),
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
        Said::Interrupted => State::Stopped,
        // Of an earlier run.
        Said::Exited => State::Running(seen.started),
    }
}

#[cfg(test)]
mod tests;
