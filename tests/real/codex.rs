//! Tests the real Codex.

use std::fs;
use std::path::PathBuf;

use super::{CODEX, Real, installed};
use crate::world::wait_until;

/// Returns the path of the program itself: the wrapper that npm installs needs node.
fn program() -> PathBuf {
    let vendor = installed(&[CODEX]).join("@openai");
    let below = |dir: PathBuf| fs::read_dir(dir).into_iter().flatten().flatten();
    let found = below(vendor)
        .flat_map(|package| below(package.path().join("vendor")))
        .map(|system| system.path().join("bin/codex"))
        .find(|path| path.exists());
    found.expect("a program of this machine's kind")
}

/// Makes a Codex that its user has used before in this repository.
pub(super) fn codex() -> Real {
    let real = Real::new("codex", &program(), &[("OPENAI_API_KEY", "none")]);
    let config = format!(
        "notify = [{:?}]\nmodel = \"gpt-5\"\nmodel_provider = \"here\"\ncheck_for_update_on_startup = false\n\
         [analytics]\nenabled = false\n\
         [model_providers.here]\nname = \"here\"\nbase_url = \"{}/v1\"\nwire_api = \"responses\"\n\
         env_key = \"OPENAI_API_KEY\"\nrequest_max_retries = 0\nstream_max_retries = 0\n\
         [projects.\"{}\"]\ntrust_level = \"trusted\"\n",
        real.world.tools().join("bin/tell-me").display().to_string(),
        real.api.url(),
        real.world.repo().display(),
    );
    let told = real.world.tools().join("told");
    let script = format!("#!/bin/sh\necho \"$@\" >>'{}'\n", told.display());
    real.world.install("tell-me", &script);
    fs::create_dir(real.home().join(".codex")).unwrap();
    fs::write(real.home().join(".codex/config.toml"), config).unwrap();
    real
}

#[test]
#[ignore = "a real agent: .ci/long real_agents"]
fn agent_codex_receives_a_prompt_of_4_kb_byte_for_byte() {
    codex().assert_receives_prompt(4_000);
}

#[test]
#[ignore = "a real agent: .ci/long real_agents"]
fn agent_codex_receives_a_prompt_of_100_kb_byte_for_byte() {
    codex().assert_receives_prompt(100_000);
}

#[test]
fn agent_codex_reports_its_states_in_order_and_receives_a_message_once() {
    let real = codex();
    // It asks before it does something.
    let command = "codex --ask-for-approval on-request --sandbox workspace-write";
    real.world.git(["config", "flux.codex.command", command]);
    let id = real.start(b"Write it");
    let turn = real.api.turn();
    real.wait_state(&id, "working");
    turn.call("echo work >work.txt && git add work.txt && git commit -qm Work");
    real.wait_state(&id, "waiting permission");
    real.flux(["send", &id, "This is no answer"])
        .code(1)
        .stderr_has("waits for an answer, and would take the message as one");
    let turn = real.agree(&id, "y");
    real.wait_state(&id, "working");
    turn.say("It is written.");
    real.wait_state(&id, "done");
    let log = real
        .world
        .git(["log", "-1", "--format=%s", &format!("feature/{id}")]);
    assert_eq!(log, "Work");
    // Whom its user has notified is notified still.
    let told = real.world.tools().join("told");
    let told = || fs::read_to_string(&told).is_ok_and(|said| said.contains("It is written."));
    wait_until("the user's own to be told", told);

    real.flux(["send", &id, "Now test it\n  'twice' #{pane_id};"])
        .success();
    let turn = real.api.turn();
    assert_eq!(
        turn.count("Now test it\n  'twice' #{pane_id};"),
        1,
        "{:?}",
        turn.said()
    );
    real.wait_state(&id, "working");
    real.press(&id, "Escape");
    real.wait_state(&id, "interrupted");
    drop(turn);
    real.enter(&id, "/exit");
    real.wait_state(&id, "exited");
}

#[test]
#[ignore = "a real agent: .ci/long real_agents"]
fn agent_codex_continues_its_session_after_stop_and_resume() {
    codex().stop_and_resume();
}

#[test]
#[ignore = "a real agent: .ci/long real_agents"]
fn agent_codex_receives_messages_exactly_or_not_at_all() {
    let real = codex();
    let id = real.start_idle();
    real.assert_keeps_draft(&id);
    let texts = [
        "hi",
        "do",
        "!touch x",
        "/exit",
        "# head",
        "@f",
        "a\n@f",
        "cost $x",
        "C:\\tmp\\",
    ];
    real.assert_receives_exactly(&id, &texts);
    assert!(!real.world.worktree(&id).join("x").exists());
    real.assert_receives_two_at_once(&id);
}

#[test]
#[ignore = "a real agent: .ci/long real_agents"]
fn agent_codex_is_shown_as_ended_however_it_is_killed() {
    codex().assert_end_is_shown();
}
