//! Tests a fault in each call of `git flux cleanup`, for each style and state of the task.

use super::matrix::{ID, Scenario};
use super::run::own_work;
use super::settled::{End, Kept, own_changes};
use crate::world::*;

/// Makes a task with a commit and an ignored file, whose agent runs; the user has changes of their own.
fn task(world: &World) -> Kept {
    world.behaviour("raw");
    own_work(world);
    world
        .flux(["run", "-q", "--name", ID, "Fix the login"])
        .ok();
    let worktree = world.worktree(ID);
    let commit = world.commit_in(&worktree, "agent.txt", "work\n");
    world.write(worktree.join(".env"), "SECRET=1\n");
    Kept {
        commits: vec![commit],
        files: vec![(".env", b"SECRET=1\n".to_vec())],
        own: own_changes(world),
        ..Kept::default()
    }
}

/// Makes the same task as `task`, with an agent that has ended.
fn ended(world: &World) -> Kept {
    let kept = task(world);
    world.agent(ID).tell("exit 0");
    world.wait_ended(ID);
    kept
}

/// Makes the same task as `ended`, with every kind of uncommitted change.
fn dirty(world: &World) -> Kept {
    let mut kept = ended(world);
    let worktree = world.worktree(ID);
    world.write(worktree.join("src/login.txt"), "one\ntwo\nthree\nfour\n");
    world.write(worktree.join("new file.txt"), "untracked\n");
    world.write(worktree.join("staged.txt"), "staged\n");
    world.git_in(&worktree, ["add", "staged.txt"]);
    kept.files.extend([
        ("src/login.txt", b"one\ntwo\nthree\nfour\n".to_vec()),
        ("new file.txt", b"untracked\n".to_vec()),
        ("staged.txt", b"staged\n".to_vec()),
    ]);
    kept
}

/// Makes the same task as `ended`, with two entries in its stash.
fn stashed(world: &World) -> Kept {
    let mut kept = ended(world);
    kept.stash = ["one", "two"]
        .map(|message| world.push_stash(ID, message))
        .to_vec();
    kept
}

fn cleanup(world: &World) -> Flux<'_> {
    world.flux(["cleanup", ID])
}

/// What every cleanup has in common.
const CLEANUP: Scenario = Scenario {
    before: ended,
    command: cleanup,
    aim: End::Gone,
    // It is tried once more.
    harmless: &["merge"],
};

#[test]
fn cleanup_survives_every_fault() {
    CLEANUP.survives_everything();
}

#[test]
fn cleanup_with_stash_entries_survives_every_fault() {
    let scenario = Scenario {
        before: stashed,
        command: |world| world.flux(["cleanup", ID, "--discard-stash"]),
        ..CLEANUP
    };
    scenario.survives_everything();
}

#[test]
fn cleanup_into_a_branch_that_moved_survives_every_fault() {
    let scenario = Scenario {
        before: |world| {
            let kept = ended(world);
            world.write("moved.txt", "main moved\n");
            world.git(["add", "moved.txt"]);
            world.git(["commit", "-q", "-m", "Main moved", "--", "moved.txt"]);
            kept
        },
        ..CLEANUP
    };
    scenario.survives_everything();
}

/// Makes the same task as `ended` with a second commit, and a target that changed the same file: patches are compared.
fn diverged(world: &World) -> Kept {
    let kept = ended(world);
    world.commit_in(world.worktree(ID), "second.txt", "second\n");
    world.write("second.txt", "");
    world.git(["add", "second.txt"]);
    world.git(["commit", "-q", "-m", "Main moved", "--", "second.txt"]);
    world.git(["rm", "-q", "second.txt"]);
    world.git(["commit", "-q", "-m", "And back", "--", "second.txt"]);
    Kept {
        remade: true,
        ..kept
    }
}

#[test]
fn cleanup_with_squash_survives_every_fault() {
    let scenario = Scenario {
        before: diverged,
        command: |world| world.flux(["cleanup", ID, "--squash"]),
        ..CLEANUP
    };
    scenario.survives_everything();
}

#[test]
fn cleanup_with_rebase_survives_every_fault() {
    let scenario = Scenario {
        before: diverged,
        command: |world| world.flux(["cleanup", ID, "--rebase"]),
        ..CLEANUP
    };
    scenario.survives_everything();
}

#[test]
#[ignore = "it takes minutes: .ci/long crash_hooks"]
fn cleanup_with_rebase_and_hooks_survives_every_fault() {
    let scenario = Scenario {
        before: |world| {
            let kept = diverged(world);
            hook(world, "prepare-commit-msg");
            kept
        },
        command: |world| world.flux(["cleanup", ID, "--rebase"]),
        // As for a merge.
        harmless: &["merge", "symbolic-ref"],
        ..CLEANUP
    };
    scenario.survives_everything();
}

#[test]
fn cleanup_with_ff_only_survives_every_fault() {
    let scenario = Scenario {
        command: |world| world.flux(["cleanup", ID, "--ff-only"]),
        ..CLEANUP
    };
    scenario.survives_everything();
}

#[test]
fn cleanup_into_a_branch_that_is_not_checked_out_survives_every_fault() {
    let scenario = Scenario {
        before: |world| {
            let kept = ended(world);
            world.git(["switch", "-q", "-c", "elsewhere"]);
            kept
        },
        command: |world| world.flux(["cleanup", ID, "--into", "main"]),
        ..CLEANUP
    };
    scenario.survives_everything();
}

/// A hook that has nothing against it.
fn hook(world: &World, name: &str) {
    world.install("../hook", "#!/bin/sh\nexit 0\n");
    let hook = world.repo().join(".git/hooks").join(name);
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::rename(world.tools().join("hook"), hook).unwrap();
}

#[test]
#[ignore = "it takes minutes: .ci/long crash_hooks"]
fn cleanup_with_merge_hooks_survives_every_fault() {
    let scenario = Scenario {
        before: |world| {
            let kept = ended(world);
            hook(world, "pre-merge-commit");
            kept
        },
        // What is left of the merge's own worktree goes with the task. A HEAD that
        // is on no branch is looked at again.
        harmless: &["merge", "symbolic-ref"],
        ..CLEANUP
    };
    scenario.survives_everything();
}

#[test]
fn cleanup_with_commit_survives_every_fault() {
    let scenario = Scenario {
        before: |world| Kept {
            may_commit: true,
            ..dirty(world)
        },
        command: |world| world.flux(["cleanup", ID, "--commit=All of it"]),
        ..CLEANUP
    };
    scenario.survives_everything();
}

#[test]
fn cleanup_with_discard_survives_every_fault() {
    let scenario = Scenario {
        before: |world| {
            let mut kept = dirty(world);
            let worktree = world.worktree(ID);
            // Staged, then changed again: the index alone has it.
            let blob = world.git_in(&worktree, ["rev-parse", ":staged.txt"]);
            world.write(worktree.join("staged.txt"), "changed again\n");
            kept.files.retain(|(file, _)| *file != "staged.txt");
            kept.files.push(("staged.txt", b"changed again\n".to_vec()));
            kept.staged.push(blob);
            kept
        },
        command: |world| world.flux(["cleanup", ID, "--discard"]),
        // What is left in the trash need not be known: the snapshot has it all the same.
        harmless: &["merge", "status"],
        ..CLEANUP
    };
    scenario.survives_everything();
}

#[test]
fn cleanup_of_a_running_agent_survives_every_fault() {
    let scenario = Scenario {
        before: task,
        command: |world| world.flux(["cleanup", ID, "--yes"]),
        // The pane has closed by itself when its agent ended. A HEAD that is on no
        // branch is looked at again.
        harmless: &[
            "capture-pane",
            "if-shell",
            "list-panes",
            "merge",
            "symbolic-ref",
        ],
        ..CLEANUP
    };
    scenario.survives_everything();
}

#[test]
fn cleanup_with_discard_branch_survives_every_fault() {
    let scenario = Scenario {
        before: |world| Kept {
            may_drop: true,
            ..ended(world)
        },
        command: |world| world.flux(["cleanup", ID, "--discard-branch"]),
        ..CLEANUP
    };
    scenario.survives_everything();
}
