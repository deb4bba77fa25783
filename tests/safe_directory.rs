//! Tests a repository of another user, as in a container, where `safe.directory` names only the main worktree.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;

use crate::world::hints::{hints, paste};
use crate::world::*;

const OTHER: u32 = 4242;

/// Changes the owner of all files at `path`.
fn give_away(path: &Path) {
    chown(path, Some(OTHER), Some(OTHER)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path).unwrap() {
            give_away(&entry.unwrap().path());
        }
    }
}

/// Makes a world whose repository belongs to another user; `None` if this user cannot.
fn world() -> Option<World> {
    let world = World::new();
    if fs::metadata(world.repo()).unwrap().uid() != 0 {
        return None;
    }
    give_away(&world.repo());
    Some(world)
}

#[test]
fn commands_work_if_only_the_top_directory_is_safe() {
    let Some(world) = world() else { return };
    let below = world.repo().join("src");
    let refused = world.flux(["list"]).in_dir(&below).run();
    refused
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: the repository belongs to another user
              caused by: repository path '$WORLD/myapp' is not owned by current user; class=Config (<number>); code=Owner (-36)
            hint: git config --global --add safe.directory '$WORLD/myapp'
        "#]]);
    paste(&world, &hints(&refused)[0]).unwrap();
    let safe = world.git(["config", "--global", "--get-all", "safe.directory"]);
    assert_eq!(Path::new(&safe), world.repo(), "no more than the top");
    world.git(["status"]);

    world.flux(["list"]).in_dir(&below).run().success();
    let run = |id: &str| {
        let args = ["run", "-q", "--name", id, "Do it"];
        world.flux(args).run().success();
        let tree = world.worktree(id);
        fs::write(tree.join(id), id).unwrap();
        world.git_in(&tree, ["add", id]);
        world.git_in(&tree, ["commit", "-q", "-m", &format!("work of {id}")]);
        fs::write(tree.join("new"), id).unwrap();
    };
    for id in ["merged", "committed", "dropped", "mine"] {
        run(id);
    }
    world.agent("mine").wait_started();
    for args in [
        &["list"][..],
        &["list", "--all-repos"],
        &["status", "mine"],
        &["diff", "mine"],
        &["log", "mine"],
        &["config"],
        &["send", "mine", "Go on"],
        &["cleanup", "--all", "--dry-run", "--yes", "--discard"],
        &["cleanup", "merged", "--discard", "-y"],
        &["cleanup", "committed", "--commit", "--squash", "-y"],
        &["cleanup", "dropped", "--discard-branch", "--discard", "-y"],
        &["restore", "--list"],
        &["restore", "dropped"],
        &["log", "merged"],
    ] {
        world.flux(args).run().success();
    }
    let completed = world
        .flux(["--", "git-flux", "status", ""])
        .env("COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", "2")
        .run();
    completed.success().stdout_has("mine").stdout_has("dropped");
    // From a worktree that is ours, too.
    let inside = world.worktree("mine");
    world
        .flux(["list"])
        .in_dir(&inside)
        .run()
        .success()
        .stdout_has("mine");
    world.agent("mine").tell("exit 0");
    world.wait_ended("mine");
    world.flux(["resume", "mine"]).run().success();
    world.git(["worktree", "add", "-q", "../theirs", "-b", "theirs"]);
    world
        .flux(["adopt", "../theirs", "--name", "theirs"])
        .run()
        .success();
    world.flux(["cleanup", "theirs", "-y"]).run().success();
    world
        .flux(["restore", "--drop", "merged", "-y"])
        .run()
        .success();
    let log = world.git(["log", "--format=%s"]);
    assert!(log.contains("work of merged"), "{log}");
    assert_eq!(world.git(["show", "HEAD:committed"]), "committed");
}

#[test]
fn hint_for_safe_directory_works_beside_a_pattern() {
    let Some(world) = world() else { return };
    // libgit2 knows no patterns; git itself does since 2.46.
    let pattern = format!("{}/*", world.root().display());
    world.git(["config", "--global", "safe.directory", &pattern]);
    let refused = world.flux(["list"]).run();
    refused.code(1);
    paste(&world, &hints(&refused)[0]).unwrap();
    world.flux(["list"]).run().success();
    world
        .flux(["run", "-q", "--name", "one", "Do it"])
        .run()
        .success();
    world.flux(["cleanup", "one", "-y"]).run().success();
}
