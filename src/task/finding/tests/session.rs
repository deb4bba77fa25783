//! What the file of a session makes of what was said.

use super::*;

#[test]
fn the_file_of_a_session_tells_what_no_hook_does() {
    use Doing::{Background, Idle};
    use Said::{Done, Failed, Interrupted, Starting, Waiting, Working};
    const OLD: u64 = 60_000;
    let permission = Some(Why::Permission);
    let asks = Doing::Waiting(permission);
    for (said, said_ago, doing, ago, expected) in [
        (Working, OLD, Doing::Working, OLD, "working by hook"),
        (Working, OLD, Background, OLD, "working by hook"),
        // Esc.
        (Working, OLD, Idle, LAG, "interrupted by session"),
        (Waiting, OLD, Idle, LAG, "interrupted by session"),
        // The hook of the turn's end may be on its way, or that of the prompt have come before.
        (Working, OLD, Idle, LAG - 1, "working by hook"),
        (Working, LAG - 1, Idle, OLD, "working by hook"),
        (Waiting, OLD, Idle, LAG - 1, "waiting(permission) by hook"),
        // An agent within asks, and the turn is over.
        (Working, 0, asks, 1, "waiting(permission) by session"),
        (Done, OLD, asks, 0, "waiting(permission) by session"),
        (Waiting, OLD, asks, 0, "waiting(permission) by hook"),
        (Waiting, 2, Doing::Working, 1, "working by session"),
        (Waiting, 1, Doing::Working, 2, "waiting(permission) by hook"),
        (Done, OLD, Doing::Working, LAG, "working by session"),
        (Done, OLD, Doing::Working, LAG - 1, "done by hook"),
        (Done, LAG, Doing::Working, OLD, "done by hook"),
        (Done, OLD, Idle, OLD, "done by hook"),
        // Such as a server that it has started.
        (Done, OLD, Background, LAG, "done by hook"),
        (Failed, OLD, Idle, OLD, "failed by hook"),
        (Interrupted, OLD, Doing::Working, LAG, "working by session"),
        (Starting, OLD, Idle, 1000 * PAUSE, "starting by hook"),
        (
            Starting,
            OLD,
            Idle,
            1000 * PAUSE + 1000,
            "waiting by session",
        ),
    ] {
        let tell = |s: &mut Seen| {
            s.heard = heard(said, (said == Waiting).then_some(Why::Permission), said_ago);
            s.session = session(doing, ago);
            // There is nothing to be guessed.
            s.habit = Habit::Busy;
            s.stirred = Some(NOW / 1000 - 600);
        };
        case(Phase::Active, tell, expected);
    }
    for (doing, ago, expected) in [
        (Doing::Working, 0, "working by session"),
        (Background, 0, "working by session"),
        (asks, 0, "waiting(permission) by session"),
        (Idle, 1000 * PAUSE, "starting by session"),
        (Idle, 1000 * PAUSE + 1000, "waiting by session"),
    ] {
        let alone = |s: &mut Seen| s.session = session(doing, ago);
        case(Phase::Active, alone, expected);
    }
}

fn session(doing: Doing, ago: u64) -> Option<Session> {
    Some(Session {
        doing,
        at: NOW - ago,
        is_handed_over: false,
    })
}
