//! Tests that a task is never shown as incomplete or broken while a command starts or removes it: at each call of
//! git that the command makes, and by a reader that has read the records at that call and the rest after the end.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::sys::stat::Mode as FileMode;
use nix::unistd::mkfifo;
use serde_json::Value;

use crate::watch::idle_task;
use crate::world::*;

/// Says that the command has come to a call, and waits until it may go on.
const MEANWHILE: &str = r#"#!/bin/sh
: >"$TOOLS/moment"
while [ -e "$TOOLS/moment" ]; do sleep 0.01; done
"#;

/// git for a reader: `git status` waits until the command has ended.
const SLOW_GIT: &str = r#"#!/bin/sh
case " $* " in *" status "*)
	: >"$READING"
	: <"$TOOLS/ended" ;;
esac
exec "$TOOLS/real/git" "$@"
"#;

/// A command, observed while it runs.
struct Observed<'a> {
    world: &'a World,
    /// A PATH without the shim of git.
    path: OsString,
    /// What has begun to list the tasks at a call of git, and the file with its list.
    readers: Vec<(Child, PathBuf)>,
    /// The states in which the task `fix` was listed.
    states: Vec<String>,
}

/// Runs a command, and returns the states of the task `fix`: as they are listed at each call of git
/// and, in the second list, by the readers that begin there and end after the command.
#[track_caller]
fn states_during(world: &World, args: &[&str]) -> [Vec<String>; 2] {
    let tools = world.tools();
    world.install("meanwhile", MEANWHILE);
    install_at(&tools.join("slow/git"), SLOW_GIT);
    let ended = tools.join("ended");
    mkfifo(&ended, FileMode::S_IRWXU).unwrap();
    world.fault(&Fault::nth("git", 0, Mode::Meanwhile));
    let mut observed = Observed {
        world,
        path: world.path_without([]),
        readers: Vec::new(),
        states: Vec::new(),
    };
    let (moment, errors) = (tools.join("moment"), tools.join("errors"));
    let mut command = observed.git_flux(args);
    command.stderr(File::create(&errors).unwrap());
    let mut command = command.env("TOOLS", tools).spawn().unwrap();
    let status = loop {
        let status = wait_for("a call or the end", || match moment.exists() {
            true => Some(None),
            false => command.try_wait().unwrap().map(Some),
        });
        if let Some(status) = status {
            break status;
        }
        observed.look();
        fs::remove_file(&moment).unwrap();
    };
    assert!(status.success(), "{}", fs::read_to_string(errors).unwrap());
    world.clear_fault();
    // All readers go on.
    let end = File::options().write(true).open(&ended).unwrap();
    let mut late = Vec::new();
    for (mut reader, list) in observed.readers {
        assert!(reader.wait().unwrap().success());
        late.extend(state(&fs::read(list).unwrap()));
    }
    drop(end);
    fs::remove_file(ended).unwrap();
    [observed.states, late]
}

/// Returns the state of the task `fix` in a list, with its source; `None` if it is not there.
fn state(list: &[u8]) -> Option<String> {
    let list: Value = serde_json::from_slice(list).unwrap();
    let task = list
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["id"] == "fix")?;
    let word = |field: &str| task[field].as_str().unwrap_or_default().to_owned();
    Some(format!("{} by {}", word("state"), word("stateSource")))
}

impl Observed<'_> {
    /// Lists the tasks, and begins a reading that ends after the command.
    fn look(&mut self) {
        let mut list = self.git_flux(&["list", "--json"]);
        let list = list.env("PATH", &self.path).stdout(Stdio::piped());
        self.states.extend(state(&list.output().unwrap().stdout));
        let tools = self.world.tools();
        let name = |what: &str| tools.join(format!("{what} {}", self.readers.len()));
        let (reading, list) = (name("reading"), name("list"));
        let mut reader = self.git_flux(&["list", "--json"]);
        let mut path = tools.join("slow").into_os_string();
        path.push(":");
        path.push(&self.path);
        reader
            .env("PATH", path)
            .env("TOOLS", tools)
            .env("READING", &reading);
        let reader = reader.stdout(File::create(&list).unwrap()).spawn().unwrap();
        wait_until("the reader to have read the records", || reading.exists());
        fs::remove_file(reading).unwrap();
        self.readers.push((reader, list));
    }

    fn git_flux(&self, args: &[&str]) -> Command {
        let mut command = self.world.command(self.world.tools().join("bin/git-flux"));
        command.args(args).current_dir(self.world.repo());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }
}

#[test]
fn task_is_starting_or_removing_while_a_command_starts_or_removes_it() {
    let world = World::new();
    idle_task(&world, "other");
    let run = ["run", "-q", "--agent", "mine", "--name", "fix", "Fix it"];
    let [during, late] = states_during(&world, &run);
    assert_distinct(&during, &["starting by lock"]);
    assert_distinct(&late, &["running by process"]);
    world.agent("fix").wait_started();
    let cleanup = ["cleanup", "-y", "--discard", "--discard-branch", "fix"];
    let [during, late] = states_during(&world, &cleanup);
    assert_distinct(
        &during,
        &["running by process", "stopped by exit", "removing by lock"],
    );
    assert_distinct(&late, &["removing by lock"]);
}

#[track_caller]
fn assert_distinct(states: &[String], expected: &[&str]) {
    let mut distinct = states.to_vec();
    distinct.dedup();
    assert_eq!(distinct, expected);
    assert!(states.len() > 4, "too few calls were seen: {states:?}");
}
