//! Tests what a cleanup stores in archive and trash, and that it survives `git gc`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::world::removal::*;
use crate::world::*;

/// Makes a task whose agent has committed and ended, with something of every kind uncommitted in its worktree.
fn dirty_task(world: &World) -> String {
    let id = done_task(world);
    let worktree = world.worktree(&id);
    world.write(worktree.join("README.md"), "staged\n");
    world.write(worktree.join("added.txt"), "staged\n");
    world.git_in(&worktree, ["add", "README.md", "added.txt"]);
    world.write(worktree.join("README.md"), "changed after that\n");
    fs::remove_file(worktree.join("src/login.txt")).unwrap();
    world.write(worktree.join("agent.txt"), "changed\n");
    world.write(worktree.join("new dir/loose.txt"), "untracked\n");
    id
}

/// Expires the reflogs and prunes all unreachable objects.
fn collect_garbage(world: &World) {
    world.git(["reflog", "expire", "--expire=now", "--all"]);
    world.git(["gc", "-q", "--prune=now"]);
}

/// Returns the status of a worktree and its diffs to HEAD and to the index.
fn state(world: &World, dir: &Path) -> (String, String, String) {
    (
        world.git_in(dir, ["status", "--porcelain", "--untracked-files=all"]),
        world.git_in(dir, ["diff", "--cached"]),
        world.git_in(dir, ["diff"]),
    )
}

fn archived(id: &str, part: &str) -> String {
    format!("refs/flux/archive/{id}/{part}")
}

/// Makes a new worktree at the tip of a removed task.
fn fresh_worktree(world: &World, id: &str) -> PathBuf {
    let dir = world.root().join("fresh");
    let add = ["worktree", "add", "-q", "--detach"].map(str::to_owned);
    let add = add.into_iter();
    world.git(add.chain([dir.to_str().unwrap().to_owned(), archived(id, "tip")]));
    dir
}

/// Brings a removed task back, and says where.
fn restored(world: &World, id: &str) -> PathBuf {
    world.flux(["restore", id]).run().success();
    world.worktree(id)
}

#[test]
fn cleanup_archives_uncommitted_changes_as_a_stash() {
    let world = World::new();
    let id = dirty_task(&world);
    let before = state(&world, &world.worktree(&id));
    let tip = tip(&world, &id);
    world.flux(["cleanup", "--discard", &id]).run().success();
    fs::remove_dir_all(world.repo().join(".git/flux/trash")).unwrap();
    collect_garbage(&world);
    let snapshot = archived(&id, "snapshot");
    assert_eq!(commit(&world, &format!("{snapshot}^1")), tip);
    let dir = fresh_worktree(&world, &id);
    world.git_in(&dir, ["stash", "apply", "-q", "--index", &snapshot]);
    assert_eq!(state(&world, &dir), before);
    assert_eq!(world.read(dir.join("new dir/loose.txt")), "untracked\n");
    assert_removed(&world, &id);
}

#[test]
fn restore_brings_back_the_index_after_git_gc() {
    let world = World::new();
    let id = dirty_task(&world);
    let before = state(&world, &world.worktree(&id));
    world.flux(["cleanup", "--discard", &id]).run().success();
    collect_garbage(&world);
    let dir = restored(&world, &id);
    assert_eq!(state(&world, &dir), before);
    assert_eq!(world.git_in(&dir, ["show", ":README.md"]), "staged");
    world.git(["fsck", "--no-progress"]);
}

#[test]
fn restore_brings_back_a_split_index() {
    let world = World::new();
    world.git(["config", "core.splitIndex", "true"]);
    let id = dirty_task(&world);
    let before = state(&world, &world.worktree(&id));
    world.flux(["cleanup", "--discard", &id]).run().success();
    collect_garbage(&world);
    assert_eq!(state(&world, &restored(&world, &id)), before);
}

#[test]
fn restore_brings_back_both_sides_of_a_conflict() {
    let world = World::new();
    let id = done_task(&world);
    let worktree = world.worktree(&id);
    // A conflict without an operation in progress.
    world.write(worktree.join("README.md"), "stashed\n");
    world.git_in(&worktree, ["stash", "-q"]);
    world.commit_in(&worktree, "README.md", "committed\n");
    let popped = world
        .command("git")
        .current_dir(&worktree)
        .args(["stash", "pop", "-q"])
        .output();
    assert_eq!(popped.unwrap().status.code(), Some(1));
    world.git_in(&worktree, ["stash", "drop", "-q"]);
    let unmerged = world.git_in(&worktree, ["ls-files", "--unmerged"]);
    assert_eq!(unmerged.lines().count(), 3);
    world.flux(["cleanup", "--discard", &id]).run().success();
    collect_garbage(&world);
    let sides = format!("{}^2^2", archived(&id, "snapshot"));
    for (stage, text) in [("1", "# myapp"), ("2", "committed"), ("3", "stashed")] {
        assert_eq!(
            world.git(["show", &format!("{sides}:{stage}/README.md")]),
            text
        );
    }
    let dir = restored(&world, &id);
    assert_eq!(world.git_in(&dir, ["ls-files", "--unmerged"]), unmerged);
    world.git_in(&dir, ["checkout", "-q", "--theirs", "README.md"]);
    assert_eq!(world.read(dir.join("README.md")), "stashed\n");
}

#[test]
fn cleanup_archives_uncommitted_changes_without_an_identity() {
    let world = World::new();
    let id = dirty_task(&world);
    world.git(["config", "user.useConfigOnly", "true"]);
    world
        .flux(["cleanup", "--discard", "--discard-branch", "-y", &id])
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("HOME", world.root())
        .run()
        .success();
    let shown = world.git([
        "show",
        &format!("{}^2:added.txt", archived(&id, "snapshot")),
    ]);
    assert_eq!(shown, "staged");
    assert_removed(&world, &id);
}

#[test]
fn cleanup_archives_uncommitted_changes_without_running_hooks() {
    let world = World::new();
    let id = dirty_task(&world);
    let hooks = world.repo().join(".git/hooks");
    for name in ["pre-commit", "commit-msg", "post-commit"] {
        crate::world::hooks::hook(&world, &hooks, name, "exit 1");
    }
    world
        .flux(["cleanup", "--discard", "--discard-branch", "-y", &id])
        .run()
        .success();
    assert!(!world.tools().join("hooks.log").exists());
    commit(&world, &archived(&id, "snapshot"));
}

#[test]
fn cleanup_creates_no_snapshot_without_uncommitted_changes() {
    let world = World::new();
    let id = done_task(&world);
    world.write(world.worktree(&id).join(".env"), "ignored\n");
    world.flux(["cleanup", &id]).run().success();
    let snapshot = world.snapshot();
    assert!(snapshot.has(&format!("ref {}", archived(&id, "tip"))));
    assert!(!snapshot.has(&format!("ref {}", archived(&id, "snapshot"))));
}

/// Starts `fix`, commits and leaves a loose file with this text in it, and ends its agent.
fn fix(world: &World, text: &str) -> PathBuf {
    world.behaviour("raw");
    world.flux(["run", "-q", "--name", "fix", "Fix login"]).ok();
    let agent = world.agent("fix");
    agent.tell("exit 0");
    world.wait_ended("fix");
    // Its records would be taken for the next one's.
    fs::remove_dir_all(world.tools().join("agent/fix")).unwrap();
    let worktree = world.worktree("fix");
    world.commit_in(&worktree, &format!("{text}.txt"), text);
    world.write(worktree.join(".env"), text);
    worktree
}

/// Asserts that what the archive and the trash have under this name is of one and the same task.
#[track_caller]
fn assert_together(world: &World, name: &str, text: &str) {
    let shown = world.git(["show", &format!("{}:{text}.txt", archived(name, "tip"))]);
    assert_eq!(shown, text);
    assert_eq!(world.read(trash(world, name).join(".env")), text);
}

const DROP: [&str; 4] = ["cleanup", "fix", "--discard-branch", "--discard"];

#[test]
fn cleanup_uses_the_same_name_in_trash_and_archive_for_a_repeated_id() {
    let world = World::new();
    // The first has nothing in the trash: its worktree was removed by hand.
    let worktree = fix(&world, "one");
    fs::remove_dir_all(&worktree).unwrap();
    world.git(["worktree", "prune"]);
    let output = world.flux(DROP).run();
    output.success().has_not("its worktree is kept");
    fix(&world, "two");
    world.flux(DROP).run().success();
    assert_together(&world, "fix.1", "two");
    assert!(!trash(&world, "fix").exists());
    // Emptying either does not mix them up.
    fs::remove_dir_all(world.repo().join(".git/flux/trash/fix.1")).unwrap();
    fix(&world, "three");
    world.flux(DROP).run().success();
    assert_together(&world, "fix.2", "three");
    world.git(["update-ref", "-d", &archived("fix.2", "tip")]);
    world.git(["update-ref", "-d", &archived("fix.2", "base")]);
    world.git(["update-ref", "-d", &archived("fix.2", "task")]);
    fix(&world, "four");
    world.flux(DROP).run().success();
    assert_together(&world, "fix.3", "four");
}

#[test]
fn cleanup_does_not_claim_to_keep_a_deleted_worktree() {
    let world = World::new();
    let id = done_task(&world);
    fs::remove_dir_all(world.worktree(&id)).unwrap();
    let output = world.flux(["cleanup", "--discard", &id]).run();
    output.success().has_not("is kept in");
    assert!(!trash(&world, &id).exists());
    assert_removed(&world, &id);
}

#[test]
fn cleanup_succeeds_if_the_base_ref_is_missing_or_moved() {
    let cases: [fn(&World, &str); 2] = [
        |world, base| drop(world.git(["update-ref", "-d", base])),
        |world, base| {
            let other = world.commit_in(world.repo(), "README.md", "moved\n");
            world.git(["update-ref", base, &other]);
        },
    ];
    for change in cases {
        let world = World::new();
        let id = done_task(&world);
        change(&world, &format!("refs/flux/base/{id}"));
        world.flux(["cleanup", &id]).run().success();
        assert_eq!(world.read("agent.txt"), "one\n");
        assert_removed(&world, &id);
        let list = world.flux(["list"]).run();
        list.success().says(&expect![[r#"
            --- stderr
            no tasks
            hint: to start a task: git flux run "<description>"
        "#]]);
    }
}

/// A change that git sees only because the index is as old as the file: same size, same second.
fn changed_in_the_same_second(world: &World, id: &str) {
    let worktree = world.worktree(id);
    world.git(["config", "core.trustCtime", "false"]);
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let date = |path: &Path| {
        let file = fs::File::options().append(true).open(path).unwrap();
        file.set_modified(then).unwrap();
    };
    let index = world.git_in(&worktree, ["rev-parse", "--git-path", "index"]);
    date(&worktree.join("agent.txt"));
    world.git_in(&worktree, ["update-index", "--refresh"]);
    fs::write(worktree.join("agent.txt"), "two\n").unwrap();
    date(&worktree.join("agent.txt"));
    date(&worktree.join(index));
    let status = world.git_in(&worktree, ["--no-optional-locks", "status", "--porcelain"]);
    assert_eq!(status, " M agent.txt");
}

#[test]
fn restore_brings_back_a_file_changed_in_the_second_of_a_commit() {
    for whole in [true, false] {
        let world = World::new();
        let id = done_task(&world);
        changed_in_the_same_second(&world, &id);
        let diff = world.flux(["diff", &id]).run();
        diff.success().stdout_has("+two");
        world.flux(["cleanup", "--discard", &id]).run().success();
        if !whole {
            fs::remove_dir_all(world.repo().join(".git/flux/trash")).unwrap();
        }
        let worktree = restored(&world, &id);
        assert_eq!(world.read(worktree.join("agent.txt")), "two\n");
        let status = ["--no-optional-locks", "status", "--porcelain"];
        assert_eq!(world.git_in(&worktree, status), " M agent.txt", "{whole}");
    }
}

#[test]
fn cleanup_commits_a_file_changed_in_the_second_of_a_commit() {
    let world = World::new();
    let id = done_task(&world);
    changed_in_the_same_second(&world, &id);
    world.flux(["cleanup", "--commit", &id]).run().success();
    assert_eq!(world.git(["show", "main:agent.txt"]), "two");
}

#[test]
fn restore_brings_back_a_file_changed_in_the_second_of_its_staging() {
    for from_trash in [true, false] {
        let world = World::new();
        // What no test can do in one moment is given the times it would have then.
        world.git(["config", "core.trustctime", "false"]);
        let id = done_task(&world);
        let worktree = world.worktree(&id);
        let index = world.git_in(&worktree, ["rev-parse", "--git-path", "index"]);
        let then = |path: &Path| {
            let mut touch = world.command("touch");
            let touched = touch.args(["-d", "@1700000000"]).arg(path);
            assert!(touched.status().unwrap().success());
        };
        let file = world.write(worktree.join("README.md"), "one\n");
        then(&file);
        world.git_in(&worktree, ["add", "README.md"]);
        world.write(&file, "two\n");
        then(&file);
        then(Path::new(&index));
        world.flux(["cleanup", "--discard", &id]).run().success();
        if !from_trash {
            fs::remove_dir_all(world.repo().join(".git/flux/trash")).unwrap();
        }
        let dir = restored(&world, &id);
        let status = world.git_in(&dir, ["status", "--porcelain"]);
        assert_eq!(status, "MM README.md");
        assert_eq!(world.git_in(&dir, ["show", ":README.md"]), "one");
        assert_eq!(world.read(dir.join("README.md")), "two\n");
    }
}

#[test]
fn cleanup_commits_nothing_if_a_staged_change_is_undone_in_the_worktree() {
    let world = World::new();
    let id = done_task(&world);
    let worktree = world.worktree(&id);
    world.git_in(&worktree, ["rm", "-q", "--cached", "README.md"]);
    let tip = tip(&world, &id);
    world.flux(["cleanup", "--commit", &id]).run().success();
    assert_eq!(commit(&world, "main^2"), tip);
    assert_removed(&world, &id);
}

#[test]
fn restore_does_not_mix_the_trash_of_two_tasks_with_the_same_id() {
    let world = World::new();
    let start = || {
        world.behaviour("commit one");
        let run = ["run", "-q", "--name", "login", "Fix login"];
        world.flux(run).run().success();
        end_agent(&world, "login");
        world.worktree("login")
    };
    world.write(start().join(".env"), "of the first\n");
    let args = ["cleanup", "-y", "--discard", "--discard-branch", "login"];
    world.flux(args).run().success();
    fs::remove_dir_all(start()).unwrap();
    world.fault(&Fault::every("git", "--remove-section", Mode::KillBefore));
    world.flux(args).run().killed();
    world.clear_fault();
    world
        .flux(["cleanup", "--all"])
        .run()
        .says(&expect![[r#"
            --- stderr
            the removal of 'login' was interrupted; it is removed now, with its branch 'feature/login'
            nothing to clean up
        "#]]);
    let path = restored(&world, "login");
    assert_eq!(world.read(path.join(".env")), "of the first\n");
}
