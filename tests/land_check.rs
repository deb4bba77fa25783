//! Tests `git flux land --check`: whether all work fits together.

use crate::land::{assert_no_landing, done, file};
use crate::world::*;

/// Starts a task whose agent has committed these files, all with the same text, and ended.
fn done_with(world: &World, name: &str, files: &[&str]) {
    world.behaviour("exit 0");
    world.flux(["run", "-q", "--name", name, "Fix"]).ok();
    world.wait_ended(name);
    for file in files {
        world.commit_in(world.worktree(name), file, "work\n");
    }
}

#[test]
fn land_check_finds_no_conflict_between_tasks_that_make_the_same_change() {
    let world = World::new();
    done_with(&world, "alpha", &["a", "b"]);
    done_with(&world, "beta", &["b"]);
    done_with(&world, "gamma", &["c"]);
    let before = world.snapshot();
    let output = world.flux(["land", "--check", "--all"]).run();
    output.success().says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        alpha     main    try to merge 2 commits
        beta      main    try to merge 1 commit
        gamma     main    try to merge 1 commit
        no conflicts: alpha, gamma, beta (untested)
    "#]]);
    let output = world.flux(["land", "--check", "--all", "--json"]).run();
    output.success().says(&expect![[r#"
        [
          {
            "id": "alpha",
            "into": "main",
            "result": "fits",
            "rounds": null,
            "why": null
          },
          {
            "id": "gamma",
            "into": "main",
            "result": "fits",
            "rounds": null,
            "why": null
          },
          {
            "id": "beta",
            "into": "main",
            "result": "fits",
            "rounds": null,
            "why": null
          }
        ]
        --- stderr
        TASK      TARGET  PLAN
        alpha     main    try to merge 2 commits
        beta      main    try to merge 1 commit
        gamma     main    try to merge 1 commit
        no conflicts: alpha, gamma, beta (untested)
    "#]]);
    world.assert_unchanged(&before);
    assert_no_landing(&world);
    world.flux(["land", "--all"]).run().success();
}

#[test]
fn land_check_without_a_verdict_does_not_speak_of_landing() {
    let world = World::new();
    world.git(["config", "flux.gate", "test ! -e odd || exit 127"]);
    done_with(&world, "alpha", &["a"]);
    done_with(&world, "beta", &["odd"]);
    let output = world.flux(["land", "--check", "--all"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        alpha     main    try to merge 1 commit
        beta      main    try to merge 1 commit
        gate: 'test ! -e odd || exit 127'
        made the worktree '$WORLD/myapp--land' for gates (git flux gc --scratch removes it)
        warning: no verdict on 'beta': 'test ! -e odd || exit 127' could not be started (status 127)
        hint: to see the output of the gate: cat '$WORLD/myapp/.git/flux/gate/<object>.log'
        passes: alpha (2 runs, <number> s)
        error: not every task would land
    "#]]);
}

#[test]
fn land_check_plans_only_what_it_does() {
    let world = World::new();
    done(&world, &["clash", "dirty"]);
    world.behaviour("raw");
    world.flux(["run", "-q", "--name", "runs", "Fix"]).ok();
    for name in ["dirty", "runs"] {
        world.write(world.worktree(name).join("loose"), "loose\n");
    }
    world.commit_in(world.repo(), &file("clash"), "main's\n");
    let before = world.snapshot();
    let output = world.flux(["land", "--check", "--all"]).run();
    output.code(3).says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        clash     main    would be sent back: 'feature/clash' and 'main' conflict in 'CLASH.txt' (contents)
        dirty     main    try to merge 1 commit and 1 uncommitted file
        runs      main    try to merge 1 uncommitted file
        no conflicts: dirty, runs (untested)
        'clash' conflicts with its target branch
        error: not every task would land
    "#]]);
    world.assert_unchanged(&before);
}

#[test]
fn land_check_names_no_conflict_if_a_task_cannot_be_fast_forwarded() {
    let world = World::new();
    done(&world, &["alpha", "beta"]);
    let before = world.snapshot();
    let output = world.flux(["land", "--check", "--ff-only", "--all"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        alpha     main    try to ff-only 1 commit
        beta      main    try to ff-only 1 commit
        no conflicts: alpha (untested)
        error: 'beta' lacks commits of the tasks before it
        hint: to rebase and merge it: git flux land beta --check --rebase
        error: not every task would land
    "#]]);
    world.assert_unchanged(&before);
    assert_no_landing(&world);
}
