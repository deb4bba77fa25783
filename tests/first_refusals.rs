//! Tests the refusals and hints that a new user meets first.

use crate::world::*;

#[test]
fn run_attach_refuses_without_a_terminal() {
    let world = World::new();
    let before = world.snapshot();
    let output = world
        .flux(["run", "--attach", "--name", "fix", "Fix"])
        .run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: attach needs a terminal
        hint: leave out --attach
    "#]]);
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
    status.success().says(&expect![[r#"
        mine  topic
        State:     idle: no agent was started
        Agent:     helper
        Worktree:  $WORLD/topic
        Branch:    topic (kept by cleanup)
        Base:      <object>
        Commits:   0 ahead of main, 0 behind
        Changes:   none uncommitted
        Gate:      untested

        Next
          git flux attach mine   a shell in its worktree
          git flux diff mine     see its changes
          git flux cleanup mine  merge it and remove it
    "#]]);
    let send = world.flux(["send", "mine", "hello"]).run();
    send.code(1).says(&expect![[r#"
        --- stderr
        error: no agent was started in 'mine'
        hint: to go to the task: git flux attach mine
    "#]]);
    let key = "branch.topic.description";
    let resume = world.flux(["resume", "-y", "mine"]).run();
    resume.code(1).says(&expect![[r#"
        --- stderr
        error: 'mine' has no description for its agent
        hint: to describe the task: git config branch.topic.description '<description>'
        hint: or start a program yourself in its worktree: git flux attach mine
    "#]]);
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
    output.says(&expect![[r#"
        --- stderr
        error: 'helper', the agent of 'one', cannot be continued
        hint: to start again from the task's prompt: git flux resume one --yes
        error: 'helper', the agent of 'two', cannot be continued
        hint: to start again from the task's prompt: git flux resume two --yes
        error: 2 of 2 tasks were not resumed
    "#]]);
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
        output.code(1).says(&expect![[r#"
            --- stderr
            error: there is no task 'fix'
            hint: to start a task: git flux run "<description>"
            hint: to restore it: git flux restore fix
        "#]]);
    }
}
