//! The work of a task is what `git add --all` would commit, whatever its files are.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use super::*;

/// Returns the tree that `git add --all` would commit, by another index and objects that go away.
fn tree_by_git(world: &World, worktree: &Path) -> String {
    let index = world.git_in(
        worktree,
        ["rev-parse", "--path-format=absolute", "--git-path", "index"],
    );
    let (copy, objects) = (
        world.root().join("index-copy"),
        world.root().join("objects-copy"),
    );
    fs::copy(index, &copy).unwrap();
    fs::create_dir_all(&objects).unwrap();
    let git = |args: &[&str]| {
        let common = world.git_in(
            worktree,
            [
                "rev-parse",
                "--path-format=absolute",
                "--git-path",
                "objects",
            ],
        );
        let output = world
            .command(require("git"))
            .current_dir(worktree)
            .env("GIT_INDEX_FILE", &copy)
            .env("GIT_OBJECT_DIRECTORY", &objects)
            .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", common)
            .args(args)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    git(&["add", "--all", "--sparse"]);
    let tree = git(&["write-tree"]);
    fs::remove_dir_all(objects).unwrap();
    fs::remove_file(copy).unwrap();
    tree
}

/// Asserts that the task in this worktree was compared with the tree that git would commit, and
/// that nothing was written, neither to its index nor to the repository's objects.
#[track_caller]
fn assert_compared(world: &World, worktree: &Path) {
    let expected = tree_by_git(world, worktree);
    let index = world.git_in(
        worktree,
        ["rev-parse", "--path-format=absolute", "--git-path", "index"],
    );
    let facts = || {
        let index = fs::metadata(&index).unwrap();
        let time = (index.mtime(), index.mtime_nsec());
        (index.ino(), time, world.git(["count-objects", "-v"]))
    };
    let before = facts();
    let output = world.flux(["conflicts"]).run();
    assert_ne!(output.code, Some(1), "{output}");
    assert_eq!(facts(), before);
    let cache = world.read(".git/flux/cache/conflicts.json");
    let cache: serde_json::Value = serde_json::from_str(&cache).unwrap();
    if world.git_in(worktree, ["status", "--porcelain"]).is_empty() {
        return;
    }
    let keys: Vec<&String> = cache["landings"].as_object().unwrap().keys().collect();
    let is_it = |key: &&&String| key.ends_with(&expected);
    assert!(
        keys.iter().any(|key| is_it(&key)),
        "no {expected} in {keys:?}"
    );
}

/// Changes of every kind in the files of [`with_code`].
fn change_everything(world: &World, worktree: &Path) {
    world.write(worktree.join("f"), lines(" changed"));
    world.git_in(worktree, ["mv", "README.md", "moved.md"]);
    world.write(worktree.join("moved.md"), "# moved and changed\n");
    world.write(worktree.join("staged"), "staged\n");
    world.git_in(worktree, ["add", "staged"]);
    world.write(worktree.join("staged"), "and changed\n");
    world.write(worktree.join("gone"), "staged and gone\n");
    world.git_in(worktree, ["add", "gone"]);
    fs::remove_file(worktree.join("gone")).unwrap();
    world.write(worktree.join("meant"), "only the name is staged\n");
    world.git_in(worktree, ["add", "--intent-to-add", "meant"]);
    // Removed from the index, and still there.
    world.git_in(worktree, ["rm", "-q", "--cached", "src/auth.rs"]);
    // A directory in the place of a file, and the reverse.
    world.git_in(worktree, ["rm", "-q", "src/login.txt"]);
    world.write(worktree.join("src/login.txt/inner"), "inner\n");
    for name in [
        "new",
        "with\nnewline",
        "\"quoted\"",
        "ends\r",
        " space ",
        "deep/er/file",
        "-dash",
    ] {
        world.write(worktree.join(name), format!("{name:?}\n"));
    }
    world.write(worktree.join("run.sh"), "#!/bin/sh\n");
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(worktree.join("run.sh"), executable.clone()).unwrap();
    fs::set_permissions(worktree.join(".gitignore"), executable).unwrap();
    symlink("nowhere", worktree.join("link")).unwrap();
    world.write(worktree.join("ignored.log"), "ignored\n");
}

#[test]
fn conflicts_sees_changes_of_every_kind() {
    let world = World::new();
    with_code(&world);
    let worktree = task(&world, "one");
    change_everything(&world, &worktree);
    assert_compared(&world, &worktree);
    // Without the names that need another way.
    for name in ["with\nnewline", "\"quoted\"", "ends\r"] {
        fs::remove_file(worktree.join(name)).unwrap();
    }
    assert_compared(&world, &worktree);
    fs::remove_file(worktree.join("f")).unwrap();
    symlink("README.md", worktree.join("f")).unwrap();
    assert_compared(&world, &worktree);
    world.git_in(&worktree, ["add", "--all"]);
    assert_compared(&world, &worktree);
    commit(&world, &worktree);
    assert_compared(&world, &worktree);
}

#[test]
fn conflicts_sees_conflicted_files_of_a_merge() {
    let world = World::new();
    with_code(&world);
    let worktree = task(&world, "one");
    world.commit_in(&worktree, "f", &lines(" one"));
    world.commit_in(world.repo(), "f", &lines(" main"));
    let merge = ["-C", worktree.to_str().unwrap(), "merge", "main"];
    world.try_git(merge).unwrap_err();
    assert_compared(&world, &worktree);
}

#[test]
fn conflicts_applies_filters_but_not_lfs() {
    let world = World::new();
    world.write(
        ".gitattributes",
        "*.txt text eol=crlf\n*.up filter=up\n*.bin filter=lfs\n",
    );
    world.write("a.txt", "one\ntwo\n");
    world.write("a.up", "text\n");
    world.write("a.bin", "content\n");
    world.git(["add", "--all"]);
    world.git(["commit", "-q", "-m", "Filters"]);
    world.git(["config", "filter.up.clean", "tr a-z A-Z"]);
    world.git(["config", "filter.up.smudge", "cat"]);
    let worktree = task(&world, "one");
    world.write(worktree.join("a.txt"), "one\r\nthree\r\n");
    world.write(worktree.join("b.txt"), "new\r\n");
    world.write(worktree.join("a.up"), "other\n");
    assert_compared(&world, &worktree);
    world.write(worktree.join("a.bin"), "changed content\n");
    assert_compared(&world, &worktree);
    // Of another length, so that `git status` has no need of it.
    world.git(["config", "filter.lfs.clean", "false"]);
    world.git(["config", "filter.lfs.required", "true"]);
    world.flux(["conflicts"]).run().success();
}

#[test]
fn conflicts_works_with_sha_256_and_reftable() {
    let formats: [&[&str]; 3] = [
        &["--object-format=sha256"],
        &["--ref-format=reftable"],
        &["--ref-format=reftable", "--object-format=sha256"],
    ];
    for format in formats {
        let world = World::without_repository("flux world");
        fs::create_dir(world.repo()).unwrap();
        world.git(["init", "-q"].iter().chain(format));
        world.fill(&world.repo());
        with_code(&world);
        let one = task(&world, "one");
        change_everything(&world, &one);
        assert_compared(&world, &one);
        let two = task(&world, "two");
        world.write(two.join("f"), lines(" two"));
        world.commit_in(world.repo(), "f", &lines(" main"));
        let output = world.flux(["conflicts"]).run();
        output.code(3).stdout_has("main  f (contents)");
        assert_eq!(output.stdout.matches("f (contents)").count(), 3, "{output}");
    }
}

#[test]
fn conflicts_sees_work_outside_a_sparse_checkout() {
    let world = World::new();
    with_code(&world);
    world.write("a/file", "a\n");
    world.write("b/file", "b\n");
    commit(&world, &world.repo());
    world.git(["sparse-checkout", "set", "--cone", "--sparse-index", "a"]);
    let worktree = task(&world, "one");
    world.write(worktree.join("a/file"), "changed\n");
    assert_compared(&world, &worktree);
    world.write(worktree.join("b/file"), "changed\n");
    world.write(worktree.join("b/new"), "new\n");
    assert_compared(&world, &worktree);
}

#[test]
fn conflicts_sees_submodules_and_leaves_out_nested_repositories() {
    let world = World::new();
    let lib = world.root().join("lib.git");
    world.git(["clone", "-q", "--bare", ".", lib.to_str().unwrap()]);
    let allow = ["-c", "protocol.file.allow=always", "submodule", "--quiet"];
    world.git(allow.iter().chain(&["add", lib.to_str().unwrap(), "sub"]));
    world.git(["commit", "-q", "-m", "Add a submodule"]);
    let worktree = task(&world, "one");
    world.git_in(&worktree, allow.iter().chain(&["update", "--init"]));
    world.write(worktree.join("README.md"), "changed\n");
    assert_compared(&world, &worktree);
    world.commit_in(worktree.join("sub"), "README.md", "in the submodule\n");
    assert_compared(&world, &worktree);
    world.git_in(&worktree, ["add", "sub"]);
    assert_compared(&world, &worktree);
    let two = task(&world, "two");
    world.git_in(&two, allow.iter().chain(&["update", "--init"]));
    world.commit_in(two.join("sub"), "README.md", "another\n");
    let output = world.flux(["conflicts"]).run();
    output.code(3).stdout_has("sub (submodule");
}

#[test]
fn conflicts_uses_no_objects_of_an_earlier_question() {
    let world = World::new();
    with_code(&world);
    let [one, two, three] = tasks(&world, ["one", "two", "three"]);
    world.write(one.join("f"), lines(" one"));
    world.write(two.join("f"), lines(" two"));
    world.commit_in(world.repo(), "f", &lines("").replace("19", "nineteen"));
    let objects = world.git(["count-objects"]);
    world.flux(["conflicts"]).run().code(3).has_not("three");
    // The merged trees of the others are not in the repository.
    world.write(three.join("f"), lines(" three"));
    let output = world.flux(["conflicts"]).run();
    output.code(3);
    assert_eq!(output.stdout.matches("f (contents)").count(), 3, "{output}");
    assert_eq!(world.git(["count-objects"]), objects);
}

#[test]
fn conflicts_makes_a_snapshot_if_a_file_cannot_be_hashed() {
    let world = World::new();
    with_code(&world);
    let [one, two] = tasks(&world, ["one", "two"]);
    world.write(one.join("f"), lines(" one"));
    world.write(two.join("f"), lines(" two"));
    let expected = world.flux(["conflicts"]).run();
    expected.code(3);
    // As if a file were gone between `git status` and `git hash-object`.
    world.fault(&Fault::every("git", "hash-object", Mode::Fail));
    let before = world.snapshot();
    let objects = world.git(["count-objects"]);
    let output = world.flux(["conflicts"]).run();
    output.code(3).stdout_is(&expected.stdout).stderr_is("");
    assert!(world.fault_fired());
    world.assert_unchanged(&before);
    assert_eq!(world.git(["count-objects"]), objects);
    // Neither way is open.
    world.fault(&Fault::every("git", "merge-tree", Mode::Fail));
    std::fs::remove_dir_all(world.repo().join(".git/flux/cache")).unwrap();
    let output = world.flux(["conflicts"]).run();
    output.code(1).stdout_has("unknown: ");
    world.assert_unchanged(&before);
}

#[test]
fn conflicts_compares_no_large_file() {
    let world = World::new();
    let [a, b] = tasks(&world, ["a", "b"]);
    world.write(b.join("README.md"), "b\n");
    let large = fs::File::create(a.join("large")).unwrap();
    large.set_len((100 << 20) + 1).unwrap();
    let output = world.flux(["conflicts"]).run();
    output.code(1).says(&expect![[r#"
        TASK      CONFLICTS
        a         unknown: the file 'large' is too large to compare
        --- stderr
        error: not everything could be compared
    "#]]);
    let output = world.flux(["diff", "--unseen", "a"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: the file 'large' is too large to compare
        hint: move such files, or add them to .gitignore
    "#]]);
    // All others answer as before.
    world.flux(["list"]).run().success();
    world.flux(["status", "a"]).run().success();
    let output = world.flux(["cleanup", "-n", "a"]).run();
    output.stdout_has("'large' has 100.00 MiB");
    // As large as it may be.
    large.set_len(100 << 20).unwrap();
    world.flux(["conflicts"]).run().success();
}

#[test]
fn conflicts_shows_files_that_a_merge_has_left_unmerged() {
    let world = World::new();
    with_code(&world);
    let [del, _other] = tasks(&world, ["del", "other"]);
    world.git_in(&del, ["rm", "-q", "f"]);
    commit(&world, &del);
    world.commit_in(world.repo(), "f", "changed\n");
    // The merge leaves the file of the target, with which there would be no conflict.
    let dir = del.to_str().unwrap();
    world
        .try_git(["-C", dir, "merge", "-q", "main"])
        .unwrap_err();
    let before = world.snapshot();
    for args in [&["conflicts"][..], &["conflicts", "del"]] {
        let output = world.flux(args.iter().copied()).run();
        output
            .code(3)
            .stdout_is("TASK      WITH  CONFLICTS\ndel       main  f (unmerged)\n");
    }
    let output = world.flux(["conflicts", "del", "other"]).run();
    output.code(1).says(&expect![[r#"
        TASK      CONFLICTS
        del       unknown: its worktree has unmerged files
        --- stderr
        error: not everything could be compared
    "#]]);
    let list = world.flux(["list", "--json"]).run().json();
    let conflict = &list[0]["conflicts"][0];
    assert_eq!(conflict["target"], "main");
    assert_eq!(conflict["files"][0]["kind"], "unmerged");
    world.assert_unchanged(&before);
    // Once it is resolved, nothing is left.
    world.git_in(&del, ["rm", "-q", "f"]);
    world.git_in(&del, ["commit", "-q", "-m", "Merge main"]);
    let output = world.flux(["conflicts", "del"]).run();
    output.success().stdout_is("no conflicting lines\n");
}
