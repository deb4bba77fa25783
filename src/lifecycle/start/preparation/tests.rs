//! Tests of [`Preparation`].

use super::*;
use crate::lifecycle::start::world::{World, git};

fn request(start_point: StartPoint) -> Request {
    Request {
        start_point,
        name: Some("fix".to_owned()),
        agents: vec!["shell".to_owned()],
        count: 1,
        agent_args: Vec::new(),
        has_template: false,
        takes_changes: false,
        layout: None,
    }
}

fn store(world: &World) -> Store {
    Store::load(&world.flux.repo, &world.flux.settings).unwrap()
}

/// Checks the start commit and the merge target.
#[track_caller]
fn assert_prepared(world: &World, start_point: StartPoint, base: &str, into: Option<&str>) {
    let request = request(start_point);
    let preparation = Preparation::new(&world.flux, store(world), &request).unwrap();
    let base = git(world.home(), ["rev-parse", base]);
    assert_eq!(&*preparation.base, base.trim_end());
    assert_eq!(preparation.into.as_deref(), into);
}

#[track_caller]
fn assert_refused(world: &World, start_point: StartPoint, why: &str) {
    let request = request(start_point);
    let error = Preparation::new(&world.flux, store(world), &request);
    let error = error.map(drop).unwrap_err().to_string();
    assert!(error.contains(why), "{error}");
}

#[test]
fn run_resolves_its_start_point() {
    let world = World::new();
    let home = world.home();
    git(home, ["branch", "topic"]);
    git(home, ["commit", "-q", "--allow-empty", "-m", "second"]);
    let commit = |name: &str| StartPoint::Commit(name.to_owned());
    let branch = |name: &str| StartPoint::Branch(BranchName::new(name));
    assert_prepared(&world, StartPoint::Head, "HEAD", Some("main"));
    assert_prepared(&world, commit("topic"), "topic", Some("topic"));
    assert_prepared(&world, commit("HEAD~1"), "topic", None);
    assert_prepared(&world, branch("topic"), "topic", Some("main"));
    assert_refused(
        &world,
        commit("nothing"),
        "'nothing' does not name a commit",
    );
    assert_refused(&world, branch("nothing"), "there is no branch 'nothing'");
    assert_refused(&world, branch("main"), "is checked out in");
}

#[test]
fn run_numbers_the_ids_of_several_tasks() {
    let world = World::new();
    let mut request = request(StartPoint::Head);
    request.count = 2;
    let preparation = Preparation::new(&world.flux, store(&world), &request).unwrap();
    let ids = preparation.choose_ids(b"fix it").unwrap();
    let ids: Vec<&str> = ids.iter().map(TaskId::as_str).collect();
    assert_eq!(ids, ["fix-1", "fix-2"]);
    request.start_point = StartPoint::Branch(BranchName::new("topic"));
    git(world.home(), ["branch", "topic"]);
    let error = Preparation::new(&world.flux, store(&world), &request);
    let error = error.map(drop).unwrap_err().to_string();
    assert!(
        error.starts_with("--branch can start only one task"),
        "{error}"
    );
}

#[test]
fn run_fails_without_a_description() {
    let world = World::new();
    let request = request(StartPoint::Head);
    let preparation = Preparation::new(&world.flux, store(&world), &request).unwrap();
    let error = preparation.plan_starts(b" \n").map(drop).unwrap_err();
    let said = "the description is empty";
    assert_eq!(error.to_string(), said);
}
