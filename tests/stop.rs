//! Tests `git flux stop`.

use std::fs;

use crate::world::launcher::Started;
use crate::world::*;

fn state(world: &World, id: &str) -> String {
    let task = world.flux(["status", "--json", id]).run().success().json();
    task["state"].as_str().unwrap().to_owned()
}

#[test]
fn stop_ends_the_agent_and_keeps_worktree_and_pane() {
    let world = World::new();
    let task = Started::new(&world, "commit Half of it");
    task.agent.wait_first_done();
    let id = task.id.as_str();
    world.write(world.worktree(id).join("draft"), "not yet\n");
    let refs = world.git(["for-each-ref", "refs/heads"]);
    world.flux(["stop", id]).run().success().says(&expect![[r#"
        --- stderr
        stopped the agent of 'fix-the-login-XXXXXX'
        hint: to continue: git flux resume fix-the-login-XXXXXX
    "#]]);
    task.agent.wait_gone();
    let status = task.status();
    assert_eq!(status["state"], "stopped");
    // Its own way: the signal on which it closes its session.
    assert_eq!(status["exit"]["signal"], 15);
    assert_eq!(world.git(["for-each-ref", "refs/heads"]), refs);
    assert_eq!(world.read(world.worktree(id).join("draft")), "not yet\n");
    assert_eq!(world.pane(id), task.pane);
    task.wait_for_screen("was stopped");
    assert_eq!(
        task.ask_shell("pwd"),
        world.worktree(id).display().to_string()
    );
    // Once is enough.
    let before = world.snapshot();
    world
        .flux(["stop", id])
        .run()
        .success()
        .stderr_is(&format!("the agent of '{id}' is not running: stopped\n"));
    world.assert_unchanged(&before);
    world.flux(["wait", id]).run().code(1).says(&expect![[r#"
        fix-the-login-XXXXXX stopped
    "#]]);
    world.flux(["resume", id]).run().success();
    task.agent.wait_starts(2);
    assert_eq!(world.pane(id), task.pane);
    assert_eq!(state(&world, id), "running");
}

#[test]
fn stop_accepts_several_tasks_and_its_dry_run_stops_none() {
    let world = World::new();
    for name in ["one", "two", "three", "four"] {
        world.flux(["run", "-q", "--name", name, "Fix it"]).ok();
        world.agent(name).wait_started();
    }
    world.agent("four").tell("exit 0");
    world.wait_ended("four");
    let before = world.snapshot();
    let dry = world.flux(["stop", "--all", "-n"]).run();
    dry.success()
        .stdout_is(
            "would stop the agent of 'one': running\n\
             would stop the agent of 'three': running\n\
             would stop the agent of 'two': running\n",
        )
        .stderr_is("Nothing was done.\n");
    let dry = world.flux(["stop", "-n", "four"]).run();
    dry.success().stdout_is("");
    world.flux(["stop"]).run().code(2);
    world.assert_unchanged(&before);
    world.flux(["stop", "one", "tw", "one"]).run().success();
    let states = ["one", "two", "three", "four"].map(|id| state(&world, id));
    assert_eq!(states, ["stopped", "stopped", "running", "exited"]);
    // One that is refused leaves the others.
    fs::write(world.repo().join(".git/flux/run/one/exit"), "{").unwrap();
    world
        .flux(["stop", "--all"])
        .run()
        .code(1)
        .stderr_has("stopped the agent of 'three'")
        .stderr_has("error: 1 of 2 agents were not stopped");
    fs::remove_file(world.repo().join(".git/flux/run/one/exit")).unwrap();
    world
        .flux(["stop", "--all"])
        .run()
        .success()
        .stderr_is("nothing to stop\n");
}

#[test]
fn stop_refuses_a_background_job_beside_a_suspended_agent() {
    let world = World::new();
    let task = Started::new(&world, "wait");
    task.keys(["C-z"]);
    task.wait_for_screen("The agent is suspended.");
    task.keys(["sleep 1000 &", "Enter"]);
    let pid = task.ask_shell("echo $!");
    let before = world.snapshot();
    world
        .flux(["stop", &task.id])
        .run()
        .code(1)
        .stderr_has(&format!(
            "stopping '{}' would also end 'sleep' (process {pid}) in its pane",
            task.id
        ))
        .stderr_has(&format!("hint: to end it yourself: git flux attach {}", task.id))
        .says(&expect![[r#"
            --- stderr
            error: stopping 'fix-the-login-XXXXXX' would also end 'sleep' (process <number>) in its pane
            hint: to end it yourself: git flux attach fix-the-login-XXXXXX
        "#]]);
    world.assert_unchanged(&before);
    assert!(task.agent.is_alive());
    task.ask_shell(&format!("kill -9 {pid}"));
    let pid = pid.parse().unwrap();
    wait_until("the program to end", || {
        // The shell looks for its jobs when it has run something.
        task.ask_shell("true");
        Process::find(pid).is_none()
    });
    world.flux(["stop", &task.id]).run().success();
    task.agent.wait_gone();
    assert_eq!(state(&world, &task.id), "stopped");
}

#[test]
fn cleanup_that_refuses_after_stopping_the_agent_leaves_it_stopped() {
    let world = World::new();
    let task = Started::new(
        &world,
        "sh trap 'echo left >left; exit 0' TERM; echo ready >&2",
    );
    task.wait_for_screen("ready");
    world
        .flux(["cleanup", "-y", &task.id])
        .run()
        .code(1)
        .says(&expect![[r#"
            --- stderr
            'fix-the-login-XXXXXX' or its target has changed; planning again
            error: 'fix-the-login-XXXXXX' has 1 uncommitted file
            hint: to commit and merge: git flux cleanup fix-the-login-XXXXXX --commit
            hint: to merge only what is committed: git flux cleanup fix-the-login-XXXXXX --discard
        "#]]);
    assert_eq!(state(&world, &task.id), "stopped");
    world
        .flux(["resume", "--all"])
        .run()
        .success()
        .stderr_is("nothing to resume\n");
}
