//! Tests merge drivers of the user: they run only at a merge, in the scratch repository.

use std::fs;

use crate::world::hooks::hook;
use crate::world::removal::*;
use crate::world::*;

/// Makes a task and a main that have both changed `lock`, whose merge driver is the shell code `driver` with `%O %A
/// %B`.
fn both_changed(world: &World, driver: &str) -> String {
    world.write(".gitattributes", "lock merge=lk\n");
    world.write("lock", "base\n");
    world.write("list", "theirs\n");
    world.git(["add", "-A"]);
    world.git(["commit", "-q", "-m", "Lock"]);
    let log = world.tools().join("driver.log");
    let driver = format!("pwd >>'{}'; {driver}", log.display());
    world.git(["config", "merge.lk.driver", &driver]);
    let id = done_task(world);
    world.commit_in(world.worktree(&id), "lock", "task\n");
    world.commit_in(world.repo(), "lock", "main\n");
    id
}

/// Returns the directories in which the driver has run.
fn driver_runs(world: &World) -> Vec<String> {
    let log = fs::read_to_string(world.tools().join("driver.log")).unwrap_or_default();
    log.lines().map(str::to_owned).collect()
}

/// As npm-merge-driver does, it writes the file itself, made of another one.
const WRITES: &str = "cat list >lock; cat list lock >%A";

#[test]
fn cleanup_dry_run_runs_no_merge_driver() {
    let world = World::new();
    let id = both_changed(&world, WRITES);
    let before = world.snapshot();
    let output = world.flux(["cleanup", "--dry-run", &id]).run();
    output
        .success()
        .stdout_has("not tried: a merge driver decides about 'lock'")
        .stdout_has("not known before the merge is made");
    let plan = world
        .flux(["cleanup", "--json", &id])
        .run()
        .success()
        .json();
    assert_eq!(plan[0]["conflicts"], serde_json::json!([]));
    world.flux(["status", &id]).ok();
    world.flux(["list"]).ok();
    world.assert_unchanged(&before);
    assert_eq!(driver_runs(&world), Vec::<String>::new());
    // Somebody who declines has seen nothing run either.
    world
        .flux(["cleanup", "--into", "nowhere", &id])
        .run()
        .code(1);
    assert_eq!(driver_runs(&world), Vec::<String>::new());
}

#[test]
fn cleanup_runs_a_merge_driver_outside_the_checkout() {
    for style in ["--merge", "--squash", "--rebase"] {
        for with_hook in [false, true] {
            let world = World::new();
            // A rebase by hand stops where a driver writes files itself.
            let driver = match style {
                "--rebase" => "cat list list >%A",
                _ => WRITES,
            };
            let id = both_changed(&world, driver);
            if with_hook {
                let hooks = world.repo().join(".git/hooks");
                hook(&world, &hooks, "prepare-commit-msg", "");
            }
            world.flux(["cleanup", style, &id]).run().success();
            assert_eq!(world.read("lock"), "theirs\ntheirs\n", "{style}");
            assert_eq!(world.git(["status", "--porcelain"]), "");
            let runs = driver_runs(&world);
            assert!(!runs.is_empty());
            let repo = world.repo().to_str().unwrap().to_owned();
            assert!(!runs.contains(&repo), "{runs:?}");
            assert_removed(&world, &id);
        }
    }
}

#[test]
fn cleanup_finds_a_merge_driver_with_a_relative_path() {
    let world = World::new();
    world.write("../lk/driver", "cat list >\"$1\"\n");
    let id = both_changed(&world, "sh ../lk/driver %A");
    world.flux(["cleanup", &id]).run().success();
    assert_eq!(world.read("lock"), "theirs\n");
    assert_eq!(world.read("../lk/driver"), "cat list >\"$1\"\n");
    assert_removed(&world, &id);
}

#[test]
fn cleanup_reports_a_conflict_if_the_merge_driver_fails() {
    for style in ["--merge", "--squash", "--rebase"] {
        let world = World::new();
        let id = both_changed(&world, "exit 1");
        let before = world.snapshot();
        let output = world.flux(["cleanup", "-y", style, &id]).run();
        output.code(3).stderr_has("conflict in 'lock'");
        world.assert_unchanged(&before);
    }
}

#[test]
fn cleanup_reports_a_conflict_in_another_file_without_running_the_driver() {
    let world = World::new();
    let id = both_changed(&world, WRITES);
    world.commit_in(world.worktree(&id), "README.md", "task\n");
    world.commit_in(world.repo(), "README.md", "main\n");
    let before = world.snapshot();
    let output = world.flux(["cleanup", "-y", &id]).run();
    output.code(3).says(&expect![[r#"
        --- stderr
        error: 'feature/fix-login-XXXXXX' and 'main' conflict in 'README.md' (contents), 'lock' (contents)
        hint: resolve it in the task's worktree: git -C '$WORLD/myapp-fix-login-XXXXXX' merge main
        hint: or have cleanup start the same merge, for the task's agent or you to resolve: git flux cleanup fix-login-XXXXXX --update
        hint: then: git flux cleanup fix-login-XXXXXX
    "#]]);
    world.assert_unchanged(&before);
    assert_eq!(driver_runs(&world), Vec::<String>::new());
}

#[test]
fn cleanup_uses_the_default_merge_driver_with_any_name() {
    let world = World::new();
    let id = both_changed(&world, "exit 1");
    world.git(["config", "merge.default", "a=b \"c\""]);
    world.git(["config", "merge.a=b \"c\".driver", "cat %B >%A"]);
    world.git(["config", "merge.lk.driver", "cat %B >%A"]);
    world.commit_in(world.worktree(&id), "README.md", "task\n");
    world.commit_in(world.repo(), "README.md", "main\n");
    let output = world.flux(["cleanup", "-n", &id]).run();
    output.success().stdout_has("decides about");
    world.flux(["cleanup", &id]).run().success();
    assert_eq!(world.read("README.md"), "task\n");
    assert_eq!(world.read("lock"), "task\n");
    assert_removed(&world, &id);
}

#[test]
fn cleanup_refuses_to_overwrite_a_file_after_a_merge_by_a_driver() {
    let world = World::new();
    world.write(".gitattributes", "lock merge=lk\n");
    world.write("lock", "base\n");
    world.git(["add", "-A"]);
    world.git(["commit", "-q", "-m", "Lock"]);
    world.git(["config", "merge.lk.driver", "cat %B >%A"]);
    let id = working_task(&world);
    world.commit_in(world.worktree(&id), "lock", "task\n");
    world.commit_in(world.repo(), "lock", "main\n");
    world.write("agent.txt", "mine\n");
    let before = world.snapshot();
    let output = world.flux(["cleanup", "-y", &id]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: the merge would overwrite 'agent.txt' in the worktree of 'main'
        hint: to see untracked and ignored files: git -C '$WORLD/myapp' status --ignored
        hint: commit, stash or move 'agent.txt', then: git flux cleanup fix-login-XXXXXX
    "#]]);
    world.assert_unchanged(&before);
    assert!(world.agent(&id).is_alive());
}
