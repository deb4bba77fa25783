//! From what was seen of a task to its state: which source counts when they disagree.

use super::seen::{Doing, Location, Presence, Seen, Session};
use super::{Found, Habit, Heard, Phase, Said, Source, State, Title, Why};

/// How old what an agent has said must be, in milliseconds, before its title may contradict
/// it: the title follows with the next picture it paints.
pub(crate) const LAG: u64 = 2_000;

/// How long after its last output an agent counts as being at work, in seconds.
const STIR: u64 = 3;

/// How long an agent that paints while it is at work shows nothing once it is not, in seconds.
pub(crate) const PAUSE: u64 = 10;

/// How long one that has said nothing shows nothing until it is taken for waiting, in seconds.
const STILL: u64 = 60;

/// How long an agent may take to start up, in seconds, unless it shows nothing for a [`PAUSE`]:
/// meanwhile its title says that it is idle.
const START: u64 = 60;

impl State {
    /// Concludes the state of a task from what was seen, and says from what.
    pub(crate) fn of(phase: Phase, seen: &Seen) -> (Self, Found) {
        if seen.worktree == Location::Elsewhere {
            return (Self::Elsewhere, from(Source::Worktree));
        }
        if seen.launcher == Presence::Unreadable {
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
        if seen.worktree != Location::Here {
            return (Self::NoWorktree, from(Source::Worktree));
        }
        if !seen.branch {
            return (Self::NoBranch, from(Source::Branch));
        }
        let Some(exit) = &seen.exit else {
            return Self::unended(seen);
        };
        let ended = || Self::Ended(exit.clone());
        let state = if exit.is_none() { Self::Idle } else { ended() };
        (state, since(Source::Exit, Some(exit.at)))
    }

    /// The state of an agent of which no end was seen.
    fn unended(seen: &Seen) -> (Self, Found) {
        let found = since(Source::Process, seen.started);
        match seen.launcher {
            Presence::Alive => Self::alive(seen),
            Presence::InSetup => (Self::Opening, found),
            Presence::Elsewhere => (Self::RunningElsewhere, found),
            Presence::OtherMachine => (Self::Lost, guess(Source::Process)),
            Presence::Never | Presence::Unreadable | Presence::Gone => {
                (Self::Lost, from(Source::Process))
            }
        }
    }

    /// The state of an agent whose process is alive.
    fn alive(seen: &Seen) -> (Self, Found) {
        // Some tell that they have started, and no more.
        let is_silent = seen.session.is_none() && seen.is_still();
        let says = |(heard, _): &(Heard, _)| heard.said != Said::Starting || !is_silent;
        let Some((last, source)) = seen.newest().filter(says) else {
            return Self::silent(seen);
        };
        if let Some(session) = seen.session
            && let Some((said, why)) = contradiction(&last, session, seen.now)
        {
            let heard = Heard { said, why, ..last };
            return (state_of(&heard, seen), by(session));
        }
        let fresh = is_fresh(last.at, seen.now);
        if let Some(state) = corrected(&last, seen.title.filter(|_| !fresh)) {
            return (state, from(Source::Title));
        }
        let still = last.at / 1000 + STILL < seen.now / 1000
            && seen.stirred.is_some_and(|at| at + STILL < seen.now / 1000);
        let paints = seen.habit == Habit::Busy && !seen.in_background;
        // Its own file of the session leaves nothing to be guessed.
        let guesses = paints && seen.title.is_none() && seen.session.is_none();
        if last.said == Said::Working && guesses && still {
            return (Self::Interrupted, guess(Source::Activity));
        }
        (state_of(&last, seen), since(source, Some(last.at / 1000)))
    }

    /// The state of an agent that is alive, and has said nothing.
    fn silent(seen: &Seen) -> (Self, Found) {
        let is_recent = |at: u64| (seen.now / 1000).saturating_sub(at) <= STIR;
        let stirs = seen.habit == Habit::Quiet && seen.stirred.is_some_and(is_recent);
        let by_title = from(Source::Title);
        if let Some(session) = seen.session {
            let state = match session.doing {
                Doing::Working | Doing::Background => Self::Working,
                Doing::Waiting(why) => Self::Waiting(why),
                Doing::Idle if session.at / 1000 + PAUSE < seen.now / 1000 => Self::Waiting(None),
                Doing::Idle => Self::Opening,
            };
            return (state, by(session));
        }
        match seen.title {
            Some(Title::Working) => (Self::Working, by_title),
            Some(Title::Asking) => (Self::Waiting(Some(Why::Permission)), by_title),
            // It may have done its turn, or be at a dialog of its own: it needs its user.
            Some(Title::Idle) if seen.is_up() => (Self::Waiting(None), by_title),
            Some(Title::Idle) => (Self::Opening, by_title),
            None if stirs => (Self::Working, guess(Source::Activity)),
            // Before it says anything it may ask whether its directory can be trusted.
            None if seen.habit != Habit::Unknown && seen.is_still() => {
                (Self::Waiting(None), guess(Source::Activity))
            }
            None => (
                Self::Running(seen.started),
                since(Source::Process, seen.started),
            ),
        }
    }
}

/// Found there, and it is not known since when.
fn from(source: Source) -> Found {
    since(source, None)
}

fn since(source: Source, since: Option<u64>) -> Found {
    Found {
        source,
        since,
        guess: false,
    }
}

fn guess(source: Source) -> Found {
    Found {
        guess: true,
        ..from(source)
    }
}

impl Seen {
    /// Returns what the agent has said last, by a hook or in its transcript.
    fn newest(&self) -> Option<(Heard, Source)> {
        let heard = self.heard.map(|heard| (heard, Source::Hook));
        let written = self.written.map(|written| (written, Source::Transcript));
        let (Some((hook, _)), Some((transcript, _))) = (heard, written) else {
            return heard.or(written);
        };
        // A hook that tells of each end alike comes after it.
        let is_known_better =
            hook.said == Said::Done && matches!(transcript.said, Said::Failed | Said::Interrupted);
        // What is written down later is later; of one moment the hook has more to say.
        let is_better = transcript.at > hook.at || is_known_better;
        if is_better { written } else { heard }
    }

    /// Whether the agent has been up for a while, and shown nothing in it.
    fn is_still(&self) -> bool {
        let long = |since: u64| since + STILL < self.now / 1000;
        self.started.is_some_and(long) && self.stirred.is_some_and(long)
    }

    /// Returns whether the agent has had the time to start up: it shows nothing more, or has run
    /// for long. What starts it may take its time before that.
    fn is_up(&self) -> bool {
        let is_over = |since: u64, time: u64| !(since..=since + time).contains(&(self.now / 1000));
        self.stirred.is_some_and(|at| is_over(at, PAUSE))
            || is_over(self.started.unwrap_or_default(), START)
    }
}

/// Found in the agent's file of its session.
fn by(session: Session) -> Found {
    since(Source::Session, Some(session.at / 1000))
}

/// Returns what the agent's file of its session makes of what it said, at `now`, if it contradicts:
/// no hook is fired by Esc, nor by the answer to a question.
pub(crate) fn contradiction(
    heard: &Heard,
    session: Session,
    now: u64,
) -> Option<(Said, Option<Why>)> {
    let settled = !is_fresh(heard.at, now) && !is_fresh(session.at, now);
    let is_later = session.at > heard.at;
    let is_old = session.at / 1000 + PAUSE < now / 1000;
    let at_work = Some((Said::Working, None));
    match (heard.said, session.doing) {
        (Said::Exited, _) | (Said::Waiting, Doing::Waiting(_)) => None,
        // A question of an agent within is open, whatever is said of the turn meanwhile.
        (_, Doing::Waiting(why)) => Some((Said::Waiting, why)),
        // Its prompt has not been sent: Esc came before.
        (Said::Starting, Doing::Idle) if is_old => Some((Said::Waiting, None)),
        (Said::Working | Said::Waiting, Doing::Idle) if settled => Some((Said::Interrupted, None)),
        (Said::Waiting, Doing::Working | Doing::Background) if is_later => at_work,
        (Said::Done | Said::Failed | Said::Interrupted, Doing::Working) if settled && is_later => {
            at_work
        }
        _ => None,
    }
}

/// Returns whether something was said so lately, at `at`, that what contradicts it may be older.
/// The clock may have been set back since; then nothing is fresh.
pub(crate) fn is_fresh(at: u64, now: u64) -> bool {
    at <= now && now - at < LAG
}

/// What the agent's title makes of what it said, if it contradicts: that Esc was pressed
/// fires no hook, nor does a yes to a question.
fn corrected(heard: &Heard, title: Option<Title>) -> Option<State> {
    match (heard.said, title?) {
        (Said::Working, Title::Idle) => Some(State::Interrupted),
        (Said::Working, Title::Working) | (_, Title::Idle) => None,
        // A dialog that was left by Esc is still shown as one, and still needs its user.
        (Said::Waiting, Title::Asking) => None,
        (_, Title::Working) => Some(State::Working),
        (_, Title::Asking) => Some(State::Waiting(Some(Why::Permission))),
    }
}

fn state_of(heard: &Heard, seen: &Seen) -> State {
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
