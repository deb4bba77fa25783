//! Tests changes outside a sparse checkout.

use std::fs;
use std::path::Path;

use crate::world::*;

/// Makes a repository of which `b/` and `c/` are not checked out.
fn sparse() -> World {
    let world = World::new();
    for dir in ["a", "b", "c"] {
        world.write(format!("{dir}/file.txt"), dir);
    }
    world.git(["add", "-A"]);
    world.git(["commit", "-q", "-m", "Directories"]);
    world.git(["sparse-checkout", "set", "--cone", "a", "src"]);
    world
}

/// Changes there, of each kind. Returns what git says of them.
fn change(world: &World, dir: &Path) -> String {
    world.write(dir.join("b/file.txt"), "changed\n");
    world.write(dir.join("c/file.txt"), "staged\n");
    world.git_in(dir, ["add", "--sparse", "c/file.txt"]);
    world.write(dir.join("c/new.txt"), "untracked\n");
    world.write(dir.join("c/meant.txt"), "only the name is staged\n");
    world.git_in(dir, ["add", "--sparse", "--intent-to-add", "c/meant.txt"]);
    status(world, dir)
}

fn status(world: &World, dir: &Path) -> String {
    world.git_in(dir, ["status", "--porcelain", "--untracked-files=all"])
}

/// Asserts that the files have the content that [`change`] wrote.
#[track_caller]
fn assert_changed(dir: &Path) {
    let read = |file: &str| fs::read_to_string(dir.join(file)).unwrap();
    assert_eq!(read("b/file.txt"), "changed\n");
    assert_eq!(read("c/file.txt"), "staged\n");
    assert_eq!(read("c/new.txt"), "untracked\n");
    assert_eq!(read("c/meant.txt"), "only the name is staged\n");
}

#[test]
fn restore_brings_back_changes_outside_a_sparse_checkout() {
    let world = sparse();
    world.behaviour("raw");
    let id = world.start("Fix login");
    let worktree = world.worktree(&id);
    change(&world, &worktree);
    world
        .flux(["diff", &id])
        .run()
        .success()
        .stdout_has("+untracked");
    world
        .flux(["cleanup", "-y", "--discard", &id])
        .run()
        .success();
    let snapshot = format!("refs/flux/archive/{id}/snapshot");
    assert_eq!(
        world.git(["show", &format!("{snapshot}:b/file.txt")]),
        "changed"
    );
    // Once it is no longer kept whole, that is all there is.
    fs::remove_dir_all(world.repo().join(".git/flux/trash").join(&id)).unwrap();
    world.flux(["restore", &id]).run().success();
    assert_changed(&worktree);
    assert!(status(&world, &worktree).contains(" M b/file.txt\nM  c/file.txt"));
}

#[test]
fn cleanup_commits_changes_outside_a_sparse_checkout() {
    let world = sparse();
    world.behaviour("raw");
    let id = world.start("Fix login");
    change(&world, &world.worktree(&id));
    world
        .flux(["cleanup", "-y", "--commit", &id])
        .run()
        .success();
    assert_eq!(
        world.git(["diff", "--name-only", "main~1", "main"]),
        "b/file.txt\nc/file.txt\nc/meant.txt\nc/new.txt"
    );
}

#[test]
fn run_with_changes_copies_changes_outside_a_sparse_checkout() {
    let world = sparse();
    world.behaviour("raw");
    let before = change(&world, &world.repo());
    world
        .flux(["run", "-q", "--with-changes", "--name", "go", "Go on"])
        .run()
        .success();
    assert_changed(&world.worktree("go"));
    assert_eq!(status(&world, &world.worktree("go")), before);
    assert_eq!(status(&world, &world.repo()), before);
    // And onto another commit.
    let other = world.git(["commit-tree", "-p", "main", "-m", "Other", "main^{tree}"]);
    world.git(["branch", "other", &other]);
    let run = ["run", "-q", "--with-changes", "--base", "other", "--name"];
    let run = run.into_iter().chain(["too", "Go on"]);
    world.flux(run).run().success();
    assert_changed(&world.worktree("too"));
}
