//! Tests that an agent that forges its run directory, pane options or title affects only its own task.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::world::*;

/// A process that no task has anything to do with, in a process group of its own.
struct Bystander(Child);

impl Bystander {
    fn new() -> Self {
        let mut command = Command::new("sleep");
        command.arg("1000").stdin(Stdio::null()).process_group(0);
        Self(command.spawn().unwrap())
    }

    fn pid(&self) -> i32 {
        self.0.id().try_into().unwrap()
    }

    /// Returns the start time that the kernel reports.
    fn born(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        fields.split(' ').nth(19).unwrap().parse().unwrap()
    }

    fn is_alive(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn run_dir(world: &World, id: &str) -> PathBuf {
    world.repo().join(".git/flux/run").join(id)
}

fn state(world: &World, id: &str) -> String {
    let list = world.flux(["list", "--json"]).run().success().json();
    let row = list.as_array().unwrap().iter().find(|row| row["id"] == id);
    row.unwrap()["state"].as_str().unwrap().to_owned()
}

/// Runs the command that a hint with this beginning ends in.
#[track_caller]
fn follow_hint(world: &World, output: &Output, begin: &str) {
    let hint = output.stderr.lines().find_map(|line| {
        let hint = line.strip_prefix("hint: ")?;
        hint.strip_prefix(begin)
    });
    let hint = hint.unwrap_or_else(|| panic!("no hint {begin:?}\n{output}"));
    let mut shell = world.command("/bin/sh");
    let shell = shell.args(["-c", hint]).current_dir(world.repo());
    assert!(shell.status().unwrap().success(), "{hint}");
}

const WAY_OUT: &str = "to delete this file: ";

#[test]
fn cleanup_signals_only_the_launcher_despite_a_forged_running_file() {
    let world = World::new();
    let other = world.start("Other");
    world.agent(&other).wait_started();
    let of_other: Value =
        serde_json::from_slice(&fs::read(run_dir(&world, &other).join("running")).unwrap())
            .unwrap();
    let mut bystander = Bystander::new();
    let (pid, born, boot) = (bystander.pid(), bystander.born(), of_other["boot"].clone());
    let mark = |launcher: i64, agent: Value| json!({"launcher": launcher, "born": born, "boot": boot, "agent": agent, "since": 1});
    let [pid_, group] = [i64::from(pid), -i64::from(pid)];

    // As it may be: the agent is stopped all the same, through its pane, and nothing else is.
    for running in [
        mark(pid_, 1_000_000.into()),
        mark(pid_, Value::Null),
        of_other.clone(),
    ] {
        let id = world.start("Fix it");
        let agent = world.agent(&id);
        agent.wait_started();
        fs::write(run_dir(&world, &id).join("running"), running.to_string()).unwrap();
        assert_eq!(
            [state(&world, &id), state(&world, &other)],
            ["running", "running"]
        );
        world.flux(["cleanup", "-y", &id]).run().success();
        agent.wait_gone();
        assert!(
            bystander.is_alive() && world.agent(&other).is_alive(),
            "{running}"
        );
    }

    // As none writes it: nothing is known, and the way out works.
    let id = world.start("Fix it");
    let agent = world.agent(&id);
    agent.wait_started();
    let running = run_dir(&world, &id).join("running");
    let mut far = mark(pid_, Value::Null);
    far["since"] = u64::MAX.into();
    for forged in [
        mark(group, 2.into()),
        mark(-1, Value::Null),
        mark(0, Value::Null),
        mark(1, 2.into()),
        mark(1 << 40, Value::Null),
        mark(pid_, group.into()),
        far,
    ] {
        fs::write(&running, forged.to_string()).unwrap();
        assert_eq!(state(&world, &id), "unknown", "{forged}");
        let before = world.snapshot();
        let output = world.flux(["cleanup", "-y", &id]).run();
        output
            .code(1)
            .stderr_has("cannot tell whether")
            .stderr_has("/running'");
        world.assert_unchanged(&before);
        for command in [
            &["send", &id, "hello"][..],
            &["resume", &id],
            &["wait", &id],
        ] {
            world.flux(command).run().code(1);
        }
        assert!(bystander.is_alive() && agent.is_alive(), "{forged}");
    }
    let output = world.flux(["cleanup", "-y", &id]).run();
    follow_hint(&world, &output, WAY_OUT);
    assert_eq!(state(&world, &id), "running");
    world.flux(["cleanup", "-y", &id]).run().success();
    agent.wait_gone();
    assert!(bystander.is_alive() && world.agent(&other).is_alive());
}

#[test]
fn status_is_unknown_only_for_the_task_with_damaged_run_files() {
    let world = World::new();
    let other = world.start("Other");
    let id = world.start("Fix it");
    let agent = world.agent(&id);
    agent.wait_started();
    let run = run_dir(&world, &id);
    let put = |name: &str, kind: &str| {
        let path = run.join(name);
        fs::remove_file(&path)
            .or_else(|_| fs::remove_dir(&path))
            .ok();
        match kind {
            "link" => symlink(run_dir(&world, &other).join("running"), &path).unwrap(),
            "directory" => fs::create_dir(&path).unwrap(),
            "pipe" => drop(Command::new("mkfifo").arg(&path).status().unwrap()),
            "long" => fs::File::create(&path).unwrap().set_len(200 << 20).unwrap(),
            text => fs::write(&path, text).unwrap(),
        }
    };
    let ended = |at: u64, status: i32| {
        format!(r#"{{"status":{status},"signal":null,"error":null,"at":{at}}}"#)
    };
    for (name, kind) in [
        ("running", "link"),
        ("running", "directory"),
        ("running", "pipe"),
        ("running", "long"),
        ("running", "[]"),
        ("exit", "pipe"),
        ("exit", &ended(u64::MAX, 0)),
        ("exit", &ended(1, -1)),
    ] {
        put(name, kind);
        assert_eq!(state(&world, &id), "unknown", "{name} {kind}");
        assert_eq!(state(&world, &other), "running", "{name} {kind}");
        let output = world.flux(["cleanup", "-y", &id]).run();
        output.code(1).stderr_has(&format!("/{name}"));
        let output = world.flux(["status", &id]).run();
        output.success().stdout_has("unknown");
        follow_hint(&world, &output, WAY_OUT);
        assert_eq!(state(&world, &id), "running", "{name} {kind}");
    }
    // No lock and no mark: it counts as lost. Nothing waits for the other end of a pipe.
    put("alive", "pipe");
    let wait = ["wait", "--timeout", "1", &id];
    for (args, code) in [(&["list"][..], 0), (&["status", &id], 0), (&wait, 1)] {
        world.flux(args).run().code(code);
    }
    assert_eq!(state(&world, &other), "running");
    assert!(agent.is_alive());
    fs::remove_file(run.join("alive")).unwrap();
    world.flux(["cleanup", "-y", &id]).run().success();
    agent.wait_gone();
}

#[test]
fn launcher_follows_no_link_and_waits_for_no_lock_in_its_run_directory() {
    let world = World::new();
    let id = world.start("Fix it");
    let agent = world.agent(&id);
    agent.wait_started();
    let events = run_dir(&world, &id).join("events");
    let mine = world.write("../mine", "mine\n");
    let lock = |path: &Path| {
        let mut command = Command::new("flock");
        let command = command
            .arg("--no-fork")
            .arg(path)
            .args(["sleep", "1000"])
            .process_group(0);
        let child = Bystander(command.spawn().unwrap());
        wait_until("the lock", || {
            fs::File::open(path).unwrap().try_lock().is_err()
        });
        child
    };
    let _holder = lock(&events);
    agent.tell("exit 0");
    world.wait_ended(&id);
    fs::remove_file(&events).unwrap();
    symlink(&mine, &events).unwrap();
    world.behaviour("exit 0");
    world.flux(["resume", &id]).run().success();
    world.wait_ended(&id);
    assert_eq!(fs::read_to_string(&mine).unwrap(), "mine\n");
    fs::remove_file(&events).unwrap();
    Command::new("mkfifo").arg(&events).status().unwrap();
    for args in [&["log", &id][..], &["status", "--explain", &id], &["list"]] {
        drop(world.flux(args).run());
    }
    world.behaviour("wait");
    world.flux(["resume", &id]).run().success();
    world.flux(["cleanup", "-y", &id]).run().success();
}

#[test]
fn run_succeeds_if_setup_overwrites_the_running_file() {
    let world = World::new();
    let mark = r#"{"launcher":1234567,"born":null,"agent":null,"since":1,"setup":{"step":"x","missed":[]}}"#;
    let forge = format!("echo '{mark}' >$FLUX_RUN/forged; mv $FLUX_RUN/forged $FLUX_RUN/running");
    let setup = format!("cd /; for i in $(seq 1000); do {forge}; done &");
    world.git([
        "config",
        "flux.setup",
        &setup.replace("$FLUX_RUN", "\"$FLUX_RUN\""),
    ]);
    world.flux(["run", "-q", "--name", "fix", "Fix it"]).ok();
    world.agent("fix").wait_started();
    world.flux(["cleanup", "-y", "fix"]).run().success();
    world.agent("fix").wait_gone();
}

#[test]
fn status_ignores_hostile_tmux_options_and_titles_of_another_pane() {
    let world = World::new();
    let (odd, id) = (world.start("Odd"), world.start("Fix it"));
    let [pane, good] = [world.pane(&odd), world.pane(&id)];
    let all = "#{pid}\t#{start_time}\t#{window_id}\t#{pane_id}\t#{pane_pid}";
    let record = world.tmux(["display-message", "-p", "-t", &good, all]);
    let record = record.replace(&good, "%99");
    let pwn = world.root().join("PWN");
    let run = format!("#(touch '{}')", pwn.display());
    let odd_values: [&[u8]; 5] = [
        b"x\ny",
        b"\n\n\t\t\x1b]0;x\x07",
        run.as_bytes(),
        b"\xff\xfe\n",
        record.as_bytes(),
    ];
    for value in odd_values {
        for option in ["@flux_repo", "@flux_task", "@flux_state"] {
            set(&world, &["set-option", "-p", "-t", &pane, option], value);
        }
        // These take formats themselves.
        if value != run.as_bytes() {
            set(&world, &["select-pane", "-t", &pane, "-T"], value);
            set(&world, &["rename-window", "-t", &pane], value);
            set(&world, &["rename-session", "-t", &pane], value);
        }
        for id in [&id, &odd] {
            assert_eq!(state(&world, id), "running");
            let status = world.flux(["status", id]).run();
            status.success().has_not("(closed)");
        }
        let output = world.flux(["list", "--all-repos"]).run();
        output.success().stdout_has(&id);
    }
    assert!(!pwn.exists());
    let next = world.start("Another");
    for id in [&id, &odd, &next] {
        world.flux(["cleanup", "-y", id]).run().success();
        world.agent(id).wait_gone();
    }
}

/// Asks tmux for something with any bytes; it may refuse.
fn set(world: &World, args: &[&str], value: &[u8]) {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let mut tmux = world.command("tmux");
    let tmux = tmux.arg("-u").args(args).arg(OsStr::from_bytes(value));
    tmux.stderr(Stdio::null()).status().unwrap();
}
