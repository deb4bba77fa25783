//! Tests the checks before a cleanup, as the table of `--dry-run` and as JSON.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::world::removal::*;
use crate::world::*;

/// Returns the checks of one task that `cleanup --json` with these options prints: name, result, reason.
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

/// Applies `spoil` to a finished task, and asserts that `check` has this result and reason in the table and as JSON,
/// that nothing is changed, and that the cleanup refuses with the same words.
#[track_caller]
fn assert_check(
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
fn cleanup_json_lists_every_check_as_ok_for_a_finished_task() {
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
        "configuration",
        "current branch",
        "file system",
        "gate",
        "ignored",
        "large files",
        "lock",
        "merge",
        "operation",
        "processes",
        "repositories",
        "shared stash",
        "stash",
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
fn cleanup_json_describes_the_result_of_each_check() {
    let untracked = |world: &World, _: &str, worktree: &Path| {
        world.write(worktree.join("new.txt"), "new\n");
    };
    assert_check(
        untracked,
        &[],
        ("uncommitted", "refuses", "commit or discard new.txt"),
    );
    assert_check(
        untracked,
        &["--commit"],
        ("uncommitted", "ok", "committed: new.txt"),
    );
    assert_check(
        untracked,
        &["--discard"],
        ("uncommitted", "ok", "can be restored: new.txt"),
    );
    let ignored = |world: &World, _: &str, worktree: &Path| {
        world.write(worktree.join(".env.local"), "secret\n");
        world.write(world.repo().join(".git/info/exclude"), ".env.local\n");
    };
    assert_check(
        ignored,
        &[],
        ("ignored", "ok", "can be restored: .env.local"),
    );
    let large = |_: &World, _: &str, worktree: &Path| {
        let file = std::fs::File::create(worktree.join("huge")).unwrap();
        file.set_len(101 << 20).unwrap();
    };
    assert_check(
        large,
        &["--discard"],
        ("large files", "refuses", "'huge' has 101.00 MiB"),
    );
    let nested = |world: &World, _: &str, worktree: &Path| {
        world.git_in(worktree, ["init", "-q", "inner"]);
        world.commit_in(worktree.join("inner"), "a", "a\n");
    };
    assert_check(nested, &["--discard"], ("repositories", "ok", "inner"));
    let why = "'inner/' is another repository";
    assert_check(nested, &["--commit"], ("repositories", "refuses", why));
    // The same repository, which `git add` has made a link to.
    let linked = |world: &World, id: &str, worktree: &Path| {
        nested(world, id, worktree);
        world.git_in(worktree, ["add", "inner"]);
        world.git_in(worktree, ["commit", "-q", "-m", "Add a link"]);
    };
    assert_check(
        linked,
        &[],
        ("submodules", "ok", "unpushed work can be restored: 'inner'"),
    );
    let away = |world: &World, _: &str, _: &Path| {
        world.git(["switch", "-q", "-c", "mine"]);
    };
    assert_check(
        away,
        &[],
        ("current branch", "refuses", "you are on 'mine'"),
    );
    assert_check(away, &["--into=main"], ("current branch", "ok", ""));
    assert_check(
        nothing,
        &["--discard-branch"],
        ("merge", "ok", "is dropped"),
    );
    assert_check(
        nothing,
        &["--squash"],
        ("merge", "ok", "1 commit, no conflict (squash)"),
    );
}

#[test]
fn cleanup_json_gives_the_reason_of_each_check_that_refuses() {
    let locked = |world: &World, _: &str, worktree: &Path| {
        let path = worktree.to_str().unwrap();
        world.git(["worktree", "lock", "--reason", "mine", path]);
    };
    assert_check(locked, &[], ("lock", "refuses", "is locked: mine"));
    let detached = |world: &World, _: &str, worktree: &Path| {
        world.git_in(worktree, ["checkout", "-q", "--detach"]);
    };
    assert_check(detached, &[], ("HEAD", "refuses", "does not have"));
    let bisected = |world: &World, _: &str, worktree: &Path| {
        world.git_in(worktree, ["bisect", "start"]);
    };
    assert_check(
        bisected,
        &[],
        ("operation", "refuses", "a bisect is in progress"),
    );
    let replaced = |world: &World, _: &str, worktree: &Path| {
        std::fs::remove_dir_all(worktree).unwrap();
        world.git(["clone", "-q", ".", worktree.to_str().unwrap()]);
    };
    assert_check(
        replaced,
        &[],
        (
            "worktree",
            "refuses",
            "no longer a worktree of this repository",
        ),
    );
    let gone = |_: &World, _: &str, worktree: &Path| std::fs::remove_dir_all(worktree).unwrap();
    assert_check(gone, &[], ("worktree", "refuses", "is gone"));
    assert_check(gone, &["--discard"], ("uncommitted", "ok", "unknown"));
    let unborn = |world: &World, _: &str, _: &Path| {
        world.git(["switch", "-q", "--detach"]);
        world.git(["branch", "-q", "-D", "main"]);
    };
    assert_check(
        unborn,
        &[],
        ("target", "refuses", "there is no branch 'main'"),
    );
    let torn = |world: &World, _: &str, _: &Path| {
        world.commit_in(world.repo(), "agent.txt", "mine\n");
    };
    assert_check(torn, &[], ("merge", "refuses", "'agent.txt' (contents)"));
    let there = |world: &World, _: &str, _: &Path| {
        world.write("agent.txt", "mine\n");
    };
    assert_check(
        there,
        &[],
        ("collisions", "refuses", "would overwrite 'agent.txt'"),
    );
    let no_branch = |world: &World, id: &str, worktree: &Path| {
        world.git_in(worktree, ["checkout", "-q", "--detach"]);
        world.git(["branch", "-q", "-D", &format!("feature/{id}")]);
    };
    assert_check(no_branch, &[], ("branch", "refuses", "is gone"));
}

#[test]
fn cleanup_json_lists_the_files_of_a_conflict() {
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
fn cleanup_json_reports_a_check_that_fails_as_a_refusal() {
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
fn cleanup_json_prints_an_array_for_several_tasks() {
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

/// A process whose working directory is `dir`.
struct OtherProcess(Child);

impl OtherProcess {
    fn new(dir: &Path) -> Self {
        let child = Command::new("cat")
            .current_dir(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }
}

impl Drop for OtherProcess {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn cleanup_asks_about_another_process_in_the_worktree() {
    let world = World::new();
    let id = done_task(&world);
    let other = OtherProcess::new(&world.worktree(&id).join("src"));
    let there = format!(
        "1 other process is in the worktree: cat (process {})",
        other.0.id()
    );
    let before = world.snapshot();
    let (result, why) = checks(&world, &id, &[])["processes"].clone();
    assert_eq!((result.as_str(), &why), ("refuses", &there));
    let output = world.flux(["cleanup", &id]).run();
    output.code(1).stderr_has(&there).says(&expect![[r#"
        --- stderr
        error: 1 other process is in the worktree: cat (process <number>)
        hint: to look at the pane: git flux attach fix-login-XXXXXX
        hint: to clean up anyway: git flux cleanup fix-login-XXXXXX --yes
    "#]]);
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
fn cleanup_with_yes_only_warns_about_another_process_in_the_worktree() {
    let world = World::new();
    let id = done_task(&world);
    let _other = OtherProcess::new(&world.worktree(&id));
    let output = world.flux(["cleanup", "-y", &id]).run();
    output.success().says(&expect![[r#"
        --- stderr
        warning: 1 other process is in the worktree: cat (process <number>)
        merged 1 commit of 'feature/fix-login-XXXXXX' into 'main' (<object>..<object>)
        removed 'fix-login-XXXXXX': worktree, branch 'feature/fix-login-XXXXXX' and session
        its commits stay in refs/flux/archive/fix-login-XXXXXX/tip
        its files are kept in '$WORLD/myapp/.git/flux/trash/fix-login-XXXXXX'
        hint: to restore the task: git flux restore fix-login-XXXXXX
        hint: to undo the merge, on 'main': git revert -m 1 <object>
    "#]]);
    assert_removed(&world, &id);
}

#[test]
fn cleanup_dry_run_does_not_complete_an_interrupted_cleanup() {
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
    output
        .success()
        .says(&expect![[r#"
            --- stderr
            the removal of 'fix-login-XXXXXX' was interrupted; it is removed now, with its branch 'feature/fix-login-XXXXXX'
            nothing to clean up
        "#]]);
    assert_removed(&world, &id);
}

#[test]
fn cleanup_asks_about_a_suspended_job_in_the_pane_even_with_yes() {
    let world = World::new();
    let id = done_task(&world);
    let pane = world.pane(&id);
    let screen = || world.tmux(["capture-pane", "-p", "-J", "-t", &pane]);
    world.wait_for_shell(&pane);
    world.tmux(["send-keys", "-t", &pane, "set -m; sleep 1000", "Enter"]);
    let running = || world.tmux(["display", "-p", "-t", &pane, "#{pane_current_command}"]);
    wait_until("the program to start", || running() == "sleep");
    world.tmux(["send-keys", "-t", &pane, "C-z"]);
    wait_until("it to be suspended", || screen().contains("Stopped"));
    let before = world.snapshot();
    let output = world.flux(["cleanup", &id]).run();
    output
        .code(1)
        .stderr_has(&format!("the pane of '{id}' has jobs that end when it closes"))
        .says(&expect![[r#"
            --- stderr
            error: the pane of 'fix-login-XXXXXX' has jobs that end when it closes: sleep (process <number>)
            hint: to end them yourself: git flux attach fix-login-XXXXXX
        "#]]);
    world.assert_unchanged(&before);
    // It may hold what nobody has saved: that is no matter of stopping something.
    let output = world.flux(["cleanup", "-y", &id]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: the pane of 'fix-login-XXXXXX' has jobs that end when it closes: sleep (process <number>)
        hint: to end them yourself: git flux attach fix-login-XXXXXX
    "#]]);
    world.assert_unchanged(&before);
    let terminal = world.terminal(120, 24);
    terminal.command(&format!("git-flux cleanup -y {id}"));
    terminal.wait_for_screen("anyway?");
    terminal.keys(["y"]);
    assert_eq!(terminal.exit_code(), 0, "{}", terminal.screen());
    assert_removed(&world, &id);
}

#[test]
fn cleanup_names_ignored_directories_with_the_number_of_files() {
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
    let said = format!("ignored files, which can be restored: {named}\n");
    output.success().stderr_has(&said).says(&expect![[r#"
        --- stderr
        ignored files, which can be restored: .env, new.log, node_modules/ (2 files)
        merged 1 commit of 'feature/fix' into 'main' (<object>..<object>)
        removed 'fix': worktree, branch 'feature/fix' and session
        its commits stay in refs/flux/archive/fix/tip
        its files are kept in '$WORLD/myapp/.git/flux/trash/fix'
        hint: to restore the task: git flux restore fix
        hint: to undo the merge, on 'main': git revert -m 1 <object>
    "#]]);
}

#[test]
fn cleanup_dry_run_refuses_with_the_code_of_the_cleanup() {
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
