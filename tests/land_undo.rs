//! Tests the hints after a landing: how to undo it, and how to push it.

use crate::land::done;
use crate::world::hints::paste;
use crate::world::*;

/// Returns the command in the hint that begins with `start`.
#[track_caller]
fn hinted(output: &Output, start: &str) -> String {
    let mut lines = output.stderr.lines();
    let command = lines.find_map(|line| line.strip_prefix(&format!("hint: {start}: ")));
    command
        .unwrap_or_else(|| panic!("no {start:?}\n{output}"))
        .to_owned()
}

#[test]
fn land_hint_undoes_a_fast_forward_to_a_branch_with_a_merge() {
    let world = World::new();
    done(&world, &["alpha"]);
    world.commit_in(world.repo(), "main.txt", "main's\n");
    let worktree = world.worktree("alpha");
    world.git_in(&worktree, ["merge", "-q", "--no-edit", "main"]);
    world.commit_in(&worktree, "ALPHA.txt", "more work\n");
    let before = world.git(["rev-parse", "main^{tree}"]);
    let output = world.flux(["land", "alpha", "--ff-only"]).run();
    output.success();
    world.commit_in(world.repo(), "later.txt", "later\n");
    let undo = hinted(&output, "or, if 'main' has newer commits");
    paste(&world, &undo).unwrap();
    assert_eq!(world.git(["status", "--porcelain"]), "");
    world.git(["rm", "-q", "later.txt"]);
    world.git(["commit", "-qm", "Without it"]);
    assert_eq!(world.git(["rev-parse", "main^{tree}"]), before);
}

#[test]
fn land_hint_pushes_the_target_to_where_git_pushes_it() {
    let world = World::new();
    let names = ["one", "two", "three", "four"];
    done(&world, &names);
    for remote in ["origin", "fork"] {
        world.git(["init", "-q", "--bare", &format!("../{remote}.git")]);
        world.git(["remote", "add", remote, &format!("../{remote}.git")]);
    }
    let cases = [
        ("branch.main.remote=. branch.main.merge=refs/heads/dev", ""),
        (
            "branch.main.remote=origin branch.main.merge=refs/heads/main",
            "git push origin main",
        ),
        (
            "branch.main.merge=refs/heads/trunk",
            "git push origin main:trunk",
        ),
        ("remote.pushDefault=fork", "git push fork main"),
    ];
    for (name, (settings, command)) in names.iter().zip(cases) {
        for setting in settings.split(' ') {
            let (key, value) = setting.split_once('=').unwrap();
            world.git(["config", key, value]);
        }
        let output = world.flux(["land", name]).run();
        output.success();
        match command {
            "" => drop(output.has_not("to push it")),
            command => {
                assert_eq!(hinted(&output, "to push it"), command);
                paste(&world, command).unwrap();
            }
        }
    }
    let trunk = world.git(["ls-remote", "--heads", "origin"]);
    assert!(trunk.contains("refs/heads/trunk"), "{trunk}");
}

#[test]
fn land_keeps_the_commits_of_a_task_that_cancel_each_other_out() {
    let world = World::new();
    done(&world, &["alpha"]);
    let worktree = world.worktree("alpha");
    world.git_in(&worktree, ["revert", "--no-edit", "HEAD"]);
    let output = world.flux(["land", "alpha"]).run();
    output
        .success()
        .stderr_has("removed 'alpha': the commits of 'feature/alpha' cancel each other out");
    // In no branch, so they do not expire.
    let removed = world.flux(["restore", "--list", "--json"]).run().json();
    assert_eq!(removed[0]["mergedInto"], serde_json::Value::Null);
}
