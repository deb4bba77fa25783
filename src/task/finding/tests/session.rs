//! Session files that contradict reports.

use super::*;

#[test]
fn session_file_contradicts_reports_of_hooks() {
    use Activity::{Done, Failed, Interrupted, Starting, Waiting, Working};
    use SessionActivity::{Background, Idle};
    let permission = Some(WaitReason::Permission);
    let asks = SessionActivity::Waiting(permission);
    let working = SessionActivity::Working;
    let (soon, late) = (10_000, 11_000);
    for (activity, report_ago, doing, ago, expected) in [
        (Working, OLD, working, OLD, "working by hook"),
        (Working, OLD, Background, OLD, "working by hook"),
        // Esc.
        (Working, OLD, Idle, LAG, "interrupted by session"),
        (Waiting, OLD, Idle, LAG, "interrupted by session"),
        // The hook of the end of the turn may be late, that of the prompt early.
        (Working, OLD, Idle, LAG - 1, "working by hook"),
        (Working, LAG - 1, Idle, OLD, "working by hook"),
        (Waiting, OLD, Idle, LAG - 1, "waiting(permission) by hook"),
        // A subagent asks, and the turn is over.
        (Working, 0, asks, 1, "waiting(permission) by session"),
        (Done, OLD, asks, 0, "waiting(permission) by session"),
        (Waiting, OLD, asks, 0, "waiting(permission) by hook"),
        (Waiting, 2, working, 1, "working by session"),
        (Waiting, 1, working, 2, "waiting(permission) by hook"),
        (Done, OLD, working, LAG, "working by session"),
        (Done, OLD, working, LAG - 1, "done by hook"),
        (Done, LAG, working, OLD, "done by hook"),
        (Done, OLD, Idle, OLD, "done by hook"),
        // A server that it has started, for example.
        (Done, OLD, Background, LAG, "done by hook"),
        (Failed, OLD, Idle, OLD, "failed by hook"),
        (Interrupted, OLD, working, LAG, "working by session"),
        (Starting, OLD, Idle, soon, "starting by hook"),
        (Starting, OLD, Idle, late, "waiting by session"),
    ] {
        let change = |s: &mut Observation| {
            let why = permission.filter(|_| activity == Waiting);
            s.last_report = report(activity, why, report_ago);
            s.session = session(doing, ago);
            // Its output does not count.
            s.output_pattern = WhileWorking;
            s.last_output = Some(seconds_ago(600));
        };
        case(Phase::Active, change, expected);
    }
    for (doing, ago, expected) in [
        (working, 0, "working by session"),
        (Background, 0, "working by session"),
        (asks, 0, "waiting(permission) by session"),
        (Idle, soon, "starting by session"),
        (Idle, late, "waiting by session"),
    ] {
        let alone = |s: &mut Observation| s.session = session(doing, ago);
        case(Phase::Active, alone, expected);
    }
}

fn session(doing: SessionActivity, ago: i64) -> Option<SessionState> {
    Some(SessionState {
        activity: doing,
        at: NOW - SignedDuration::from_millis(ago),
        is_handed_over: false,
    })
}
