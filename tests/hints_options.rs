//! Tests that hints repeat the options of the command: pasted, they do what the user has asked for.

use std::fs;

use crate::land::{done, file, tasks};
use crate::world::hints::{hints, paste};
use crate::world::removal::{assert_removed, commit};
use crate::world::*;

/// Asserts that a command is refused with this command among its hints, and that nothing has changed. Then removes the
/// obstacle and pastes that hint.
#[track_caller]
fn paste_hint(world: &World, args: &[&str], hint: &str, remove_obstacle: impl FnOnce()) {
    let before = world.snapshot();
    let output = world.flux(args).run();
    assert_ne!(output.code, Some(0), "{output}");
    assert!(
        hints(&output).iter().any(|one| one.ends_with(hint)),
        "{output}"
    );
    world.assert_unchanged(&before);
    remove_obstacle();
    paste(world, hint).unwrap();
}

/// Makes a task with a commit and a running agent.
fn busy(world: &World) {
    world.behaviour("raw");
    world.flux(["run", "-q", "--name", "fix", "Fix"]).ok();
    world.commit_in(world.worktree("fix"), &file("fix"), "work\n");
}

/// Makes a task, and checks out a new branch `release` with a local file that the merge of the task would overwrite.
fn blocked(world: &World) {
    done(world, &["fix"]);
    world.git(["switch", "-q", "-c", "release"]);
    world.commit_in(world.repo(), "released", "1\n");
    world.write(file("fix"), "mine\n");
}

fn move_file_away(world: &World) {
    fs::rename(world.repo().join(file("fix")), world.root().join("aside")).unwrap();
}

#[test]
fn hints_after_discard_branch_merge_nothing() {
    let world = World::new();
    busy(&world);
    let main = commit(&world, "main");
    let hint = "git flux cleanup fix --discard-branch --yes";
    paste_hint(&world, &["cleanup", "fix", "--discard-branch"], hint, || {});
    assert_removed(&world, "fix");
    for (options, hint) in [
        ("", "--discard-stash --discard-branch --discard"),
        ("=Don't", "--discard-stash --discard-branch --commit"),
    ] {
        done(&world, &["fix"]);
        world.write(world.worktree("fix").join("loose"), options);
        let typed = ["cleanup", "fix", "--discard-branch", "--discard-stash"];
        let hint = format!("git flux cleanup fix {hint}");
        paste_hint(&world, &typed, &hint, || {});
        assert_removed(&world, "fix");
    }
    assert_eq!(commit(&world, "main"), main);
}

#[test]
fn hints_after_discard_branch_name_its_purposes() {
    let world = World::new();
    done(&world, &["fix"]);
    world.write(world.worktree("fix").join("loose"), "");
    let typed = ["cleanup", "fix", "--discard-branch"];
    world.flux(typed).run().code(1).says(&expect![[r#"
        --- stderr
        error: 'fix' has 1 uncommitted file
        hint: to commit them first: git flux cleanup fix --discard-branch --commit
        hint: to discard them (they can be restored): git flux cleanup fix --discard-branch --discard
    "#]]);
    fs::remove_dir_all(world.worktree("fix")).unwrap();
    world.flux(typed).run().code(1).says(&expect![[r#"
        --- stderr
        error: the worktree of 'fix' is gone: '$WORLD/myapp-fix'
        hint: to check out its branch again: git worktree add --force '$WORLD/myapp-fix' feature/fix
        hint: to remove the task: git flux cleanup fix --discard-branch --discard
    "#]]);
}

#[test]
fn hints_after_into_and_a_style_merge_so_into_that_branch() {
    let world = World::new();
    blocked(&world);
    let before = ["main", "release"].map(|branch| commit(&world, branch));
    let hint = "git flux cleanup fix --into release --squash --no-verify";
    let typed = [
        "cleanup",
        "--no-verify",
        "--squash",
        "--into=release",
        "fix",
    ];
    paste_hint(&world, &typed, hint, || move_file_away(&world));
    assert_removed(&world, "fix");
    assert_eq!(commit(&world, "main"), before[0]);
    assert_eq!(world.git(["log", "-1", "--format=%P"]), before[1]);
}

#[test]
fn hints_of_a_landing_keep_the_task_and_its_message() {
    let world = World::new();
    blocked(&world);
    world.write(world.worktree("fix").join("loose"), "");
    let main = commit(&world, "main");
    let typed = [
        "land",
        "fix",
        "--into",
        "release",
        "--keep",
        "--commit=Don't wait",
    ];
    let hint = r"git flux land fix --into release --commit='Don'\''t wait' --keep";
    paste_hint(&world, &typed, hint, || move_file_away(&world));
    assert_eq!(tasks(&world), ["fix"]);
    assert_eq!(commit(&world, "main"), main);
    let subject = world.git(["log", "-1", "--format=%s", "release^2"]);
    assert_eq!(subject, "Don't wait");
}

#[test]
fn hints_of_a_landing_repeat_its_options_for_each_task() {
    let world = World::new();
    world.git(["config", "flux.gate", "true"]);
    blocked(&world);
    done(&world, &["loose"]);
    world.write(world.worktree("loose").join("loose"), "");
    let typed = [
        "--all",
        "--into=release",
        "--rebase",
        "--keep-config",
        "--keep",
    ];
    let land = |more: &[&str]| world.flux(["land"].iter().chain(&typed).chain(more)).run();
    let before = world.snapshot();
    land(&[]).code(1).says(&expect![[r#"
        --- stderr
        TASK      TARGET   PLAN
        fix       release  refused: the merge would overwrite 'FIX.txt' in the worktree of 'release'
        loose     release  refused: 'loose' has 1 uncommitted file
        gate: 'true'
        error: 'fix': the merge would overwrite 'FIX.txt' in the worktree of 'release'
        hint: to see untracked and ignored files: git -C '$WORLD/myapp' status --ignored
        hint: commit, stash or move 'FIX.txt', then: git flux land fix --into release --rebase --keep --keep-config
        error: 'loose' has 1 uncommitted file
        hint: to commit and merge: git flux land loose --into release --rebase --keep --keep-config --commit
        hint: to merge only what is committed: git flux cleanup loose --into release --rebase --keep-config --gate --discard
        error: no task has landed
    "#]]);
    land(&["--no-gate", "--yes"]).code(1).says(&expect![[r#"
        --- stderr
        TASK      TARGET   PLAN
        fix       release  refused: the merge would overwrite 'FIX.txt' in the worktree of 'release'
        loose     release  refused: 'loose' has 1 uncommitted file
        error: 'fix': the merge would overwrite 'FIX.txt' in the worktree of 'release'
        hint: to see untracked and ignored files: git -C '$WORLD/myapp' status --ignored
        hint: commit, stash or move 'FIX.txt', then: git flux land fix --into release --rebase --keep --keep-config --no-gate
        error: 'loose' has 1 uncommitted file
        hint: to commit and merge: git flux land loose --into release --rebase --keep --keep-config --no-gate --commit
        hint: to merge only what is committed: git flux cleanup loose --into release --rebase --keep-config --discard
        error: no task has landed
    "#]]);
    let typed = ["land", "--squash", "--no-gate", "fix", "lose"];
    world.flux(typed).run().code(1).says(&expect![[r#"
        --- stderr
        error: there is no task 'lose'
        hint: git flux land loose --squash --no-gate
        hint: the tasks are: fix, loose
    "#]]);
    let typed = ["land", "--into=release", "--check"];
    world.flux(typed).run().code(2).says(&expect![[r#"
        --- stderr
        error: no task given
        hint: git flux land <task>... --into release --check
        hint: git flux land --into release --check --ready
    "#]]);
    world.assert_unchanged(&before);
}

#[test]
fn hints_after_a_commit_that_contains_the_tasks_merge_nothing() {
    let world = World::new();
    busy(&world);
    let main = commit(&world, "main");
    world.git(["tag", "v1", "feature/fix"]);
    let hint = "git flux cleanup --merged=v1 --keep-config --yes";
    paste_hint(
        &world,
        &["cleanup", "--merged=v1", "--keep-config"],
        hint,
        || {},
    );
    assert_removed(&world, "fix");
    assert_eq!(commit(&world, "main"), main);
}

#[test]
fn hints_for_a_misspelled_task_repeat_the_options() {
    let world = World::new();
    done(&world, &["fix"]);
    let main = commit(&world, "main");
    let hint = "git flux cleanup fix --discard-branch";
    paste_hint(&world, &["cleanup", "fox", "--discard-branch"], hint, || {});
    assert_eq!(commit(&world, "main"), main);
    done(&world, &["fix"]);
    let typed = ["cleanup", "--into", "release"];
    world.flux(typed).run().code(2).says(&expect![[r#"
        --- stderr
        error: no task given, and not inside a task's worktree
        hint: git flux cleanup <task> --into release
        hint: to see the tasks: git flux list
    "#]]);
}
