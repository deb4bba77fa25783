//! Tests each merge style with reftable, SHA-256, shallow and partial clones.

use std::fs;

use crate::world::removal::two_commits;
use crate::world::removal::*;
use crate::world::*;

/// Merges one task in each style after the target has moved, and one that was squashed by hand.
fn assert_every_style(world: &World) {
    for style in ["--merge", "--squash", "--rebase"] {
        let id = two_commits(world);
        let main = world.commit_in(world.repo(), "README.md", style);
        world.flux(["cleanup", style, &id]).run().success();
        assert_eq!(world.read("two.txt"), "two\n", "{style}");
        assert_eq!(world.git(["status", "--porcelain"]), "", "{style}");
        assert_removed(world, &id);
        world.git(["reset", "-q", "--hard", &main]);
    }
    let id = two_commits(world);
    world.commit_in(world.repo(), "README.md", "moved again\n");
    world.git(["merge", "-q", "--squash", &format!("feature/{id}")]);
    world.git(["commit", "-q", "-m", "All of it"]);
    world.git(["rm", "-q", "two.txt"]);
    world.git(["commit", "-q", "-m", "Not any more"]);
    let output = world.flux(["cleanup", &id]).run();
    output
        .success()
        .says(&expect![[r#"
            --- stderr
            nothing was merged: 'main' already has 'feature/fix-login-XXXXXX', squashed into one commit
            removed 'fix-login-XXXXXX': worktree, branch 'feature/fix-login-XXXXXX' and session
            its commits stay in refs/flux/archive/fix-login-XXXXXX/tip
            its files are kept in '$WORLD/myapp/.git/flux/trash/fix-login-XXXXXX'
            hint: to restore the task: git flux restore fix-login-XXXXXX
        "#]]);
    assert_removed(world, &id);
    world.git(["fsck", "--strict"]);
}

#[test]
fn cleanup_supports_every_style_with_reftable_and_sha_256() {
    let world = World::without_repository("kind");
    fs::create_dir(world.repo()).unwrap();
    let format = ["--ref-format=reftable", "--object-format=sha256"];
    world.git(["init", "-q"].iter().chain(&format));
    world.fill(&world.repo());
    assert_every_style(&world);
}

/// Makes a world whose repository is a clone of one with some history.
fn cloned_world(options: &[&str]) -> World {
    let world = World::without_repository("clone");
    let origin = world.root().join("origin");
    world.make_repository(&origin);
    for n in 0..3 {
        world.commit_in(&origin, "README.md", &format!("{n}\n"));
    }
    world.git_in(&origin, ["config", "uploadpack.allowFilter", "true"]);
    let url = format!("file://{}", origin.display());
    let repo = world.repo();
    let to = [&*url, repo.to_str().unwrap()];
    let args = [&["clone", "-q"], options, &to].concat();
    world.git_in(world.root(), args);
    world
}

#[test]
fn cleanup_supports_every_style_in_a_shallow_clone() {
    assert_every_style(&cloned_world(&["--depth=1"]));
}

#[test]
fn cleanup_supports_every_style_in_a_partial_clone() {
    for filter in ["--filter=blob:none", "--filter=tree:0"] {
        let world = cloned_world(&[filter]);
        assert_every_style(&world);
        // Trees that were never here.
        world.git(["reset", "-q", "--hard", "origin/main"]);
        let id = two_commits(&world);
        let origin = world.root().join("origin");
        world.commit_in(&origin, "README.md", "between\n");
        world.commit_in(&origin, "README.md", "last\n");
        world.git(["pull", "-q", "--ff-only"]);
        fs::rename(&origin, world.root().join("away")).unwrap();
        world.flux(["cleanup", &id]).run().success();
        assert_eq!(world.read("two.txt"), "two\n");
        assert_removed(&world, &id);
    }
}
