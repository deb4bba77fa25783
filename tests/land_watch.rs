//! Tests `git flux land` on a terminal, and `--watch`.

use std::fs;
use std::path::PathBuf;

use crate::land::{assert_no_landing, done, file, tasks};
use crate::world::removal::*;
use crate::world::*;

#[test]
fn land_asks_one_question_about_all_ready_tasks() {
    let world = World::new();
    done(&world, &["alpha", "beta"]);
    let before = world.snapshot();
    let terminal = world.terminal(100, 30);
    for (key, code) in [("n", 130), ("y", 0)] {
        terminal.command("git-flux land");
        terminal.wait_for_screen("Land 2 tasks?");
        terminal.text(key);
        assert_eq!(terminal.exit_code(), code);
        if key == "n" {
            world.assert_unchanged(&before);
        }
    }
    assert!(tasks(&world).is_empty());
}

#[test]
fn land_watch_lands_what_becomes_ready_until_interrupted() {
    let world = World::new();
    world.git(["remote", "add", "origin", "../origin.git"]);
    world.git(["config", "branch.main.remote", "origin"]);
    done(&world, &["alpha"]);
    let before = commit(&world, "main");
    let terminal = world.terminal(100, 30);
    terminal.command("git-flux land --watch --yes");
    terminal.wait_for_screen("landed alpha");
    // A new task, committed after its agent has ended.
    done(&world, &["beta"]);
    let screen = terminal.wait_for_screen("landed beta");
    assert!(!screen.contains("hint: "), "{screen}");
    assert_removed(&world, "beta");
    let beta = commit(&world, "main");
    let alpha = commit(&world, "main^");
    terminal.keys(["C-c"]);
    assert_eq!(terminal.exit_code(), 130);
    assert_no_landing(&world);
    let [before, alpha, beta] = [before, alpha, beta].map(|oid| oid[..9].to_owned());
    let screen = terminal.screen();
    for hint in [
        format!("hint: to undo the landing on 'main': git reset --keep {before}"),
        format!("hint: or, if 'main' has newer commits: git revert --no-edit -m 1 {beta} {alpha}"),
        "hint: to push it: git push origin main".to_owned(),
    ] {
        assert!(screen.contains(&hint), "{hint}\n{screen}");
    }
}

#[test]
fn land_watch_lands_an_unseen_task_once_it_is_seen() {
    let world = World::new();
    world.git(["config", "flux.landUnseen", "false"]);
    done(&world, &["alpha"]);
    let terminal = world.terminal(100, 30);
    terminal.command("git-flux land --watch --yes");
    terminal.wait_for_screen("'alpha' is left out: 1 file unseen");
    // Another event, after which nothing more is said.
    world.flux(["send", "alpha", "text"]).run().code(1);
    world.flux(["review", "--mark", "alpha"]).run().success();
    let screen = terminal.wait_for_screen("landed alpha");
    assert_eq!(screen.matches("is left out").count(), 1, "{screen}");
    terminal.keys(["C-c"]);
    assert_eq!(terminal.exit_code(), 130);
}

/// Sets a gate that creates the first of the returned files, and runs `test` once the second exists.
pub(crate) fn slow_gate(world: &World, test: &str) -> (PathBuf, PathBuf) {
    let (began, go) = (world.root().join("began"), world.root().join("go"));
    let (touch, until) = (began.display(), go.display());
    let wait = format!("touch '{touch}'; until test -e '{until}'; do sleep 0.02; done");
    world.git(["config", "flux.gate", &format!("{wait}; {test}")]);
    (began, go)
}

#[test]
fn land_watch_lands_a_task_that_was_mended_while_the_gate_ran() {
    let world = World::new();
    let (began, go) = slow_gate(&world, &format!("test ! -e {}", file("alpha")));
    done(&world, &["alpha"]);
    let terminal = world.terminal(100, 30);
    terminal.command("git-flux land --watch --yes");
    wait_until("the gate to run", || began.exists());
    let worktree = world.worktree("alpha");
    world.git_in(&worktree, ["mv", &file("alpha"), "good.txt"]);
    world.git_in(&worktree, ["commit", "-qm", "mended"]);
    fs::write(&go, "").unwrap();
    terminal.wait_for_screen("landed alpha");
    assert_eq!(world.git(["show", "main:good.txt"]), "work");
    terminal.keys(["C-c"]);
    assert_eq!(terminal.exit_code(), 130);
}

#[cfg(target_os = "linux")]
#[test]
fn land_watch_lands_a_task_that_was_restored_during_a_landing() {
    let world = World::new();
    let (began, go) = slow_gate(&world, "true");
    done(&world, &["alpha"]);
    // An agent of this kind is observed by files only.
    world.install_agent("mine");
    world.git(["config", "flux.mine.command", "mine"]);
    let run = ["run", "-q", "--agent", "mine", "--name", "beta", "Fix it"];
    world.flux(run).run().success();
    world.wait_ended("beta");
    let worktree = world.worktree("beta");
    fs::write(worktree.join("new"), "new\n").unwrap();
    let terminal = world.terminal(100, 30);
    terminal.command("git-flux land --watch --yes");
    wait_until("the gate to run", || began.exists());
    let cleanup = ["cleanup", "-y", "--discard", "beta"];
    world.flux(cleanup).run().success();
    world.flux(["restore", "beta"]).run().success();
    fs::write(&go, "").unwrap();
    terminal.wait_for_screen("landed alpha");
    // No earlier event is left.
    let pid = wait_for("its process", || watching_process(&world, "land"));
    let calls = calls_in_an_idle_second(pid, 5);
    assert!(calls <= 5, "{calls} system calls in a second");
    world.git_in(&worktree, ["add", "new"]);
    world.git_in(&worktree, ["commit", "-qm", "new"]);
    terminal.wait_for_screen("landed beta");
    terminal.keys(["C-c"]);
    assert_eq!(terminal.exit_code(), 130);
}

#[test]
fn land_watch_says_once_that_a_task_does_not_pass() {
    let world = World::new();
    let gate = format!("test ! -e {}", file("beta"));
    world.git(["config", "flux.gate", &gate]);
    done(&world, &["alpha", "beta"]);
    let terminal = world.terminal(100, 60);
    terminal.command("git-flux land --watch --yes");
    terminal.wait_for_screen("landed alpha");
    terminal.wait_for_screen("sent beta back");
    // The target has moved since: it was tried again before this one.
    done(&world, &["gamma"]);
    let screen = terminal.wait_for_screen("landed gamma");
    assert_eq!(screen.matches("sent beta back").count(), 1, "{screen}");
    assert_eq!(tasks(&world), ["beta"]);
    terminal.keys(["C-c"]);
    assert_eq!(terminal.exit_code(), 130);
}

#[test]
fn land_watch_tries_again_when_the_reason_was_not_in_the_commits() {
    let world = World::new();
    done(&world, &["alpha"]);
    let loose = world.repo().join(file("alpha"));
    fs::write(&loose, "of the user\n").unwrap();
    let terminal = world.terminal(100, 30);
    terminal.command("git-flux land --watch --yes");
    terminal.wait_for_screen("error: ");
    assert_eq!(fs::read_to_string(&loose).unwrap(), "of the user\n");
    fs::remove_file(&loose).unwrap();
    terminal.wait_for_screen("landed alpha");
    terminal.keys(["C-c"]);
    assert_eq!(terminal.exit_code(), 130);
}
