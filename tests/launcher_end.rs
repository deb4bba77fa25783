//! How the agent ends, by itself or with its pane, and what is recorded of it.

use std::os::unix::fs::PermissionsExt as _;

use crate::world::launcher::{Started, exited, killed};
use crate::world::*;

#[test]
fn every_end_of_the_agent_is_recorded() {
    for (behaviour, expected) in [
        ("exit 0", exited(0)),
        ("exit 3", exited(3)),
        ("exit 255", exited(255)),
        ("signal TERM", killed(15)),
        ("signal HUP", killed(1)),
        ("signal INT", killed(2)),
    ] {
        let world = World::new();
        let task = Started::new(&world, "wait");
        task.agent.tell(behaviour);
        assert_eq!(task.end(), expected, "{behaviour}");
    }
}

#[track_caller]
fn closed(
    behaviour: &str,
    close: impl FnOnce(&Started),
    expected: &(String, Option<i64>, Option<i64>),
) {
    let world = World::new();
    let task = Started::new(&world, behaviour);
    if behaviour != "wait" {
        let deaf = world.worktree(&task.id).join("deaf");
        wait_until("the agent to be deaf", || deaf.exists());
    }
    close(&task);
    assert_eq!(task.end(), *expected);
    task.agent.wait_gone();
    wait_until("the launcher to end", || {
        Process::find(task.launcher).is_none_or(|p| p.state == 'Z')
    });
    assert!(world.worktree(&task.id).join("README.md").exists());
}

#[test]
fn a_closed_pane_ends_the_agent_and_that_is_recorded() {
    closed(
        "wait",
        |task| drop(task.world.tmux(["kill-pane", "-t", &task.pane])),
        &killed(1),
    );
    closed(
        "wait",
        |task| drop(task.world.tmux(["kill-session", "-t", &task.pane])),
        &killed(1),
    );
    closed("wait", |task| task.world.kill_tmux(), &killed(1));
}

#[test]
fn an_agent_that_will_not_end_is_killed_with_its_pane() {
    closed(
        "sh trap '' HUP INT QUIT TERM; : >deaf; while :; do sleep 1000; done",
        |task| drop(task.world.tmux(["kill-pane", "-t", &task.pane])),
        &killed(9),
    );
}

#[test]
fn a_pane_that_is_closed_while_the_agent_is_stopped_ends_it_too() {
    let stop = |task: &Started| {
        task.keys(["C-z"]);
        task.wait_for_screen("The agent is suspended");
        task.world.tmux(["kill-pane", "-t", &task.pane]);
    };
    closed("wait", stop, &killed(1));
}

#[test]
fn a_launcher_that_is_killed_leaves_the_task_lost() {
    let world = World::new();
    let task = Started::new(&world, "wait");
    world
        .command("kill")
        .args(["-9", &task.launcher.to_string()])
        .status()
        .unwrap();
    assert_eq!(task.end(), ("lost".to_owned(), None, None));
    task.agent.wait_gone();
    let output = world.flux(["status", &task.id]).run();
    output.success().stdout_has("lost");
}

#[test]
fn an_agent_that_is_stopped_goes_on_where_no_shell_can_be_started() {
    let world = World::new();
    world.behaviour("wait");
    let run = ["run", "-q", "--name", "fix", "Fix"];
    world.flux(run).env("SHELL", "/nowhere/sh").ok();
    let agent = world.agent("fix");
    agent.wait_started();
    let pane = world.pane("fix");
    world.tmux(["send-keys", "-t", &pane, "C-z"]);
    wait_until("the agent to have been stopped", || {
        let screen = world.tmux(["capture-pane", "-p", "-t", &pane]);
        screen.contains("The agent is suspended")
    });
    world.tmux(["send-keys", "-t", &pane, "back", "Enter"]);
    agent.wait_stdin("back\n");
}

#[test]
fn the_launcher_starts_no_agent_in_the_worktree_of_another_repository() {
    let world = World::new();
    let other = world.root().join("other");
    world.make_repository(&other);
    let hook = format!(
        "#!/bin/sh\ntest \"$(git rev-parse --git-common-dir)\" != .git || exit 0\nunset $(git rev-parse --local-env-vars)\nhere=$(pwd -P)\ncd / && mv \"$here\" '{}' && git -C '{}' worktree add -q \"$here\" -b theirs\n",
        world.root().join("away").display(),
        other.display()
    );
    let path = world.write(".git/hooks/post-checkout", hook);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let output = world.flux(["run", "-q", "--name", "fix", "Fix it"]).run();
    output.code(1).stderr_has("is not the task's worktree");
    assert!(world.started_agents().is_empty());
    // Theirs is theirs.
    assert!(world.worktree("fix").join(".git").exists());
    assert_eq!(world.git_in(&other, ["rev-list", "--count", "theirs"]), "1");
}

#[test]
fn the_pane_says_after_a_failure_how_to_start_the_agent_again() {
    for (behaviour, resumes) in [("exit 1", true), ("signal TERM", true), ("exit 0", false)] {
        let world = World::new();
        let task = Started::new(&world, "wait");
        task.agent.tell(behaviour);
        task.end();
        let screen = || world.tmux(["capture-pane", "-p", "-J", "-t", &task.pane]);
        let cleanup = format!("task: git flux cleanup {}\n", task.id);
        wait_until("the shell", || screen().contains(&cleanup));
        let resume = format!("To start it again: git flux resume {}\n", task.id);
        assert_eq!(
            screen().contains(&resume),
            resumes,
            "{behaviour}: {}",
            screen()
        );
    }
}
