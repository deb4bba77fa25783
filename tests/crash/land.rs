//! Tests a fault in each call of `git flux land`.

use super::matrix::{ID, Scenario};
use super::run::own_work;
use super::settled::{End, Kept, own_changes};
use crate::world::*;

/// Makes two tasks with a commit and an ended agent each; the user has changes of their own.
fn ended(world: &World) -> Kept {
    own_work(world);
    let mut commits = Vec::new();
    for (id, file) in [(ID, "agent.txt"), ("second", "second.txt")] {
        world.behaviour("exit 0");
        world
            .flux(["run", "-q", "--name", id, "Fix the login"])
            .ok();
        world.wait_ended(id);
        commits.push(world.commit_in(world.worktree(id), file, "work\n"));
    }
    commits.truncate(1);
    // The agents of other tasks.
    world.behaviour("raw");
    Kept {
        commits,
        own: own_changes(world),
        ..Kept::default()
    }
}

const LAND: Scenario = Scenario {
    before: ended,
    command: |world| world.flux(["land", "--ready"]),
    aim: End::Gone,
    // The merge is tried once more, and the tasks are looked at several times. The next command deletes
    // the refs of a chain.
    harmless: &["merge", "status", "update-ref"],
};

#[test]
fn land_survives_every_fault() {
    LAND.survives_everything();
}
