//! Tests what of a task is unseen: in `refs/flux/seen`, `diff --unseen`, `list`, `cleanup` and `land`.

use std::fs;
use std::path::Path;

use crate::world::archive::done;
use crate::world::*;

/// Makes a task `fix` whose agent has ended, with a committed, a changed and an untracked file.
fn task(world: &World) -> String {
    world.behaviour("exit");
    world.flux(["run", "-q", "--name", "fix", "Fix it"]).ok();
    world.wait_ended("fix");
    let worktree = world.worktree("fix");
    world.commit_in(&worktree, "committed.txt", "committed\n");
    world.write(worktree.join("src/login.txt"), "one\n2\nthree\n");
    world.write(worktree.join("untracked.txt"), "untracked\n");
    "fix".to_owned()
}

/// Returns the names of the unseen files.
#[track_caller]
fn unseen(world: &World, id: &str) -> Vec<String> {
    let names = ["diff", "--unseen", id, "--", "--name-only", "--no-renames"];
    let names = world.flux(names).ok();
    names.lines().map(str::to_owned).collect()
}

#[track_caller]
fn mark(world: &World, id: &str) {
    let output = world.flux(["review", "--mark", id]).run();
    output.success().stderr_has("noted that you have seen");
}

fn number(world: &World, id: &str) -> serde_json::Value {
    let list = world.flux(["list", "--json"]).run().json();
    let status = world.flux(["status", "--json", id]).run().json();
    let task = list
        .as_array()
        .unwrap()
        .iter()
        .find(|task| task["id"] == id);
    let number = task.unwrap()["unseen"].clone();
    assert_eq!(number, status["unseen"]);
    number
}

#[test]
fn unseen_is_all_until_something_was_seen_then_what_has_changed_since() {
    let world = World::new();
    let id = task(&world);
    let all = ["committed.txt", "src/login.txt", "untracked.txt"];
    let before = world.snapshot();
    assert_eq!(unseen(&world, &id), all);
    // Nobody reviews here.
    assert!(number(&world, &id).is_null());
    world.flux(["list"]).run().success().has_not("UNSEEN");
    world
        .flux(["status", &id])
        .run()
        .success()
        .has_not("Unseen");
    world.assert_unchanged(&before);
    let output = world.flux(["review", "--mark", &id]).run();
    output.success().says(&expect![[r#"
        --- stderr
        noted that you have seen 3 files of 'fix'
    "#]]);
    assert_eq!(unseen(&world, &id), [""; 0]);
    assert_eq!(number(&world, &id), 0);
    world.flux(["list"]).run().success().has_not("UNSEEN");
    // A commit of what was seen brings nothing new.
    let worktree = world.worktree(&id);
    world.git_in(&worktree, ["add", "."]);
    world.git_in(&worktree, ["commit", "-q", "-m", "All"]);
    assert_eq!(unseen(&world, &id), [""; 0]);
    world.write(worktree.join("src/login.txt"), "one\n2\n3\n");
    fs::remove_file(worktree.join("committed.txt")).unwrap();
    assert_eq!(unseen(&world, &id), ["committed.txt", "src/login.txt"]);
    let shown = world.flux(["diff", "--unseen", &id]).run();
    shown.success().stdout_has("-three\n+3\n").has_not("+2\n");
    assert_eq!(number(&world, &id), 2);
    world.flux(["list"]).run().success().stdout_has("UNSEEN");
    let status = world.flux(["status", &id]).run();
    status.success().stdout_has("Unseen:    2 files");
    let lines = world.flux(["list", "--porcelain"]).run();
    lines.success().stdout_has("unseen 2\n");
}

#[test]
fn unseen_does_not_count_what_the_target_brings_by_merge_or_rebase() {
    for how in [["merge", "-q", "main"], ["rebase", "-q", "main"]] {
        let world = World::new();
        let id = task(&world);
        let worktree = world.worktree(&id);
        world.git_in(&worktree, ["add", "."]);
        world.git_in(&worktree, ["commit", "-q", "-m", "All"]);
        mark(&world, &id);
        world.commit_in(world.repo(), "main.txt", "main\n");
        world.commit_in(world.repo(), "README.md", "# another\n");
        // As long as the task does not have it, it is not the task's.
        assert_eq!(unseen(&world, &id), [""; 0]);
        world.git_in(&worktree, how);
        assert_eq!(unseen(&world, &id), [""; 0], "{how:?}");
        assert_eq!(number(&world, &id), 0);
        // What is done at the same time is.
        world.write(worktree.join("main.txt"), "main and more\n");
        assert_eq!(unseen(&world, &id), ["main.txt"], "{how:?}");
        world
            .flux(["diff", "--unseen", &id])
            .run()
            .stdout_has("-main\n+main and more\n");
        // Without a review before, what the target has brought does not count either.
        world.git(["update-ref", "-d", "refs/flux/seen/fix"]);
        let all = [
            "committed.txt",
            "main.txt",
            "src/login.txt",
            "untracked.txt",
        ];
        assert_eq!(unseen(&world, &id), all, "{how:?}");
    }
}

#[test]
fn unseen_is_a_whole_file_if_the_target_has_changed_what_was_seen() {
    let world = World::new();
    let id = task(&world);
    let worktree = world.worktree(&id);
    world.git_in(&worktree, ["add", "."]);
    world.git_in(&worktree, ["commit", "-q", "-m", "All"]);
    mark(&world, &id);
    world.commit_in(world.repo(), "src/login.txt", "one\nTWO\nthree\n");
    let merge = ["merge", "-q", "-X", "ours", "main"];
    world.git_in(&worktree, merge);
    // The agent has resolved it as it was, which was not seen on top of the target.
    assert_eq!(unseen(&world, &id), ["src/login.txt"]);
    let shown = world.flux(["diff", "--unseen", &id]).run();
    shown.success().stdout_has("-TWO\n+2\n");
    let file = world.flux(["review", "--print", &id]).run();
    file.success().stdout_has(
        "# With all its changes, since the target has changed it, too: src/login.txt\n",
    );
    let object = world.flux(["review", "--json", &id]).run().json();
    assert_eq!(object["files"][0]["whole"], true);
    mark(&world, &id);
    assert_eq!(unseen(&world, &id), [""; 0]);
}

#[test]
fn unseen_treats_a_fetched_missing_or_damaged_ref_as_none() {
    let world = World::new();
    let id = task(&world);
    mark(&world, &id);
    let (name, kept) = (
        "refs/flux/seen/fix",
        world.git(["rev-parse", "refs/flux/seen/fix"]),
    );
    let tree = world.git(["rev-parse", "refs/flux/seen/fix^{tree}"]);
    let fetched = world.git(["commit-tree", "-p", "feature/fix", "-m", "fetched", &tree]);
    for forged in [fetched.as_str(), &world.git(["rev-parse", "main"]), &tree] {
        world.git(["update-ref", name, forged]);
        assert_eq!(unseen(&world, &id).len(), 3, "{forged}");
    }
    // It is replaced by the next review, and never removed with the task before.
    mark(&world, &id);
    assert_eq!(world.git(["rev-parse", name]), kept);
    assert_eq!(unseen(&world, &id), [""; 0]);
    // A damaged object.
    let blob = world.git(["rev-parse", "refs/flux/seen/fix:untracked.txt"]);
    let object = |id: &str| {
        world
            .repo()
            .join(".git/objects")
            .join(&id[..2])
            .join(&id[2..])
    };
    let away = |path: &Path| fs::rename(path, path.with_extension("away")).unwrap();
    for object in [object(&blob), object(&tree), object(&kept)] {
        assert!(object.exists());
        away(&object);
        world.write(world.worktree(&id).join("more.txt"), "more\n");
        let found = unseen(&world, &id);
        // The names are known without the content of a file.
        assert!(found == ["more.txt"] || found.len() == 4, "{found:?}");
        fs::rename(object.with_extension("away"), &object).unwrap();
    }
}

#[test]
fn unseen_is_all_while_what_was_seen_cannot_be_carried() {
    let world = World::new();
    done(&world, "fix");
    let worktree = world.worktree("fix");
    mark(&world, "fix");
    world.commit_in(world.repo(), "README.md", "# another\n");
    world.git_in(&worktree, ["merge", "-q", "main"]);
    assert_eq!(unseen(&world, "fix"), [""; 0]);
    // What the target has brought is as it was when it was seen.
    world.git_in(&worktree, ["checkout", "-q", "main~1", "--", "README.md"]);
    world.git_in(&worktree, ["commit", "-q", "-m", "Back"]);
    world.git(["config", "flux.landUnseen", "false"]);
    let script = "#!/bin/sh\ncase \" $* \" in *\" merge-tree \"*) kill -ABRT $$ ;; esac\n\
                  exec @GIT@ \"$@\"\n";
    let script = script.replace("@GIT@", require("git").to_str().unwrap());
    world.install("git", &script);
    assert_eq!(unseen(&world, "fix").len(), 2);
    assert_eq!(number(&world, "fix"), 2);
    let land = ["land", "--ready", "-n"];
    let left_out = "'fix' is left out: 2 files unseen\n";
    world.flux(land).run().stderr_has(left_out);
    fs::remove_file(world.tools().join("bin/git")).unwrap();
    let output = world.flux(land).env("TMPDIR", "/nonexistent").run();
    output.stderr_has(left_out);
    // None of these numbers was kept.
    assert_eq!(number(&world, "fix"), 1);
    assert_eq!(unseen(&world, "fix"), ["README.md"]);
    world
        .flux(land)
        .run()
        .stderr_has("'fix' is left out: 1 file unseen\n");
}

#[test]
fn unseen_is_archived_and_restored_with_the_task() {
    let world = World::new();
    let id = task(&world);
    mark(&world, &id);
    let seen = world.git(["rev-parse", "refs/flux/seen/fix"]);
    let refs =
        |pattern: &str| world.git(["for-each-ref", "--format=%(refname) %(objectname)", pattern]);
    world
        .flux(["cleanup", "-y", "--discard", &id])
        .run()
        .success();
    assert_eq!(refs("refs/flux/seen"), "");
    assert!(refs("refs/flux/archive/fix/seen").ends_with(&seen));
    assert!(!world.repo().join(".git/flux/marks/seen/fix").exists());
    world.flux(["restore", "-y", &id]).run().success();
    assert_eq!(refs("refs/flux/seen"), format!("refs/flux/seen/fix {seen}"));
    assert_eq!(refs("refs/flux/archive"), "");
    assert_eq!(unseen(&world, &id), [""; 0]);
    // Dropped for good, nothing is left of it.
    world
        .flux(["cleanup", "-y", "--discard", &id])
        .run()
        .success();
    world.flux(["restore", "--drop", "-y", &id]).run().success();
    assert_eq!(refs("refs/flux"), "");
}

#[test]
fn unseen_ref_that_was_fetched_stays_when_the_task_is_removed() {
    let world = World::new();
    done(&world, "fix");
    let name = "refs/flux/seen/fix";
    let fetched = world.git(["rev-parse", "main"]);
    world.git(["update-ref", name, &fetched]);
    world.flux(["cleanup", "-y", "fix"]).run().success();
    let left = world.git(["for-each-ref", "--format=%(refname)", "refs/flux"]);
    assert!(
        left.contains(name) && !left.contains("archive/fix/seen"),
        "{left}"
    );
    world.flux(["restore", "-y", "fix"]).run().success();
    assert_eq!(world.git(["rev-parse", name]), fetched);
}

#[test]
fn cleanup_and_land_say_how_many_files_are_unseen() {
    let world = World::new();
    for id in ["fix", "two"] {
        done(&world, id);
    }
    mark(&world, "two");
    let plan = world.flux(["cleanup", "-n", "fix"]).run();
    plan.success()
        .stdout_has("would merge 1 commit into 'main' (1 file unseen)\n");
    world
        .flux(["cleanup", "-n", "two"])
        .run()
        .success()
        .has_not("unseen");
    let dropped = world
        .flux(["cleanup", "-n", "--discard-branch", "fix"])
        .run();
    dropped
        .success()
        .stdout_has("without merging it (1 file unseen)\n");
    let plan = world.flux(["land", "-n", "--ready"]).run();
    plan.success().stdout_has("merge 1 commit, 1 file unseen\n");
    let terminal = world.terminal(150, 30);
    let before = world.snapshot();
    terminal.command("git flux cleanup fix");
    terminal.wait_for_screen("into 'main' (untested; 1 file unseen), and remove 'fix'?");
    terminal.keys(["n"]);
    assert_eq!(terminal.exit_code(), 130);
    terminal.clear();
    terminal.command("git flux land");
    terminal.wait_for_screen("Land 2 tasks (1 file unseen)?");
    terminal.keys(["n"]);
    assert_eq!(terminal.exit_code(), 130);
    world.assert_unchanged(&before);
}

#[test]
fn land_leaves_unseen_tasks_out_if_configured() {
    let world = World::new();
    for id in ["fix", "two"] {
        done(&world, id);
    }
    world.git(["config", "flux.landUnseen", "false"]);
    let before = world.snapshot();
    let output = world.flux(["land", "--ready", "-y"]).run();
    output.success().says(&expect![[r#"
        --- stderr
        'fix' is left out: 1 file unseen
        hint: git flux review fix
        'two' is left out: 1 file unseen
        hint: git flux review two
        no task is ready to land
    "#]]);
    world.assert_unchanged(&before);
    mark(&world, "two");
    let output = world.flux(["land", "--ready", "-y"]).run();
    output
        .success()
        .stderr_has("'fix' is left out: 1 file unseen");
    assert!(world.worktree("fix").exists() && !world.worktree("two").exists());
    // A task that is named lands.
    world.flux(["land", "-y", "fix"]).run().success();
    world.git(["config", "flux.landUnseen", "perhaps"]);
    world
        .flux(["land", "--ready"])
        .run()
        .code(1)
        .stderr_has("flux.landUnseen");
}

#[test]
fn land_refuses_what_became_unseen_while_the_gate_ran() {
    let world = World::new();
    done(&world, "fix");
    world.git(["config", "flux.landUnseen", "false"]);
    mark(&world, "fix");
    let dir = world.worktree("fix");
    let commit = "echo more >more && git add more && git commit -q -m more";
    let gate = format!(
        "cd '{}' && (test -e more || {{ {commit}; }})",
        dir.display()
    );
    world.git(["config", "flux.gate", &gate]);
    let main = world.git(["rev-parse", "main"]);
    let output = world.flux(["land", "--ready", "-y"]).run();
    output.code(1).stderr_has("'fix' has unseen files");
    assert_eq!(world.git(["rev-parse", "main"]), main);
}

#[test]
fn unseen_works_with_sha_256_and_reftable() {
    for options in [["--object-format=sha256"], ["--ref-format=reftable"]] {
        let world = World::without_repository("flux world");
        world.git_in(
            world.root(),
            ["init", "-q", "-b", "main", options[0], "myapp"],
        );
        world.fill(&world.repo());
        let id = task(&world);
        assert_eq!(unseen(&world, &id).len(), 3);
        mark(&world, &id);
        assert_eq!(unseen(&world, &id), [""; 0]);
        world.commit_in(world.repo(), "main.txt", "main\n");
        let worktree = world.worktree(&id);
        world.git_in(&worktree, ["merge", "-q", "main"]);
        assert_eq!(unseen(&world, &id), [""; 0], "{options:?}");
        world
            .flux(["cleanup", "-y", "--discard", &id])
            .run()
            .success();
        world.flux(["restore", "-y", &id]).run().success();
        assert_eq!(unseen(&world, &id), [""; 0], "{options:?}");
    }
}
