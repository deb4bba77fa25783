//! Tests how the end of an agent, its pane or its launcher is recorded.

use std::os::unix::fs::PermissionsExt as _;

use crate::world::launcher::{Started, exited, killed};
use crate::world::*;

#[test]
fn launcher_records_every_exit_status_and_signal_of_the_agent() {
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
fn assert_end_after(
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
fn launcher_hangs_up_the_agent_when_its_pane_closes() {
    assert_end_after(
        "wait",
        |task| drop(task.world.tmux(["kill-pane", "-t", &task.pane])),
        &killed(1),
    );
    assert_end_after(
        "wait",
        |task| drop(task.world.tmux(["kill-session", "-t", &task.pane])),
        &killed(1),
    );
    assert_end_after("wait", |task| task.world.kill_tmux(), &killed(1));
}

#[test]
fn launcher_kills_an_agent_that_ignores_the_hangup_of_its_pane() {
    assert_end_after(
        "sh trap '' HUP INT QUIT TERM; : >deaf; while :; do sleep 1000; done",
        |task| drop(task.world.tmux(["kill-pane", "-t", &task.pane])),
        &killed(9),
    );
}

#[test]
fn launcher_hangs_up_a_suspended_agent_when_its_pane_closes() {
    let stop = |task: &Started| {
        task.keys(["C-z"]);
        task.wait_for_screen("The agent is suspended");
        task.world.tmux(["kill-pane", "-t", &task.pane]);
    };
    assert_end_after("wait", stop, &killed(1));
}

#[test]
fn status_of_a_task_is_lost_after_its_launcher_was_killed() {
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
fn launcher_continues_a_suspended_agent_if_no_shell_can_be_started() {
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
fn launcher_refuses_to_start_the_agent_in_a_worktree_of_another_repository() {
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
    output
        .code(1)
        .says(&expect![[r#"
            --- stderr

              claude could not be started: '$WORLD/myapp-fix' is not the task's worktree
              To start it again: git flux resume fix
              To merge its work and remove the task: git flux cleanup fix
            error: the agent of 'fix' could not be started: '$WORLD/myapp-fix' is not the task's worktree
            hint: git flux attach fix
            hint: git flux resume fix --restart
            hint: git flux cleanup fix
        "#]]);
    assert!(world.started_agents().is_empty());
    // Theirs is theirs.
    assert!(world.worktree("fix").join(".git").exists());
    assert_eq!(world.git_in(&other, ["rev-list", "--count", "theirs"]), "1");
}

#[test]
fn launcher_shows_how_to_resume_after_the_agent_failed() {
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
