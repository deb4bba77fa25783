//! Tests all commands on a repository that `fixture/make` made with git flux 0.1.0.

mod launcher;

use std::env;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::thread;

use nix::unistd;

use crate::world::output::row;
use crate::world::*;
use launcher::now;

/// Where it was made, and its tmux server.
const MADE_IN: &str = "/tmp/flux-0.1.0/world";
const SOCKET: &str = "/tmp/flux-0.1.0/tmux/tmux-0/default";

/// Unpacks it, with its paths rewritten.
fn unpacked() -> World {
    let world = World::without_repository("flux world");
    let archive = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixture/0.1.0.tar.gz");
    let unpack = ["-xzf", archive, "-C"];
    let mut tar = world.command("tar");
    let tar = tar.args(unpack).arg(world.root()).status().unwrap();
    assert!(tar.success());
    let root = world.root().to_str().unwrap().to_owned();
    let socket = socket(&world);
    let here = |text: &str| text.replace(MADE_IN, &root).replace(SOCKET, &socket);
    rewrite(world.root(), &here);
    let refs = ["for-each-ref", "--format=%(refname)", "refs/flux"];
    for name in world.git(refs).lines() {
        if name.starts_with("refs/flux/tasks/") || name.ends_with("/task") {
            world.edit_record(name, here);
        }
    }
    world
}

fn socket(world: &World) -> String {
    let dir = world
        .env()
        .into_iter()
        .find(|(name, _)| *name == "TMUX_TMPDIR");
    let dir = dir.unwrap().1.into_string().unwrap();
    format!("{dir}/tmux-{}/default", unistd::getuid())
}

/// Rewrites the text files in a directory, but for the objects of a repository.
fn rewrite(dir: &Path, here: &impl Fn(&str) -> String) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with(".git/objects") {
                rewrite(&path, here);
            }
        } else if let Ok(text) = fs::read_to_string(&path) {
            let new = here(&text);
            if new != text {
                fs::write(&path, new).unwrap();
            }
        }
    }
}

fn files(world: &World, dir: impl AsRef<Path>) -> String {
    world.git_in(
        dir,
        [
            "status",
            "--porcelain",
            "--ignored",
            "--untracked-files=all",
        ],
    )
}

#[test]
fn list_status_diff_and_log_read_a_repository_of_0_1_0() {
    let world = unpacked();
    let before = world.snapshot();
    let table = world.flux(["list"]).ok();
    for (id, state, changed, commits, title) in [
        ("ended", "exited(0)", "0", "+1", "Its agent has ended"),
        ("dirty", "exited(0)", "3", "+1", "It has uncommitted work"),
        (
            "topic",
            "exited(0)",
            "0",
            "+1",
            "It works on a branch that was there",
        ),
        ("adopted", "idle", "0", "+1", "adopted"),
        ("alive", "lost", "0", "+1", "Its agent runs"),
    ] {
        let row = row(&table, id);
        assert_eq!(&row[..2], [id, state], "{table}");
        assert!(row[5].starts_with(commits) && row[4] == changed, "{table}");
        assert!(table.contains(title), "{table}");
        world
            .flux(["status", id])
            .run()
            .success()
            .stdout_has("Next");
    }
    world
        .flux(["diff", "dirty"])
        .run()
        .success()
        .stdout_has("+untracked");
    world
        .flux(["log", "ended"])
        .run()
        .success()
        .stderr_is("")
        .stdout_has("done: It is done")
        .stdout_has("exited: exited with status 0")
        .stdout_has("Work of ended");
    world
        .flux(["log", "discarded"])
        .run()
        .success()
        .stdout_has("done: It is done");
    let removed = world.flux(["restore", "--list"]).ok();
    assert!(
        row(&removed, "merged")
            .join(" ")
            .contains("merged into 'main'")
    );
    assert!(row(&removed, "discarded").join(" ").contains("not merged"));
    for (id, why, hint) in [
        (
            "ended",
            "the agent of 'ended' is not running: exited(0)",
            "hint: git flux resume ended",
        ),
        (
            "adopted",
            "no agent was started in 'adopted'",
            "hint: to go to the task: git flux attach adopted",
        ),
        (
            "alive",
            "the agent of 'alive' is not running: lost",
            "hint: git flux resume alive",
        ),
    ] {
        world
            .flux(["send", id, "And test it"])
            .run()
            .code(1)
            .stderr_has(why)
            .stderr_has(hint);
    }
    world
        .flux(["cleanup", "dirty", "-y"])
        .run()
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: 'dirty' has 3 uncommitted files
            hint: to commit and merge: git flux cleanup dirty --commit
            hint: to merge only what is committed: git flux cleanup dirty --discard
        "#]]);
    world.assert_unchanged(&before);
}

#[test]
fn resume_and_cleanup_accept_the_tasks_of_0_1_0() {
    let world = unpacked();
    world.flux(["resume", "ended"]).run().success();
    let agent = world.agent("ended");
    agent.wait_started();
    assert_eq!(agent.cwd(), world.worktree("ended"));
    // What happened before is still known.
    world
        .flux(["log", "ended"])
        .run()
        .success()
        .stdout_has("done: It is done");
    for (id, options) in [
        ("ended", &[][..]),
        ("dirty", &["--commit"]),
        ("topic", &[]),
        ("adopted", &[]),
        ("alive", &[]),
    ] {
        let done = world.flux([&["cleanup", id, "-y"], options].concat()).run();
        done.success();
        assert!(!agent.is_alive(), "{done}");
    }
    for id in ["ended", "dirty", "topic", "adopted", "alive"] {
        assert!(world.repo().join(format!("{id}.txt")).exists(), "{id}");
        assert!(!world.worktree(id).exists(), "{id}");
    }
    assert_eq!(world.read("untracked.txt"), "untracked\n");
    let format = "--format=%(refname)";
    let tasks = world.git(["for-each-ref", format, "refs/flux/tasks", "refs/flux/base"]);
    assert_eq!(tasks, "");
    // What was there before its task stays.
    let branches = world.git(["for-each-ref", format, "refs/heads"]);
    assert_eq!(
        branches,
        "refs/heads/adopted\nrefs/heads/main\nrefs/heads/topic"
    );
    world.git(["fsck", "--full", "--strict"]);
    // And all of it comes back.
    world.flux(["restore", "dirty"]).run().success();
    assert_eq!(world.read(world.worktree("dirty").join(".env")), "secret\n");
}

#[test]
fn restore_accepts_the_removed_tasks_of_0_1_0() {
    let world = unpacked();
    world.flux(["restore", "discarded"]).run().success();
    let worktree = world.worktree("discarded");
    assert_eq!(files(&world, &worktree), "?? loose.txt\n!! .env");
    let subject = ["log", "-1", "--format=%s"];
    assert_eq!(world.git_in(&worktree, subject), "Work of discarded");
    let mine = world.git_in(&worktree, [&subject[..], &["refs/worktree/mine"]].concat());
    assert_eq!(mine, "Left behind");
    assert_eq!(
        world.git(["config", "branch.feature/discarded.fluxInto"]),
        "main"
    );
    world.flux(["restore", "merged"]).run().success();
    let table = world.flux(["list"]).ok();
    for id in ["discarded", "merged"] {
        assert_eq!(row(&table, id)[0], id);
    }
    world
        .flux(["cleanup", "discarded", "-y", "--discard"])
        .run()
        .success();
    assert!(world.repo().join("discarded.txt").exists());
}

#[test]
fn restore_requires_foreign_for_an_entry_of_0_1_0_without_trash() {
    let world = unpacked();
    let output = world.flux(["restore", "foreign"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: 'foreign' is foreign: it was removed in another repository
        hint: to restore it here: git flux restore foreign --foreign
    "#]]);
    let restore = ["restore", "foreign", "--foreign"];
    world.flux(restore).run().success();
    assert!(world.worktree("foreign").join("foreign.txt").exists());
}

#[test]
fn cleanup_stops_a_launcher_of_0_1_0() {
    let world = unpacked();
    let run = world.repo().join(".git/flux/run/alive");
    let stand_in = Command::new(env::current_exe().unwrap());
    let options = [
        ("STAND_IN", run.clone()),
        ("FLUX_RUN", run.clone()),
        ("FLUX_TASK", "alive".into()),
    ];
    let options = options.map(|(name, value)| format!("{name}={}", value.display()));
    let test = [
        "--exact",
        "fixture::launcher::launcher_of_0_1_0_runs_as_a_stand_in",
        "--nocapture",
    ];
    let made = world
        .command("tmux")
        .args([
            "-u",
            "new-session",
            "-d",
            "-s",
            "flux-myapp-alive",
            "-P",
            "-F",
        ])
        .arg("#{window_id} #{pane_id} #{pane_pid} #{pid} #{start_time}")
        .arg("-c")
        .arg(world.worktree("alive"))
        .args(["--", "env"])
        .args(options)
        .arg(stand_in.get_program())
        .args(test)
        .output()
        .unwrap();
    let made = String::from_utf8(made.stdout).unwrap();
    let &[window, pane, pid, server, start] = &*made.split_whitespace().collect::<Vec<_>>() else {
        panic!("{made}");
    };
    world.edit_record("refs/flux/tasks/alive", |json| {
        let mut record: serde_json::Value = serde_json::from_str(json).unwrap();
        let number = |text: &str| text.parse::<u64>().unwrap();
        let target = &mut record["target"];
        (target["window"], target["pane"]) = (window.into(), pane.into());
        (target["pane_pid"], target["server_pid"]) = (number(pid).into(), number(server).into());
        target["server_start"] = number(start).into();
        record.to_string()
    });
    let agent = world.agent("alive");
    agent.wait_started();
    let state = || world.flux(["status", "--json", "alive"]).run().json()["state"].clone();
    let say = |state: &str, event: &str| {
        let line = format!(
            r#"{{"at":{},"state":"{state}","event":"{event}","session":"one"}}"#,
            now(1000)
        );
        let mut events = File::options()
            .append(true)
            .open(run.join("events"))
            .unwrap();
        writeln!(events, "{line}").unwrap();
    };
    let mark = format!("\"agent\":{},", agent.pid());
    wait_until("the agent to be on record", || {
        world.read(run.join("running")).contains(&mark)
    });
    assert_eq!(state(), "running");
    say("working", "UserPromptSubmit");
    assert_eq!(row(&world.flux(["list"]).ok(), "alive")[1], "working");
    world
        .flux(["wait", "alive", "--timeout", "0s"])
        .run()
        .code(124);
    let resume = world.flux(["resume", "alive"]).run();
    resume.code(1).says(&expect![[r#"
        --- stderr
        error: 'alive' is running
        hint: to go to the task: git flux attach alive
    "#]]);
    say("done", "Stop");
    world
        .flux(["wait", "alive"])
        .run()
        .success()
        .stdout_is("alive done\n");
    thread::scope(|scope| {
        scope.spawn(|| {
            agent.wait_stdin("And test it\n");
            say("working", "UserPromptSubmit");
        });
        let sent = world.flux(["send", "alive", "And test it"]).run();
        sent.success().stderr_is("sent to 'alive'\n");
    });
    let before = world.snapshot();
    world
        .flux(["cleanup", "alive"])
        .run()
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: the agent of 'alive' is still running
            hint: to look at the pane: git flux attach alive
            hint: to clean up anyway: git flux cleanup alive --yes
        "#]]);
    world.assert_unchanged(&before);
    assert!(agent.is_alive());
    world.flux(["cleanup", "alive", "-y"]).run().success();
    assert!(!agent.is_alive());
    assert_eq!(world.read("alive.txt"), "work of alive\n");
    assert!(!world.worktree("alive").exists() && !run.exists());
    assert_eq!(
        world.try_tmux(["has-session", "-t", "=flux-myapp-alive"]),
        None
    );
    let log = world.flux(["log", "alive"]).ok();
    assert!(log.contains("exited: was ended by signal"), "{log}");
}
