//! Tests `git flux wait`.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::process::Stdio;
use std::thread;

use crate::land_watch::slow_gate;
use crate::world::reports::*;
use crate::world::{Output, World, expect, wait_for, wait_until, watching_process};

/// Makes a task whose agent has started to work.
fn at_work(world: &World, description: &str) -> String {
    let id = world.start(description);
    world.agent(&id).wait_started();
    hook(world, &id, "SessionStart", r#"{"session_id":"1"}"#);
    hook(world, &id, "UserPromptSubmit", r#"{"session_id":"1"}"#);
    id
}

/// Runs `git flux wait`, and calls `then` once it blocks.
fn wait_during<const N: usize>(world: &World, args: [&str; N], then: impl FnOnce()) -> Output {
    thread::scope(|scope| {
        let waiting = scope.spawn(|| world.flux(args).run());
        // It watches the directories of the runs: the kernel shows who does.
        wait_for("wait to block", || watcher(world));
        then();
        waiting.join().unwrap()
    })
}

/// Returns the process of a `git flux wait` of this world that watches files, if there is one.
fn watcher(world: &World) -> Option<i32> {
    watching_process(world, "wait")
}

#[test]
fn wait_blocks_until_the_agent_is_done() {
    let world = World::new();
    let id = at_work(&world, "Fix login");
    let stop = || hook(&world, &id, "Stop", r#"{"session_id":"1"}"#);
    let output = wait_during(&world, ["wait", &id], stop);
    output.success().stdout_is(&format!("{id} done\n"));
    // What is so already is not waited for.
    world
        .flux(["wait", &id])
        .run()
        .success()
        .stdout_is(&format!("{id} done\n"));
}

#[test]
fn wait_polls_where_no_files_can_be_watched() {
    let world = World::new();
    let id = at_work(&world, "Fix login");
    let limited = "echo 0 >/proc/sys/user/max_inotify_instances && exec git-flux wait \"$1\"";
    let mut waiting = world
        .command("unshare")
        .args(["--user", "--map-root-user", "sh", "-c", limited, "sh", &id])
        .current_dir(world.repo())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut warning = String::new();
    BufReader::new(waiting.stderr.take().unwrap())
        .read_line(&mut warning)
        .unwrap();
    let expected = "warning: reading the tasks every 2 seconds: could not watch files: ";
    assert!(warning.starts_with(expected), "{warning}");
    hook(&world, &id, "Stop", r#"{"session_id":"1"}"#);
    let output = waiting.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, format!("{id} done\n").into_bytes());
}

#[test]
fn wait_returns_on_a_question_a_failure_or_the_end_of_the_agent() {
    let world = World::new();
    let id = at_work(&world, "Ask");
    let asks = || hook(&world, &id, "PermissionRequest", r#"{"session_id":"1"}"#);
    let output = wait_during(&world, ["wait", &id], asks);
    output
        .success()
        .stdout_is(&format!("{id} waiting(permission)\n"));

    let id = at_work(&world, "Fail");
    let fails = || hook(&world, &id, "StopFailure", r#"{"session_id":"1"}"#);
    let output = wait_during(&world, ["wait", &id], fails);
    output.code(1).stdout_is(&format!("{id} failed\n"));

    let id = at_work(&world, "Exit well");
    let output = wait_during(&world, ["wait", &id], || world.agent(&id).tell("exit 0"));
    output.success().stdout_is(&format!("{id} exited(0)\n"));

    let id = at_work(&world, "Exit badly");
    let output = wait_during(&world, ["wait", &id], || world.agent(&id).tell("exit 3"));
    output.code(1).stdout_is(&format!("{id} exited(3)\n"));

    let id = at_work(&world, "Die");
    let launcher = world.agent(&id).process().unwrap().parent;
    let kill = || {
        let launcher = nix::unistd::Pid::from_raw(launcher);
        nix::sys::signal::kill(launcher, nix::sys::signal::Signal::SIGKILL).unwrap();
    };
    let output = wait_during(&world, ["wait", &id], kill);
    output.code(1).stdout_is(&format!("{id} lost\n"));
}

#[cfg(target_os = "linux")]
#[test]
fn wait_ends_when_the_landing_of_its_task_is_killed() {
    let world = World::new();
    let (began, go) = slow_gate(&world, "true");
    // An agent of this kind is observed by files only.
    world.install_agent("mine");
    world.git(["config", "flux.mine.command", "mine"]);
    world.behaviour("exit 0");
    let run = ["run", "-q", "--agent", "mine", "--name", "fix", "Fix it"];
    world.flux(run).run().success();
    world.wait_ended("fix");
    world.commit_in(world.worktree("fix"), "new", "new\n");
    let mut land = world
        .command("git-flux")
        .args(["land", "--yes", "fix"])
        .current_dir(world.repo())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the gate to run", || began.exists());
    let lock = fs::metadata(world.repo().join(".git/flux/land.lock")).unwrap();
    let output = wait_during(&world, ["wait", "--for", "exited", "fix"], || {
        wait_until("wait to see the landing", || {
            let locks = fs::read_to_string("/proc/locks").unwrap();
            let file = format!(":{} ", lock.ino());
            let mut waiting = locks.lines().filter(|line| line.contains("->"));
            waiting.any(|line| line.contains(&file))
        });
        land.kill().unwrap();
        land.wait().unwrap();
        fs::write(&go, "").unwrap();
    });
    output.success().stdout_is("fix exited(0)\n");
    // The next landing knows nothing of the killed one.
    let mark = world.repo().join(".git/flux/run/fix/landing");
    assert!(mark.exists());
    world.flux(["land", "--check", "--all"]).run().success();
    assert!(!mark.exists());
}

#[test]
fn wait_for_a_state_fails_if_the_agent_ends_before() {
    let world = World::new();
    let id = at_work(&world, "Fix login");
    hook(&world, &id, "PermissionRequest", r#"{"session_id":"1"}"#);
    let exit = || world.agent(&id).tell("exit 0");
    let output = wait_during(&world, ["wait", "--for", "done", &id], exit);
    output.code(1).stdout_is(&format!("{id} exited(0)\n"));
    let output = world.flux(["wait", "--for", "finished", &id]).run();
    output
        .code(2)
        .says(&expect![[r#"
            --- stderr
            error: invalid value 'finished' for '--for <state>' [possible values: waiting, done, exited]
            hint: git flux wait -h
        "#]]);
}

#[test]
fn wait_returns_for_any_or_all_of_several_tasks() {
    let world = World::new();
    let (one, other) = (at_work(&world, "One"), at_work(&world, "Other"));
    let first = || hook(&world, &other, "Stop", r#"{"session_id":"1"}"#);
    let output = wait_during(&world, ["wait", "--any", &one, &other], first);
    output.success().stdout_is(&format!("{other} done\n"));
    let second = || hook(&world, &one, "Stop", r#"{"session_id":"1"}"#);
    let output = wait_during(&world, ["wait", "--all"], second);
    // Both in one look, or one after the other.
    let mut lines: Vec<&str> = output.success().stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, [format!("{one} done"), format!("{other} done")]);
}

#[test]
fn wait_ends_on_a_timeout_or_interrupt_without_changes() {
    let world = World::new();
    let id = at_work(&world, "Fix login");
    let before = world.snapshot();
    let output = world.flux(["wait", "--timeout", "1s", &id]).run();
    output.code(124).says(&expect![[r#"
        --- stderr
        error: timed out waiting for fix-login-XXXXXX
        hint: to see the tasks: git flux list
    "#]]);
    world.assert_unchanged(&before);
    for bad in ["soon", "-3s", ""] {
        world.flux(["wait", "--timeout", bad, &id]).run().code(2);
    }
    let terminal = world.terminal(80, 24);
    terminal.type_line(&format!("git-flux wait {id}; echo \"code $?\""));
    wait_for("wait to block", || watcher(&world));
    terminal.keys(["C-c"]);
    terminal.wait_for_screen("code 130");
    world.assert_unchanged(&before);
}

#[test]
fn wait_fails_if_the_task_is_removed() {
    let world = World::new();
    let id = at_work(&world, "Fix login");
    let remove = || {
        world.flux(["cleanup", "-y", &id]).run().success();
    };
    let output = wait_during(&world, ["wait", "--for", "waiting", &id], remove);
    output.code(1);
    world.flux(["wait", &id]).run().code(1);
    world
        .flux(["wait", "--all"])
        .run()
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: there are no tasks
            hint: to start a task: git flux run "<description>"
        "#]]);
}

#[test]
fn wait_watches_a_launcher_that_starts_later() {
    let world = World::new();
    world.behaviour("wait");
    let (begun, go) = (world.tools().join("begun"), world.tools().join("go"));
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in *' new-session '*)\n: >'{}'\nuntil [ -e '{}' ]; do sleep 0.05; done ;;\nesac\nexec '{}' \"$@\"\n",
        begun.display(),
        go.display(),
        crate::world::require("tmux").display()
    );
    world.install("tmux", &script);
    thread::scope(|scope| {
        let run = scope.spawn(|| world.flux(["run", "-q", "--name", "fix", "Fix it"]).run());
        wait_until("the start to begin", || begun.exists());
        let kill = || {
            std::fs::write(&go, "").unwrap();
            run.join().unwrap().success();
            let launcher = world.agent("fix").wait_started().process().unwrap().parent;
            let launcher = nix::unistd::Pid::from_raw(launcher);
            nix::sys::signal::kill(launcher, nix::sys::signal::Signal::SIGKILL).unwrap();
        };
        let output = wait_during(&world, ["wait", "fix"], kill);
        output.code(1).stdout_is("fix lost\n");
    });
}

#[cfg(target_os = "linux")]
#[test]
fn wait_and_launcher_make_no_system_calls_while_idle() {
    let world = World::new();
    world.install_agent("mine");
    world.git(["config", "flux.mine.command", "mine"]);
    let run = ["run", "-q", "--agent", "mine", "--name", "fix", "Fix it"];
    world.flux(run).run().success();
    let launcher = world.agent("fix").wait_started().process().unwrap().parent;
    // Not a child of the tests, which would be told of its stops.
    let terminal = world.terminal(80, 24);
    terminal.type_line("git-flux wait fix; echo \"code $?\"");
    let wait = wait_for("wait to block", || watcher(&world));
    for (what, pid) in [("wait", wait), ("launcher", launcher)] {
        let calls = crate::world::calls_in_an_idle_second(pid, 5);
        assert!(calls <= 5, "{what}: {calls} system calls in a second");
    }
    world.agent("fix").tell("exit 0");
    terminal.wait_for_screen("code 0");
}

#[test]
fn wait_returns_on_a_state_shown_only_in_the_title() {
    let world = World::new();
    world.install_agent("gemini");
    let run = ["run", "-q", "--agent", "gemini", "--name", "fix", "Fix it"];
    world.flux(run).run().success();
    let title = |title: &str| {
        let agent = world.agent("fix");
        agent.tell(&format!("sh printf '\\033]2;{title} (project)\\007'"));
    };
    title("✦  Working…");
    let output = wait_during(&world, ["wait", "fix"], || title("✋  Action Required"));
    output.success().stdout_is("fix waiting(permission)\n");
}

#[test]
fn wait_next_ignores_states_reached_before() {
    let world = World::new();
    let done = at_work(&world, "Done before");
    hook(&world, &done, "Stop", r#"{"session_id":"1"}"#);
    let other = at_work(&world, "Another");
    let stop = || hook(&world, &other, "Stop", r#"{"session_id":"1"}"#);
    let output = wait_during(&world, ["wait", "--next"], stop);
    output.success().stdout_is(&format!("{other} done\n"));
    // One that was there comes there again.
    let again = || {
        hook(&world, &done, "UserPromptSubmit", r#"{"session_id":"1"}"#);
        wait_until("the agent to work", || {
            let status = world.flux(["status", "--json", &done]).run().json();
            status["state"] == "working"
        });
        hook(&world, &done, "PermissionRequest", r#"{"session_id":"1"}"#);
    };
    let output = wait_during(&world, ["wait", "--next"], again);
    output.success().says(&expect![[r#"
        done-before-XXXXXX waiting(permission)
    "#]]);
    let output = world.flux(["wait", "--next", "--timeout", "0s"]).run();
    output.code(124).stdout_is("");
}
