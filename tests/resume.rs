//! Tests `git flux resume`.

use crate::world::*;

/// A task whose agent has ended by itself.
fn ended(world: &World, id: &str, agent: &str) {
    world.behaviour("raw");
    let run = ["run", "-q", "--agent", agent, "--name", id, "Fix it"];
    world.flux(run).ok();
    world.agent(id).tell("exit 3");
    world.wait_ended(id);
    // Its last act.
    let screen = world.repo().join(".git/flux/run").join(id).join("screen");
    wait_until("the launcher to be done", || screen.exists());
    world.wait_for_shell(&world.pane(id));
}

fn task(world: &World, id: &str) -> serde_json::Value {
    world.flux(["status", "--json", id]).run().success().json()
}

#[test]
fn resume_continues_the_session_of_an_ended_agent_in_its_pane() {
    let world = World::new();
    ended(&world, "fix", "claude");
    let before = task(&world, "fix");
    world
        .flux(["resume", "fix"])
        .run()
        .success()
        .says(&expect![[r#"
            --- stderr
            resumed 'fix' (claude): session 'flux-myapp-fix'
            hint: git flux attach fix
        "#]]);
    world.agent("fix").wait_starts(2);
    let argv = world.agent("fix").argv();
    assert!(argv.iter().any(|arg| arg == b"--continue"), "{argv:?}");
    assert_eq!(world.agent("fix").cwd(), world.worktree("fix"));
    let after = task(&world, "fix");
    assert_ne!(after["state"], "exited");
    assert_eq!(after["target"], before["target"]);
    assert_eq!(world.tmux(["list-panes", "-a"]).lines().count(), 1);
    // It runs: once is enough.
    let before = world.snapshot();
    let again = world.flux(["resume", "fix"]).run();
    again.code(1).says(&expect![[r#"
        --- stderr
        error: 'fix' is running
        hint: to go to the task: git flux attach fix
    "#]]);
    world.assert_unchanged(&before);
    world.flux(["cleanup", "-y", "fix"]).run().success();
}

#[test]
fn resume_all_continues_agents_in_new_sessions_after_tmux_was_killed() {
    let world = World::new();
    world.behaviour("raw");
    world.flux(["run", "-q", "--name", "one", "Fix it"]).ok();
    world.flux(["run", "-q", "--name", "two", "Fix it"]).ok();
    world.kill_tmux();
    ["one", "two"]
        .into_iter()
        .for_each(|id| world.wait_ended(id));
    world.flux(["run", "-q", "--name", "new", "Fix it"]).ok();
    let resumed = world.flux(["resume", "--all", "-q"]).run();
    resumed.success().stdout_is("one\ntwo\n");
    for id in ["one", "two"] {
        world.agent(id).wait_starts(2);
        let target = &task(&world, id)["target"];
        assert_eq!(target["session"], format!("flux-myapp-{id}"));
    }
    assert_eq!(world.agent("new").starts(), 1);
    world
        .flux(["resume", "--all"])
        .run()
        .success()
        .says(&expect![[r#"
            --- stderr
            nothing to resume
        "#]]);
}

#[test]
fn resume_with_yes_restarts_an_agent_that_cannot_continue() {
    let world = World::new();
    world.install_agent("helper");
    world.git(["config", "flux.helper.command", "helper"]);
    ended(&world, "fix", "helper");
    let before = world.snapshot();
    world
        .flux(["resume", "fix"])
        .run()
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: 'helper', the agent of 'fix', cannot be continued
            hint: to start again from the task's prompt: git flux resume fix --yes
        "#]]);
    world.assert_unchanged(&before);
    let first = world.agent("fix").prompt();
    world
        .flux(["resume", "-y", "fix"])
        .run()
        .success()
        .says(&expect![[r#"
            --- stderr
            restarted 'fix' (helper): session 'flux-myapp-fix'
            hint: git flux attach fix
        "#]]);
    world.agent("fix").wait_starts(2);
    assert_eq!(world.agent("fix").prompt(), first);
}

#[test]
fn resume_asks_before_restarting_an_agent() {
    let world = World::new();
    world.install_agent("helper");
    world.git(["config", "flux.helper.command", "helper"]);
    ended(&world, "fix", "helper");
    let terminal = world.terminal(120, 40);
    terminal.type_line("git flux resume fix");
    terminal.wait_for_screen("Start again from the task's prompt?");
    terminal.text("n");
    terminal.wait_for_screen("\nnothing was changed\n");
    assert_eq!(world.agent("fix").starts(), 1);
}

#[test]
fn resume_all_starts_only_lost_and_killed_agents() {
    let world = World::new();
    let start = |id: &str, behaviour: &str| {
        world.behaviour(behaviour);
        world
            .flux(["run", "-q", "--session", "--name", id, "Fix it"])
            .ok();
        world.agent(id).wait_started();
    };
    for (id, status) in [("done", 0), ("failed", 3)] {
        start(id, "wait");
        world.agent(id).tell(&format!("exit {status}"));
        world.wait_ended(id);
    }
    start("killed", "wait");
    world.agent("killed").kill("KILL");
    world.wait_ended("killed");
    // Its terminal goes, and it makes an end of its own of that.
    start("closed", "sh trap 'exit 0' HUP TERM");
    world.agent("closed").wait_first_done();
    world.tmux(["kill-session", "-t", "=flux-myapp-closed"]);
    world.wait_ended("closed");
    assert_eq!(task(&world, "closed")["exit"]["status"], 0);
    start("lost", "wait");
    let launcher = [
        "display-message",
        "-p",
        "-t",
        &world.pane("lost"),
        "#{pane_pid}",
    ];
    let kill = format!("kill -9 {}", world.tmux(launcher));
    world.command("sh").args(["-c", &kill]).status().unwrap();
    world.agent("lost").wait_gone();
    start("stopped", "wait");
    world.flux(["stop", "stopped"]).run().success();
    start("up", "wait");
    let resumed = world.flux(["resume", "--all", "-q"]).run();
    resumed.success().stdout_is("closed\nkilled\nlost\n");
    for (id, starts) in [("done", 1), ("failed", 1), ("stopped", 1), ("up", 1)] {
        assert_eq!(world.agent(id).starts(), starts, "{id}");
    }
    // By its name any of them is.
    world.flux(["resume", "-q", "done"]).run().success();
    world.agent("done").wait_starts(2);
}

#[test]
fn resume_all_continues_after_a_failure() {
    let world = World::new();
    world.behaviour("raw");
    for id in ["one", "two", "three"] {
        world.flux(["run", "-q", "--name", id, "Fix it"]).ok();
        world.agent(id).wait_started();
    }
    world.kill_tmux();
    for id in ["one", "two", "three"] {
        world.wait_ended(id);
    }
    std::fs::remove_dir_all(world.worktree("one")).unwrap();
    world
        .flux(["resume", "--all"])
        .run()
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: the worktree of 'one' is gone: '$WORLD/myapp-one'
            hint: to check out its branch again: git worktree add --force '$WORLD/myapp-one' feature/one
            hint: to merge only its commits and remove the task: git flux cleanup one --discard
            resumed 'three' (claude): session 'flux-myapp-three'
            hint: git flux attach three
            resumed 'two' (claude): session 'flux-myapp-two'
            hint: git flux attach two
            error: 1 of 3 tasks were not resumed
        "#]]);
    for id in ["two", "three"] {
        world.agent(id).wait_starts(2);
    }
}

#[test]
fn resume_refuses_if_a_program_runs_in_the_pane() {
    let world = World::new();
    ended(&world, "fix", "claude");
    let pane = task(&world, "fix")["target"]["pane"]
        .as_str()
        .unwrap()
        .to_owned();
    world.tmux(["send-keys", "-t", &pane, "sleep 1000", "Enter"]);
    wait_until("the program to run", || {
        let format = "#{pane_current_command}";
        world.tmux(["display-message", "-p", "-t", &pane, format]) == "sleep"
    });
    let before = world.snapshot();
    world
        .flux(["resume", "fix"])
        .run()
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: a program runs in the pane of 'fix' (process <number>)
            hint: to end it yourself: git flux attach fix
        "#]]);
    world.assert_unchanged(&before);
}

#[test]
fn resume_refuses_if_the_shell_in_the_pane_has_background_jobs() {
    let world = World::new();
    ended(&world, "fix", "claude");
    let pane = world.pane("fix");
    world.tmux([
        "send-keys",
        "-t",
        &pane,
        "sleep 1000 & echo $! >aside",
        "Enter",
    ]);
    let aside = world.worktree("fix").join("aside");
    let pid = wait_for("the program to run", || {
        let pid = std::fs::read_to_string(&aside).ok()?;
        pid.trim().parse::<i32>().ok()
    });
    let before = world.snapshot();
    world
        .flux(["resume", "fix"])
        .run()
        .code(1)
        .stderr_has(&format!("has a background job: sleep (process {pid})"))
        .says(&expect![[r#"
            --- stderr
            error: the pane of 'fix' has a background job: sleep (process <number>)
            hint: to end it yourself: git flux attach fix
        "#]]);
    world.assert_unchanged(&before);
    assert!(Process::find(pid).is_some());
}

#[test]
fn resume_changes_nothing_when_it_fails() {
    let world = World::new();
    ended(&world, "fix", "claude");
    world.kill_tmux();
    let before = world.snapshot();
    world.fault(&Fault::every("tmux", "new-session", Mode::Fail));
    let output = world.flux(["resume", "fix"]).run();
    output.code(1).stderr_has("could not resume 'fix'");
    world.clear_fault();
    assert_eq!(task(&world, "fix")["exit"]["status"], 3);
    world.assert_unchanged(&before);
    world.flux(["resume", "fix"]).run().success();
}

#[test]
fn resume_is_recovered_by_the_next_command_after_a_kill() {
    let cases = [
        ("tmux", "list-sessions"),
        ("tmux", "new-session"),
        ("git", "update-ref"),
    ];
    for (program, words) in cases {
        for mode in Mode::KILLS {
            let world = World::new();
            ended(&world, "fix", "claude");
            world.kill_tmux();
            let commit = world.git(["rev-parse", "feature/fix"]);
            let fault = Fault::nth(program, 1, mode);
            world.fault(&Fault { words, ..fault });
            world.flux(["resume", "fix"]).run().killed();
            world.wait_fault_over();
            world.clear_fault();
            if world.try_tmux(["list-sessions"]).is_some() {
                world.agent("fix").wait_starts(2);
            }
            world.flux(["cleanup", "no-such-task"]).run().code(1);
            assert_eq!(world.git(["rev-parse", "feature/fix"]), commit);
            if task(&world, "fix")["state"] == "running" {
                // It runs, and is found.
                let pane = task(&world, "fix")["target"]["pane"].clone();
                let panes = world.tmux(["list-panes", "-a", "-F", "#{pane_id}"]);
                assert_eq!(pane, *panes, "{words} {mode:?}");
            } else {
                world.flux(["resume", "fix"]).run().success();
            }
            world.flux(["cleanup", "-y", "fix"]).run().success();
        }
    }
}

#[test]
fn resume_refuses_a_worktree_of_another_repository_at_the_path() {
    let world = World::new();
    ended(&world, "fix", "claude");
    world.kill_tmux();
    let place = world.worktree("fix");
    let away = world.root().join("away");
    std::fs::rename(&place, &away).unwrap();
    let other = world.root().join("other");
    world.make_repository(&other);
    let path = place.to_str().unwrap();
    world.git_in(&other, ["worktree", "add", "-q", path, "-b", "theirs"]);
    let before = world.snapshot();
    assert_eq!(task(&world, "fix")["state"], "broken");
    let list = world.flux(["list", "--json"]).run().success().json();
    assert_eq!(list[0]["state"], "broken");
    world
        .flux(["resume", "-y", "fix"])
        .run()
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: '$WORLD/myapp-fix' is no longer a worktree of this repository
            hint: if it has the task's files: git worktree repair
            hint: to make room: mv '$WORLD/myapp-fix' '$WORLD/myapp-fix.away'
        "#]]);
    world.assert_unchanged(&before);
    assert_eq!(world.agent("fix").starts(), 1);
    // What is put back is the task's again.
    std::fs::remove_dir_all(&place).unwrap();
    std::fs::rename(&away, &place).unwrap();
    world.flux(["resume", "fix"]).run().success();
}

#[test]
fn resume_takes_over_a_session_recreated_with_a_shell_in_the_worktree() {
    let world = World::new();
    world.behaviour("raw");
    world.flux(["run", "-q", "--name", "fix", "Fix it"]).ok();
    world.kill_tmux();
    world.wait_ended("fix");
    // As tmux-resurrect does after a reboot.
    let session = |dir: &std::path::Path, program: &str| {
        let dir = dir.to_str().unwrap();
        world.tmux(["new-session", "-d", "-s", "flux-myapp-fix", "-c", dir]);
        world.tmux(["send-keys", "exec ", program, "Enter"]);
        let command = ["list-panes", "-a", "-F", "#{pane_current_command}"];
        wait_until("it to run", || program.starts_with(&world.tmux(command)));
    };
    // One that shows something else is the user's.
    let (worktree, repo) = (world.worktree("fix"), world.repo());
    for (dir, program) in [(&repo, "bash"), (&worktree, "sleep 1000")] {
        session(dir, program);
        let before = world.snapshot();
        let output = world.flux(["resume", "fix"]).run();
        output.code(1).says(&expect![[r#"
            --- stderr
            error: the tmux session 'flux-myapp-fix' exists already
            hint: to go to the session: tmux attach -t '=flux-myapp-fix'
            hint: to see the tasks: git flux list
        "#]]);
        world.assert_unchanged(&before);
        world.kill_tmux();
    }
    session(&worktree, "bash");
    let resumed = world.flux(["resume", "--all", "-q"]).run();
    resumed.success().stdout_is("fix\n");
    world.agent("fix").wait_starts(2);
    assert_eq!(task(&world, "fix")["target"]["session"], "flux-myapp-fix");
    let marks = world.tmux(["list-panes", "-a", "-F", "#{@flux_task}"]);
    assert_eq!(marks, "fix");
    world.flux(["cleanup", "-y", "fix"]).run().success();
    assert!(world.try_tmux(["list-sessions"]).is_none());
}
