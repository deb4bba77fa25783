//! Tests in which directory of the worktree the agent starts.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::world::*;

/// Returns the directory that the n-th agent of a task was started in.
#[track_caller]
fn started_in(world: &World, id: &str, n: usize) -> PathBuf {
    world.agent(id).wait_starts(n).cwd()
}

const TOLD: &str = "its agent starts at the top";

#[test]
fn run_resume_and_restore_start_the_agent_in_the_directory_of_the_caller() {
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
fn run_sets_pwd_to_the_directory_of_the_agent() {
    let world = World::new();
    let id = world.flux(["run", "-q", "Fix"]).in_dir("src").ok();
    let directory = world.worktree(&id).join("src");
    let agent = world.agent(&id);
    assert_eq!(agent.env("PWD").as_deref(), directory.to_str());
    let top = world.worktree(&id);
    assert_eq!(agent.env("FLUX_WORKTREE").as_deref(), top.to_str());
}

#[test]
fn run_starts_the_agent_at_the_top_if_the_commit_lacks_the_directory() {
    let world = World::new();
    fs::create_dir_all(world.repo().join("new/deep")).unwrap();
    let run = ["run", "--name", "one", "Fix it"];
    let output = world.flux(run).in_dir("new/deep").run();
    output.success().stderr_has(&format!(
        "No directory 'new/deep' in the worktree of 'one': {TOLD}.\n"
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
fn run_with_changes_starts_the_agent_in_a_directory_copied_with_them() {
    let world = World::new();
    world.write("new/file", "text\n");
    let run = ["run", "-q", "--with-changes", "Fix it"];
    let id = world.flux(run).in_dir("new").ok();
    assert_eq!(world.agent(&id).cwd(), world.worktree(&id).join("new"));
}

#[test]
fn resume_starts_the_agent_at_the_top_if_its_directory_became_a_link() {
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
    world.flux(resume).run().success().says(&expect![[r#"
        --- stderr
        No directory 'src' in the worktree of 'one': its agent starts at the top.
        restarted 'one' (claude): session 'flux-myapp-one'
        hint: git flux attach one
    "#]]);
    assert_eq!(started_in(&world, "one", 2), world.worktree("one"));
}

#[test]
fn run_starts_the_agent_at_the_top_if_setup_made_its_directory_a_link() {
    let world = World::new();
    let setup = "mv src aside && ln -s .. src";
    world.git(["config", "flux.setup", setup]);
    let id = world.flux(["run", "-q", "Fix"]).in_dir("src").ok();
    assert_eq!(world.agent(&id).cwd(), world.worktree(&id));
}

#[test]
fn run_in_another_task_or_the_git_directory_finds_the_directory() {
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
