//! The precedence of the sources, as tables.

use super::*;
use crate::task::{Exit, ExitReason};

mod session;

const NOW: u64 = 1_000_000_000;

/// Returns the observation of an agent that runs and has reported nothing.
fn runs() -> Observation {
    Observation {
        worktree: Location::Here,
        has_branch: true,
        launcher: Presence::Alive,
        started_s: Some(NOW / 1000 - 3600),
        now_ms: NOW,
        ..Observation::default()
    }
}

#[track_caller]
fn case(phase: Phase, change: impl FnOnce(&mut Observation), expected: &str) {
    let mut seen = runs();
    change(&mut seen);
    let (state, found) = State::of(phase, &seen);
    let guess = if found.is_inferred { "?" } else { "" };
    let shown = format!("{}{guess} by {}", state.label(), found.source.into_str());
    assert_eq!(shown, expected);
}

fn ended(reason: ExitReason) -> Option<Exit> {
    Some(Exit::new(reason, NOW / 1000))
}

fn report(activity: Activity, why: Option<WaitReason>, ago: u64) -> Option<Report> {
    Some(Report {
        activity,
        why,
        at_ms: NOW - ago,
    })
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
            s.title = Some(Title::Working);
            s.exit = ended(ExitReason::Status(0));
        };
        case(Phase::Active, change, "exited(0) by exit");
        let die = |s: &mut Observation| {
            s.last_report = report(activity, None, 10);
            s.title = Some(Title::Working);
            s.launcher = Presence::Gone;
        };
        case(Phase::Active, die, "lost by process");
    }
}

#[test]
fn title_corrects_a_report_after_its_lag() {
    use Activity::{Done, Failed, Interrupted, Starting, Waiting, Working};
    const OLD: u64 = 60_000;
    let permission = Some(WaitReason::Permission);
    let question = Some(WaitReason::Question);
    for (activity, why, title, ago, expected) in [
        (Starting, None, None, OLD, "starting by hook"),
        (Starting, None, Some(Title::Idle), OLD, "starting by hook"),
        (
            Starting,
            None,
            Some(Title::Working),
            OLD,
            "working by title",
        ),
        (Working, None, None, OLD, "working by hook"),
        (Working, None, Some(Title::Working), OLD, "working by hook"),
        (
            Working,
            None,
            Some(Title::Idle),
            OLD,
            "interrupted by title",
        ),
        (
            Working,
            None,
            Some(Title::Idle),
            TITLE_LAG_MS,
            "interrupted by title",
        ),
        (
            Working,
            None,
            Some(Title::Idle),
            TITLE_LAG_MS - 1,
            "working by hook",
        ),
        (
            Working,
            None,
            Some(Title::Asking),
            OLD,
            "waiting(permission) by title",
        ),
        (
            Waiting,
            permission,
            None,
            OLD,
            "waiting(permission) by hook",
        ),
        (
            Waiting,
            question,
            Some(Title::Idle),
            OLD,
            "waiting(question) by hook",
        ),
        (
            Waiting,
            question,
            Some(Title::Asking),
            OLD,
            "waiting(question) by hook",
        ),
        (
            Waiting,
            permission,
            Some(Title::Working),
            OLD,
            "working by title",
        ),
        (
            Waiting,
            permission,
            Some(Title::Working),
            0,
            "waiting(permission) by hook",
        ),
        (Waiting, None, None, OLD, "waiting by hook"),
        (Done, None, None, OLD, "done by hook"),
        (Done, None, Some(Title::Idle), OLD, "done by hook"),
        (Done, None, Some(Title::Working), OLD, "working by title"),
        (Done, None, Some(Title::Working), 0, "done by hook"),
        (
            Done,
            None,
            Some(Title::Asking),
            OLD,
            "waiting(permission) by title",
        ),
        (Failed, None, Some(Title::Idle), OLD, "failed by hook"),
        (
            Interrupted,
            None,
            Some(Title::Idle),
            OLD,
            "interrupted by hook",
        ),
        (
            Interrupted,
            None,
            Some(Title::Working),
            OLD,
            "working by title",
        ),
    ] {
        let change = |s: &mut Observation| {
            s.last_report = report(activity, why, ago);
            s.title = title;
            // A report takes precedence over output.
            s.last_output_s = Some(NOW / 1000);
        };
        case(Phase::Active, change, expected);
    }
}

#[test]
fn silent_agent_is_judged_by_its_title_and_then_by_its_output() {
    let active = Phase::Active;
    case(
        active,
        |s| s.title = Some(Title::Working),
        "working by title",
    );
    case(active, |s| s.title = Some(Title::Idle), "waiting by title");
    case(
        active,
        |s| s.title = Some(Title::Asking),
        "waiting(permission) by title",
    );
    // A wrapper takes its time, and so does the first screen.
    for (started_ago, stirred_ago, expected) in [
        (STARTUP_SECONDS, None, "starting by title"),
        (STARTUP_SECONDS + 1, None, "waiting by title"),
        (STARTUP_SECONDS, Some(0), "starting by title"),
        (STARTUP_SECONDS, Some(STALLED_SECONDS), "starting by title"),
        (
            STARTUP_SECONDS,
            Some(STALLED_SECONDS + 1),
            "waiting by title",
        ),
        (STARTUP_SECONDS + 1, Some(0), "waiting by title"),
    ] {
        let fresh = |s: &mut Observation| {
            s.title = Some(Title::Idle);
            s.started_s = Some(NOW / 1000 - started_ago);
            s.last_output_s = stirred_ago.map(|ago| NOW / 1000 - ago);
        };
        case(active, fresh, expected);
    }
    for (output_pattern, ago, title, expected) in [
        (
            OutputPattern::NotWhileIdle,
            ACTIVE_SECONDS,
            None,
            "working? by activity",
        ),
        (
            OutputPattern::NotWhileIdle,
            ACTIVE_SECONDS + 1,
            None,
            "running by process",
        ),
        (
            OutputPattern::NotWhileIdle,
            WAITING_SECONDS,
            None,
            "running by process",
        ),
        (
            OutputPattern::NotWhileIdle,
            WAITING_SECONDS + 1,
            None,
            "waiting? by activity",
        ),
        (
            OutputPattern::WhileWorking,
            ACTIVE_SECONDS,
            None,
            "running by process",
        ),
        (
            OutputPattern::WhileWorking,
            WAITING_SECONDS,
            None,
            "running by process",
        ),
        (
            OutputPattern::WhileWorking,
            WAITING_SECONDS + 1,
            None,
            "waiting? by activity",
        ),
        (
            OutputPattern::Unknown,
            WAITING_SECONDS + 1,
            None,
            "running by process",
        ),
        (
            OutputPattern::Unknown,
            ACTIVE_SECONDS,
            None,
            "running by process",
        ),
        (
            OutputPattern::NotWhileIdle,
            0,
            Some(Title::Idle),
            "waiting by title",
        ),
    ] {
        let stir = |s: &mut Observation| {
            s.output_pattern = output_pattern;
            s.last_output_s = Some(NOW / 1000 - ago);
            s.title = title;
        };
        case(active, stir, expected);
    }
}

#[test]
fn agent_that_has_only_started_is_waiting_after_a_time_without_output() {
    for (activity, ago, expected) in [
        (Activity::Starting, WAITING_SECONDS, "starting by hook"),
        (
            Activity::Starting,
            WAITING_SECONDS + 1,
            "waiting? by activity",
        ),
        (Activity::Done, WAITING_SECONDS + 1, "done by hook"),
    ] {
        let still = |s: &mut Observation| {
            s.last_report = report(activity, None, 1000 * 1000);
            s.output_pattern = OutputPattern::NotWhileIdle;
            s.last_output_s = Some(NOW / 1000 - ago);
        };
        case(Phase::Active, still, expected);
    }
}

#[test]
fn working_agent_is_interrupted_after_a_time_without_output() {
    use Activity::{Waiting, Working};
    let working = Some(Title::Working);
    for (activity, said_ago, painted_ago, output_pattern, title, expected) in [
        (
            Working,
            600,
            WAITING_SECONDS + 1,
            OutputPattern::WhileWorking,
            None,
            "interrupted? by activity",
        ),
        (
            Working,
            600,
            WAITING_SECONDS,
            OutputPattern::WhileWorking,
            None,
            "working by hook",
        ),
        (
            Working,
            WAITING_SECONDS,
            600,
            OutputPattern::WhileWorking,
            None,
            "working by hook",
        ),
        (
            Working,
            600,
            600,
            OutputPattern::NotWhileIdle,
            None,
            "working by hook",
        ),
        (
            Working,
            600,
            600,
            OutputPattern::Unknown,
            None,
            "working by hook",
        ),
        (
            Working,
            600,
            600,
            OutputPattern::WhileWorking,
            working,
            "working by hook",
        ),
        (
            Waiting,
            600,
            600,
            OutputPattern::WhileWorking,
            None,
            "waiting by hook",
        ),
    ] {
        let change = |s: &mut Observation| {
            s.last_report = report(activity, None, said_ago * 1000);
            s.last_output_s = Some(NOW / 1000 - painted_ago);
            s.output_pattern = output_pattern;
            s.title = title;
        };
        case(Phase::Active, change, expected);
    }
}

#[test]
fn agent_with_a_background_command_is_working_without_output() {
    let change = |s: &mut Observation| {
        s.last_report = report(Activity::Working, None, 60_000);
        s.last_output_s = Some(NOW / 1000 - 60);
        s.output_pattern = OutputPattern::WhileWorking;
        s.is_in_background = true;
    };
    case(Phase::Active, change, "working by hook");
}

#[test]
fn transcript_takes_precedence_if_it_is_later_than_the_hook() {
    use Activity::{Done, Failed, Interrupted, Waiting, Working};
    for (activity, said_ago, written, written_ago, expected) in [
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
            s.last_report = report(activity, None, said_ago * 1000);
            s.from_transcript = report(written, None, written_ago * 1000);
        };
        case(Phase::Active, change, expected);
    }
    let alone = |s: &mut Observation| s.from_transcript = report(Interrupted, None, 9000);
    case(Phase::Active, alone, "interrupted by transcript");
}

#[test]
fn clock_that_jumps_changes_no_state() {
    let activity = |at: u64| {
        move |s: &mut Observation| {
            s.last_report = Some(Report {
                activity: Activity::Working,
                why: None,
                at_ms: at,
            });
            s.title = Some(Title::Working);
            s.last_output_s = Some(at / 1000);
            s.output_pattern = OutputPattern::WhileWorking;
        }
    };
    for at in [0, NOW - 86_400_000, NOW, NOW + 86_400_000] {
        case(Phase::Active, activity(at), "working by hook");
    }
    // After the clock was set back the title takes precedence.
    let back = |s: &mut Observation| {
        activity(NOW + 86_400_000)(s);
        s.title = Some(Title::Idle);
    };
    case(Phase::Active, back, "interrupted by title");
}
