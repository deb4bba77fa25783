//! Which source counts, as a table.

use super::*;
use crate::task::{Exit, How};

mod session;

const NOW: u64 = 1_000_000_000;

/// What is seen of a task whose agent runs and has said nothing.
fn runs() -> Seen {
    Seen {
        worktree: Location::Here,
        branch: true,
        launcher: Presence::Alive,
        started: Some(NOW / 1000 - 3600),
        now: NOW,
        ..Seen::default()
    }
}

#[track_caller]
fn case(phase: Phase, change: impl FnOnce(&mut Seen), expected: &str) {
    let mut seen = runs();
    change(&mut seen);
    let (state, found) = State::of(phase, &seen);
    let guess = if found.guess { "?" } else { "" };
    let shown = format!("{}{guess} by {}", state.label(), found.source.into_str());
    assert_eq!(shown, expected);
}

fn ended(how: How) -> Option<Exit> {
    Some(Exit::new(how, NOW / 1000))
}

fn heard(said: Said, why: Option<Why>, ago: u64) -> Option<Heard> {
    Some(Heard {
        said,
        why,
        at: NOW - ago,
    })
}

#[test]
fn states_follow_from_what_is_seen() {
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
    let elsewhere = |s: &mut Seen| s.worktree = Location::Elsewhere;
    case(active, elsewhere, "elsewhere by worktree");
    case(active, |s| s.branch = false, "broken by branch");
    case(
        active,
        |s| s.exit = ended(How::Status(3)),
        "exited(3) by exit",
    );
    case(
        active,
        |s| s.exit = ended(How::Signal(9)),
        "killed(9) by exit",
    );
    case(
        active,
        |s| s.exit = ended(How::Unstarted(String::new())),
        "failed by exit",
    );
    case(Phase::Starting, |s| s.locked = true, "starting by lock");
    case(Phase::Starting, |_| {}, "incomplete by record");
    case(Phase::Removing, |s| s.locked = true, "removing by lock");
    case(
        Phase::Removing,
        |s| s.exit = ended(How::Unseen),
        "incomplete by record",
    );
}

#[test]
fn an_end_that_was_seen_counts_for_more_than_what_was_said_before() {
    for said in [Said::Working, Said::Waiting, Said::Done] {
        let tell = |s: &mut Seen| {
            s.heard = heard(said, None, 10);
            s.title = Some(Title::Working);
            s.exit = ended(How::Status(0));
        };
        case(Phase::Active, tell, "exited(0) by exit");
        let die = |s: &mut Seen| {
            s.heard = heard(said, None, 10);
            s.title = Some(Title::Working);
            s.launcher = Presence::Gone;
        };
        case(Phase::Active, die, "lost by process");
    }
}

#[test]
fn what_an_agent_says_is_corrected_by_its_title_once_that_had_time_to_follow() {
    use Said::{Done, Failed, Interrupted, Starting, Waiting, Working};
    const OLD: u64 = 60_000;
    let permission = Some(Why::Permission);
    let question = Some(Why::Question);
    for (said, why, title, ago, expected) in [
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
            LAG,
            "interrupted by title",
        ),
        (Working, None, Some(Title::Idle), LAG - 1, "working by hook"),
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
        let tell = |s: &mut Seen| {
            s.heard = heard(said, why, ago);
            s.title = title;
            // Activity is no match for a word.
            s.stirred = Some(NOW / 1000);
        };
        case(Phase::Active, tell, expected);
    }
}

#[test]
fn an_agent_that_says_nothing_is_judged_by_its_title_and_then_by_its_window() {
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
    // What starts it takes its time, and so does what it shows first.
    for (started_ago, stirred_ago, expected) in [
        (START, None, "starting by title"),
        (START + 1, None, "waiting by title"),
        (START, Some(0), "starting by title"),
        (START, Some(PAUSE), "starting by title"),
        (START, Some(PAUSE + 1), "waiting by title"),
        (START + 1, Some(0), "waiting by title"),
    ] {
        let fresh = |s: &mut Seen| {
            s.title = Some(Title::Idle);
            s.started = Some(NOW / 1000 - started_ago);
            s.stirred = stirred_ago.map(|ago| NOW / 1000 - ago);
        };
        case(active, fresh, expected);
    }
    for (habit, ago, title, expected) in [
        (Habit::Quiet, STIR, None, "working? by activity"),
        (Habit::Quiet, STIR + 1, None, "running by process"),
        (Habit::Quiet, STILL, None, "running by process"),
        (Habit::Quiet, STILL + 1, None, "waiting? by activity"),
        (Habit::Busy, STIR, None, "running by process"),
        (Habit::Busy, STILL, None, "running by process"),
        (Habit::Busy, STILL + 1, None, "waiting? by activity"),
        (Habit::Unknown, STILL + 1, None, "running by process"),
        (Habit::Unknown, STIR, None, "running by process"),
        (Habit::Quiet, 0, Some(Title::Idle), "waiting by title"),
    ] {
        let stir = |s: &mut Seen| {
            s.habit = habit;
            s.stirred = Some(NOW / 1000 - ago);
            s.title = title;
        };
        case(active, stir, expected);
    }
}

#[test]
fn an_agent_that_has_said_nothing_but_that_it_starts_is_taken_for_one_that_waits() {
    for (said, ago, expected) in [
        (Said::Starting, STILL, "starting by hook"),
        (Said::Starting, STILL + 1, "waiting? by activity"),
        (Said::Done, STILL + 1, "done by hook"),
    ] {
        let still = |s: &mut Seen| {
            s.heard = heard(said, None, 1000 * 1000);
            s.habit = Habit::Quiet;
            s.stirred = Some(NOW / 1000 - ago);
        };
        case(Phase::Active, still, expected);
    }
}

#[test]
fn an_agent_at_work_that_has_stopped_painting_is_taken_for_interrupted() {
    use Said::{Waiting, Working};
    let working = Some(Title::Working);
    for (said, said_ago, painted_ago, habit, title, expected) in [
        (
            Working,
            600,
            STILL + 1,
            Habit::Busy,
            None,
            "interrupted? by activity",
        ),
        (Working, 600, STILL, Habit::Busy, None, "working by hook"),
        (Working, STILL, 600, Habit::Busy, None, "working by hook"),
        (Working, 600, 600, Habit::Quiet, None, "working by hook"),
        (Working, 600, 600, Habit::Unknown, None, "working by hook"),
        (Working, 600, 600, Habit::Busy, working, "working by hook"),
        (Waiting, 600, 600, Habit::Busy, None, "waiting by hook"),
    ] {
        let tell = |s: &mut Seen| {
            s.heard = heard(said, None, said_ago * 1000);
            s.stirred = Some(NOW / 1000 - painted_ago);
            s.habit = habit;
            s.title = title;
        };
        case(Phase::Active, tell, expected);
    }
}

#[test]
fn an_agent_whose_turn_is_over_paints_nothing_while_something_runs_in_the_background() {
    let tell = |s: &mut Seen| {
        s.heard = heard(Said::Working, None, 60_000);
        s.stirred = Some(NOW / 1000 - 60);
        s.habit = Habit::Busy;
        s.in_background = true;
    };
    case(Phase::Active, tell, "working by hook");
}

#[test]
fn what_an_agent_has_written_down_counts_if_it_is_later_than_what_it_said() {
    use Said::{Done, Failed, Interrupted, Waiting, Working};
    for (said, said_ago, written, written_ago, expected) in [
        (Working, 60, Interrupted, 30, "interrupted by transcript"),
        (Waiting, 60, Interrupted, 30, "interrupted by transcript"),
        (Working, 30, Interrupted, 60, "working by hook"),
        (Done, 30, Working, 30, "done by hook"),
        (Done, 30, Working, 20, "working by transcript"),
        // It is the last that is written down, and the hook tells of any end.
        (Done, 30, Failed, 31, "failed by transcript"),
        (Done, 30, Interrupted, 31, "interrupted by transcript"),
    ] {
        let tell = |s: &mut Seen| {
            s.heard = heard(said, None, said_ago * 1000);
            s.written = heard(written, None, written_ago * 1000);
        };
        case(Phase::Active, tell, expected);
    }
    let alone = |s: &mut Seen| s.written = heard(Interrupted, None, 9000);
    case(Phase::Active, alone, "interrupted by transcript");
}

#[test]
fn a_clock_that_jumps_changes_no_state() {
    let said = |at: u64| {
        move |s: &mut Seen| {
            s.heard = Some(Heard {
                said: Said::Working,
                why: None,
                at,
            });
            s.title = Some(Title::Working);
            s.stirred = Some(at / 1000);
            s.habit = Habit::Busy;
        }
    };
    for at in [0, NOW - 86_400_000, NOW, NOW + 86_400_000] {
        case(Phase::Active, said(at), "working by hook");
    }
    // Set back since the agent spoke: its title is believed, as ever.
    let back = |s: &mut Seen| {
        said(NOW + 86_400_000)(s);
        s.title = Some(Title::Idle);
    };
    case(Phase::Active, back, "interrupted by title");
}
