//! What is known is not asked again: processes, the cache, and the number of new pairs.

use std::collections::BTreeMap;
use std::fs;

use super::*;

/// Returns the subcommands of git that a command has started since the last call, with their number.
fn started(world: &World) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for call in world.calls().iter().filter(|call| call.program == "git") {
        let args = call.args.iter().map(|arg| arg.to_string_lossy());
        let known = [
            "merge-tree",
            "diff-tree",
            "hash-object",
            "add",
            "write-tree",
        ];
        let name = args.into_iter().find(|arg| known.contains(&&**arg));
        if let Some(name) = name {
            *counts.entry(name.into_owned()).or_default() += 1;
        }
    }
    world.clear_calls();
    counts
}

fn counts<const N: usize>(expected: [(&str, usize); N]) -> BTreeMap<String, usize> {
    expected
        .map(|(name, count)| (name.to_owned(), count))
        .into()
}

#[test]
fn list_asks_git_only_about_new_pairs() {
    let world = World::new();
    with_code(&world);
    let [one, two, three] = tasks(&world, ["one", "two", "three"]);
    world.shim();
    let list = |expected: BTreeMap<String, usize>| {
        world.clear_calls();
        let output = world.flux(["list"]).run();
        output.success();
        assert_eq!(started(&world), expected, "{output}");
        output.stdout.clone()
    };
    list(counts([]));
    // No file in common.
    world.write(one.join("f"), lines(" one"));
    commit(&world, &one);
    world.write(two.join("src/auth.rs"), CODE.replace("two", "2"));
    commit(&world, &two);
    list(counts([]));
    world.write(three.join("f"), lines(" three"));
    list(counts([
        ("hash-object", 1),
        ("merge-tree", 1),
        ("diff-tree", 1),
    ]));
    list(counts([("hash-object", 1)]));
    commit(&world, &three);
    assert!(list(counts([])).contains("CONFLICTS"));
    // The target moves: each is merged into it, and the pair is new.
    world.commit_in(world.repo(), "new", "new\n");
    list(counts([("merge-tree", 2), ("diff-tree", 1)]));
    list(counts([]));
    // Only what has changed is asked again.
    world.write(two.join("f"), lines(" two"));
    commit(&world, &two);
    // Once for this task, once for the two others, whose merged trees were not kept, and for the pairs.
    list(counts([("merge-tree", 3), ("diff-tree", 1)]));
    list(counts([]));
    // What no other task touches: only the merge into the target is new.
    world.write(two.join("g"), lines(" two"));
    world.write(two.join("src/auth.rs"), CODE.replace("two", "II"));
    commit(&world, &two);
    list(counts([("merge-tree", 1)]));
    let known = world.flux(["conflicts"]).run();
    fs::remove_dir_all(world.repo().join(".git/flux/cache")).unwrap();
    let output = world.flux(["conflicts"]).run();
    output.code(3).stdout_is(&known.stdout);
}

#[test]
fn conflicts_does_not_depend_on_its_cache() {
    let world = World::new();
    with_code(&world);
    let [one, two] = tasks(&world, ["one", "two"]);
    world.write(one.join("f"), lines(" one"));
    world.write(two.join("f"), lines(" two"));
    world.commit_in(world.repo(), "f", &lines(" main"));
    let cache = world.repo().join(".git/flux/cache");
    let file = cache.join("conflicts.json");
    let expected = world.flux(["conflicts"]).run();
    expected.code(3).stdout_has("two");
    let check = |what: &str| {
        let output = world.flux(["conflicts"]).run();
        eprintln!("{what}");
        output.code(3).stdout_is(&expected.stdout).stderr_is("");
    };
    check("known");
    let text = fs::read_to_string(&file).unwrap();
    for damage in [
        "",
        "{}",
        "[]",
        "\0",
        &text[..text.len() / 2],
        &text.replace("\"version\":3", "\"version\":2"),
    ] {
        fs::write(&file, damage).unwrap();
        check(damage);
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
    fs::remove_dir_all(&cache).unwrap();
    check("deleted");
    fs::remove_dir_all(&cache).unwrap();
    fs::write(&cache, "a file").unwrap();
    check("a file in its place");
    assert_eq!(fs::read_to_string(&cache).unwrap(), "a file");
    fs::remove_file(&cache).unwrap();
    let elsewhere = world.root().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &cache).unwrap();
    check("a link in its place");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    // Another configuration has other answers.
    fs::remove_file(&cache).unwrap();
    check("again");
    world.git(["config", "merge.renames", "false"]);
    world.flux(["list"]).run().success();
    assert_ne!(fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn list_compares_a_hundred_new_pairs_at_a_time() {
    let world = World::new();
    with_code(&world);
    // 105 pairs.
    for at in 0..15 {
        let worktree = task(&world, &format!("task-{at}"));
        world.commit_in(&worktree, "f", &lines(&format!(" {at}")));
    }
    let first = world.flux(["list", "--json"]).run();
    first.success().stdout_has("not compared yet");
    let table = world.flux(["list"]).ok();
    assert!(!table.contains('?'), "{table}");
    world.git(["commit", "-q", "--allow-empty", "-m", "Moved"]);
    let table = world.flux(["list"]).ok();
    assert!(table.contains(" +12"), "{table}");
    // `conflicts` has no limit.
    world.git(["commit", "-q", "--allow-empty", "-m", "Moved"]);
    let output = world.flux(["conflicts", "--porcelain"]).run();
    output.code(3).has_not("unknown");
    assert_eq!(output.stdout.matches("with task-").count(), 105);
}
