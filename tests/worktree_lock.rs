//! Tests the lock of a running task's worktree.

use std::fs;

use crate::world::hints::{hints, paste};
use crate::world::launcher::Started;
use crate::world::removal::{assert_removed, done_task, elsewhere};
use crate::world::*;

/// Returns the reason with which git says that the worktree of a task is locked.
fn lock_of(world: &World, id: &str) -> Option<String> {
    let worktrees = world.git(["worktree", "list", "--porcelain", "-z"]);
    let path = format!("worktree {}\0", world.worktree(id).display());
    let mut entries = worktrees.split("\0\0");
    let entry = entries.find(|entry| entry.starts_with(&path));
    let lock = entry.unwrap().split('\0').find(|l| l.starts_with("locked"));
    lock.map(|line| line.trim_start_matches("locked").trim().to_owned())
}

fn lock(world: &World, id: &str, reason: &str) {
    let path = world.worktree(id);
    let lock = ["worktree", "lock", "--reason", reason];
    world.git(lock.into_iter().chain([path.to_str().unwrap()]));
}

/// Kills the launcher of a task, with which its agent ends.
fn kill_launcher(task: &Started) {
    let mut kill = task.world.command("kill");
    let killed = kill.args(["-KILL", &task.launcher.to_string()]).status();
    assert!(killed.unwrap().success());
    task.agent.wait_gone();
    wait_until("the launcher to end", || {
        Process::find(task.launcher).is_none_or(|process| process.state == 'Z')
    });
}

#[test]
fn run_locks_the_worktree_until_its_agent_has_ended() {
    let world = World::new();
    world.shim();
    let task = Started::new(&world, "wait");
    let reason = format!("git flux: {}", task.id);
    assert_eq!(lock_of(&world, &task.id), Some(reason));
    let path = world.worktree(&task.id);
    let path = path.to_str().unwrap();
    for step in ["remove --force", "move"] {
        let words = ["worktree"].into_iter().chain(step.split(' '));
        let words = words
            .chain([path])
            .chain((step == "move").then_some("../away"));
        let error = world.try_git(words).unwrap_err();
        assert!(error.contains("locked working tree"), "{error}");
    }
    // It is no peculiarity.
    for command in [&["list"][..], &["status", &task.id]] {
        let output = world.flux(command).run();
        output.success();
        assert!(!output.to_string().contains("lock"), "{output}");
    }
    task.agent.tell("exit 0");
    world.wait_ended(&task.id);
    assert_eq!(lock_of(&world, &task.id), None);
    let is_about_worktrees = |call: &Call| call.args.iter().any(|arg| arg == "worktree");
    let mut calls = world.calls();
    calls.retain(|call| call.by == Caller::Launcher && is_about_worktrees(call));
    assert_eq!(calls.len(), 2, "{calls:?}");
}

#[test]
fn run_keeps_the_worktree_from_a_prune_that_does_not_see_it() {
    let world = World::new();
    let task = Started::new(&world, "wait");
    let (path, away) = (world.worktree(&task.id), world.root().join("away"));
    fs::rename(&path, &away).unwrap();
    world.git(["worktree", "prune", "--expire", "now"]);
    fs::rename(&away, &path).unwrap();
    assert_eq!(task.status()["state"], "running");
    assert!(lock_of(&world, &task.id).is_some());
}

#[test]
fn run_locks_the_worktree_before_setup() {
    let world = World::new();
    world.git([
        "config",
        "flux.setup",
        "git worktree list --porcelain >list",
    ]);
    let task = Started::new(&world, "wait");
    let seen = world.read(world.worktree(&task.id).join("list"));
    let line = format!("locked git flux: {}\n", task.id);
    assert!(seen.contains(&line), "{seen}");
}

#[test]
fn run_starts_the_agent_with_a_warning_if_a_call_of_the_launcher_fails() {
    for (call, warning) in [
        ("worktree lock", "warning: could not lock the worktree: "),
        ("--exec-path", "warning: hooks would use the shared stash: "),
    ] {
        let world = World::new();
        let every = Fault::every("git", call, Mode::Fail);
        world.fault(&every.by(Caller::Launcher));
        let task = Started::new(&world, "wait");
        task.wait_for_screen(warning);
        let is_locked = lock_of(&world, &task.id).is_some();
        assert_eq!(is_locked, call == "--exec-path");
        task.agent.tell("exit 0");
        assert_eq!(task.end().0, "exited");
    }
}

#[test]
fn resume_leaves_a_lock_of_the_user_and_cleanup_refuses_it() {
    let world = World::new();
    let task = Started::new(&world, "exit 0");
    world.wait_ended(&task.id);
    // That of another task is not this one's, either.
    for reason in ["mine", "git flux: other", "git flux: "] {
        lock(&world, &task.id, reason);
        let locked = Some(reason.trim().to_owned());
        assert_eq!(lock_of(&world, &task.id), locked);
        world.behaviour("wait");
        let starts = task.agent.starts();
        let resume = ["resume", "-q", "--restart", &task.id];
        world.flux(resume).run().success();
        task.agent.wait_starts(starts + 1);
        task.agent.tell("exit 0");
        world.wait_ended(&task.id);
        assert_eq!(lock_of(&world, &task.id), locked);
        let before = world.snapshot();
        let cleanup = world.flux(["cleanup", "-y", &task.id]).run();
        cleanup.code(1).stderr_has("is locked: ");
        world.assert_unchanged(&before);
        world.git([
            "worktree",
            "unlock",
            world.worktree(&task.id).to_str().unwrap(),
        ]);
    }
}

#[test]
fn cleanup_resume_and_restore_cope_with_the_lock_of_a_killed_launcher() {
    let world = World::new();
    let task = Started::new(&world, "wait");
    let id = &task.id;
    let reason = Some(format!("git flux: {id}"));
    kill_launcher(&task);
    assert_eq!(lock_of(&world, id), reason);
    assert_eq!(task.status()["state"], "lost");
    let resume = ["resume", "-q", "--restart", id];
    world.flux(resume).run().success();
    task.agent.wait_starts(2);
    assert_eq!(lock_of(&world, id), reason);
    task.agent.tell("exit 0");
    world.wait_ended(id);
    assert_eq!(lock_of(&world, id), None);

    lock(&world, id, &format!("git flux: {id}"));
    world.write(world.worktree(id).join("left.txt"), "left\n");
    let plan = world
        .flux(["cleanup", "--json", "--dry-run", id])
        .run()
        .json();
    let checks = plan[0]["checks"].as_array().unwrap();
    let lock = checks.iter().find(|check| check["check"] == "lock");
    assert_eq!(lock.unwrap()["result"], "ok", "{plan}");
    world
        .flux(["cleanup", "-y", "--discard", id])
        .run()
        .success();
    assert_removed(&world, id);
    world.flux(["restore", id]).run().success();
    assert_eq!(world.read(world.worktree(id).join("left.txt")), "left\n");
}

#[test]
fn launcher_killed_at_its_lock_leaves_a_task_that_cleanup_removes() {
    for mode in Mode::KILLS {
        for words in ["worktree lock", "worktree unlock"] {
            let world = World::new();
            world.behaviour("exit 0");
            world.fault(
                &Fault {
                    nth: 1,
                    ..Fault::every("git", words, mode)
                }
                .by(Caller::Launcher),
            );
            let output = world.flux(["run", "-q", "--name", "fix", "Fix it"]).run();
            wait_until("the launcher to be killed", || world.fault_fired());
            world.wait_fault_over();
            world.clear_fault();
            // A start whose launcher died is rolled back, or the task is lost.
            if output.code == Some(0) {
                let cleanup = ["cleanup", "-y", "fix"];
                world.flux(cleanup).run().success();
            }
            world.flux(["list"]).run().success();
            assert_removed(&world, "fix");
        }
    }
}

#[test]
fn status_names_the_command_that_checks_out_a_locked_worktree_again() {
    let world = World::new();
    let task = Started::new(&world, "wait");
    kill_launcher(&task);
    fs::remove_dir_all(world.worktree(&task.id)).unwrap();
    let before = world.snapshot();
    let cleanup = world.flux(["cleanup", "-y", &task.id]).run();
    world.assert_unchanged(&before);
    let again = hints(cleanup.code(1));
    let again = again.iter().find(|hint| hint.contains("worktree add"));
    paste(&world, again.unwrap()).unwrap();
    assert!(world.worktree(&task.id).join("README.md").exists());
    world.flux(["cleanup", "-y", &task.id]).run().success();
    assert_removed(&world, &task.id);
}

/// git removes no locked worktree, and only git can remove one from another file system.
#[test]
fn cleanup_unlocks_the_worktree_of_a_killed_launcher_on_another_file_system() {
    let world = World::new();
    let dir = elsewhere(&world);
    world.git(["config", "flux.worktreeDir", dir.path().to_str().unwrap()]);
    let id = done_task(&world);
    let worktree = dir.path().join(format!("myapp-{id}"));
    let (reason, path) = (format!("git flux: {id}"), worktree.to_str().unwrap());
    world.git(["worktree", "lock", "--reason", &reason, path]);
    world.flux(["cleanup", &id]).run().success();
    assert!(!worktree.exists());
    assert_removed(&world, &id);
}
