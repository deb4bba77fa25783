//! Which source counts, as a table.

use super::*;
use crate::task::Exit;

const NOW: u64 = 1_000_000_000;

/// What is seen of a task whose agent runs and has said nothing.
fn runs() -> Seen {
    Seen {
        worktree: true,
        branch: true,
        alive: Some(true),
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
    let shown = format!("{}{guess} by {}", state.label(), found.source.name());
    assert_eq!(shown, expected);
}

fn ended(status: Option<i32>, signal: Option<i32>, error: Option<&str>) -> Option<Exit> {
    Some(Exit {
        status,
        signal,
        error: error.map(str::to_owned),
        at: NOW / 1000,
    })
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
    case(active, |s| s.alive = Some(false), "lost by process");
    case(active, |s| s.alive = None, "lost by process");
    case(active, |s| s.worktree = false, "broken by worktree");
    case(active, |s| s.branch = false, "broken by branch");
    case(active, |s| s.unreadable = true, "unknown by none");
    case(
        active,
        |s| s.exit = ended(Some(3), None, None),
        "exited(3) by exit",
    );
    case(
        active,
        |s| s.exit = ended(None, Some(9), None),
        "killed(9) by exit",
    );
    case(
        active,
        |s| s.exit = ended(None, None, Some("")),
        "failed by exit",
    );
    case(Phase::Starting, |s| s.locked = true, "starting by lock");
    case(Phase::Starting, |_| {}, "interrupted by record");
    case(Phase::Removing, |s| s.locked = true, "removing by lock");
    case(
        Phase::Removing,
        |s| s.exit = ended(None, None, None),
        "interrupted by record",
    );
}

#[test]
fn an_end_that_was_seen_counts_for_more_than_what_was_said_before() {
    for said in [Said::Working, Said::Waiting, Said::Done] {
        let tell = |s: &mut Seen| {
            s.heard = heard(said, None, 10);
            s.title = Some(Title::Working);
            s.exit = ended(Some(0), None, None);
        };
        case(Phase::Active, tell, "exited(0) by exit");
        let die = |s: &mut Seen| {
            s.heard = heard(said, None, 10);
            s.title = Some(Title::Working);
            s.alive = Some(false);
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
    let fresh = |s: &mut Seen| {
        s.title = Some(Title::Idle);
        s.started = Some(NOW / 1000 - START + 1);
    };
    case(active, fresh, "starting by title");
    case(
        active,
        |s| s.stirred = Some(NOW / 1000 - STIR),
        "working? by activity",
    );
    case(
        active,
        |s| s.stirred = Some(NOW / 1000 - STIR - 1),
        "running by process",
    );
    let both = |s: &mut Seen| {
        s.title = Some(Title::Idle);
        s.stirred = Some(NOW / 1000);
    };
    case(active, both, "waiting by title");
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
    case(
        Phase::Active,
        |s| s.stirred = Some(NOW),
        "working? by activity",
    );
}
