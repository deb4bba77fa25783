//! Tests `git flux land` with filters, Git LFS and a sparse checkout: the gate sees the files as a checkout
//! writes them, and the tested tree is the one that lands.

use std::fs;
use std::os::unix::fs::symlink;

use crate::land::{assert_no_landing, tasks};
use crate::repositories_filters::filter_process;
use crate::world::*;

/// Starts tasks whose agents have ended, each with a commit of this file.
fn tasks_with(world: &World, files: &[(&str, &str, &str)]) {
    for (name, file, text) in files {
        world.behaviour("exit 0");
        world.flux(["run", "-q", "--name", name, "Fix"]).ok();
        world.wait_ended(name);
        let worktree = world.worktree(name);
        world.write(worktree.join(file), text);
        world.git_in(&worktree, ["add", "--sparse", file]);
        world.git_in(&worktree, ["commit", "-q", "-m", name]);
    }
}

/// Lands all tasks by one run of the gate, and asserts that the tree of the target was tested, and that
/// the checkout of the target is as git would have written it.
#[track_caller]
fn assert_lands_what_was_tested(world: &World) {
    let output = world.flux(["land", "--all"]).run();
    output.success().stderr_has("landed one, two (1 run, ");
    assert_eq!(tasks(world), [""; 0]);
    assert_no_landing(world);
    let tree = world.git(["rev-parse", "main^{tree}"]);
    let verdicts = fs::read_dir(world.repo().join(".git/flux/verdicts")).unwrap();
    let tested: Vec<String> = verdicts
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let [tested] = &tested[..] else {
        panic!("{tested:?}");
    };
    assert!(tested.ends_with(&format!(".{tree}")), "{tested} {tree}");
    assert_eq!(world.git(["status", "--porcelain"]), "");
}

#[test]
fn land_tests_smudged_files() {
    let world = World::new();
    world.git(["config", "filter.loud.smudge", "tr a-z A-Z"]);
    world.git(["config", "filter.loud.clean", "tr A-Z a-z"]);
    world.git(["config", "filter.loud.required", "true"]);
    world.commit_in(world.repo(), ".gitattributes", "*.loud filter=loud\n");
    let gate = "test \"$(cat one.loud two.loud)\" = \"$(printf 'ONE\\nTWO')\"";
    world.git(["config", "flux.gate", gate]);
    tasks_with(
        &world,
        &[("one", "one.loud", "ONE\n"), ("two", "two.loud", "TWO\n")],
    );
    assert_lands_what_was_tested(&world);
    for (file, text) in [("one.loud", "ONE"), ("two.loud", "TWO")] {
        let stored = world.git(["cat-file", "blob", &format!("main:{file}")]);
        assert_eq!(stored, text.to_lowercase());
        assert_eq!(world.read(file), format!("{text}\n"));
    }
}

#[test]
fn land_gives_no_verdict_if_a_filter_fails() {
    let world = World::new();
    for name in ["smudge", "clean"] {
        world.git(["config", &format!("filter.loud.{name}"), "cat"]);
    }
    world.git(["config", "filter.loud.required", "true"]);
    world.commit_in(world.repo(), ".gitattributes", "*.loud filter=loud\n");
    world.git(["config", "flux.gate", "true"]);
    tasks_with(&world, &[("one", "one.loud", "ONE\n")]);
    world.git(["config", "filter.loud.smudge", "false"]);
    let main = world.git(["rev-parse", "main"]);
    let output = world.flux(["land", "--all"]).run();
    output.code(1).stderr_has("could not check out");
    assert_eq!(world.git(["rev-parse", "main"]), main);
    assert_eq!(tasks(&world), ["one"]);
    assert_no_landing(&world);
    assert!(!world.repo().join(".git/flux/verdicts").exists());
    world.git(["config", "filter.loud.smudge", "cat"]);
    world.flux(["land", "--all"]).run().success();
}

#[test]
fn land_tests_the_files_of_a_filter_process() {
    let world = World::new();
    filter_process(&world);
    world.commit_in(world.repo(), ".gitattributes", "*.big filter=big\n");
    let gate = "grep -q '^small$' one.big && test $(wc -c <two.big) -gt 100000";
    world.git(["config", "flux.gate", gate]);
    let content = "all of it, not a pointer\n".repeat(10_000);
    tasks_with(
        &world,
        &[("one", "one.big", "small\n"), ("two", "two.big", &content)],
    );
    assert_lands_what_was_tested(&world);
    let stored = world.git(["cat-file", "blob", "main:two.big"]);
    assert!(stored.starts_with("pointer "), "{stored}");
    assert_eq!(world.read("two.big"), content);
}

#[test]
fn land_tests_the_files_of_git_lfs() {
    let world = World::new();
    symlink(require("git-lfs"), world.tools().join("bin/git-lfs")).unwrap();
    // With the hooks that it needs.
    world.git(["lfs", "install", "--local"]);
    world.git(["lfs", "track", "*.bin"]);
    world.git(["add", ".gitattributes"]);
    world.git(["commit", "-q", "-m", "Track"]);
    let gate = "grep -q '^one$' one.bin && grep -q '^two$' two.bin && git lfs ls-files | grep -c . | grep -qx 2";
    world.git(["config", "flux.gate", gate]);
    tasks_with(
        &world,
        &[("one", "one.bin", "one\n"), ("two", "two.bin", "two\n")],
    );
    assert_lands_what_was_tested(&world);
    for name in ["one", "two"] {
        let file = format!("{name}.bin");
        let stored = world.git(["cat-file", "blob", &format!("main:{file}")]);
        assert!(stored.starts_with("version https://git-lfs"), "{stored}");
        assert_eq!(world.read(&file), format!("{name}\n"));
    }
    world.git(["lfs", "fsck"]);
}

#[test]
fn land_tests_all_files_and_leaves_the_checkout_sparse() {
    let world = World::new();
    for dir in ["a", "b"] {
        world.write(format!("{dir}/file.txt"), dir);
    }
    world.git(["add", "-A"]);
    world.git(["commit", "-q", "-m", "Directories"]);
    world.git(["sparse-checkout", "set", "--cone", "a", "src"]);
    let gate = "test -e b/file.txt && test -e a/one.txt && test -e b/two.txt";
    world.git(["config", "flux.gate", gate]);
    tasks_with(
        &world,
        &[("one", "a/one.txt", "one\n"), ("two", "b/two.txt", "two\n")],
    );
    assert_lands_what_was_tested(&world);
    assert_eq!(world.read("a/one.txt"), "one\n");
    assert_eq!(world.git(["show", "main:b/two.txt"]), "two");
    assert!(!world.repo().join("b").exists());
    assert_eq!(world.git(["sparse-checkout", "list"]), "a\nsrc");
}
