//! Concludes the state of a task from an observation: which source takes precedence.

use jiff::{SignedDuration, Timestamp};

use super::observation::{Location, Observation, Presence, SessionActivity, SessionState};
use super::{Activity, Evidence, OutputPattern, Phase, Report, Source, State, Title, WaitReason};

/// The time that a title may lag behind a report, which it cannot contradict before.
pub(crate) const TITLE_LAG: SignedDuration = SignedDuration::from_secs(2);

/// The time since its last output within which an agent counts as working.
const ACTIVE: SignedDuration = SignedDuration::from_secs(3);

/// The time without output after which an agent that paints while it works has stopped working.
pub(crate) const STALLED: SignedDuration = SignedDuration::from_secs(10);

/// The time without output after which an agent that reports nothing counts as waiting.
const WAITING: SignedDuration = SignedDuration::from_secs(60);

/// The longest time that an agent takes to start up, while its title says that it is idle. It
/// has started earlier if it prints nothing for [`STALLED`].
const STARTUP: SignedDuration = SignedDuration::from_secs(60);

impl State {
    /// Concludes the state of a task from its stored phase, and from its worktree, branch, launcher
    /// and agent. Returns the state with the source that decided it.
    pub(crate) fn of(seen: &Observation) -> (Self, Evidence) {
        if seen.worktree == Location::Elsewhere {
            return (Self::Elsewhere, evidence(Source::Worktree));
        }
        if seen.launcher == Presence::Unreadable {
            return (Self::Unknown, Evidence::default());
        }
        match (seen.phase, seen.is_locked) {
            (Phase::Starting, true) => return (Self::Starting, evidence(Source::Lock)),
            (Phase::Removing, true) => return (Self::Removing, evidence(Source::Lock)),
            (Phase::Starting | Phase::Removing, false) => {
                return (Self::Incomplete, evidence(Source::Record));
            }
            (Phase::Active, _) => {}
        }
        if seen.worktree != Location::Here {
            return (Self::NoWorktree, evidence(Source::Worktree));
        }
        if !seen.has_branch {
            return (Self::NoBranch, evidence(Source::Branch));
        }
        let Some(exit) = &seen.exit else {
            return Self::without_exit(seen);
        };
        let ended = || Self::Ended(exit.clone());
        let state = if exit.is_unseen() {
            Self::Idle
        } else {
            ended()
        };
        (state, evidence_since(Source::Exit, Some(exit.at)))
    }

    /// Concludes the state of a task whose agent has no recorded exit: from its launcher, and if
    /// that is alive, from the agent's signs of activity.
    fn without_exit(seen: &Observation) -> (Self, Evidence) {
        let found = evidence_since(Source::Process, seen.started);
        match seen.launcher {
            Presence::Alive => Self::of_live_agent(seen),
            Presence::InSetup => (Self::Opening, found),
            // A container may have no access to the file that records the start.
            Presence::InQueue if seen.shows_agent() => Self::of_live_agent(seen),
            Presence::InQueue => (Self::Queued, found),
            Presence::Elsewhere => (Self::RunningElsewhere, found),
            Presence::OtherMachine => (Self::Lost, inferred(Source::Process)),
            Presence::Never | Presence::Unreadable | Presence::Gone => {
                (Self::Lost, evidence(Source::Process))
            }
        }
    }

    /// Concludes the state of an agent whose launcher is alive: from its last report, unless its
    /// session file, its title or a minute without output contradicts that. Without a report, from
    /// these alone: [`Self::of_silent_agent`].
    fn of_live_agent(seen: &Observation) -> (Self, Evidence) {
        // Some agents report that they have started, and nothing else.
        let is_silent = seen.session.is_none() && seen.is_silent_long();
        let counts = |(it, _): &(Report, _)| it.activity != Activity::Starting || !is_silent;
        let Some((mut last, source)) = seen.latest_report().filter(counts) else {
            return Self::of_silent_agent(seen);
        };
        if let Some(session) = seen.session
            && let Some(contradiction) = find_contradiction(&last, session, seen.now)
        {
            (last.activity, last.why) = contradiction;
            return (state_of(&last, seen), from_session(session));
        }
        let fresh = is_fresh(last.at, seen.now);
        if let Some(state) = correct_by_title(&last, seen.title.filter(|_| !fresh)) {
            return (state, evidence(Source::Title));
        }
        let is_old = |at| seen.age(at) > WAITING;
        let is_still = is_old(last.at) && seen.last_output.is_some_and(is_old);
        let paints = seen.output_pattern == OutputPattern::WhileWorking && !seen.is_in_background;
        // The session file or the title would say more than the output.
        let can_infer = paints && seen.title.is_none() && seen.session.is_none();
        if last.activity == Activity::Working && can_infer && is_still {
            return (Self::Interrupted, inferred(Source::Activity));
        }
        let found = evidence_since(source, Some(last.at));
        (state_of(&last, seen), found)
    }

    /// Concludes the state of a live agent that has reported nothing, or only its start: from its
    /// session file, or else its title, or else the time of its last output. `Running` if these do
    /// not tell.
    fn of_silent_agent(seen: &Observation) -> (Self, Evidence) {
        if let Some(session) = seen.session {
            let is_old = seen.age(session.at) > STALLED;
            let state = match session.activity {
                SessionActivity::Working | SessionActivity::Background => Self::Working,
                SessionActivity::Waiting(why) => Self::Waiting(why),
                SessionActivity::Idle if is_old => Self::Waiting(None),
                SessionActivity::Idle => Self::Opening,
            };
            return (state, from_session(session));
        }
        let pattern = seen.output_pattern;
        let is_recent = |at| seen.age(at) <= ACTIVE;
        let is_active =
            pattern == OutputPattern::NotWhileIdle && seen.last_output.is_some_and(is_recent);
        let by_title = evidence(Source::Title);
        let started = seen.started;
        match seen.title {
            Some(Title::Working) => (Self::Working, by_title),
            Some(Title::Asking) => (Self::Waiting(Some(WaitReason::Permission)), by_title),
            // Its turn is done, or it shows a dialog: it needs its user.
            Some(Title::Idle) if seen.has_started_up() => (Self::Waiting(None), by_title),
            Some(Title::Idle) => (Self::Opening, by_title),
            None if is_active => (Self::Working, inferred(Source::Activity)),
            // It may ask first whether its directory can be trusted.
            None if pattern != OutputPattern::Unknown && seen.is_silent_long() => {
                (Self::Waiting(None), inferred(Source::Activity))
            }
            None => (
                Self::Running(started),
                evidence_since(Source::Process, started),
            ),
        }
    }
}

fn evidence(source: Source) -> Evidence {
    evidence_since(source, None)
}

fn evidence_since(source: Source, since: Option<Timestamp>) -> Evidence {
    Evidence {
        source,
        since,
        is_inferred: false,
    }
}

fn inferred(source: Source) -> Evidence {
    Evidence {
        is_inferred: true,
        ..evidence(source)
    }
}

fn from_session(session: SessionState) -> Evidence {
    evidence_since(Source::Session, Some(session.at))
}

impl Observation {
    /// Returns the latest report of the agent, by a hook or in its transcript, with its source;
    /// `None` if there is none. A failure or interruption in the transcript precedes a hook that
    /// reports the turn as done.
    fn latest_report(&self) -> Option<(Report, Source)> {
        let hook = self.last_report.map(|it| (it, Source::Hook));
        let file = self.from_transcript.map(|it| (it, Source::Transcript));
        let (Some((reported, _)), Some((written, _))) = (hook, file) else {
            return hook.or(file);
        };
        // The hook reports any end of a turn as done, after the transcript has it.
        let is_more_exact = reported.activity == Activity::Done
            && [Activity::Failed, Activity::Interrupted].contains(&written.activity);
        // A hook says more than a transcript of the same moment.
        let is_later = written.at > reported.at;
        if is_later || is_more_exact {
            return file;
        }
        hook
    }

    /// Returns whether there is a report, a session file or a terminal title of the agent: then the
    /// agent was started.
    fn shows_agent(&self) -> bool {
        self.latest_report().is_some() || self.session.is_some() || self.title.is_some()
    }

    /// Returns whether the agent has run for more than a minute and printed nothing in the last
    /// minute; `false` if one of these times is unknown.
    fn is_silent_long(&self) -> bool {
        let is_long = |since| self.age(since) > WAITING;
        self.started.is_some_and(is_long) && self.last_output.is_some_and(is_long)
    }

    /// Returns whether the agent can be taken to have started up: it started more than a minute
    /// ago, or printed nothing in the last ten seconds. `true` also if its start is unknown.
    fn has_started_up(&self) -> bool {
        let is_over = |since, time| !(SignedDuration::ZERO..=time).contains(&self.age(since));
        let is_past_start = |at| is_over(at, STARTUP);
        self.started.is_none_or(is_past_start)
            || self.last_output.is_some_and(|at| is_over(at, STALLED))
    }

    /// Returns the time from `at` to the observation in whole seconds, because tmux gives times in
    /// seconds; negative if `at` is later, after the clock was set back.
    fn age(&self, at: Timestamp) -> SignedDuration {
        SignedDuration::from_secs(self.now.as_second() - at.as_second())
    }
}

/// Returns the activity that the agent's session file shows at `now` if it contradicts the last
/// report; otherwise `None`. Neither Esc nor the answer to a question calls a hook.
pub(crate) fn find_contradiction(
    report: &Report,
    session: SessionState,
    now: Timestamp,
) -> Option<(Activity, Option<WaitReason>)> {
    use SessionActivity::{Background, Idle, Waiting, Working};
    let settled = !is_fresh(report.at, now) && !is_fresh(session.at, now);
    let is_later = session.at > report.at;
    let is_old = now.as_second() - session.at.as_second() > STALLED.as_secs();
    let interrupted = Some((Activity::Interrupted, None));
    let at_work = Some((Activity::Working, None));
    match (report.activity, session.activity) {
        (Activity::Exited, _) | (Activity::Waiting, Waiting(_)) => None,
        // A question of a subagent is open, whatever the turn reports.
        (_, Waiting(why)) => Some((Activity::Waiting, why)),
        // Esc was pressed before the prompt was sent.
        (Activity::Starting, Idle) if is_old => Some((Activity::Waiting, None)),
        (Activity::Working | Activity::Waiting, Idle) if settled => interrupted,
        (Activity::Waiting, Working | Background) if is_later => at_work,
        (Activity::Done | Activity::Failed | Activity::Interrupted, Working) => {
            at_work.filter(|_| settled && is_later)
        }
        _ => None,
    }
}

/// Returns whether the time `at` of a report or session file is less than two seconds before `now`:
/// another source that contradicts it may not be up to date yet. `false` for a time in the future,
/// after the clock was set back.
pub(crate) fn is_fresh(at: Timestamp, now: Timestamp) -> bool {
    (SignedDuration::ZERO..TITLE_LAG).contains(&now.duration_since(at))
}

/// Returns the state that the title of the agent's terminal shows if it contradicts the last
/// report; otherwise, and without a title, `None`. Neither Esc nor a confirmation calls a hook.
fn correct_by_title(report: &Report, title: Option<Title>) -> Option<State> {
    match (report.activity, title?) {
        (Activity::Working, Title::Idle) => Some(State::Interrupted),
        (Activity::Working, Title::Working) | (_, Title::Idle) => None,
        // A dialog that was left by Esc keeps its title, and still needs its user.
        (Activity::Waiting, Title::Asking) => None,
        (_, Title::Working) => Some(State::Working),
        (_, Title::Asking) => Some(State::Waiting(Some(WaitReason::Permission))),
    }
}

fn state_of(report: &Report, seen: &Observation) -> State {
    match report.activity {
        Activity::Starting => State::Opening,
        Activity::Working => State::Working,
        Activity::Waiting => State::Waiting(report.why),
        Activity::Done => State::Done,
        Activity::Failed => State::Failed,
        Activity::Interrupted => State::Interrupted,
        // Of an earlier run.
        Activity::Exited => State::Running(seen.started),
    }
}

#[cfg(test)]
mod tests;
