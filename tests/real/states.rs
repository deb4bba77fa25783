//! Tests states of the real agents that no hook reports.

use std::fs;

use super::api::Turn;
use super::claude::claude;
use super::codex::codex;
use super::opencode::opencode;
use crate::world::wait_until;

#[test]
#[ignore = "a real agent: .ci/long real_agents"]
fn agent_claude_asks_for_permission_if_yolo_is_false() {
    let real = claude();
    real.world.git(["config", "flux.claude.yolo", "false"]);
    let id = real.start(b"Write it");
    real.api.turn().call("touch work.txt");
    real.wait_state(&id, "waiting permission");
}

#[test]
#[ignore = "a real agent: .ci/long real_agents"]
fn agent_claude_is_working_while_a_background_command_runs() {
    let real = claude();
    let id = real.start(b"Write it");
    let wait = "while [ ! -e go ]; do sleep 0.1; done";
    real.api.turn().call_in_background(wait);
    real.api.turn().say("It runs.");
    let explained = || real.flux(["status", "--explain", &id]).stdout;
    wait_until("it to rest", || {
        explained().contains("a command in the background")
    });
    // Nothing is guessed, however long it paints nothing.
    real.wait_state(&id, "working");
    assert!(
        explained().contains("\n* hook        working ("),
        "{}",
        explained()
    );
    fs::write(real.world.worktree(&id).join("go"), "").unwrap();
    real.api.turn().say("It is written.");
    real.wait_state(&id, "done");
}

#[test]
#[ignore = "a real agent: .ci/long real_agents"]
fn agent_claude_is_waiting_while_a_subagent_asks_for_permission() {
    let real = claude();
    real.world.git(["config", "flux.claude.yolo", "false"]);
    let id = real.start(b"Write it");
    real.api.turn().delegate("Write a part");
    let is_within = |turn: &Turn| turn.said().iter().any(|said| said.contains("Write a part"));
    // Its own turn and that of the other, in either order.
    for _ in 0..2 {
        let turn = real.api.turn();
        if is_within(&turn) {
            turn.call("touch work.txt");
        } else {
            turn.say("It is being written.");
        }
    }
    real.wait_state(&id, "waiting permission");
    let session = || real.flux(["status", "--explain", &id]).stdout;
    wait_until("its file to say so", || {
        session().contains("session     waiting(permission)")
    });
    real.wait_state(&id, "waiting permission");
    let turn = real.agree(&id, "1");
    assert!(is_within(&turn), "{:?}", turn.said());
    turn.say("The part is written.");
    let turn = real.api.turn();
    assert!(!is_within(&turn), "{:?}", turn.said());
    turn.say("It is written.");
    real.wait_state(&id, "done");
    let events = real.world.repo().join(format!(".git/flux/run/{id}/events"));
    let events = fs::read_to_string(events).unwrap();
    assert_eq!(events.matches("\"waiting\"").count(), 1, "{events}");
}

#[test]
#[ignore = "a real agent: .ci/long real_agents"]
fn agent_claude_is_shown_as_failed_after_an_api_error() {
    let mut real = claude();
    real.env.push(("CLAUDE_CODE_MAX_RETRIES", "0".into()));
    let id = real.start(b"Write it");
    real.api.turn().fail(401);
    real.wait_state(&id, "failed");
}

#[test]
#[ignore = "a real agent: .ci/long real_agents"]
fn agent_codex_is_shown_as_failed_or_interrupted_also_after_resume() {
    let real = codex();
    for status in [500, 401, 429] {
        let id = real.start(b"Write it");
        real.api.turn().fail(status);
        let waited = real.flux(["wait", "--timeout", "60s", &id]);
        waited.code(1);
        assert_eq!(waited.stdout, format!("{id} failed\n"));
    }
    let id = real.start(b"Write it");
    let turn = real.api.turn();
    real.wait_state(&id, "working");
    real.press(&id, "Escape");
    let waited = real.flux(["wait", "--timeout", "60s", &id]);
    assert_eq!(waited.stdout, format!("{id} interrupted\n"));
    drop(turn);
    real.enter(&id, "/exit");
    real.wait_state(&id, "exited");
    real.flux(["resume", &id]).success();
    // It says that it is idle, and nothing of what was before.
    real.wait_state(&id, "waiting");
    real.enter(&id, "Go on");
    real.api.turn().fail(429);
    real.wait_state(&id, "failed");
}

#[test]
#[ignore = "a real agent: .ci/long real_agents"]
fn agent_opencode_is_waiting_while_a_subagent_asks_for_permission() {
    let real = opencode();
    let id = real.start(b"Write it");
    // Without a network it waits for that first.
    real.api.turn().delegate("Write a part");
    real.api.turn().call("touch work.txt");
    real.wait_state(&id, "waiting permission");
    real.agree(&id, "Enter").say("The part is written.");
    real.api.turn().say("It is written.");
    real.wait_state(&id, "done");
}
