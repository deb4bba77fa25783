//! Tests that a cleanup keeps branches that the user has checked out, moved or copied.

use std::fs;

use crate::world::removal::refused;
use crate::world::removal::*;
use crate::world::*;

#[test]
fn cleanup_refuses_if_the_user_has_checked_out_the_branch() {
    let world = World::new();
    let id = done_task(&world);
    let branch = format!("feature/{id}");
    world.git(["worktree", "remove", world.worktree(&id).to_str().unwrap()]);
    world.git(["switch", "-q", &branch]);
    world.write("README.md", "mine\n");
    let cleanup = ["cleanup", "-y", "--discard", "--into", "main", &id];
    let said = format!("the branch '{branch}' is checked out in");
    refused(&world, &cleanup, &[&said, "git -C"]);
    assert_eq!(world.git(["status", "--porcelain"]), " M README.md");
}

#[test]
fn cleanup_refuses_a_worktree_moved_by_git_until_it_is_adopted() {
    let world = World::new();
    let id = done_task(&world);
    let (path, moved) = (world.worktree(&id), world.root().join("moved"));
    let (from, to) = (path.to_str().unwrap(), moved.to_str().unwrap());
    world.git(["worktree", "move", from, to]);
    world.write(moved.join("README.md"), "edited\n");
    let said = format!("the branch 'feature/{id}' is checked out in");
    let back = format!("git flux adopt '{to}'");
    for args in [&["cleanup", &*id][..], &["cleanup", "-y", "--discard", &id]] {
        refused(&world, args, &[&said, &back]);
    }
    // The hint leads out of it.
    world.flux(["adopt", to]).run().success();
    world.flux(["cleanup", "--commit", &id]).run().success();
    assert_eq!(world.read("README.md"), "edited\n");
    assert_removed(&world, &id);
}

#[test]
fn cleanup_that_was_killed_is_not_completed_if_the_worktree_was_moved() {
    let world = World::new();
    let id = done_task(&world);
    let (path, moved) = (world.worktree(&id), world.root().join("moved"));
    let (from, to) = (path.to_str().unwrap(), moved.to_str().unwrap());
    world.fault(&Fault::every("tmux", "if-shell", Mode::KillBefore));
    world.flux(["cleanup", &id]).run().killed();
    world.wait_fault_over();
    world.clear_fault();
    world.git(["worktree", "move", from, to]);
    let branch = format!("feature/{id}");
    let tip = tip(&world, &id);
    let output = world.flux(["run", "--name", "other", "Do"]).run();
    output
        .success()
        .stderr_has(&format!("could not recover the interrupted task '{id}'"))
        .stderr_has("is checked out in");
    assert_eq!(world.git_in(&moved, ["rev-parse", &branch]), tip);
    let status = ["status", "--porcelain", "--branch"];
    assert_eq!(world.git_in(&moved, status), format!("## {branch}"));
    // Moved back it is whole, or can be removed.
    world.git(["worktree", "move", to, from]);
    world.flux(["cleanup", "-y", &id]).run().success();
    assert_removed(&world, &id);
}

#[test]
fn cleanup_keeps_a_copy_of_the_branch() {
    let world = World::new();
    let id = done_task(&world);
    let branch = format!("feature/{id}");
    world.git(["branch", "-c", &branch, "backup"]);
    let backup = commit(&world, "backup");
    world.commit_in(world.worktree(&id), "later.txt", "later\n");
    let tip = tip(&world, &id);
    let list = world.flux(["list", "--json"]).run().json();
    assert_eq!(list[0]["branch"], *branch);
    world.flux(["cleanup", &id]).run().success();
    assert_eq!(commit(&world, "refs/heads/backup"), backup);
    assert_eq!(commit(&world, "main^2"), tip);
    world.git(["config", "--remove-section", "branch.backup"]);
    assert_removed(&world, &id);
}

#[test]
fn cleanup_keeps_a_copy_of_the_branch_if_the_worktree_is_gone() {
    let world = World::new();
    let id = done_task(&world);
    world.git(["branch", "-c", &format!("feature/{id}"), "backup"]);
    let backup = commit(&world, "backup");
    fs::remove_dir_all(world.worktree(&id)).unwrap();
    world.git(["worktree", "prune"]);
    world.flux(["cleanup", "--discard", &id]).run().success();
    assert_eq!(commit(&world, "refs/heads/backup"), backup);
    world.git(["config", "--remove-section", "branch.backup"]);
    assert_removed(&world, &id);
}

#[test]
fn cleanup_deletes_a_branch_of_the_task_that_was_renamed() {
    let world = World::new();
    let id = done_task(&world);
    world.git(["branch", "-m", &format!("feature/{id}"), "renamed"]);
    let tip = commit(&world, "renamed");
    world.flux(["cleanup", &id]).run().success();
    assert_eq!(commit(&world, "main^2"), tip);
    assert!(!world.snapshot().has("ref refs/heads/renamed"));
    assert_removed(&world, &id);
}
