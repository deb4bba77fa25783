//! Tests a whole cycle of a task in each kind of repository. Other layouts, filters, names and callers are in
//! `repositories_layouts`, `repositories_filters`, `repositories_names` and `repositories_callers`.

use std::fs;

use crate::world::cycle::*;
use crate::world::removal::assert_removed_from;
use crate::world::*;

#[test]
fn run_and_cleanup_work_in_an_ordinary_repository() {
    let world = World::new();
    Cycle::of(&world).run();
    world.flux(["list"]).run().success().says(&expect![[r#"
        --- stderr
        no tasks
        hint: to start a task: git flux run "<description>"
    "#]]);
    // And once more, on what the first has left.
    let again = world.flux(["run", "-q", "Fix login"]).ok();
    world.flux(["cleanup", "-y", &again]).run().success();
}

/// `a/`, `b/` and `c/` with one file each, of which only `a/` and `src/` are checked out.
fn make_sparse(world: &World, options: &[&str]) {
    for dir in ["a", "b", "c"] {
        world.write(format!("{dir}/file.txt"), dir);
    }
    world.git(["add", "-A"]);
    world.git(["commit", "-q", "-m", "Directories"]);
    let set = ["sparse-checkout", "set", "--cone"].iter().chain(options);
    world.git(set.copied().chain(["a", "src"]));
    assert!(!world.repo().join("b").exists());
}

#[test]
fn run_and_cleanup_work_in_a_sparse_checkout() {
    for options in [&[][..], &["--sparse-index"]] {
        let world = World::new();
        make_sparse(&world, options);
        let cone = world.git(["sparse-checkout", "list"]);
        Cycle::of(&world).run_with(|worktree| {
            assert_eq!(world.git_in(worktree, ["sparse-checkout", "list"]), cone);
            assert!(worktree.join("a/file.txt").exists());
            assert!(!worktree.join("b").exists());
        });
        assert_eq!(world.git(["sparse-checkout", "list"]), cone);
        assert!(!world.repo().join("b").exists());
        assert_eq!(world.git(["show", "main:b/file.txt"]), "b");
    }
}

#[test]
fn cleanup_commits_uncommitted_changes_in_a_sparse_checkout() {
    let world = World::new();
    make_sparse(&world, &[]);
    world.behaviour("raw");
    let id = world.start("Fix login");
    world.write(world.worktree(&id).join("a/new.txt"), "new\n");
    world
        .flux(["diff", &id])
        .run()
        .success()
        .stdout_has("+new")
        .has_not("b/file.txt");
    world
        .flux(["cleanup", "-y", "--commit", &id])
        .run()
        .success();
    assert_eq!(
        world.git(["diff", "--name-only", "main~1", "main"]),
        "a/new.txt"
    );
    assert_eq!(world.git(["show", "main:c/file.txt"]), "c");
}

#[test]
fn run_and_cleanup_work_with_a_split_index() {
    let world = World::new();
    world.git(["config", "core.splitIndex", "true"]);
    world.git(["update-index", "--split-index"]);
    Cycle::of(&world).run();
}

#[test]
fn run_and_cleanup_work_with_other_index_versions_and_caches() {
    for (key, value) in [
        ("index.version", "4"),
        ("feature.manyFiles", "true"),
        ("core.untrackedCache", "true"),
    ] {
        let world = World::new();
        world.git(["config", key, value]);
        world.git(["update-index", "--force-write-index"]);
        Cycle::of(&world).run();
    }
}

#[test]
fn run_and_cleanup_work_in_a_shallow_clone() {
    let world = World::new();
    world.commit_in(world.repo(), "README.md", "two\n");
    let clone = world.root().join("clone");
    let from = format!("file://{}", world.repo().display());
    world.git(["clone", "-q", "--depth=1", &from, clone.to_str().unwrap()]);
    Cycle::at(&world, &clone).run();
    assert_eq!(
        world.git_in(&clone, ["rev-parse", "--is-shallow-repository"]),
        "true"
    );
}

#[test]
fn run_and_cleanup_work_in_a_partial_clone() {
    let world = World::new();
    for text in ["two\n", "three\n"] {
        world.commit_in(world.repo(), "README.md", text);
    }
    world.git(["config", "uploadpack.allowFilter", "true"]);
    world.git(["config", "uploadpack.allowAnySHA1InWant", "true"]);
    let clone = world.root().join("clone");
    let from = format!("file://{}", world.repo().display());
    for filter in ["blob:none", "tree:0"] {
        let args = [
            "clone",
            "-q",
            "--no-checkout",
            "--filter",
            filter,
            &from,
            clone.to_str().unwrap(),
        ];
        world.git(args);
        world.git_in(&clone, ["reset", "-q", "--hard"]);
        Cycle::at(&world, &clone).run();
        // A start that has to fetch what it checks out, and a merge that has to fetch what it compares.
        world.behaviour("raw");
        let run = ["run", "-q", "--base=main~2", "--name=old", "Fix login"];
        world.flux(run).in_dir(&clone).ok();
        world
            .agent("old")
            .tell("sh echo x >new.txt; git add new.txt && git commit -qm new");
        let output = world
            .flux(["cleanup", "-y", "old", "--into=main"])
            .in_dir(&clone)
            .run();
        output.success();
        assert_eq!(world.read(clone.join("new.txt")), "x\n");
        assert_eq!(world.read(clone.join("README.md")), "three\n");
        fs::remove_dir_all(&clone).unwrap();
    }
}

#[test]
fn run_and_cleanup_keep_settings_of_one_worktree() {
    let world = World::new();
    world.git(["config", "extensions.worktreeConfig", "true"]);
    world.git(["config", "--worktree", "user.name", "Only Here"]);
    let by_hand = world.root().join("by hand");
    world.git([
        "worktree",
        "add",
        "-q",
        "--detach",
        by_hand.to_str().unwrap(),
    ]);
    let name = world.git_in(&by_hand, ["config", "user.name"]);
    Cycle::of(&world).run_with(|worktree| {
        assert_eq!(world.git_in(worktree, ["config", "user.name"]), name);
        world.git_in(
            worktree,
            ["config", "--worktree", "user.name", "Only There"],
        );
    });
    assert_eq!(
        world.git(["config", "--worktree", "user.name"]),
        "Only Here"
    );
}

#[test]
fn run_and_cleanup_work_with_reftable_and_sha_256() {
    let dir = |n: usize| format!("kind {n}");
    let kinds = [
        &["--ref-format=reftable"][..],
        &["--object-format=sha256"],
        &["--ref-format=reftable", "--object-format=sha256"],
    ];
    for (n, options) in kinds.iter().enumerate() {
        let world = World::without_repository(dir(n));
        fs::create_dir(world.repo()).unwrap();
        world.git(["init", "-q"].iter().chain(*options));
        world.fill(&world.repo());
        Cycle::of(&world).run();
        // Where both have moved, with a hook that sees the merge.
        crate::world::hooks::hook(&world, &world.repo().join(".git/hooks"), "commit-msg", "");
        world.git(["reset", "-q", "--hard", "main~1"]);
        world.behaviour("raw");
        let id = world.start("Fix login");
        world.agent(&id).tell("commit one");
        world.commit_in(world.repo(), "README.md", "moved\n");
        world.flux(["cleanup", "-y", &id]).run().success();
        assert_eq!(world.read("agent.txt"), "one\n");
        assert_eq!(world.read("README.md"), "moved\n");
        assert_removed_from(&world, &world.repo(), &id);
        world.git(["fsck", "--strict"]);
    }
}
