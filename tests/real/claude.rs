//! Claude Code.

use std::fs;

use serde_json::json;

use super::{CLAUDE, Real, installed};

/// A user who has used it before, here.
pub(super) fn claude() -> Real {
    let program = installed(&[CLAUDE]).join("@anthropic-ai/claude-code/bin/claude.exe");
    let mut real = Real::new(
        "claude",
        &program,
        &[
            ("ANTHROPIC_AUTH_TOKEN", "none"),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
            ("DISABLE_AUTOUPDATER", "1"),
            ("DISABLE_TELEMETRY", "1"),
        ],
    );
    real.env.push(("ANTHROPIC_BASE_URL", real.api.url().into()));
    let repo = real.world.repo();
    let known = json!({
        "hasCompletedOnboarding": true,
        "theme": "dark",
        "bypassPermissionsModeAccepted": true,
        "projects": {repo.to_str().unwrap(): {"hasTrustDialogAccepted": true}},
    });
    fs::write(real.home().join(".claude.json"), known.to_string()).unwrap();
    real
}

/// One that asks before it does something.
fn careful() -> Real {
    let real = claude();
    let command = "claude --permission-mode default";
    real.world.git(["config", "flux.claude.command", command]);
    real
}

#[test]
#[ignore = "a real agent: .ci/long real_agents"]
fn a_prompt_of_4_kb_arrives_byte_for_byte() {
    claude().takes_a_prompt(4_000);
}

#[test]
#[ignore = "a real agent: .ci/long real_agents"]
fn a_prompt_of_100_kb_arrives_byte_for_byte() {
    claude().takes_a_prompt(100_000);
}

#[test]
#[ignore = "a real agent: .ci/long real_agents"]
fn a_tool_call_makes_a_commit() {
    let real = claude();
    let id = real.start(b"Write it");
    real.api
        .turn()
        .call("echo work >work.txt && git add work.txt && git commit -qm Work");
    real.api.turn().say("Done.");
    let log = real
        .world
        .git(["log", "-1", "--format=%s", &format!("feature/{id}")]);
    assert_eq!(log, "Work");
}

#[test]
fn the_states_come_in_order_and_a_message_arrives_once() {
    let real = careful();
    let id = real.start(b"Write it");
    let turn = real.api.turn();
    real.wait_state(&id, "working");
    turn.call("echo work >work.txt && git add work.txt && git commit -qm Work");
    real.wait_state(&id, "waiting permission");
    let refused = real.flux(["send", &id, "This is no answer"]);
    refused
        .code(1)
        .stderr_has("waits for an answer, and would take the message as one");
    let turn = real.agree(&id, "1");
    real.wait_state(&id, "working");
    turn.say("It is written.");
    real.wait_state(&id, "done");

    let message = "Now \u{1b}[201~test it\r\n  'twice' $(touch x) #{pane_id};";
    real.flux(["send", &id, message])
        .success()
        .stderr_has(&format!("sent to '{id}'"))
        .has_not("cannot confirm");
    let turn = real.api.turn();
    let arrived = "Now \\u{1b}[201~test it\n  'twice' $(touch x) #{pane_id};";
    assert_eq!(turn.count(arrived), 1, "{:?}", turn.said());
    turn.say("Tested.");
    real.wait_state(&id, "done");
    assert!(real.api.is_quiet());

    let log = real.flux(["log", &id]);
    log.success();
    for said in [
        "Write it",
        "It is written.",
        "Tested.",
        "Work",
        "waiting (permission)",
    ] {
        log.stdout_has(said);
    }
}

#[test]
#[ignore = "a real agent: .ci/long real_agents"]
fn esc_at_a_question_interrupts_it() {
    let real = careful();
    let id = real.start(b"Write it");
    real.api.turn().call("touch work.txt");
    real.wait_state(&id, "waiting permission");
    real.press(&id, "Escape");
    real.wait_state(&id, "interrupted");
}

#[test]
#[ignore = "a real agent: .ci/long real_agents"]
fn esc_before_any_answer_interrupts_it() {
    let real = claude();
    let id = real.start(b"Write it");
    let turn = real.api.turn();
    real.wait_state(&id, "working");
    real.press(&id, "Escape");
    real.wait_state(&id, "interrupted");
    drop(turn);
}

#[test]
#[ignore = "a real agent: .ci/long real_agents"]
fn an_exit_is_seen_as_one() {
    let real = claude();
    let id = real.start(b"Write it");
    real.api.turn().say("Done.");
    real.wait_state(&id, "done");
    real.enter(&id, "/exit");
    real.wait_state(&id, "exited");
}

#[test]
#[ignore = "a real agent: .ci/long real_agents"]
fn what_is_stopped_goes_on_where_it_was() {
    let real = claude();
    let id = real.goes_on_where_it_was_stopped();
    real.wait_state(&id, "done");
    real.flux(["send", &id, "Go on"]).success();
    let turn = real.api.turn();
    let counts = ["Write it", "Go on"].map(|text| turn.count(text));
    assert_eq!(counts, [1, 1], "{:?}", turn.said());
    turn.say("Done.");
}

#[test]
#[ignore = "a real agent: .ci/long real_agents"]
fn messages_arrive_exactly_or_not_at_all() {
    let real = claude();
    let id = real.start_idle();
    real.keeps_a_draft(&id);
    real.refuses(&id, &["/help", "/compact all"]);
    let texts = [
        "hi",
        "!touch x",
        "!important:\ntouch x",
        "# head",
        "see @f",
        "look at C:\\tmp\\",
        "1\n2\n\n4\n5\n6",
    ];
    real.takes_exactly(&id, &texts);
    assert!(!real.world.worktree(&id).join("x").exists());
    real.takes_two_at_once(&id);
}

#[test]
#[ignore = "a real agent: .ci/long real_agents"]
fn a_message_after_esc_is_not_glued_to_the_prompt_that_came_back() {
    let real = claude();
    let id = real.start(b"Write it\n\nwith two paragraphs");
    let turn = real.api.turn();
    real.wait_state(&id, "working");
    real.press(&id, "Escape");
    real.wait_state(&id, "interrupted");
    drop(turn);
    real.flux(["send", &id, "Write something else"]).success();
    let turn = real.api.turn();
    assert_eq!(turn.count("Write something else"), 1, "{:?}", turn.said());
    turn.say("Done.");
}

#[test]
#[ignore = "a real agent: .ci/long real_agents"]
fn whatever_is_killed_the_state_says_so() {
    claude().is_seen_to_end();
}
