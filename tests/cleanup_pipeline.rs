//! Tests a cleanup in a pipeline whose other programs run in the worktree of the task.

use std::fs;

use crate::world::removal::*;
use crate::world::*;

/// Runs a shell line in the worktree of a task, and returns the content of the file `log`.
fn run_pipeline(world: &World, id: &str, line: &str) -> String {
    let done = world
        .command("/bin/sh")
        .current_dir(world.worktree(id))
        .args(["-c", line])
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    world.read("../log")
}

#[test]
fn cleanup_ignores_the_other_processes_of_its_own_pipeline() {
    let world = World::new();
    let id = done_task(&world);
    let before = world.snapshot();
    // What only shares our output is no part of it: the hint has to be heeded.
    let line = format!("sleep 1000 & yes | git-flux cleanup {id} 2>&1 | cat | tee ../log; kill $!");
    let said = run_pipeline(&world, &id, &line);
    assert!(
        said.contains("1 other process is in the worktree: sleep ("),
        "{said}"
    );
    fs::remove_file(world.root().join("log")).unwrap();
    world.assert_unchanged(&before);
    let line = format!("yes | git-flux cleanup {id} 2>&1 | cat | tee ../log");
    let said = run_pipeline(&world, &id, &line);
    assert!(!said.contains("other process"), "{said}");
    assert_removed(&world, &id);
}
