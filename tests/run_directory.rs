//! A task that is started from below the top of a worktree: its agent starts there too.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::world::*;

/// The directory that the n-th agent of a task was started in.
#[track_caller]
fn started_in(world: &World, id: &str, n: usize) -> PathBuf {
    world.agent(id).wait_starts(n).cwd()
}

const TOLD: &str = "its agent starts at the top";

#[test]
fn the_agent_starts_in_the_directory_that_run_is_called_from_and_so_does_each_later_one() {
    let world = World::new();
    let name = OsStr::from_bytes(b"src/odd\n name\xff");
    world.write(world.repo().join(name).join("file"), "text\n");
    world.git(["add", "-A"]);
    world.git(["commit", "-qm", "Add a directory"]);
    world.git(["config", "flux.setup", "pwd >../setup"]);
    let run = ["run", "--name", "one", "Fix it"];
    let output = world.flux(run).in_dir(name).run();
    output.success().has_not(TOLD);
    let directory = world.worktree("one").join(name);
    assert_eq!(started_in(&world, "one", 1), directory);
    // What makes the worktree ready is at its top.
    let setup = fs::read(world.root().join("setup")).unwrap();
    assert_eq!(
        setup.strip_suffix(b"\n"),
        Some(world.worktree("one").as_os_str().as_bytes())
    );
    world.agent("one").tell("exit 0");
    world.wait_ended("one");
    // It is the task's, not that of who calls.
    world.flux(["resume", "--restart", "one"]).run().success();
    assert_eq!(started_in(&world, "one", 2), directory);
    world.flux(["cleanup", "-y", "one"]).run().success();
    world.flux(["restore", "one"]).run().success();
    assert_eq!(started_in(&world, "one", 3), directory);
}

#[test]
fn the_environment_of_the_agent_names_the_directory_it_is_in() {
    let world = World::new();
    let id = world.flux(["run", "-q", "Fix"]).in_dir("src").ok();
    let directory = world.worktree(&id).join("src");
    let agent = world.agent(&id);
    assert_eq!(agent.env("PWD").as_deref(), directory.to_str());
    let top = world.worktree(&id);
    assert_eq!(agent.env("FLUX_WORKTREE").as_deref(), top.to_str());
}

#[test]
fn where_the_commit_has_no_such_directory_the_agent_starts_at_the_top_and_run_says_so() {
    let world = World::new();
    fs::create_dir_all(world.repo().join("new/deep")).unwrap();
    let run = ["run", "--name", "one", "Fix it"];
    let output = world.flux(run).in_dir("new/deep").run();
    output.success().stderr_has(&format!(
        "There is no directory 'new/deep' in the worktree of 'one': {TOLD}.\n"
    ));
    assert_eq!(started_in(&world, "one", 1), world.worktree("one"));
    // By now it has one.
    fs::create_dir_all(world.worktree("one").join("new/deep")).unwrap();
    world.agent("one").tell("exit 0");
    world.wait_ended("one");
    let resume = ["resume", "--restart", "one"];
    world.flux(resume).run().success().has_not(TOLD);
    let there = world.worktree("one").join("new/deep");
    assert_eq!(started_in(&world, "one", 2), there);
}

#[test]
fn changes_that_go_along_may_bring_the_directory() {
    let world = World::new();
    world.write("new/file", "text\n");
    let run = ["run", "-q", "--with-changes", "Fix it"];
    let id = world.flux(run).in_dir("new").ok();
    assert_eq!(world.agent(&id).cwd(), world.worktree(&id).join("new"));
}

#[test]
fn a_link_in_place_of_the_directory_is_not_followed() {
    let world = World::new();
    let run = ["run", "-q", "--name", "one", "Fix it"];
    world.flux(run).in_dir("src").ok();
    assert_eq!(
        started_in(&world, "one", 1),
        world.worktree("one").join("src")
    );
    world.agent("one").tell("exit 0");
    world.wait_ended("one");
    let directory = world.worktree("one").join("src");
    fs::rename(&directory, world.worktree("one").join("aside")).unwrap();
    symlink(world.root(), &directory).unwrap();
    let resume = ["resume", "--restart", "one"];
    world.flux(resume).run().success().stderr_has(TOLD);
    assert_eq!(started_in(&world, "one", 2), world.worktree("one"));
}

#[test]
fn a_setup_that_replaces_the_directory_by_a_link_keeps_the_agent_at_the_top() {
    let world = World::new();
    let setup = "mv src aside && ln -s .. src";
    world.git(["config", "flux.setup", setup]);
    let id = world.flux(["run", "-q", "Fix"]).in_dir("src").ok();
    assert_eq!(world.agent(&id).cwd(), world.worktree(&id));
}

#[test]
fn a_worktree_of_a_task_and_the_git_directory_are_no_different_places() {
    let world = World::new();
    let one = world.flux(["run", "-q", "One"]).ok();
    let src = world.worktree(&one).join("src");
    let two = world.flux(["run", "-q", "Two"]).in_dir(src).ok();
    assert_eq!(world.agent(&two).cwd(), world.worktree(&two).join("src"));
    let run = ["run", "--name", "three", "Three"];
    let output = world.flux(run).in_dir(".git/info").run();
    output.success().has_not(TOLD);
    assert_eq!(world.agent("three").cwd(), world.worktree("three"));
}
