//! Tests changes of the repository while `git flux cleanup` or `git flux land` waits for the lock of merges, or is about
//! to merge.

use std::fs::File;

use crate::land::{done, file, tasks};
use crate::world::removal::*;
use crate::world::*;

/// Runs a command that cannot ask, while another program holds the lock of merges. Makes a change once it waits, and
/// then releases the lock. Returns the exit code and what was said.
#[track_caller]
fn change_while_waiting(world: &World, command: &str, change: impl FnOnce()) -> (i32, String) {
    let lock = File::create(world.repo().join(".git/flux/merge")).unwrap();
    lock.lock().unwrap();
    let terminal = world.terminal(180, 50);
    terminal.command(&format!("git-flux {command} </dev/null"));
    terminal.wait_for_screen("which holds");
    change();
    drop(lock);
    (terminal.exit_code(), terminal.screen())
}

/// Asserts that `main` is a merge of `parent` and the task's commit, and that `wip`, which is checked out, is at `parent`.
#[track_caller]
fn assert_only_main_merged(world: &World, parent: &str, work: &str) {
    assert_merge_of(world, parent, work);
    assert_eq!(commit(world, "wip"), parent);
    assert_eq!(world.git(["symbolic-ref", "HEAD"]), "refs/heads/wip");
    assert_eq!(world.git(["status", "--porcelain"]), "");
}

#[test]
fn land_and_cleanup_move_no_branch_that_the_user_switches_to_while_they_wait() {
    for command in [
        "land alpha -y",
        "land alpha -y --keep",
        "cleanup alpha -y --into main",
    ] {
        let world = World::new();
        done(&world, &["alpha"]);
        let (main, work) = (commit(&world, "main"), commit(&world, "feature/alpha"));
        let switch = || drop(world.git(["switch", "-q", "-c", "wip"]));
        let (code, said) = change_while_waiting(&world, command, switch);
        assert_eq!(code, 0, "{command}: {said}");
        assert!(said.contains("planning again"), "{said}");
        assert_only_main_merged(&world, &main, &work);
        let is_kept = command.contains("--keep");
        assert_eq!(tasks(&world).len(), usize::from(is_kept), "{command}");
    }
}

/// Installs a git that first switches to the branch `wip` when it is to make a merge: after the last look at the branch.
fn switch_before_the_merge(world: &World) {
    let script = format!(
        "#!/bin/sh\nset -e\ncase \" $* \" in *' merge --quiet --ff-only '*) '{git}' -C '{repo}' switch -q -c wip ;; esac\n\
         exec '{git}' \"$@\"\n",
        git = require("git").display(),
        repo = world.repo().display(),
    );
    world.install("git", &script);
}

#[test]
fn land_lands_on_its_target_if_the_worktree_is_switched_just_before_the_merge() {
    for keep in [None, Some("--keep")] {
        let world = World::new();
        done(&world, &["alpha"]);
        let (main, work) = (commit(&world, "main"), commit(&world, "feature/alpha"));
        switch_before_the_merge(&world);
        let args = ["land", "alpha", "-y"].into_iter().chain(keep);
        let output = world.flux(args).run();
        world.uninstall("git");
        output
            .success()
            .stderr_has("landed alpha (untested)")
            .stderr_has("in the last moment: it has the merge, too\n")
            .stderr_has("reset --keep wip@{1}\n");
        // The hint works.
        world.git(["reset", "-q", "--keep", "wip@{1}"]);
        assert_eq!(commit(&world, "wip"), main);
        assert_merge_of(&world, &main, &work);
        assert_eq!(world.git(["symbolic-ref", "HEAD"]), "refs/heads/wip");
        assert_eq!(tasks(&world).len(), usize::from(keep.is_some()));
    }
}

/// Makes a task, and then a commit on `main`; returns the commit before.
fn task_and_later_commit(world: &World) -> String {
    done(world, &["alpha"]);
    let main = commit(world, "main");
    world.commit_in(world.repo(), "mistake.txt", "mistake\n");
    main
}

#[test]
fn land_and_cleanup_bring_no_commit_back_that_the_user_takes_back_while_they_wait() {
    for command in ["land alpha -y", "land alpha -y --keep", "cleanup alpha -y"] {
        let world = World::new();
        let main = task_and_later_commit(&world);
        let work = commit(&world, "feature/alpha");
        let reset = || drop(world.git(["reset", "-q", "--hard", &main]));
        let (code, said) = change_while_waiting(&world, command, reset);
        assert_eq!(code, 0, "{command}: {said}");
        assert_merge_of(&world, &main, &work);
        assert!(!world.repo().join("mistake.txt").exists());
    }
}

#[test]
fn cleanup_brings_no_commit_back_on_a_branch_that_is_checked_out_nowhere() {
    let world = World::new();
    let main = task_and_later_commit(&world);
    let work = commit(&world, "feature/alpha");
    world.git(["switch", "-q", "-c", "wip", &main]);
    let reset = || drop(world.git(["branch", "-q", "--force", "main", &main]));
    let (code, said) = change_while_waiting(&world, "cleanup alpha -y --into main", reset);
    assert_eq!(code, 0, "{said}");
    assert_only_main_merged(&world, &main, &work);
    assert_removed(&world, "alpha");
}

/// Answers the question of a cleanup that shows `prompt` after a reset of the target to `main`, and asserts that
/// nothing is done before it is asked again.
#[track_caller]
fn assert_asks_again_after_a_reset(world: &World, [main, work]: [&str; 2], prompt: &str) {
    let terminal = world.terminal(150, 40);
    terminal.command("git flux cleanup alpha");
    terminal.wait_for_screen(prompt);
    world.git(["reset", "-q", "--hard", main]);
    let before = world.snapshot();
    terminal.keys(["y"]);
    terminal.wait_for_screen("'alpha' or its target has changed; planning again\n? Merge 1 commit");
    world.assert_unchanged(&before);
    terminal.keys(["y"]);
    assert_eq!(terminal.exit_code(), 0, "{}", terminal.screen());
    assert_merge_of(world, main, work);
    assert_removed(world, "alpha");
}

#[test]
fn cleanup_asks_again_if_the_target_loses_a_commit_during_the_question() {
    let world = World::new();
    let main = task_and_later_commit(&world);
    let work = commit(&world, "feature/alpha");
    assert_asks_again_after_a_reset(&world, [&main, &work], "and remove");
}

#[test]
fn land_and_cleanup_refuse_a_file_that_is_written_while_they_wait() {
    for command in ["land alpha -y", "land alpha -y --keep", "cleanup alpha -y"] {
        let world = World::new();
        // Where nothing is kept in the trash, only a snapshot would have the file.
        world.git(["config", "flux.trashKeep", "0"]);
        done(&world, &["alpha"]);
        let (main, work) = (commit(&world, "main"), commit(&world, "feature/alpha"));
        let late = world.worktree("alpha").join("late.txt");
        let write = || drop(world.write(&late, "line\n"));
        let (code, said) = change_while_waiting(&world, command, write);
        assert_eq!(code, 1, "{command}: {said}");
        assert!(said.contains("'alpha' has 1 uncommitted file"), "{said}");
        let after = (commit(&world, "main"), commit(&world, "feature/alpha"));
        assert_eq!(after, (main, work), "{command}");
        assert_eq!(world.read(&late), "line\n");
        assert_eq!(tasks(&world), ["alpha"]);
        assert_eq!(world.git(["for-each-ref", "refs/flux/archive"]), "");
    }
}

#[test]
fn land_lands_the_others_if_a_file_is_written_while_it_waits() {
    let world = World::new();
    done(&world, &["alpha", "beta"]);
    let late = world.worktree("alpha").join("late.txt");
    let write = || drop(world.write(&late, "line\n"));
    let (code, said) = change_while_waiting(&world, "land --all -y", write);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("'alpha' has 1 uncommitted file"), "{said}");
    assert!(said.contains("landed beta (untested)"), "{said}");
    assert_eq!(tasks(&world), ["alpha"]);
    assert_eq!(
        world.git(["show", &format!("main:{}", file("beta"))]),
        "work"
    );
    assert_eq!(world.read(&late), "line\n");
}

#[test]
fn cleanup_does_not_hold_the_lock_while_it_asks_about_a_target_that_moved() {
    let world = World::new();
    done(&world, &["alpha"]);
    let terminal = world.terminal(150, 40);
    terminal.command("git flux cleanup alpha");
    terminal.wait_for_screen("and remove");
    world.commit_in(world.repo(), &file("alpha"), "main's\n");
    let before = world.snapshot();
    terminal.keys(["y"]);
    terminal.wait_for_screen("Where do you want to resolve the conflict?");
    let lock = File::open(world.repo().join(".git/flux/merge")).unwrap();
    assert!(lock.try_lock().is_ok(), "the lock of merges is held");
    drop(lock);
    terminal.keys(["C-c"]);
    assert_eq!(terminal.exit_code(), 130, "{}", terminal.screen());
    world.assert_unchanged(&before);
}

#[test]
fn cleanup_asks_again_if_the_target_loses_the_commits_of_an_integrated_task() {
    let world = World::new();
    done(&world, &["alpha"]);
    let (main, work) = (commit(&world, "main"), commit(&world, "feature/alpha"));
    world.git(["merge", "-q", "--no-ff", "feature/alpha"]);
    assert_asks_again_after_a_reset(&world, [&main, &work], "emove 'alpha'");
}

#[test]
fn land_removes_an_integrated_task_whose_agent_commits_on_the_target_when_it_stops() {
    let world = World::new();
    let commit = "git -C ../myapp commit -q --allow-empty -m Last";
    let id = task_with_stop_handler(&world, commit);
    world.git(["merge", "-q", "--no-ff", &format!("feature/{id}")]);
    let output = world.flux(["land", &id, "-y"]).run();
    output
        .success()
        .stderr_has(&format!("removed '{id}': 'main' already has "));
    assert_eq!(world.git(["log", "-1", "--format=%s", "main"]), "Last");
    assert_removed(&world, &id);
}
