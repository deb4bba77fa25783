//! Tests changes in files marked assume-unchanged or skip-worktree, which `git status` does not show.

use std::fs;

use crate::world::*;

const FLAGS: [&str; 2] = ["--assume-unchanged", "--skip-worktree"];

/// Makes a task whose agent runs, with changes that git does not show: in one file of each kind.
fn task_with_hidden_changes() -> (World, String) {
    let world = World::new();
    world.write("conf/local", "one\n");
    world.write("conf/gone", "one\n");
    world.git(["add", "-A"]);
    world.git(["commit", "-q", "-m", "Configuration"]);
    world.behaviour("raw");
    let id = world.start("Fix login");
    let worktree = world.worktree(&id);
    for (flag, file) in FLAGS.into_iter().zip(["README.md", "conf/local"]) {
        world.git_in(&worktree, ["update-index", flag, file]);
        world.write(worktree.join(file), "SECRET\n");
    }
    world.git_in(&worktree, ["update-index", FLAGS[0], "conf/gone"]);
    fs::remove_file(worktree.join("conf/gone")).unwrap();
    assert_eq!(world.git_in(&worktree, ["status", "--porcelain"]), "");
    (world, id)
}

#[test]
fn cleanup_counts_changed_assume_unchanged_files_as_uncommitted() {
    let (world, id) = task_with_hidden_changes();
    let before = world.snapshot();
    world
        .flux(["cleanup", "-y", &id])
        .run()
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: 'fix-login-XXXXXX' has 3 uncommitted files, which git status does not show (assume-unchanged or skip-worktree): README.md, conf/gone, conf/local
            hint: to commit and merge: git flux cleanup fix-login-XXXXXX --commit
            hint: to merge only what is committed: git flux cleanup fix-login-XXXXXX --discard
        "#]]);
    world.assert_unchanged(&before);
    world
        .flux(["cleanup", "--dry-run", &id])
        .run()
        .stdout_has("commit or discard README.md, conf/gone, conf/local");
    world.assert_unchanged(&before);
    let worktree = world.worktree(&id);
    world
        .flux(["cleanup", "-y", "--commit", &id])
        .run()
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: git commit would leave out 'README.md': it is marked assume-unchanged
            hint: to remove the mark: git -C '$WORLD/myapp-fix-login-XXXXXX' update-index --no-assume-unchanged -- README.md
            hint: to merge only what is committed: git flux cleanup fix-login-XXXXXX --discard
        "#]]);
    world.assert_unchanged(&before);
    assert!(world.agent(&id).is_alive());
    // What the hints say leads out of it.
    for (flag, file) in [
        ("--no-assume-unchanged", "README.md"),
        ("--no-assume-unchanged", "conf/gone"),
        ("--no-skip-worktree", "conf/local"),
    ] {
        world.git_in(&worktree, ["update-index", flag, "--", file]);
    }
    world
        .flux(["cleanup", "-y", "--commit", &id])
        .run()
        .success();
    assert_eq!(world.read("conf/local"), "SECRET\n");
}

#[test]
fn restore_brings_back_changed_assume_unchanged_files() {
    for kept_whole in [true, false] {
        let (world, id) = task_with_hidden_changes();
        world
            .flux(["cleanup", "-y", "--discard", &id])
            .run()
            .success();
        if !kept_whole {
            fs::remove_dir_all(world.repo().join(".git/flux/trash").join(&id)).unwrap();
        }
        world.flux(["restore", &id]).run().success();
        let worktree = world.worktree(&id);
        for file in ["README.md", "conf/local"] {
            assert_eq!(fs::read_to_string(worktree.join(file)).unwrap(), "SECRET\n");
        }
        assert!(!worktree.join("conf/gone").exists());
    }
}

#[test]
fn cleanup_accepts_an_unchanged_assume_unchanged_file() {
    let world = World::new();
    let id = world.start("Fix login");
    let worktree = world.worktree(&id);
    for flag in FLAGS {
        world.git_in(&worktree, ["update-index", flag, "README.md"]);
    }
    world.flux(["cleanup", "-y", &id]).run().success();
}

#[test]
fn cleanup_refuses_to_overwrite_assume_unchanged_files_of_the_target() {
    for flag in FLAGS {
        let world = World::new();
        world.behaviour("raw");
        let id = world.start("Fix login");
        world.commit_in(world.worktree(&id), "README.md", "theirs\n");
        world.git(["update-index", flag, "README.md"]);
        world.write("README.md", "mine\n");
        let before = world.snapshot();
        let option = flag.replace("--", "--no-");
        world
            .flux(["cleanup", "-y", &id])
            .run()
            .code(1)
            .stderr_has("would overwrite 'README.md'")
            .stderr_has(&format!("update-index {option} -- README.md"));
        world.assert_unchanged(&before);
        assert!(world.agent(&id).is_alive());
    }
}

#[test]
fn run_with_changes_leaves_assume_unchanged_files_behind() {
    let world = World::new();
    world.behaviour("raw");
    world.git(["update-index", FLAGS[0], "README.md"]);
    world.write("README.md", "mine\n");
    world.write("new.txt", "new\n");
    world
        .flux(["run", "-q", "--with-changes", "--name", "go", "Go on"])
        .run()
        .success();
    let read = |file| fs::read_to_string(world.worktree("go").join(file)).unwrap();
    assert_eq!(read("new.txt"), "new\n");
    assert_ne!(read("README.md"), "mine\n");
}

#[test]
fn gate_tests_changes_that_git_status_hides() {
    let world = World::new();
    world.git(["config", "flux.gate", "! grep -q SECRET README.md"]);
    let id = world.start("Fix login");
    let worktree = world.worktree(&id);
    world.flux(["gate", &id]).run().success();
    for flag in FLAGS {
        world.git_in(&worktree, ["update-index", flag, "README.md"]);
        world.flux(["gate", &id]).run().success();
        world.write(worktree.join("README.md"), format!("SECRET {flag}\n"));
        // Its verdict is not that of its last commit.
        let list = world.flux(["list", "--json"]).run().json();
        assert_eq!(list[0]["gate"], serde_json::Value::Null, "{flag}");
        let index = world.git_in(&worktree, ["ls-files", "-v"]);
        world.flux(["gate", &id]).run().code(1).stdout_has("red");
        assert_eq!(world.git_in(&worktree, ["ls-files", "-v"]), index);
        let option = flag.replace("--", "--no-");
        world.git_in(&worktree, ["update-index", &option, "README.md"]);
        world.git_in(&worktree, ["checkout", "-q", "--", "README.md"]);
    }
}
