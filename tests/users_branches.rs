//! Whose branch is it: one that the user has taken over, moved or copied is not deleted with the task.

use std::fs;

use crate::world::removal::refused;
use crate::world::removal::*;
use crate::world::*;

#[test]
fn a_branch_that_the_user_took_over_stays() {
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
fn a_worktree_that_was_moved_by_git_keeps_its_branch() {
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
fn a_removal_that_was_killed_does_not_go_on_under_a_moved_worktree() {
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
fn a_copy_of_the_branch_is_the_users() {
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
fn a_copy_of_the_branch_stays_where_the_worktree_is_gone() {
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
fn a_branch_that_was_renamed_is_still_the_tasks() {
    let world = World::new();
    let id = done_task(&world);
    world.git(["branch", "-m", &format!("feature/{id}"), "renamed"]);
    let tip = commit(&world, "renamed");
    world.flux(["cleanup", &id]).run().success();
    assert_eq!(commit(&world, "main^2"), tip);
    assert!(!world.snapshot().has("ref refs/heads/renamed"));
    assert_removed(&world, &id);
}
