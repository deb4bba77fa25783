//! Tests the real Claude Code.

use std::fs;

use serde_json::json;

use super::{CLAUDE, Real, installed};

/// Makes a Claude Code that its user has used before in this repository.
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

/// Makes a Claude Code that asks for permission.
fn careful() -> Real {
    let real = claude();
    let command = "claude --permission-mode default";
    real.world.git(["config", "flux.claude.command", command]);
    real
}

#[test]
#[ignore = "a real agent: .ci/long real_agents"]
fn agent_claude_receives_a_prompt_of_4_kb_byte_for_byte() {
    claude().assert_receives_prompt(4_000);
}

#[test]
#[ignore = "a real agent: .ci/long real_agents"]
fn agent_claude_receives_a_prompt_of_100_kb_byte_for_byte() {
    claude().assert_receives_prompt(100_000);
}

#[test]
#[ignore = "a real agent: .ci/long real_agents"]
fn agent_claude_commits_with_a_tool_call() {
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
fn agent_claude_reports_its_states_in_order_and_receives_a_message_once() {
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
fn agent_claude_is_interrupted_by_escape_at_a_permission_question() {
    let real = careful();
    let id = real.start(b"Write it");
    real.api.turn().call("touch work.txt");
    real.wait_state(&id, "waiting permission");
    real.press(&id, "Escape");
    real.wait_state(&id, "interrupted");
}

#[test]
#[ignore = "a real agent: .ci/long real_agents"]
fn agent_claude_is_interrupted_by_escape_before_its_first_answer() {
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
fn agent_claude_is_shown_as_exited_after_exit() {
    let real = claude();
    let id = real.start(b"Write it");
    real.api.turn().say("Done.");
    real.wait_state(&id, "done");
    real.enter(&id, "/exit");
    real.wait_state(&id, "exited");
}

#[test]
#[ignore = "a real agent: .ci/long real_agents"]
fn agent_claude_continues_its_session_after_stop_and_resume() {
    let real = claude();
    let id = real.stop_and_resume();
    real.wait_state(&id, "done");
    real.flux(["send", &id, "Go on"]).success();
    let turn = real.api.turn();
    let counts = ["Write it", "Go on"].map(|text| turn.count(text));
    assert_eq!(counts, [1, 1], "{:?}", turn.said());
    turn.say("Done.");
}

#[test]
#[ignore = "a real agent: .ci/long real_agents"]
fn agent_claude_receives_messages_exactly_or_not_at_all() {
    let real = claude();
    let id = real.start_idle();
    real.assert_keeps_draft(&id);
    real.assert_refuses(&id, &["/help", "/compact all"]);
    let texts = [
        "hi",
        "!touch x",
        "!important:\ntouch x",
        "# head",
        "see @f",
        "look at C:\\tmp\\",
        "1\n2\n\n4\n5\n6",
    ];
    real.assert_receives_exactly(&id, &texts);
    assert!(!real.world.worktree(&id).join("x").exists());
    real.assert_receives_two_at_once(&id);
}

#[test]
#[ignore = "a real agent: .ci/long real_agents"]
fn agent_claude_receives_a_long_message_in_a_pane_of_any_height() {
    let real = claude();
    let id = real.start_idle();
    let comments = (1..9).map(|n| format!("f:{n}\n> line {n}\ncomment {n}\n"));
    let comments = comments.collect::<Vec<_>>().join("\n");
    let pane = real.world.pane(&id);
    for height in [40, 34, 32, 26, 24, 22, 18, 14] {
        let height = height.to_string();
        real.world
            .tmux(["resize-window", "-t", &pane, "-x", "100", "-y", &height]);
        let text = format!("In {height} rows:\n\n{}", comments.trim_end());
        real.assert_receives_exactly(&id, &[&text]);
    }
}

#[test]
#[ignore = "a real agent: .ci/long real_agents"]
fn agent_claude_receives_a_message_separate_from_the_interrupted_prompt() {
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
fn agent_claude_is_shown_as_ended_however_it_is_killed() {
    claude().assert_end_is_shown();
}
