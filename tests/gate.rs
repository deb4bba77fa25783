//! Tests `git flux gate`: verdicts about the files of tasks.

mod cleanup;
mod processes;
mod repositories;
mod scratch;
mod shown;
mod undecided;

use std::fs;
use std::path::{Path, PathBuf};

use crate::world::hints::{hints, paste};
use crate::world::*;

/// Makes a task without an agent, on the branch of its name, and returns its worktree.
#[track_caller]
fn task(world: &World, name: &str) -> PathBuf {
    task_in(world, &world.repo(), name)
}

#[track_caller]
fn task_in(world: &World, repo: &Path, name: &str) -> PathBuf {
    let path = world.root().join(name);
    let place = path.to_str().unwrap();
    world.git_in(repo, ["worktree", "add", "-q", "-b", name, place, "main"]);
    let adopt = ["adopt", "-q", "--name", name, place];
    world.flux(adopt).in_dir(repo).run().success();
    path
}

/// Configures the gate, in place of an earlier one.
fn configure<const N: usize>(world: &World, commands: [&str; N]) {
    world.try_git(["config", "--unset-all", "flux.gate"]).ok();
    for command in commands {
        world.git(["config", "--add", "flux.gate", command]);
    }
}

/// Notes each run; to be the first command of a gate.
const NOTE: &str = "echo run >>\"$HOME/runs\"";

/// Returns how often a gate has begun with [`NOTE`].
fn runs(world: &World) -> usize {
    let notes = fs::read_to_string(world.tools().join("home/runs"));
    notes.unwrap_or_default().lines().count()
}

fn is_alive(pid: i32) -> bool {
    Process::find(pid).is_some_and(|process| process.state != 'Z')
}

fn scratch(world: &World) -> PathBuf {
    world.root().join("myapp--land")
}

fn verdicts(world: &World) -> Vec<PathBuf> {
    let entries = fs::read_dir(world.repo().join(".git/flux/verdicts"));
    let entries = entries.into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn gate_tests_a_tree_only_once() {
    let world = World::new();
    configure(&world, [NOTE, "test -e one.txt"]);
    let fix = task(&world, "fix");
    world.commit_in(&fix, "one.txt", "1\n");
    let gate = || world.flux(["gate", "fix"]).run();
    // The worktree of the gate is named once.
    gate().success().says(&expect![[r#"
        fix: green
        --- stderr
        made the worktree '$WORLD/myapp--land' for gates (git flux gc --scratch removes it)
    "#]]);
    gate().success().says(&expect![[r#"
        fix: green
    "#]]);
    assert_eq!(runs(&world), 1);
    // The same files, in another commit, or not committed, in another worktree.
    world.git_in(&fix, ["commit", "-q", "--allow-empty", "-m", "Empty"]);
    gate().success();
    let other = task(&world, "other");
    world.write(other.join("one.txt"), "1\n");
    world.flux(["gate", "other", "fix"]).run().success();
    assert_eq!(runs(&world), 1);
    // Other files.
    world.write(other.join("two.txt"), "2\n");
    world.flux(["gate"]).in_dir(&other).run().success();
    assert_eq!(runs(&world), 2);
    assert_eq!(verdicts(&world).len(), 2);
}

#[test]
fn gate_tests_again_if_what_is_run_changes() {
    let world = World::new();
    task(&world, "fix");
    configure(&world, [NOTE]);
    let mut expected = 0;
    for (key, value) in [
        ("flux.gate", "true"),
        ("flux.wrapper", "nice -n 1"),
        ("flux.gateSeed", "build"),
    ] {
        world.git(["config", "--add", key, value]);
        expected += 1;
        for _ in 0..2 {
            world.flux(["gate", "fix"]).run().success();
            assert_eq!(runs(&world), expected, "{key}");
        }
    }
    for (key, value) in [("flux.gateTimeout", "1h"), ("flux.gateRetries", "3")] {
        world.git(["config", key, value]);
    }
    world.flux(["gate", "fix"]).run().success();
    assert_eq!(runs(&world), expected);
    // What was known before is known still.
    configure(&world, [NOTE, "true"]);
    world.git(["config", "--unset", "flux.wrapper"]);
    world.git(["config", "--unset", "flux.gateSeed"]);
    world.flux(["gate", "fix"]).run().success();
    assert_eq!(runs(&world), expected);
}

#[test]
fn gate_tests_again_if_its_verdict_is_damaged_or_expired() {
    let world = World::new();
    task(&world, "fix");
    configure(&world, [NOTE]);
    world.flux(["gate", "fix"]).run().success();
    let file = verdicts(&world).remove(0);
    let text = fs::read_to_string(&file).unwrap();
    let verdict: serde_json::Value = serde_json::from_str(&text).unwrap();
    let at = verdict["at"].as_u64().unwrap();
    let old = text.replace(&at.to_string(), &(at - 15 * 86_400).to_string());
    for (n, text) in ["", "{", &text[..text.len() / 2], &old].iter().enumerate() {
        fs::write(&file, text).unwrap();
        world.flux(["gate", "fix"]).run().success();
        assert_eq!(runs(&world), n + 2, "{text}");
    }
}

#[test]
fn gate_exits_with_1_if_any_is_red_and_else_with_125() {
    let world = World::new();
    configure(&world, ["test ! -e killed || kill -9 $$", "test ! -e red"]);
    for name in ["green", "red", "killed"] {
        let path = task(&world, name);
        world.write(path.join(name), "");
    }
    let gate = world.flux(["gate", "green", "red", "killed"]).run();
    gate.code(1).says(&expect![[r#"
        green: green
        red: red: 'test ! -e red' exited with status 1
        killed: no verdict: 'test ! -e killed || kill -9 $$' was killed by signal 9
        --- stderr
        made the worktree '$WORLD/myapp--land' for gates (git flux gc --scratch removes it)
        error: 1 of 3 failed the gate
        hint: git flux gate --log red
    "#]]);
    let gate = world.flux(["gate", "green", "killed"]).run();
    gate.code(125).says(&expect![[r#"
        green: green
        killed: no verdict: 'test ! -e killed || kill -9 $$' was killed by signal 9
        --- stderr
        error: no verdict about 1 of 2 tasks
        hint: git flux gate --log killed
    "#]]);
    world.flux(["gate", "green"]).run().code(0);
}

#[test]
fn gate_calls_a_task_untested_without_a_gate() {
    let world = World::new();
    let fix = task(&world, "fix");
    world.commit_in(&fix, "one.txt", "1\n");
    let before = world.snapshot();
    let output = world.flux(["gate", "fix"]).run();
    output.code(125).says(&expect![[r#"
        fix: untested
        --- stderr
        error: no gate is configured
        hint: git config flux.gate '<command>'
    "#]]);
    world.assert_unchanged(&before);
    assert!(!scratch(&world).exists());
}

#[test]
fn gate_runs_again_what_has_failed() {
    let world = World::new();
    let path = task(&world, "fix");
    // Passes at the second run, which a file in the home directory counts.
    configure(&world, [NOTE, "test \"$(wc -l <\"$HOME/runs\")\" -ge 2"]);
    let gate = || world.flux(["gate", "fix"]).run();
    gate().success().says(&expect![[r#"
        fix: flaky: 'test "$(wc -l <"$HOME/runs")" -ge 2' exited with status 1, then passed
        --- stderr
        made the worktree '$WORLD/myapp--land' for gates (git flux gc --scratch removes it)
    "#]]);
    gate().success();
    assert_eq!(runs(&world), 2);
    let red = |retries: &str, runs_now: usize| {
        world.git(["config", "flux.gateRetries", retries]);
        world.write(path.join("retries"), retries);
        configure(&world, [NOTE, "exit 3"]);
        let before = runs(&world);
        gate()
            .code(1)
            .stdout_is("fix: red: 'exit 3' exited with status 3\n");
        assert_eq!(runs(&world) - before, runs_now);
    };
    red("0", 1);
    red("1", 2);
    red("2", 3);
}

#[test]
fn gate_warns_if_it_fails_on_the_target_alike() {
    let world = World::new();
    configure(&world, ["test ! -e README.md"]);
    let path = task(&world, "fix");
    world.flux(["gate", "fix"]).run().code(1);
    world.commit_in(&path, "one.txt", "1\n");
    let output = world.flux(["gate", "fix"]).run();
    output.code(1).says(&expect![[r#"
        fix: red: 'test ! -e README.md' exited with status 1
        --- stderr
        warning: the gate fails on 'main', too; perhaps it cannot run here
        error: 1 of 1 failed the gate
        hint: git flux gate --log fix
    "#]]);
    world.commit_in(world.repo(), "two.txt", "2\n");
    world.flux(["gate", "fix"]).run().code(1).has_not("warning");
}

#[test]
fn gate_tests_uncommitted_files_and_leaves_them_as_they_are() {
    let world = World::new();
    world.write(".gitignore", "ignored\n");
    world.git(["add", "-A"]);
    world.git(["commit", "-q", "-m", "Ignore"]);
    let path = task(&world, "fix");
    world.write(path.join("staged"), "1\n");
    world.git_in(&path, ["add", "staged"]);
    world.write(path.join("staged"), "2\n");
    world.write(path.join("untracked"), "3\n");
    world.write(path.join("ignored"), "4\n");
    fs::remove_file(path.join("README.md")).unwrap();
    configure(
        &world,
        ["test \"$(cat staged untracked)\" = '2\n3'; test ! -e ignored -a ! -e README.md"],
    );
    let status = || world.git_in(&path, ["status", "--porcelain=v2", "--ignored"]);
    let (before, index) = (
        status(),
        fs::read(world.repo().join(".git/worktrees/fix/index")),
    );
    world.flux(["gate", "fix"]).run().success();
    assert_eq!(status(), before);
    let after = fs::read(world.repo().join(".git/worktrees/fix/index"));
    assert_eq!(after.unwrap(), index.unwrap());
}

#[test]
fn gate_shows_an_error_of_the_configuration_once_with_hints_that_help() {
    let world = World::new();
    world.git(["config", "flux.gate", "true"]);
    for name in ["one", "two"] {
        task(&world, name);
    }
    // Nothing that is stored can be removed.
    let gate = world.flux(["gate", "one", "two"]);
    let gate = gate.via_git_with(["-c", "flux.wrapper=nosuch x"]).run();
    gate.code(125).says(&expect![[r#"
        one: no verdict: flux.wrapper: 'nosuch' not found on PATH
        two: no verdict: flux.wrapper: 'nosuch' not found on PATH
        --- stderr
        error: flux.wrapper: 'nosuch' not found on PATH
        hint: 'flux.wrapper' has the value 'nosuch x' from the command line
        error: no verdict about 2 of 2 tasks
    "#]]);
    world.git(["config", "--global", "flux.wrapper", "nosuch x"]);
    let gate = world.flux(["gate", "one", "two"]).run();
    gate.code(125);
    let removal = hints(&gate)
        .into_iter()
        .find(|hint| hint.contains("--unset-all"));
    paste(&world, &removal.unwrap()).unwrap();
    world.flux(["gate", "one", "two"]).run().success();
}
