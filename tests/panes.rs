//! Tests the state of an agent whose pane is moved, whose tmux is killed or whose machine was restarted.

use std::fs;
use std::io::Write as _;

use serde_json::{Value, json};

use crate::world::removal::*;
use crate::world::reports::Task;
use crate::world::*;

/// A title that Claude Code has while it works.
const BUSY: &str = "sh printf '\\033]2;\u{2810} Claude Code\\007'";

/// Makes a task whose hook reported a minute ago that it waits, and whose title shows that it works: its state shows
/// whether its pane was found.
fn waiting_task<'a>(world: &'a World) -> Task<'a> {
    let task = Task::new(world);
    let before = task.events().last().unwrap()["at"].as_u64().unwrap();
    let event =
        json!({ "at": before - 60_000, "state": "waiting", "why": "permission", "event": "Test" });
    let events = fs::OpenOptions::new()
        .append(true)
        .open(task.run_dir().join("events"));
    writeln!(events.unwrap(), "{event}").unwrap();
    assert_eq!(task.state(), "waiting permission hook");
    task.agent.tell(BUSY);
    wait_until("the title", || task.state() == SEEN);
    task
}

const SEEN: &str = "working - title";

#[test]
fn status_finds_a_pane_after_it_was_moved_or_renamed() {
    let world = World::new();
    world.tmux(["new-session", "-d", "-s", "mine", "-x", "200", "-y", "50"]);
    let task = waiting_task(&world);
    let pane = world.tmux([
        "list-panes",
        "-t",
        &format!("flux-myapp-{}", task.id),
        "-F",
        "#{pane_id}",
    ]);
    let session = format!("flux-myapp-{}", task.id);
    for command in [
        &["rename-session", "-t", &session, "other"][..],
        &["rename-window", "-t", &pane, "other"],
        &["link-window", "-s", &pane, "-t", "mine:7"],
        &["unlink-window", "-t", "mine:7"],
        &["join-pane", "-d", "-s", &pane, "-t", "mine:0"],
        &["break-pane", "-d", "-s", &pane],
        &["join-pane", "-d", "-b", "-s", &pane, "-t", "mine:0"],
        &["swap-pane", "-d", "-s", &pane, "-t", "mine:0.1"],
    ] {
        let done = world.command("tmux").args(command).output().unwrap();
        assert!(done.status.success(), "{command:?}: {done:?}");
        assert_eq!(task.state(), SEEN, "{command:?}");
        let list = world.flux(["list", "--json"]).run().success().json();
        assert_eq!(list.as_array().map(Vec::len), Some(1));
        assert_eq!(list[0]["state"], "working", "{command:?}");
    }
}

#[test]
fn status_of_an_agent_ends_if_its_pane_is_respawned_or_tmux_killed() {
    let world = World::new();
    world.tmux(["new-session", "-d", "-s", "mine"]);
    let gone = |task: &Task<'_>| {
        let state = task.state();
        ["lost", "killed", "exited"]
            .iter()
            .any(|word| state.starts_with(word))
    };
    let respawned = waiting_task(&world);
    let session = format!("=flux-myapp-{}:", respawned.id);
    world.tmux([
        "respawn-pane",
        "-k",
        "-t",
        &session,
        "--",
        "sh",
        "-c",
        "printf '\\033]2;\u{2810} x\\007'; cat",
    ]);
    wait_until("its end to be seen", || gone(&respawned));
    let orphan = waiting_task(&world);
    world.kill_tmux();
    wait_until("its end to be seen", || gone(&orphan));
    // The next one gets the numbers of the first ones.
    let next = waiting_task(&world);
    let number = |task: &Task<'_>| -> Value {
        let status = world.flux(["status", "--json", &task.id]).run();
        status.success().json()["target"]["pane"].clone()
    };
    let other = waiting_task(&world);
    assert!([number(&next), number(&other)].contains(&number(&respawned)));
    assert!(gone(&respawned) && gone(&orphan));
    assert_eq!([next.state(), other.state()], [SEEN, SEEN]);
}

#[test]
fn status_of_an_agent_of_an_earlier_boot_is_lost_despite_a_reused_pid() {
    let world = World::new();
    let task = waiting_task(&world);
    let path = task.run_dir().join("running");
    let mut running: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert!(running["boot"].is_string(), "{running}");
    world.kill_tmux();
    world.wait_ended(&task.id);
    fs::remove_file(task.run_dir().join("exit")).unwrap();
    running["launcher"] = std::process::id().into();
    running["boot"] = "another".into();
    fs::write(&path, running.to_string()).unwrap();
    assert_eq!(task.state(), "lost - process");
    let explained = world.flux(["status", "--explain", &task.id]).ok();
    assert!(
        explained.contains("\n* process     the launcher is gone ("),
        "{explained}"
    );
}

#[test]
fn list_starts_no_tmux_if_no_agent_runs() {
    let world = World::new();
    let task = waiting_task(&world);
    world.shim();
    let looks = || {
        world.clear_calls();
        world.flux(["list"]).run().success();
        let calls = world.calls();
        calls.iter().filter(|call| call.program == "tmux").count()
    };
    assert_eq!(looks(), 1);
    task.agent.tell("exit 0");
    wait_until("its end", || task.state() == "exited - exit");
    assert_eq!(looks(), 0);
}

/// Such a server refuses to list panes; so does each server at the moment in which it ends.
#[test]
fn list_and_cleanup_work_with_a_tmux_server_without_sessions() {
    let world = World::new();
    world.tmux(["start-server", ";", "set", "-g", "exit-empty", "off"]);
    assert_eq!(world.try_tmux(["list-panes", "-a"]), None);
    world.flux(["run", "-q", "--name", "fix", "Fix it"]).ok();
    assert_eq!(world.agent("fix").wait_started().starts(), 1);
    world.tmux(["kill-session", "-t", "flux-myapp-fix"]);
    wait_until("the agent to end", || {
        let list = world.flux(["list", "--json"]).run().success().json();
        list[0]["state"] != "running"
    });
    world.flux(["cleanup", "-y", "fix"]).run().success();
    assert_eq!(world.tmux(["list-sessions"]), "");
}

#[test]
fn run_starts_a_new_tmux_server_if_the_old_one_is_ending() {
    let world = World::new();
    let ended = world.tools().join("ended");
    world.install(
        "tmux",
        &format!(
            "#!/bin/sh\ncase \" $* \" in *' new-session '*)\n\
             [ -e '{ended}' ] || {{ : >'{ended}'; exit 1; }} ;;\nesac\nexec '{tmux}' \"$@\"\n",
            ended = ended.display(),
            tmux = require("tmux").display()
        ),
    );
    world.flux(["run", "-q", "--name", "fix", "Fix it"]).ok();
    assert!(ended.exists());
    assert_eq!(world.agent("fix").wait_started().starts(), 1);
    // A server that is there and says no has the last word.
    std::fs::remove_file(&ended).unwrap();
    let output = world.flux(["run", "-q", "--name", "other", "Other"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: could not start 'other'; nothing was left behind
          caused by: `tmux new-session` failed
    "#]]);
    assert_eq!(
        world.tmux(["list-sessions", "-F", "#{session_name}"]),
        "flux-myapp-fix"
    );
}

#[test]
fn run_disables_destroy_unattached_for_its_session() {
    let world = World::new();
    let settings = world.tools().join("home/.tmux.conf");
    std::fs::write(&settings, "set -g destroy-unattached on\n").unwrap();
    world.flux(["run", "-q", "--name", "fix", "Fix it"]).ok();
    world.agent("fix").tell("commit one");
    let option = [
        "show-options",
        "-v",
        "-t",
        "=flux-myapp-fix:",
        "destroy-unattached",
    ];
    assert_eq!(world.tmux(option), "off");
    world.kill_tmux();
    // A server that ends then is the user's own, and said.
    std::fs::write(&settings, "set -s exit-unattached on\n").unwrap();
    world
        .flux(["run", "--name", "other", "Fix it"])
        .run()
        .stderr_has("warning: 'exit-unattached' is on: detaching ends tmux and the agent")
        .stderr_has("hint: tmux set-option -s exit-unattached off");
}

#[test]
fn list_and_status_ignore_foreign_pane_options() {
    let world = World::new();
    let id = working_task(&world);
    let mine = world.terminal_inside();
    for value in ["", "a\u{7f}\u{1b}b", "\t\t\t\t\t\t\t\t\t\t", "a\tb"] {
        for option in ["@flux_repo", "@flux_task"] {
            world.tmux(["set-option", "-p", "-t", mine.pane(), option, value]);
        }
        world.tmux(["rename-session", "-t", mine.pane(), "my session"]);
        let before = world.snapshot();
        world
            .flux(["list"])
            .run()
            .success()
            .stdout_has("running")
            .has_not("warning");
        let everywhere = world.flux(["list", "--all-repos"]).run();
        everywhere.success().stdout_has(&id);
        world.flux(["status", &id]).run().success();
        world.assert_unchanged(&before);
    }
    world.flux(["cleanup", "-y", &id]).run().success();
    assert_removed(&world, &id);
}
