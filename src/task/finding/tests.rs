//! The precedence of the sources, as tables.

use OutputPattern::{NotWhileIdle, Unknown, WhileWorking};

use super::*;
use crate::task::{Exit, ExitReason};

mod session;

const NOW: Timestamp = Timestamp::constant(1_000_000, 0);
const WORKING: Option<Title> = Some(Title::Working);
const IDLE: Option<Title> = Some(Title::Idle);
const ASKING: Option<Title> = Some(Title::Asking);

/// Times in milliseconds.
const LAG: i64 = 2_000;
const OLD: i64 = 60_000;

const DAY: SignedDuration = SignedDuration::from_hours(24);

fn seconds_ago(seconds: i64) -> Timestamp {
    NOW - SignedDuration::from_secs(seconds)
}

/// Returns the observation of an agent that runs and has reported nothing.
fn runs() -> Observation {
    Observation {
        worktree: Location::Here,
        has_branch: true,
        launcher: Presence::Alive,
        started: Some(seconds_ago(3600)),
        now: NOW,
        ..Observation::default()
    }
}

#[track_caller]
fn case(phase: Phase, change: impl FnOnce(&mut Observation), expected: &str) {
    let mut seen = Observation { phase, ..runs() };
    change(&mut seen);
    let (state, found) = State::of(&seen);
    let guess = if found.is_inferred { "?" } else { "" };
    let shown = format!("{}{guess} by {}", state.label(), found.source.into_str());
    assert_eq!(shown, expected);
}

fn ended(reason: ExitReason) -> Option<Exit> {
    Some(Exit::new(reason, NOW))
}

fn report(activity: Activity, why: Option<WaitReason>, ago: i64) -> Option<Report> {
    Some(Report {
        activity,
        why,
        at: NOW - SignedDuration::from_millis(ago),
    })
}

#[test]
fn agent_is_queued_until_the_wrapper_has_started_it_or_it_shows_itself() {
    let queued = |change: fn(&mut Observation), expected| {
        let in_queue = |seen: &mut Observation| {
            seen.launcher = Presence::InQueue;
            seen.last_output = Some(NOW);
            seen.output_pattern = NotWhileIdle;
            change(seen);
        };
        case(Phase::Active, in_queue, expected);
    };
    queued(|_| {}, "queued by process");
    queued(|seen| seen.last_output = None, "queued by process");
    let by_hook = |seen: &mut Observation| seen.last_report = report(Activity::Working, None, OLD);
    queued(by_hook, "working by hook");
    queued(|seen| seen.title = WORKING, "working by title");
    let ends = |seen: &mut Observation| seen.exit = ended(ExitReason::Status(143));
    queued(ends, "exited(143) by exit");
}

#[test]
fn state_follows_from_launcher_worktree_branch_and_exit() {
    let active = Phase::Active;
    case(active, |_| {}, "running by process");
    for (launcher, expected) in [
        (Presence::Gone, "lost by process"),
        (Presence::Never, "lost by process"),
        (Presence::Elsewhere, "running(elsewhere) by process"),
        (Presence::OtherMachine, "lost? by process"),
        (Presence::InSetup, "starting by process"),
        (Presence::Unreadable, "unknown by none"),
    ] {
        case(active, |s| s.launcher = launcher, expected);
    }
    case(
        active,
        |s| s.worktree = Location::Gone,
        "broken by worktree",
    );
    let elsewhere = |s: &mut Observation| s.worktree = Location::Elsewhere;
    case(active, elsewhere, "elsewhere by worktree");
    case(active, |s| s.has_branch = false, "broken by branch");
    case(
        active,
        |s| s.exit = ended(ExitReason::Status(3)),
        "exited(3) by exit",
    );
    case(
        active,
        |s| s.exit = ended(ExitReason::Signal(9)),
        "killed(9) by exit",
    );
    case(
        active,
        |s| s.exit = ended(ExitReason::NotStarted(String::new())),
        "failed by exit",
    );
    case(Phase::Starting, |s| s.is_locked = true, "starting by lock");
    case(Phase::Starting, |_| {}, "incomplete by record");
    case(Phase::Removing, |s| s.is_locked = true, "removing by lock");
    case(
        Phase::Removing,
        |s| s.exit = ended(ExitReason::Unseen),
        "incomplete by record",
    );
}

#[test]
fn exit_takes_precedence_over_reports() {
    for activity in [Activity::Working, Activity::Waiting, Activity::Done] {
        let change = |s: &mut Observation| {
            s.last_report = report(activity, None, 10);
            s.title = WORKING;
            s.exit = ended(ExitReason::Status(0));
        };
        case(Phase::Active, change, "exited(0) by exit");
        let die = |s: &mut Observation| {
            s.last_report = report(activity, None, 10);
            s.title = WORKING;
            s.launcher = Presence::Gone;
        };
        case(Phase::Active, die, "lost by process");
    }
}

#[test]
fn title_corrects_a_report_after_its_lag() {
    use Activity::{Done, Failed, Interrupted, Starting, Waiting, Working};
    let permission = Some(WaitReason::Permission);
    let question = Some(WaitReason::Question);
    for (activity, why, title, ago, expected) in [
        (Starting, None, None, OLD, "starting by hook"),
        (Starting, None, IDLE, OLD, "starting by hook"),
        (Starting, None, WORKING, OLD, "working by title"),
        (Working, None, None, OLD, "working by hook"),
        (Working, None, WORKING, OLD, "working by hook"),
        (Working, None, IDLE, OLD, "interrupted by title"),
        (Working, None, IDLE, LAG, "interrupted by title"),
        (Working, None, IDLE, LAG - 1, "working by hook"),
        (Working, None, ASKING, OLD, "waiting(permission) by title"),
        (
            Waiting,
            permission,
            None,
            OLD,
            "waiting(permission) by hook",
        ),
        (Waiting, question, IDLE, OLD, "waiting(question) by hook"),
        (Waiting, question, ASKING, OLD, "waiting(question) by hook"),
        (Waiting, permission, WORKING, OLD, "working by title"),
        (
            Waiting,
            permission,
            WORKING,
            0,
            "waiting(permission) by hook",
        ),
        (Waiting, None, None, OLD, "waiting by hook"),
        (Done, None, None, OLD, "done by hook"),
        (Done, None, IDLE, OLD, "done by hook"),
        (Done, None, WORKING, OLD, "working by title"),
        (Done, None, WORKING, 0, "done by hook"),
        (Done, None, ASKING, OLD, "waiting(permission) by title"),
        (Failed, None, IDLE, OLD, "failed by hook"),
        (Interrupted, None, IDLE, OLD, "interrupted by hook"),
        (Interrupted, None, WORKING, OLD, "working by title"),
    ] {
        let change = |s: &mut Observation| {
            s.last_report = report(activity, why, ago);
            s.title = title;
            // A report takes precedence over output.
            s.last_output = Some(NOW);
        };
        case(Phase::Active, change, expected);
    }
}

#[test]
fn silent_agent_is_judged_by_its_title_and_then_by_its_output() {
    let active = Phase::Active;
    case(active, |s| s.title = WORKING, "working by title");
    case(active, |s| s.title = IDLE, "waiting by title");
    case(active, |s| s.title = ASKING, "waiting(permission) by title");
    // A wrapper takes its time, and so does the first screen.
    for (started_ago, output_ago, expected) in [
        (STARTUP.as_secs(), None, "starting by title"),
        (STARTUP.as_secs() + 1, None, "waiting by title"),
        (STARTUP.as_secs(), Some(0), "starting by title"),
        (
            STARTUP.as_secs(),
            Some(STALLED.as_secs()),
            "starting by title",
        ),
        (
            STARTUP.as_secs(),
            Some(STALLED.as_secs() + 1),
            "waiting by title",
        ),
        (STARTUP.as_secs() + 1, Some(0), "waiting by title"),
    ] {
        let change = |s: &mut Observation| {
            s.title = IDLE;
            s.started = Some(seconds_ago(started_ago));
            s.last_output = output_ago.map(seconds_ago);
        };
        case(active, change, expected);
    }
    for (pattern, ago, title, expected) in [
        (NotWhileIdle, ACTIVE.as_secs(), None, "working? by activity"),
        (
            NotWhileIdle,
            ACTIVE.as_secs() + 1,
            None,
            "running by process",
        ),
        (NotWhileIdle, WAITING.as_secs(), None, "running by process"),
        (
            NotWhileIdle,
            WAITING.as_secs() + 1,
            None,
            "waiting? by activity",
        ),
        (WhileWorking, ACTIVE.as_secs(), None, "running by process"),
        (WhileWorking, WAITING.as_secs(), None, "running by process"),
        (
            WhileWorking,
            WAITING.as_secs() + 1,
            None,
            "waiting? by activity",
        ),
        (Unknown, WAITING.as_secs() + 1, None, "running by process"),
        (Unknown, ACTIVE.as_secs(), None, "running by process"),
        (NotWhileIdle, 0, IDLE, "waiting by title"),
    ] {
        let change = |s: &mut Observation| {
            s.output_pattern = pattern;
            s.last_output = Some(seconds_ago(ago));
            s.title = title;
        };
        case(active, change, expected);
    }
}

#[test]
fn agent_that_has_only_started_is_waiting_after_a_time_without_output() {
    for (activity, ago, expected) in [
        (Activity::Starting, WAITING.as_secs(), "starting by hook"),
        (
            Activity::Starting,
            WAITING.as_secs() + 1,
            "waiting? by activity",
        ),
        (Activity::Done, WAITING.as_secs() + 1, "done by hook"),
    ] {
        let change = |s: &mut Observation| {
            s.last_report = report(activity, None, 1000 * 1000);
            s.output_pattern = NotWhileIdle;
            s.last_output = Some(seconds_ago(ago));
        };
        case(Phase::Active, change, expected);
    }
}

#[test]
fn working_agent_is_interrupted_after_a_time_without_output() {
    use Activity::{Waiting, Working};
    for (activity, ago, output_ago, pattern, title, expected) in [
        (
            Working,
            600,
            WAITING.as_secs() + 1,
            WhileWorking,
            None,
            "interrupted? by activity",
        ),
        (
            Working,
            600,
            WAITING.as_secs(),
            WhileWorking,
            None,
            "working by hook",
        ),
        (
            Working,
            WAITING.as_secs(),
            600,
            WhileWorking,
            None,
            "working by hook",
        ),
        (Working, 600, 600, NotWhileIdle, None, "working by hook"),
        (Working, 600, 600, Unknown, None, "working by hook"),
        (Working, 600, 600, WhileWorking, WORKING, "working by hook"),
        (Waiting, 600, 600, WhileWorking, None, "waiting by hook"),
    ] {
        let change = |s: &mut Observation| {
            s.last_report = report(activity, None, ago * 1000);
            s.last_output = Some(seconds_ago(output_ago));
            s.output_pattern = pattern;
            s.title = title;
        };
        case(Phase::Active, change, expected);
    }
}

#[test]
fn agent_with_a_background_command_is_working_without_output() {
    let change = |s: &mut Observation| {
        s.last_report = report(Activity::Working, None, 60_000);
        s.last_output = Some(seconds_ago(60));
        s.output_pattern = WhileWorking;
        s.is_in_background = true;
    };
    case(Phase::Active, change, "working by hook");
}

#[test]
fn transcript_takes_precedence_if_it_is_later_than_the_hook() {
    use Activity::{Done, Failed, Interrupted, Waiting, Working};
    for (activity, ago, written, written_ago, expected) in [
        (Working, 60, Interrupted, 30, "interrupted by transcript"),
        (Waiting, 60, Interrupted, 30, "interrupted by transcript"),
        (Working, 30, Interrupted, 60, "working by hook"),
        (Done, 30, Working, 30, "done by hook"),
        (Done, 30, Working, 20, "working by transcript"),
        // The hook reports any end of a turn as done.
        (Done, 30, Failed, 31, "failed by transcript"),
        (Done, 30, Interrupted, 31, "interrupted by transcript"),
    ] {
        let change = |s: &mut Observation| {
            s.last_report = report(activity, None, ago * 1000);
            s.from_transcript = report(written, None, written_ago * 1000);
        };
        case(Phase::Active, change, expected);
    }
    let alone = |s: &mut Observation| s.from_transcript = report(Interrupted, None, 9000);
    case(Phase::Active, alone, "interrupted by transcript");
}

#[test]
fn clock_that_jumps_changes_no_state() {
    let activity = |at| {
        move |s: &mut Observation| {
            s.last_report = Some(Report {
                activity: Activity::Working,
                why: None,
                at,
            });
            s.title = WORKING;
            s.last_output = Some(at);
            s.output_pattern = WhileWorking;
        }
    };
    for at in [Timestamp::UNIX_EPOCH, NOW - DAY, NOW, NOW + DAY] {
        case(Phase::Active, activity(at), "working by hook");
    }
    // After the clock was set back the title takes precedence.
    let back = |s: &mut Observation| {
        activity(NOW + DAY)(s);
        s.title = IDLE;
    };
    case(Phase::Active, back, "interrupted by title");
}
