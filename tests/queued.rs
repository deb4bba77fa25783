//! Tests agents whose wrapper waits before it starts them, as one does that submits a job to a queue.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::world::*;

/// A wrapper that waits until it is told to start its agent.
struct Queue(PathBuf);

impl Queue {
    fn new(world: &World) -> Self {
        world.install("queue", "#!/bin/sh\nread _ <\"$1\"\nshift\nexec \"$@\"\n");
        let path = world.tools().join("queue");
        let made = Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let wrapper = format!("queue '{}'", path.display());
        world.git(["config", "flux.wrapper", &wrapper]);
        Self(path)
    }

    /// Starts the agent of one wrapper, once that waits.
    fn release(&self) {
        fs::write(&self.0, "\n").unwrap();
    }
}

fn state(world: &World, id: &str) -> String {
    let status = world.flux(["status", "--json", id]).run().success().json();
    status["state"].as_str().unwrap().to_owned()
}

fn flux_state(world: &World, pane: &str) -> String {
    world.tmux(["show-options", "-pqv", "-t", pane, "@flux_state"])
}

#[test]
fn queued_agent_runs_once_its_wrapper_has_started_it() {
    let world = World::new();
    let queue = Queue::new(&world);
    let run = world.flux(["run", "--json", "--name", "fix", "Fix it"]);
    assert_eq!(run.run().success().json()["state"], "queued");
    let status = world.flux(["status", "--json", "fix"]);
    let status = status.run().success().json();
    assert_eq!(status["state"], "queued");
    assert_eq!(status["stateSource"], "process");
    let since = status["stateSince"].as_u64().unwrap();
    assert!(since >= status["created"].as_u64().unwrap());
    let text = world.flux(["status", "fix"]).run();
    text.success()
        .stdout_has("queued for ")
        .stdout_has("git flux stop fix");
    world.flux(["list"]).run().success().stdout_has(" queued ");
    let explained = world.flux(["status", "--explain", "fix"]).run();
    explained
        .success()
        .stdout_has("the launcher is alive, and its wrapper waits to start the agent");
    let pane = world.pane("fix");
    wait_until("the pane to show that it is queued", || {
        flux_state(&world, &pane) == "queued"
    });

    let before = world.snapshot();
    let refused = world.flux(["send", "fix", "Hurry up"]).run();
    refused.code(1).says(&expect![[r#"
        --- stderr
        error: the agent of 'fix' is queued: flux.wrapper has not started it yet
        hint: to look at its pane: git flux attach fix
    "#]]);
    world.assert_unchanged(&before);
    let wait = world.flux(["wait", "--timeout", "1", "fix"]).run();
    wait.code(124)
        .stderr_has("error: timed out waiting for fix\n");

    queue.release();
    let agent = world.agent("fix");
    agent.wait_started();
    assert_eq!(state(&world, "fix"), "running");
    wait_until("the pane to show that it runs", || {
        flux_state(&world, &pane) == "running"
    });
    assert_eq!(agent.stdin(), b"");
    assert!(String::from_utf8_lossy(&agent.prompt()).contains("Fix it"));
    world.flux(["cleanup", "-y", "fix"]).run().success();
    agent.wait_gone();
}

#[test]
fn stop_resume_and_cleanup_work_for_a_queued_agent() {
    let world = World::new();
    let queue = Queue::new(&world);
    let run = world.flux(["run", "-q", "--name", "fix", "Fix it"]);
    run.run().success();
    world.flux(["stop", "fix"]).run().success();
    assert_eq!(state(&world, "fix"), "stopped");

    // The title of an earlier agent does not count.
    let pane = world.pane("fix");
    world.tmux(["select-pane", "-t", &pane, "-T", "✳ Claude Code"]);
    world.flux(["resume", "--restart", "fix"]).run().success();
    assert_eq!(state(&world, "fix"), "queued");
    queue.release();
    let agent = world.agent("fix");
    agent.wait_started();
    assert_eq!(state(&world, "fix"), "running");
    world.flux(["stop", "fix"]).run().success();
    agent.wait_gone();

    // The start of the earlier agent does not count.
    world.flux(["resume", "--restart", "fix"]).run().success();
    assert_eq!(state(&world, "fix"), "queued");
    world.flux(["cleanup", "-y", "fix"]).run().success();
    assert_eq!(agent.starts(), 1);
    assert!(!world.root().join("myapp-fix").exists());
}

#[test]
fn agent_is_not_queued_if_its_wrapper_has_ended() {
    let world = World::new();
    world.install("refuses", "#!/bin/sh\necho no such partition\nexit 3\n");
    world.git(["config", "flux.wrapper", "refuses"]);
    let run = world.flux(["run", "-q", "--name", "fix", "Fix it"]);
    drop(run.run());
    wait_until("the end of the wrapper", || {
        state(&world, "fix") == "exited"
    });
}

#[test]
fn agent_is_lost_if_its_wrapper_succeeds_without_starting_it() {
    let world = World::new();
    world.install("refuses", "#!/bin/sh\necho node failure\n");
    world.git(["config", "flux.wrapper", "refuses"]);
    let run = world.flux(["run", "-q", "--name", "fix", "Fix it"]);
    drop(run.run());
    wait_until("the end of the wrapper", || state(&world, "fix") == "lost");
    world.flux(["wait", "fix"]).run().code(1).says(&expect![[r#"
        fix lost
    "#]]);
    assert_eq!(world.agent("fix").starts(), 0);
}
