//! A cleanup from the task's worktree, piped into other programs that stand there as well.

use std::fs;

use crate::world::removal::*;
use crate::world::*;

/// Runs a line of a shell in the worktree of a task, and returns what it has written to a file called log.
fn piped(world: &World, id: &str, line: &str) -> String {
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
fn the_rest_of_our_own_pipeline_is_no_other_process() {
    let world = World::new();
    let id = done_task(&world);
    let before = world.snapshot();
    // What only shares our output is no part of it: the hint has to be heeded.
    let line = format!("sleep 1000 & yes | git-flux cleanup {id} 2>&1 | cat | tee ../log; kill $!");
    let said = piped(&world, &id, &line);
    assert!(
        said.contains("1 other process is in the worktree: sleep ("),
        "{said}"
    );
    fs::remove_file(world.root().join("log")).unwrap();
    world.assert_unchanged(&before);
    let line = format!("yes | git-flux cleanup {id} 2>&1 | cat | tee ../log");
    let said = piped(&world, &id, &line);
    assert!(!said.contains("other process"), "{said}");
    assert_removed(&world, &id);
}
