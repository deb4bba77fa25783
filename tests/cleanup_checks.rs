//! What is looked at before a task is removed: each check, with its reason, as a table and as data.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::world::removal::*;
use crate::world::*;

/// The checks of one task that `cleanup --json` with these options prints: name, result, reason.
#[track_caller]
fn checks(world: &World, id: &str, options: &[&str]) -> BTreeMap<String, (String, String)> {
    let args = ["cleanup", "--json", id];
    let output = world.flux(args.iter().chain(options)).run();
    let json = output.json();
    assert_eq!(json[0]["id"], id, "{output}");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    json[0]["checks"]
        .as_array()
        .expect("checks")
        .iter()
        .map(|check| {
            let found = (text(&check["result"]), text(&check["why"]));
            (text(&check["check"]), found)
        })
        .collect()
}

/// A finished task to which `spoil` is done: then `check` has this result and reason,
/// in the table as well, nothing is changed by looking, and the command refuses in the same words.
#[track_caller]
fn case(
    spoil: impl FnOnce(&World, &str, &Path),
    options: &[&str],
    (check, result, why): (&str, &str, &str),
) {
    let world = World::new();
    let id = done_task(&world);
    spoil(&world, &id, &world.worktree(&id));
    let before = world.snapshot();
    let found = checks(&world, &id, options);
    let (said, reason) = &found[check];
    assert_eq!(said, result, "{check}: {reason}");
    assert!(reason.contains(why), "{check}: {reason}");
    let args = ["cleanup", "-n", &id];
    let output = world.flux(args.iter().chain(options)).run();
    output.stdout_has(reason).stderr_has("Nothing was done.");
    let refused = found.values().any(|(result, _)| result == "refuses");
    assert_eq!(refused, output.code != Some(0), "{output}");
    let deeds = output.stdout.lines().any(|line| line.starts_with("would "));
    assert_ne!(refused, deeds, "{output}");
    world.assert_unchanged(&before);
    if refused {
        let args = ["cleanup", &id];
        let done = world.flux(args.iter().chain(options)).run();
        let said = format!("Nothing was done.\n{}", done.stderr);
        output.code(done.code.unwrap()).stderr_is(&said);
        world.assert_unchanged(&before);
    }
}

fn nothing(_: &World, _: &str, _: &Path) {}

#[test]
fn a_finished_task_passes_every_check() {
    let world = World::new();
    let id = done_task(&world);
    let found = checks(&world, &id, &[]);
    let wrong: Vec<_> = found.iter().filter(|(_, (r, _))| r != "ok").collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    let expected = [
        "HEAD",
        "agent",
        "branch",
        "collisions",
        "file system",
        "ignored",
        "large files",
        "lock",
        "merge",
        "operation",
        "processes",
        "repositories",
        "standing",
        "state",
        "submodules",
        "target",
        "uncommitted",
        "worktree",
    ];
    assert_eq!(names, expected);
    let json = world.flux(["cleanup", "--json", &id]).run().json();
    assert_eq!(json[0]["into"], "main");
    assert_eq!(json[0]["style"], "merge");
    assert_eq!(json[0]["commits"], 1);
    let would = json[0]["would"].as_array().unwrap();
    assert_eq!(would[0], "merge 1 commit into 'main'");
}

#[test]
fn each_check_says_what_it_found() {
    let untracked = |world: &World, _: &str, worktree: &Path| {
        world.write(worktree.join("new.txt"), "new\n");
    };
    case(
        untracked,
        &[],
        ("uncommitted", "refuses", "commit or discard new.txt"),
    );
    case(
        untracked,
        &["--commit"],
        ("uncommitted", "ok", "committed: new.txt"),
    );
    case(
        untracked,
        &["--discard"],
        ("uncommitted", "ok", "can be restored: new.txt"),
    );
    let ignored = |world: &World, _: &str, worktree: &Path| {
        world.write(worktree.join(".env.local"), "secret\n");
        world.write(world.repo().join(".git/info/exclude"), ".env.local\n");
    };
    case(
        ignored,
        &[],
        ("ignored", "ok", "can be restored: .env.local"),
    );
    let large = |_: &World, _: &str, worktree: &Path| {
        let file = std::fs::File::create(worktree.join("huge")).unwrap();
        file.set_len(101 << 20).unwrap();
    };
    case(
        large,
        &["--discard"],
        ("large files", "refuses", "'huge' has 101.00 MiB"),
    );
    let nested = |world: &World, _: &str, worktree: &Path| {
        world.git_in(worktree, ["init", "-q", "inner"]);
        world.commit_in(worktree.join("inner"), "a", "a\n");
    };
    case(nested, &["--discard"], ("repositories", "ok", "inner"));
    let why = "'inner/' is another repository";
    case(nested, &["--commit"], ("repositories", "refuses", why));
    // The same repository, which `git add` has made a link to.
    let linked = |world: &World, id: &str, worktree: &Path| {
        nested(world, id, worktree);
        world.git_in(worktree, ["add", "inner"]);
        world.git_in(worktree, ["commit", "-q", "-m", "Add a link"]);
    };
    case(
        linked,
        &[],
        ("submodules", "ok", "unpushed work can be restored: 'inner'"),
    );
    let away = |world: &World, _: &str, _: &Path| {
        world.git(["switch", "-q", "-c", "mine"]);
    };
    case(away, &[], ("standing", "refuses", "you are on 'mine'"));
    case(away, &["--into=main"], ("standing", "ok", ""));
    case(
        nothing,
        &["--discard-branch"],
        ("merge", "ok", "is dropped"),
    );
    case(
        nothing,
        &["--squash"],
        ("merge", "ok", "1 commit, no conflict (squash)"),
    );
}

#[test]
fn each_check_refuses_with_its_reason() {
    let locked = |world: &World, _: &str, worktree: &Path| {
        let path = worktree.to_str().unwrap();
        world.git(["worktree", "lock", "--reason", "mine", path]);
    };
    case(locked, &[], ("lock", "refuses", "is locked: mine"));
    let detached = |world: &World, _: &str, worktree: &Path| {
        world.git_in(worktree, ["checkout", "-q", "--detach"]);
    };
    case(detached, &[], ("HEAD", "refuses", "does not have"));
    let bisected = |world: &World, _: &str, worktree: &Path| {
        world.git_in(worktree, ["bisect", "start"]);
    };
    case(
        bisected,
        &[],
        ("operation", "refuses", "a bisect is in progress"),
    );
    let replaced = |world: &World, _: &str, worktree: &Path| {
        std::fs::remove_dir_all(worktree).unwrap();
        world.git(["clone", "-q", ".", worktree.to_str().unwrap()]);
    };
    case(
        replaced,
        &[],
        ("worktree", "refuses", "not a worktree of this repository"),
    );
    let gone = |_: &World, _: &str, worktree: &Path| std::fs::remove_dir_all(worktree).unwrap();
    case(gone, &[], ("worktree", "refuses", "is gone"));
    case(gone, &["--discard"], ("uncommitted", "ok", "unknown"));
    let unborn = |world: &World, _: &str, _: &Path| {
        world.git(["switch", "-q", "--detach"]);
        world.git(["branch", "-q", "-D", "main"]);
    };
    case(
        unborn,
        &[],
        ("target", "refuses", "there is no branch 'main'"),
    );
    let torn = |world: &World, _: &str, _: &Path| {
        world.commit_in(world.repo(), "agent.txt", "mine\n");
    };
    case(torn, &[], ("merge", "refuses", "'agent.txt' (contents)"));
    let there = |world: &World, _: &str, _: &Path| {
        world.write("agent.txt", "mine\n");
    };
    case(
        there,
        &[],
        ("collisions", "refuses", "would overwrite 'agent.txt'"),
    );
    let no_branch = |world: &World, id: &str, worktree: &Path| {
        world.git_in(worktree, ["checkout", "-q", "--detach"]);
        world.git(["branch", "-q", "-D", &format!("feature/{id}")]);
    };
    case(no_branch, &[], ("branch", "refuses", "is gone"));
}

#[test]
fn a_conflict_is_told_as_data_too() {
    let world = World::new();
    let id = done_task(&world);
    world.commit_in(world.repo(), "agent.txt", "mine\n");
    let before = world.snapshot();
    let output = world.flux(["cleanup", "--json", &id]).run();
    output.code(3).stderr_has("'agent.txt'");
    let json = output.json();
    assert_eq!(json[0]["conflicts"][0]["path"], "agent.txt");
    assert_eq!(json[0]["conflicts"][0]["kind"], "contents");
    assert!(json[0]["would"].is_null());
    world.assert_unchanged(&before);
}

#[test]
fn a_check_that_cannot_be_made_refuses() {
    for (program, command, check) in [
        ("git", "status", "uncommitted"),
        ("tmux", "list-panes", "agent"),
    ] {
        let world = World::new();
        let id = done_task(&world);
        let before = world.snapshot();
        world.fault(&Fault::every(program, command, Mode::Fail).by(Caller::Flux));
        let output = world.flux(["cleanup", "--json", &id]).run();
        output.code(1);
        let checks = output.json()[0]["checks"].clone();
        let found = checks
            .as_array()
            .unwrap()
            .iter()
            .find(|c| c["check"] == check);
        assert_eq!(found.expect("the check")["result"], "refuses", "{output}");
        let output = world.flux(["cleanup", "-y", &id]).run();
        output.code(1);
        world.clear_fault();
        world.assert_unchanged(&before);
    }
}

#[test]
fn several_tasks_are_told_as_an_array() {
    let world = World::new();
    let (one, two) = (done_task(&world), world.start("Write docs"));
    let before = world.snapshot();
    let output = world.flux(["cleanup", "--json", "--yes", "--all"]).run();
    output.success();
    let ids: Vec<String> = output
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|object| object["id"].as_str().unwrap().to_owned())
        .collect();
    assert!(ids.contains(&one) && ids.contains(&two) && ids.len() == 2);
    world.assert_unchanged(&before);
}

/// A process of somebody's that stands in `dir`.
struct Stander(Child);

impl Stander {
    fn new(dir: &Path) -> Self {
        let child = Command::new("cat")
            .current_dir(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }
}

impl Drop for Stander {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn another_process_in_the_worktree_is_asked_about() {
    let world = World::new();
    let id = done_task(&world);
    let stander = Stander::new(&world.worktree(&id).join("src"));
    let there = format!(
        "1 other process is in the worktree: cat ({})",
        stander.0.id()
    );
    let before = world.snapshot();
    let (result, why) = checks(&world, &id, &[])["processes"].clone();
    assert_eq!((result.as_str(), &why), ("refuses", &there));
    let output = world.flux(["cleanup", &id]).run();
    output.code(1).stderr_has(&there).stderr_has("--yes");
    world.assert_unchanged(&before);
    for (answer, code) in [("n", 130), ("Escape", 130), ("C-c", 130), ("y", 0)] {
        let terminal = world.terminal(40, 24);
        terminal.command(&format!("git-flux cleanup {id}"));
        terminal.wait_for_screen("remove");
        terminal.keys(["y"]);
        terminal.wait_for_screen("anyway?");
        world.assert_unchanged(&before);
        terminal.keys([answer]);
        assert_eq!(terminal.exit_code(), code, "{}", terminal.screen());
    }
    assert_removed(&world, &id);
}

#[test]
fn with_yes_another_process_in_the_worktree_is_only_named() {
    let world = World::new();
    let id = done_task(&world);
    let _stander = Stander::new(&world.worktree(&id));
    let output = world.flux(["cleanup", "-y", &id]).run();
    output.success().stderr_has("warning: 1 other process is");
    assert_removed(&world, &id);
}

#[test]
fn a_dry_run_settles_nothing() {
    let world = World::new();
    let id = done_task(&world);
    world.fault(&Fault::every("git", "--remove-section", Mode::KillBefore));
    world.flux(["cleanup", "-y", &id]).run().killed();
    world.clear_fault();
    let before = world.snapshot();
    for option in ["--dry-run", "--json"] {
        let output = world.flux(["cleanup", option, &id]).run();
        output.code(1).stderr_has(&format!("'{id}' is incomplete"));
        world.assert_unchanged(&before);
        assert!(!world.worktree(&id).exists());
    }
    let output = world.flux(["cleanup", "--merged"]).run();
    output.success().stderr_has("it is complete now");
    assert_removed(&world, &id);
}

#[test]
fn a_suspended_program_in_the_pane_of_an_agent_that_has_ended_is_asked_about() {
    let world = World::new();
    let id = done_task(&world);
    let pane = world.pane(&id);
    let screen = || world.tmux(["capture-pane", "-p", "-J", "-t", &pane]);
    world.tmux(["send-keys", "-t", &pane, "set -m; sleep 1000", "Enter"]);
    let running = || world.tmux(["display", "-p", "-t", &pane, "#{pane_current_command}"]);
    wait_until("the program to start", || running() == "sleep");
    world.tmux(["send-keys", "-t", &pane, "C-z"]);
    wait_until("it to be suspended", || screen().contains("Stopped"));
    let before = world.snapshot();
    let output = world.flux(["cleanup", &id]).run();
    output
        .code(1)
        .stderr_has(&format!("closing the pane of '{id}' would end its jobs"))
        .stderr_has("sleep (");
    world.assert_unchanged(&before);
    // It may hold what nobody has saved: that is no matter of stopping something.
    let output = world.flux(["cleanup", "-y", &id]).run();
    output.code(1).stderr_has("would end with it: sleep (");
    world.assert_unchanged(&before);
    let terminal = world.terminal(120, 24);
    terminal.command(&format!("git-flux cleanup -y {id}"));
    terminal.wait_for_screen("anyway?");
    terminal.keys(["y"]);
    assert_eq!(terminal.exit_code(), 0, "{}", terminal.screen());
    assert_removed(&world, &id);
}

#[test]
fn ignored_directories_are_named_with_the_number_of_their_files() {
    let world = World::new();
    world.write(".gitignore", ".env\nnode_modules/\n*.log\n");
    world.git(["add", ".gitignore"]);
    world.git(["commit", "-q", "-m", "Ignore"]);
    crate::world::archive::done(&world, "fix");
    for file in [
        ".env",
        "node_modules/a/index.js",
        "node_modules/b/index.js",
        "new.log",
    ] {
        world.write(world.worktree("fix").join(file), "");
    }
    let named = ".env, new.log, node_modules/ (2 files)";
    let dry = world.flux(["cleanup", "fix", "--dry-run"]).ok();
    assert!(dry.contains(named), "{dry}");
    let output = world.flux(["cleanup", "fix"]).run();
    let said = format!("ignored files can be restored: {named}\n");
    output.success().stderr_has(&said);
}

#[test]
fn a_dry_run_refuses_what_the_cleanup_would_refuse() {
    let world = World::new();
    let id = done_task(&world);
    world.write(world.worktree(&id).join("README.md"), "theirs\n");
    world.commit_in(world.repo(), "README.md", "mine\n");
    let before = world.snapshot();
    for args in [
        &["cleanup", "--commit", &*id][..],
        &["cleanup", "--dry-run", "--commit", &id],
    ] {
        let output = world.flux(args).run();
        output.code(3).stderr_has("README.md");
        world.assert_unchanged(&before);
    }
    // And what is in the way of the merge.
    world.write("agent.txt", "mine\n");
    let before = world.snapshot();
    for args in [
        &["cleanup", "--discard", &*id][..],
        &["cleanup", "--dry-run", "--discard", &id],
    ] {
        let output = world.flux(args).run();
        output.code(1).stderr_has("agent.txt");
        world.assert_unchanged(&before);
    }
}
