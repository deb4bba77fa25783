//! Tests the processes of the gate: environment, wrapper, end and take-over.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;

use super::*;
use crate::world::hints;

/// Starts a gate that nobody waits for, and returns its process.
fn start(world: &World, args: &[&str]) -> Child {
    let mut command = world.command(world.tools().join("bin/git-flux"));
    command.args(args).current_dir(world.repo());
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

fn kill(signal: &str, pid: impl std::fmt::Display) {
    let mut command = Command::new("kill");
    let sent = command
        .args(["-s", signal, "--", &pid.to_string()])
        .status();
    assert!(sent.unwrap().success());
}

/// A command that notes its process id, and then does not end by itself.
const HANGS: &str = "echo $$ >\"$HOME/pid.new\"; mv \"$HOME/pid.new\" \"$HOME/pid\"; sleep 600";

/// Waits for the process id that [`HANGS`] notes.
fn wait_for_pid(world: &World) -> i32 {
    let file = world.tools().join("home/pid");
    let pid = wait_for("the gate to run", || fs::read_to_string(&file).ok());
    fs::remove_file(file).unwrap();
    pid.trim().parse().unwrap()
}

/// Returns the live processes whose working directory is the scratch worktree.
fn in_scratch(world: &World) -> Vec<i32> {
    let here = |pid: &i32| {
        let cwd = fs::read_link(format!("/proc/{pid}/cwd"));
        is_alive(*pid) && cwd.is_ok_and(|cwd| cwd.starts_with(scratch(world)))
    };
    let all = fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(here).collect()
}

#[test]
fn gate_runs_in_the_environment_of_an_agent_with_ports_of_its_own() {
    let world = World::new();
    let path = task(&world, "fix");
    configure(
        &world,
        ["env >\"$HOME/env\"; read line || echo no input >>\"$HOME/env\""],
    );
    let gate = world.flux(["gate", "fix"]).in_dir(&path);
    let gate = gate
        .env("GIT_AUTHOR_NAME", "Someone")
        .env("TMUX", "/tmp/x,1,0");
    let gate = gate
        .env("FLUX_TASK", "other")
        .env("FLUX_PORT", "1")
        .env("MINE", "kept");
    gate.run().success();
    let env = fs::read_to_string(world.tools().join("home/env")).unwrap();
    let value = |name: &str| {
        let mut lines = env.lines();
        lines.find_map(|line| line.strip_prefix(&format!("{name}=")).map(str::to_owned))
    };
    let scratch = scratch(&world).to_str().unwrap().to_owned();
    for (name, expected) in [
        ("PWD", Some(&*scratch)),
        ("FLUX_WORKTREE", Some(&*scratch)),
        ("FLUX_SOURCE", world.repo().to_str()),
        ("COMPOSE_PROJECT_NAME", Some("myapp--land")),
        ("MINE", Some("kept")),
        ("GIT_AUTHOR_NAME", None),
        ("TMUX", None),
        ("FLUX_TASK", None),
        ("FLUX_BRANCH", None),
    ] {
        assert_eq!(value(name).as_deref(), expected, "{name}");
    }
    let port: u16 = value("FLUX_PORT").unwrap().parse().unwrap();
    assert!(
        (20_000..32_750).contains(&port) && port.is_multiple_of(20),
        "{port}"
    );
    assert!(env.ends_with("no input\n"), "{env}");
    // The ports are free again, and nothing is left running.
    let claims = fs::read_dir(world.tools().join("home/.local/state/git-flux/ports")).unwrap();
    let claims = claims.map(|claim| claim.unwrap().file_name());
    assert_eq!(claims.filter(|claim| claim != "lock").count(), 0);
    assert!(!world.repo().join(".git/flux/gate/running").exists());
}

#[test]
fn gate_puts_the_wrapper_in_front_of_each_command() {
    let world = World::new();
    task(&world, "fix");
    let log = world.tools().join("wrapped");
    let script = "#!/bin/sh\nprintf '%s|%s|' \"$1\" \"$2\" >>\"$LOG\"; shift 2\n\
        for last; do :; done; echo \"$last\" >>\"$LOG\"; exec \"$@\"\n";
    world.install("wrap", script);
    world.git(["config", "flux.wrapper", "wrap 'two words' --"]);
    configure(&world, ["true", "test a = 'a'"]);
    world.flux(["gate", "fix"]).env("LOG", &log).run().success();
    let words = fs::read_to_string(log).unwrap();
    assert_eq!(words, "two words|--|true\ntwo words|--|test a = 'a'\n");
}

#[test]
fn gate_ends_all_its_processes_and_leaves_no_verdict_when_interrupted() {
    let world = World::new();
    task(&world, "fix");
    // It ignores what can be ignored, and so does what it has started.
    let stubborn = format!("trap '' TERM INT HUP; sh -c 'sleep 600; :' & {HANGS}");
    configure(&world, [&stubborn]);
    for signal in ["C-c", "INT", "TERM", "HUP"] {
        let terminal = world.terminal(80, 24);
        if signal == "C-c" {
            terminal.command("git-flux gate fix");
        } else {
            terminal.command("echo $$ >\"$HOME/shell\"; exec git-flux gate fix");
        }
        let pid = wait_for_pid(&world);
        assert!(is_alive(pid) && in_scratch(&world).len() >= 2);
        if signal == "C-c" {
            terminal.keys(["C-c"]);
            assert_eq!(terminal.exit_code(), 130);
        } else {
            let shell = fs::read_to_string(world.tools().join("home/shell")).unwrap();
            kill(signal, shell.trim());
            let shell: i32 = shell.trim().parse().unwrap();
            wait_until("git flux to end", || !is_alive(shell));
        }
        assert_eq!(in_scratch(&world), Vec::<i32>::new(), "{signal}");
        assert!(verdicts(&world).is_empty());
        assert!(!world.repo().join(".git/flux/gate/running").exists());
    }
    configure(&world, [NOTE]);
    world.flux(["gate", "fix"]).run().success();
}

#[test]
fn gate_ends_what_a_killed_git_flux_has_left_running() {
    let world = World::new();
    task(&world, "fix");
    let late = format!("{HANGS}; echo late >late.txt");
    configure(&world, [&late]);
    let mut first = start(&world, &["gate", "fix"]);
    let orphan = wait_for_pid(&world);
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(is_alive(orphan), "the gate outlives git flux");
    // Nothing of it holds the lock.
    configure(&world, [NOTE]);
    let output = world.flux(["gate", "fix"]).run();
    output.success().has_not("waiting");
    wait_until("the orphan to end", || !is_alive(orphan));
    assert_eq!(in_scratch(&world), Vec::<i32>::new());
    assert_eq!(verdicts(&world).len(), 1);
    // Its ports are used again, or free.
    let claims = fs::read_dir(world.tools().join("home/.local/state/git-flux/ports")).unwrap();
    let claims = claims.map(|claim| claim.unwrap().file_name());
    assert_eq!(claims.filter(|claim| claim != "lock").count(), 0);
}

#[test]
fn gate_ends_no_other_process_whatever_the_record_says() {
    let world = World::new();
    let path = task(&world, "fix");
    configure(&world, [HANGS]);
    let mut first = start(&world, &["gate", "fix"]);
    let orphan = wait_for_pid(&world);
    first.kill().unwrap();
    first.wait().unwrap();
    let file = world.repo().join(".git/flux/gate/running");
    let text = fs::read_to_string(&file).unwrap();
    let mut record: serde_json::Value = serde_json::from_str(&text).unwrap();
    let group = record["group"].as_i64().unwrap();
    // Another program, which works elsewhere and leads a group.
    let mut other = Command::new("setsid");
    let mut other = other
        .args(["sleep", "600"])
        .current_dir("/")
        .spawn()
        .unwrap();
    wait_until("the other to lead a group", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", other.id())).unwrap();
        stat.contains("(sleep)")
    });
    let stat = fs::read_to_string(format!("/proc/{}/stat", other.id())).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let born: u64 = fields.split(' ').nth(19).unwrap().parse().unwrap();
    record["group"] = other.id().into();
    configure(&world, [NOTE]);
    // Its number alone, and all that is known of it.
    for (n, born) in [born - 1, born].into_iter().enumerate() {
        record["born"] = born.into();
        fs::write(&file, record.to_string()).unwrap();
        world.write(path.join("number"), n.to_string());
        world.flux(["gate", "fix"]).run().success();
        assert!(other.try_wait().unwrap().is_none(), "it was ended");
    }
    assert!(is_alive(orphan), "of which there was no record");
    other.kill().unwrap();
    other.wait().unwrap();
    kill("KILL", -group);
}

#[test]
fn gate_does_not_lend_its_locks_to_a_daemon() {
    let world = World::new();
    let path = task(&world, "fix");
    // As sccache and gradle do it.
    configure(
        &world,
        [
            "setsid sh -c 'echo $$ >\"$HOME/daemon\"; exec sleep 600' & until [ -s \"$HOME/daemon\" ]; do :; done",
        ],
    );
    world.flux(["gate", "fix"]).run().success();
    let pid = fs::read_to_string(world.tools().join("home/daemon")).unwrap();
    let pid: i32 = pid.trim().parse().unwrap();
    assert!(is_alive(pid), "a daemon with a session of its own goes on");
    world.write(path.join("more"), "");
    world
        .flux(["gate", "fix"])
        .run()
        .success()
        .has_not("waiting");
    for entry in fs::read_dir(format!("/proc/{pid}/fd")).unwrap() {
        let file = fs::read_link(entry.unwrap().path()).unwrap();
        let is_ours = file.starts_with(world.repo().join(".git/flux"));
        assert!(
            !is_ours || file.extension().is_some_and(|it| it == "log"),
            "{file:?}"
        );
    }
    kill("KILL", pid);
}

#[test]
fn gate_ends_what_a_command_leaves_in_the_background() {
    let world = World::new();
    task(&world, "fix");
    let lives = "grep -q '^State:.[RSD]' \"/proc/$(cat \"$HOME/pid\")/status\" && exit 1; :";
    configure(&world, ["sleep 600 & echo $! >\"$HOME/pid\"", lives]);
    world.flux(["gate", "fix"]).run().success();
}

#[test]
fn gate_of_two_commands_at_once_tests_a_tree_once() {
    let world = World::new();
    for name in ["fix", "other"] {
        task(&world, name);
    }
    let path = world.root().join("third");
    task(&world, "third");
    world.write(path.join("more"), "");
    // No two at once in the same directory.
    configure(&world, [NOTE, "mkdir busy && rmdir busy"]);
    thread::scope(|scope| {
        for name in ["fix", "other", "third", "fix", "third"] {
            let world = &world;
            scope.spawn(move || drop(world.flux(["gate", name]).ok()));
        }
    });
    assert_eq!((runs(&world), verdicts(&world).len()), (2, 2));
}

#[test]
fn gate_hints_can_be_pasted() {
    let world = World::new();
    task(&world, "fix");
    let output = world.flux(["gate", "fix"]).run();
    for hint in hints::hints(output.code(125)) {
        assert_eq!(hint, "git config flux.gate '<command>'");
    }
}

#[test]
fn gc_scratch_refuses_while_a_gate_runs_and_ends_one_that_is_left() {
    let world = World::new();
    task(&world, "fix");
    configure(&world, [HANGS]);
    let mut gate = start(&world, &["gate", "fix"]);
    wait_for_pid(&world);
    for args in [&["gc", "--scratch"][..], &["gc", "--scratch", "-n"]] {
        let output = world.flux(args).run();
        let what = "error: a gate or a landing uses";
        let place = scratch(&world);
        output.code(1).stdout_is("");
        output.stderr_is(&format!("{what} '{}'\n", place.display()));
        assert!(scratch(&world).join("README.md").exists());
    }
    assert!(!in_scratch(&world).is_empty());
    kill("KILL", gate.id());
    gate.wait().unwrap();
    assert!(!in_scratch(&world).is_empty());
    world.flux(["gc", "--scratch"]).run().success();
    assert!(in_scratch(&world).is_empty() && !scratch(&world).exists());
}
