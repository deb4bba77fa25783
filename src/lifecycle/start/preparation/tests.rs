//! What is settled of new tasks before their text is known.

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

/// The commit that a task would start from, and the branch it would be merged into.
#[track_caller]
fn case(world: &World, start_point: StartPoint, base: &str, into: Option<&str>) {
    let request = request(start_point);
    let preparation = Preparation::new(&world.flux, store(world), &request).unwrap();
    let base = git(world.home(), ["rev-parse", base]);
    assert_eq!(&*preparation.base, base.trim_end());
    assert_eq!(preparation.into.as_deref(), into);
}

#[track_caller]
fn refused(world: &World, start_point: StartPoint, why: &str) {
    let request = request(start_point);
    let error = Preparation::new(&world.flux, store(world), &request);
    let error = error.map(drop).unwrap_err().to_string();
    assert!(error.contains(why), "{error}");
}

#[test]
fn a_task_starts_where_it_is_told_to() {
    let world = World::new();
    let home = world.home();
    git(home, ["branch", "topic"]);
    git(home, ["commit", "-q", "--allow-empty", "-m", "second"]);
    let commit = |name: &str| StartPoint::Commit(name.to_owned());
    let branch = |name: &str| StartPoint::Branch(name.to_owned());
    case(&world, StartPoint::Head, "HEAD", Some("main"));
    case(&world, commit("topic"), "topic", Some("topic"));
    case(&world, commit("HEAD~1"), "topic", None);
    case(&world, branch("topic"), "topic", Some("main"));
    refused(
        &world,
        commit("nothing"),
        "'nothing' does not name a commit",
    );
    refused(&world, branch("nothing"), "there is no branch 'nothing'");
    refused(&world, branch("main"), "is checked out in");
}

#[test]
fn several_tasks_have_an_id_with_a_number_each() {
    let world = World::new();
    let mut request = request(StartPoint::Head);
    request.count = 2;
    let preparation = Preparation::new(&world.flux, store(&world), &request).unwrap();
    let ids = preparation.ids(b"fix it").unwrap();
    let ids: Vec<&str> = ids.iter().map(TaskId::as_str).collect();
    assert_eq!(ids, ["fix-1", "fix-2"]);
    request.start_point = StartPoint::Branch("topic".to_owned());
    git(world.home(), ["branch", "topic"]);
    let error = Preparation::new(&world.flux, store(&world), &request);
    let error = error.map(drop).unwrap_err().to_string();
    assert!(
        error.starts_with("a branch can be checked out once"),
        "{error}"
    );
}

#[test]
fn an_empty_description_starts_nothing() {
    let world = World::new();
    let request = request(StartPoint::Head);
    let preparation = Preparation::new(&world.flux, store(&world), &request).unwrap();
    let error = preparation.starts(b" \n").map(drop).unwrap_err();
    let said = "there is no task: the description is empty";
    assert_eq!(error.to_string(), said);
}
