//! Tests the refusals and hints that a new user meets first.

use crate::world::*;

#[test]
fn run_attach_refuses_without_a_terminal() {
    let world = World::new();
    let before = world.snapshot();
    let output = world
        .flux(["run", "--attach", "--name", "fix", "Fix"])
        .run();
    output.code(1).stderr_has("attach needs a terminal");
    world.assert_unchanged(&before);
}

#[test]
fn resume_refuses_an_adopted_task_until_it_has_a_description() {
    let world = World::new();
    world.install_agent("helper");
    world.git(["config", "flux.helper.command", "helper"]);
    world.git(["worktree", "add", "-q", "-b", "topic", "../topic"]);
    let adopt = ["adopt", "../topic", "--name", "mine", "--agent", "helper"];
    world.flux(adopt).ok();
    let status = world.flux(["status", "mine"]).run();
    status
        .success()
        .stdout_has("idle: no agent was started")
        .has_not("git flux resume");
    let send = world.flux(["send", "mine", "hello"]).run();
    send.code(1)
        .stderr_has("hint: git flux attach mine")
        .has_not("git flux resume");
    let key = "branch.topic.description";
    let resume = world.flux(["resume", "-y", "mine"]).run();
    resume
        .code(1)
        .stderr_has(&format!("hint: git config {key} '<description>'"));
    world.git(["config", key, "Fix the login"]);
    let status = world.flux(["status", "mine"]).run();
    status.success().stdout_has("git flux resume mine");
    world.flux(["resume", "-y", "mine"]).run().success();
    let agent = world.agent("mine");
    agent.wait_started();
    assert!(String::from_utf8_lossy(&agent.prompt()).contains("Fix the login"));
}

#[test]
fn resume_refuses_to_restart_without_a_terminal_or_yes() {
    let world = World::new();
    world.install_agent("helper");
    world.git(["config", "flux.helper.command", "helper"]);
    for id in ["one", "two"] {
        let run = ["run", "-q", "--agent", "helper", "--name", id, "Fix it"];
        world.flux(run).ok();
    }
    world.kill_tmux();
    ["one", "two"]
        .into_iter()
        .for_each(|id| world.wait_ended(id));
    let output = world.flux(["resume", "--all"]).run();
    output.code(1);
    for id in ["one", "two"] {
        output.stderr_has(&format!(
            "error: the agent of '{id}', helper, cannot continue its last session\n\
             hint: to restart from its prompt: git flux resume {id} --yes\n"
        ));
    }
    output.stderr_has("error: 2 of 2 tasks were not resumed\n");
    world.flux(["resume", "--all", "--yes"]).run().success();
}

#[test]
fn errors_suggest_restore_for_a_removed_task() {
    let world = World::new();
    world.behaviour("commit one");
    world.flux(["run", "-q", "--name", "fix", "Fix it"]).ok();
    world.agent("fix").wait_first_done();
    world.flux(["cleanup", "-y", "fix"]).run().success();
    for command in ["status", "diff", "resume"] {
        let output = world.flux([command, "fix"]).run();
        output
            .code(1)
            .stderr_has("there is no task 'fix'")
            .stderr_has("hint: git flux restore fix");
    }
}
