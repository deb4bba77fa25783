//! Tests of claiming an id.

use super::super::*;
use super::world::{World, git, id};
use crate::task::{BranchName, Existing, Rest};

/// The adoption of a branch, which reserves no ports.
fn adoption(world: &World, branch: &str) -> Start {
    let mut start = world.start(Origin::Worktree);
    start.task.branch = BranchName::new(branch);
    start.task.existing = Some(Existing {
        tip: start.task.base.clone(),
        made: false,
        adopted: true,
        rest: Rest::default(),
    });
    start
}

fn claim_it(world: &World, start: &mut Start) -> Result<ObjectId> {
    let lock = world.flux.lock_task(&id()).unwrap();
    claim(&world.flux, start, &lock)
}

#[test]
fn claim_refuses_the_id_of_a_task() {
    let world = World::new();
    git(world.home(), ["branch", "topic"]);
    let mut start = adoption(&world, "topic");
    let lock = world.flux.lock_task(&id()).unwrap();
    start_locked(&world.flux, &mut start, lock)
        .map(drop)
        .unwrap();
    let before = world.facts();
    let error = claim_it(&world, &mut start).unwrap_err();
    assert_eq!(error.to_string(), "the task 'fix' exists already");
    assert_eq!(world.facts(), before);
}

#[test]
fn claim_undoes_a_killed_start_of_its_id() {
    let world = World::new();
    git(world.home(), ["branch", "topic"]);
    let before = world.facts();
    let mut start = adoption(&world, "topic");
    claim_it(&world, &mut start).unwrap();
    let error = claim_it(&world, &mut start).unwrap_err();
    let said = "could not adopt 'fix'; nothing was changed";
    assert_eq!(error.to_string(), said);
    assert_eq!(world.facts(), before);
}

#[test]
fn claim_leaves_no_task_when_the_branch_is_missing() {
    let world = World::new();
    let before = world.facts();
    claim_it(&world, &mut adoption(&world, "topic")).unwrap_err();
    assert_eq!(world.facts(), before);
}
