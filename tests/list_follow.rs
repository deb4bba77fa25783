//! Tests `git flux list --follow --json`: a line for each change, without polling.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::watch::idle_task;
use crate::world::reports::hook;
use crate::world::*;

/// A running `git flux list --follow --json`.
struct Follower {
    child: Child,
    lines: Receiver<Value>,
}

fn spawn(world: &World, options: &[&str]) -> (Child, ChildStdout) {
    let mut command = world.command(world.tools().join("bin/git-flux"));
    command.args(["list", "--follow", "--json"]).args(options);
    spawn_command(world, command)
}

fn spawn_command(world: &World, mut command: Command) -> (Child, ChildStdout) {
    let errors = File::create(world.tools().join("errors")).unwrap();
    let command = command.current_dir(world.repo()).stdout(Stdio::piped());
    let mut child = command.stderr(errors).spawn().unwrap();
    let out = child.stdout.take().unwrap();
    (child, out)
}

impl Follower {
    fn new(world: &World, options: &[&str]) -> Self {
        Self::of(spawn(world, options))
    }

    fn of((child, out): (Child, ChildStdout)) -> Self {
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                sender.send(serde_json::from_str(&line).unwrap()).ok();
            }
        });
        Self { child, lines }
    }

    #[track_caller]
    fn next(&self) -> Value {
        let next = self.lines.recv_timeout(Duration::from_secs(60));
        next.expect("a line")
    }

    /// Reads lines until one about the task `id` is as wanted.
    #[track_caller]
    fn wait_for(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let line = self.next();
            if line["id"] == id && wanted(&line) {
                return line;
            }
        }
    }
}

#[test]
fn list_follow_prints_the_tasks_and_then_each_change() {
    let world = World::new();
    let id = world.start("Fix login");
    let mut follower = Follower::new(&world, &[]);
    let first = follower.next();
    let listed = world.flux(["list", "--json"]).run().success().json();
    let keys = |of: &Value| -> Vec<String> { of.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(keys(&first), keys(&listed[0]));
    assert_eq!(first["id"], id.as_str());

    hook(&world, &id, "PermissionRequest", r#"{"session_id":"1"}"#);
    let waiting = follower.wait_for(&id, |task| task["state"] == "waiting");
    assert_eq!(waiting["stateReason"], "permission");
    world.agent(&id).tell("exit 3");
    follower.wait_for(&id, |task| task["exit"]["status"] == 3);

    // A task that starts now, its work and its end.
    let other = world.start("Another");
    follower.wait_for(&other, |task| task["phase"] == "active");
    let worktree = world.worktree(&other);
    std::fs::write(worktree.join("new"), "new\n").unwrap();
    world.git_in(&worktree, ["add", "new"]);
    follower.wait_for(&other, |task| task["changes"]["staged"] == 1);
    world.git_in(&worktree, ["commit", "-q", "-m", "New"]);
    follower.wait_for(&other, |task| task["ahead"] == 1);
    world.flux(["cleanup", "-y", &other]).run().success();
    let gone = follower.wait_for(&other, |task| !task["removed"].is_null());
    let expected = serde_json::json!({
        "id": other, "worktree": worktree.to_str().unwrap(), "removed": true,
    });
    assert_eq!(gone, expected);

    let before = world.snapshot();
    let pid = Pid::from_raw(follower.child.id().try_into().unwrap());
    kill(pid, Signal::SIGINT).unwrap();
    assert_eq!(follower.child.wait().unwrap().code(), Some(130));
    world.assert_unchanged(&before);
}

#[test]
fn list_follow_of_all_repositories_prints_new_ones() {
    let world = World::new();
    let other = world.root().join("other");
    world.make_repository(&other);
    idle_task(&world, "first");
    let mut follower = Follower::new(&world, &["--all-repos"]);
    follower.wait_for("first", |task| task["phase"] == "active");
    let run = ["run", "-q", "--name", "second", "Fix it"];
    world.flux(run).in_dir(&other).run().success();
    follower.wait_for("second", |task| task["phase"] == "active");
    // Its pane outlives it.
    fs::remove_dir_all(&other).unwrap();
    for commits in 1..4 {
        world.commit_in(world.repo(), "new", &commits.to_string());
        follower.wait_for("first", |task| task["behind"] == commits);
    }
    let errors = fs::read_to_string(world.tools().join("errors")).unwrap();
    let warning = format!(
        "warning: '{}' could not be listed: ",
        other.join(".git").display()
    );
    assert!(errors.starts_with(&warning), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    follower.child.kill().unwrap();
    follower.child.wait().unwrap();
}

#[test]
fn list_follow_reads_the_tasks_where_no_files_can_be_watched() {
    let world = World::new();
    let id = world.start("Fix login");
    world.agent(&id).wait_started();
    let limited = "echo 0 >/proc/sys/user/max_inotify_instances && exec \"$@\"";
    let mut command = world.command("unshare");
    command.args(["--user", "--map-root-user", "sh", "-c", limited, "sh"]);
    command.args(["git-flux", "list", "--follow", "--json"]);
    let mut follower = Follower::of(spawn_command(&world, command));
    follower.wait_for(&id, |_| true);
    hook(&world, &id, "UserPromptSubmit", r#"{"session_id":"1"}"#);
    follower.wait_for(&id, |task| task["state"] == "working");
    follower.child.kill().unwrap();
    follower.child.wait().unwrap();
}

#[test]
fn list_follow_ends_with_the_reader_of_its_output() {
    let world = World::new();
    let (mut child, out) = spawn(&world, &[]);
    drop(out);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn list_follow_needs_json() {
    let world = World::new();
    world
        .flux(["list", "--follow"])
        .run()
        .code(2)
        .says(&expect![[r#"
            --- stderr
            error: the following required arguments were not provided: --json
            hint: git flux list -h
        "#]]);
    world
        .flux(["list", "--follow", "--porcelain"])
        .run()
        .code(2);
}

#[cfg(target_os = "linux")]
#[test]
fn list_follow_makes_no_system_calls_while_idle() {
    let world = World::new();
    world.install_agent("mine");
    world.git(["config", "flux.mine.command", "mine"]);
    let run = ["run", "-q", "--agent", "mine", "--name", "fix", "Fix it"];
    world.flux(run).run().success();
    world.agent("fix").wait_started();
    // Not a child of the tests, which would be told of its stops.
    let terminal = world.terminal(80, 24);
    terminal.type_line("git-flux list --follow --json | cut -c-12 & wait");
    terminal.wait_for_screen(r#"{"agent":"mi"#);
    let pid = wait_for("its process", || watching_process(&world, "list"));
    let calls = calls_in_an_idle_second(pid, 5);
    assert!(calls <= 5, "{calls} system calls in a second");
    world.agent("fix").tell("exit 0");
    kill(Pid::from_raw(pid), Signal::SIGINT).unwrap();
}
