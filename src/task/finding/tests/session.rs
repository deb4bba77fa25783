//! Session files that contradict reports.

use super::*;

#[test]
fn session_file_contradicts_reports_of_hooks() {
    use Activity::{Done, Failed, Interrupted, Starting, Waiting, Working};
    use SessionActivity::{Background, Idle};
    const OLD: u64 = 60_000;
    let permission = Some(WaitReason::Permission);
    let asks = SessionActivity::Waiting(permission);
    for (activity, said_ago, doing, ago, expected) in [
        (
            Working,
            OLD,
            SessionActivity::Working,
            OLD,
            "working by hook",
        ),
        (Working, OLD, Background, OLD, "working by hook"),
        // Esc.
        (Working, OLD, Idle, TITLE_LAG_MS, "interrupted by session"),
        (Waiting, OLD, Idle, TITLE_LAG_MS, "interrupted by session"),
        // The hook of the end of the turn may be late, that of the prompt early.
        (Working, OLD, Idle, TITLE_LAG_MS - 1, "working by hook"),
        (Working, TITLE_LAG_MS - 1, Idle, OLD, "working by hook"),
        (
            Waiting,
            OLD,
            Idle,
            TITLE_LAG_MS - 1,
            "waiting(permission) by hook",
        ),
        // A subagent asks, and the turn is over.
        (Working, 0, asks, 1, "waiting(permission) by session"),
        (Done, OLD, asks, 0, "waiting(permission) by session"),
        (Waiting, OLD, asks, 0, "waiting(permission) by hook"),
        (
            Waiting,
            2,
            SessionActivity::Working,
            1,
            "working by session",
        ),
        (
            Waiting,
            1,
            SessionActivity::Working,
            2,
            "waiting(permission) by hook",
        ),
        (
            Done,
            OLD,
            SessionActivity::Working,
            TITLE_LAG_MS,
            "working by session",
        ),
        (
            Done,
            OLD,
            SessionActivity::Working,
            TITLE_LAG_MS - 1,
            "done by hook",
        ),
        (
            Done,
            TITLE_LAG_MS,
            SessionActivity::Working,
            OLD,
            "done by hook",
        ),
        (Done, OLD, Idle, OLD, "done by hook"),
        // A server that it has started, for example.
        (Done, OLD, Background, TITLE_LAG_MS, "done by hook"),
        (Failed, OLD, Idle, OLD, "failed by hook"),
        (
            Interrupted,
            OLD,
            SessionActivity::Working,
            TITLE_LAG_MS,
            "working by session",
        ),
        (
            Starting,
            OLD,
            Idle,
            1000 * STALLED_SECONDS,
            "starting by hook",
        ),
        (
            Starting,
            OLD,
            Idle,
            1000 * STALLED_SECONDS + 1000,
            "waiting by session",
        ),
    ] {
        let change = |s: &mut Observation| {
            s.last_report = report(
                activity,
                (activity == Waiting).then_some(WaitReason::Permission),
                said_ago,
            );
            s.session = session(doing, ago);
            // Its output does not count.
            s.output_pattern = OutputPattern::WhileWorking;
            s.last_output_s = Some(NOW / 1000 - 600);
        };
        case(Phase::Active, change, expected);
    }
    for (doing, ago, expected) in [
        (SessionActivity::Working, 0, "working by session"),
        (Background, 0, "working by session"),
        (asks, 0, "waiting(permission) by session"),
        (Idle, 1000 * STALLED_SECONDS, "starting by session"),
        (Idle, 1000 * STALLED_SECONDS + 1000, "waiting by session"),
    ] {
        let alone = |s: &mut Observation| s.session = session(doing, ago);
        case(Phase::Active, alone, expected);
    }
}

fn session(doing: SessionActivity, ago: u64) -> Option<SessionState> {
    Some(SessionState {
        activity: doing,
        at_ms: NOW - ago,
        is_handed_over: false,
    })
}
