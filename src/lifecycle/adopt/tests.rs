//! Tests of [`Adoption`].

use std::fs;

use super::*;
use crate::git::worktree;
use crate::lifecycle::start::world::{World, git};

/// Prepares the adoption of a worktree beside the main one, as the task `fix`.
fn prepare(world: &World, path: &str) -> Result<Start> {
    prepare_as(world, path, "fix")
}

fn prepare_as(world: &World, path: &str, name: &str) -> Result<Start> {
    let flux = &world.flux;
    let store = Store::load(&flux.repo, &flux.settings)?;
    let adoption = Adoption {
        flux,
        store: &store,
        worktrees: &worktree::list(world.home())?,
        path: &world.home().with_file_name(path),
        agent: None,
        into: Some("main"),
        name: Some(name),
        description: b"",
    };
    adoption.prepare()
}

#[track_caller]
fn assert_refused(world: &World, path: &str, why: &str) {
    let before = world.facts();
    let error = prepare(world, path).map(drop).unwrap_err().to_string();
    assert!(error.contains(why), "{error}");
    assert_eq!(world.facts(), before);
}

#[test]
fn adopt_makes_a_task_that_keeps_its_branch() {
    let world = World::new();
    git(
        world.home(),
        ["worktree", "add", "-q", "-b", "topic", "../topic"],
    );
    let mut start = prepare(&world, "topic").unwrap();
    assert!(start.task.keeps_branch() && start.pane.is_none());
    adopt(&world.flux, &mut start, &[]).unwrap();
    let task = world.record().unwrap();
    assert_eq!(
        (&*task.branch, task.into.as_deref()),
        ("topic", Some("main"))
    );
    assert_eq!(task.phase, Phase::Active);
    assert_refused(&world, "topic", "is the worktree of the task 'fix'");
}

#[test]
fn adopt_makes_one_task_of_a_worktree_if_two_have_planned_that() {
    let world = World::new();
    let add = ["worktree", "add", "-q", "-b", "topic", "../topic"];
    git(world.home(), add);
    let mut planned = ["one", "two", "three"].map(|id| prepare_as(&world, "topic", id).unwrap());
    let [one, two, three] = &mut planned;
    adopt(&world.flux, one, &[]).unwrap();
    let before = world.facts();
    let assert_refused = |start: &mut Start, id: &str, why: &str| {
        let error = format!("{:#}", adopt(&world.flux, start, &[]).unwrap_err());
        let expected = format!("could not adopt '{id}'; nothing was changed: {why}");
        assert_eq!(error, expected);
    };
    let place = one.task.worktree.display();
    let is_worktree = format!("'{place}' is the worktree of the task 'one'");
    assert_refused(two, "two", &is_worktree);
    // The branch of a task whose worktree was moved.
    three.task.worktree.set_file_name("moved");
    assert_refused(three, "three", "'topic' is the branch of the task 'one'");
    assert_eq!(world.facts(), before);
}

#[test]
fn adopt_refuses_other_worktrees() {
    let world = World::new();
    assert_refused(&world, "repo", "is the main worktree");
    assert_refused(&world, "nothing", "there is nothing at");
    fs::create_dir(world.home().with_file_name("plain")).unwrap();
    assert_refused(&world, "plain", "is not a worktree of this repository");
    git(
        world.home(),
        ["worktree", "add", "-q", "--detach", "../loose"],
    );
    assert_refused(&world, "loose", "has no branch checked out");
    git(
        world.home(),
        ["worktree", "add", "-q", "-b", "gone", "../gone"],
    );
    fs::remove_dir_all(world.home().with_file_name("gone")).unwrap();
    assert_refused(&world, "gone", "is missing");
    git(
        world.home(),
        ["worktree", "add", "-q", "-b", "held", "../held"],
    );
    git(world.home(), ["worktree", "lock", "../held"]);
    assert_refused(&world, "held", "is locked");
}
