//! Tests that the hints of `git flux land` do not lead around the gate.

use std::fs;

use crate::land::{done, tasks};
use crate::world::removal::commit;
use crate::world::*;

/// A gate that fails if a file `red` is there.
const GATE: &str = "test ! -e red";

/// Asserts that each hint that names a cleanup has it run the gate.
#[track_caller]
fn assert_cleanups_are_tested(output: &Output) {
    let hints = output.stderr.lines();
    let mut cleanups = hints.filter(|line| line.contains("git flux cleanup"));
    assert!(cleanups.all(|line| line.contains(" --gate")), "{output}");
}

#[test]
fn land_hints_at_land_and_at_cleanup_with_the_gate_alone() {
    let world = World::new();
    world.git(["config", "flux.gate", GATE]);
    done(&world, &["dirty", "gone"]);
    world.write(world.worktree("dirty").join("red"), "red\n");
    fs::remove_dir_all(world.worktree("gone")).unwrap();
    world.behaviour("raw");
    world.flux(["run", "-q", "--name", "busy", "Fix"]).ok();
    world.commit_in(world.worktree("busy"), "work", "work\n");
    let before = world.snapshot();
    let outputs = ["dirty", "gone", "busy"].map(|id| world.flux(["land", id]).run());
    outputs.iter().for_each(assert_cleanups_are_tested);
    outputs[0].code(1).says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        dirty     main    refused: 'dirty' has 1 uncommitted file
        gate: 'test ! -e red'
        error: 'dirty' has 1 uncommitted file
        hint: to commit and merge: git flux land dirty --commit
        hint: to merge only what is committed: git flux cleanup dirty --gate --discard
        error: no task has landed
    "#]]);
    outputs[1].code(1).says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        gone      main    refused: the worktree of 'gone' is gone: '$WORLD/myapp-gone'
        gate: 'test ! -e red'
        error: the worktree of 'gone' is gone: '$WORLD/myapp-gone'
        hint: to check out its branch again: git worktree add --force '$WORLD/myapp-gone' feature/gone
        hint: to merge only its commits and remove the task: git flux cleanup gone --gate --discard
        error: no task has landed
    "#]]);
    outputs[2].code(1).says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        busy      main    refused: the agent of 'busy' is still running
        gate: 'test ! -e red'
        error: the agent of 'busy' is still running
        hint: to look at the pane: git flux attach busy
        hint: to land it anyway: git flux land busy --yes
        error: no task has landed
    "#]]);
    world.assert_unchanged(&before);
    let tip = commit(&world, "main");
    world.flux(["land", "dirty", "--commit"]).run().code(1);
    assert_eq!(commit(&world, "main"), tip);
    assert_eq!(tasks(&world), ["busy", "dirty", "gone"]);
    let pasted = ["cleanup", "gone", "--gate", "--discard"];
    world.flux(pasted).run().success();
}

#[test]
fn land_hints_at_its_own_options_for_the_merge() {
    let world = World::new();
    world.git(["config", "flux.gate", GATE]);
    done(&world, &["behind", "large"]);
    world.commit_in(world.repo(), "more", "more\n");
    let file = fs::File::create(world.worktree("large").join("large")).unwrap();
    file.set_len((100 << 20) + 1).unwrap();
    let output = world.flux(["land", "--all", "--ff-only", "--commit"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        behind    main    refused: 'main' cannot be fast-forwarded: it has commits (<number>) that 'feature/behind' lacks
        large     main    refused: 'main' cannot be fast-forwarded: it has commits (<number>) that 'feature/large' lacks
        gate: 'test ! -e red'
        error: 'large': 'main' cannot be fast-forwarded: it has commits (<number>) that 'feature/large' lacks
        hint: to rebase and merge it: git flux land large --commit --rebase
        error: 'behind': 'main' cannot be fast-forwarded: it has commits (<number>) that 'feature/behind' lacks
        hint: to rebase and merge it: git flux land behind --commit --rebase
        error: no task has landed
    "#]]);
    assert_cleanups_are_tested(&output);
    let output = world.flux(["land", "behind", "--into", "nosuch"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        behind    ?       refused: there is no branch 'nosuch' to merge 'behind' into
        gate: 'test ! -e red'
        error: there is no branch 'nosuch' to merge 'behind' into
        hint: to merge it elsewhere: git flux land behind --into <branch>
        hint: to remove it without a merge: git flux cleanup behind --discard-branch
        error: no task has landed
    "#]]);
    world.write(world.repo().join("BEHIND.txt"), "mine\n");
    let output = world.flux(["land", "behind"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        behind    main    refused: the merge would overwrite 'BEHIND.txt' in the worktree of 'main'
        gate: 'test ! -e red'
        error: 'behind': the merge would overwrite 'BEHIND.txt' in the worktree of 'main'
        hint: to see untracked and ignored files: git -C '$WORLD/myapp' status --ignored
        hint: commit, stash or move 'BEHIND.txt', then: git flux land behind
        error: no task has landed
    "#]]);
}

#[test]
fn land_without_a_gate_hints_at_a_plain_cleanup() {
    let world = World::new();
    done(&world, &["dirty"]);
    world.write(world.worktree("dirty").join("red"), "red\n");
    let output = world.flux(["land", "dirty"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        dirty     main    refused: 'dirty' has 1 uncommitted file
        error: 'dirty' has 1 uncommitted file
        hint: to commit and merge: git flux land dirty --commit
        hint: to merge only what is committed: git flux cleanup dirty --discard
        error: no task has landed
    "#]]);
    world.git(["config", "flux.gate", GATE]);
    let untested = world.flux(["land", "dirty", "--no-gate"]).run();
    let hints = untested.code(1).stderr.replace(" --no-gate", "");
    assert_eq!(hints, output.stderr);
    untested.stderr_has("git flux land dirty --no-gate --commit\n");
}

#[test]
fn land_says_that_an_agent_takes_no_messages() {
    let world = World::new();
    let run = [
        "run",
        "-q",
        "--session",
        "--agent",
        "shell",
        "--name",
        "fix",
    ];
    world.flux(run.into_iter().chain(["Fix it"])).ok();
    world.commit_in(world.worktree("fix"), "f", "task\n");
    world.commit_in(world.repo(), "f", "main\n");
    let land = world.flux(["land", "-y", "fix"]).run();
    land.code(3).says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        fix       main    send back to its agent: 'feature/fix' and 'main' conflict in 'f' (contents)
        sent fix back (its agent takes no messages): it conflicts with its target branch
        hint: to go to the task: git flux attach fix
        error: no task has landed
    "#]]);
    let status = world.flux(["status", "--json", "fix"]).run().json();
    assert_eq!(status["state"], "running");
}
