//! Tests `git flux land` when tasks and targets change while the gate runs.

use std::fs::File;

use crate::land::{assert_no_landing, done, file, tasks};
use crate::world::removal::*;
use crate::world::*;

/// Makes a gate that runs a shell command in its first run, and passes; it notes each run.
fn gate_that(world: &World, command: &str) {
    let once = format!("test -e ../once || {{ touch ../once; {command}; }}; echo run >>../runs");
    world.git(["config", "flux.gate", &once]);
}

fn runs(world: &World) -> usize {
    world.read(world.root().join("runs")).lines().count()
}

#[test]
fn land_merges_again_if_the_target_moves_and_tests_a_tree_only_once() {
    let world = World::new();
    done(&world, &["alpha", "beta"]);
    gate_that(
        &world,
        "git -C ../myapp commit -q --allow-empty -m Meanwhile",
    );
    let output = world.flux(["land", "--all"]).run();
    output.success().says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        alpha     main    merge 1 commit
        beta      main    merge 1 commit
        gate: 'test -e ../once || { touch ../once; git -C ../myapp commit -q --allow-empty -m Meanwhile; }; echo run >>../runs'
        made the worktree '$WORLD/myapp--land' for gates (git flux gc --scratch removes it)
        'main' or a task has changed; planning again
        landed alpha, beta (1 run, <number> s)
        hint: to undo the landing on 'main': git reset --keep <object>
        hint: or, if 'main' has newer commits: git revert --no-edit -m 1 <object> <object>
    "#]]);
    assert_eq!(runs(&world), 1);
    assert_eq!(
        world.git(["log", "-1", "--format=%s", "main~2"]),
        "Meanwhile"
    );
    assert!(tasks(&world).is_empty());
    assert_no_landing(&world);
}

#[test]
fn land_tests_again_if_a_task_gets_another_commit() {
    let world = World::new();
    done(&world, &["alpha", "beta"]);
    let commit =
        "cd ../myapp-alpha && echo more >more.txt && git add more.txt && git commit -qm More";
    gate_that(&world, commit);
    let output = world.flux(["land", "--all"]).run();
    output.success().says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        alpha     main    merge 1 commit
        beta      main    merge 1 commit
        gate: 'test -e ../once || { touch ../once; cd ../myapp-alpha && echo more >more.txt && git add more.txt && git commit -qm More; }; echo run >>../runs'
        made the worktree '$WORLD/myapp--land' for gates (git flux gc --scratch removes it)
        'main' or a task has changed; planning again
        landed alpha, beta (2 runs, <number> s)
        hint: to undo the landing on 'main': git reset --keep <object>
        hint: or, if 'main' has newer commits: git revert --no-edit -m 1 <object> <object>
    "#]]);
    assert_eq!(runs(&world), 2);
    assert_eq!(world.git(["show", "main:more.txt"]), "more");
    assert_no_landing(&world);
}

#[test]
fn land_leaves_out_a_task_that_gets_uncommitted_files() {
    let world = World::new();
    done(&world, &["alpha", "beta"]);
    gate_that(&world, "echo loose >../myapp-alpha/loose.txt");
    let output = world.flux(["land", "--all"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        alpha     main    merge 1 commit
        beta      main    merge 1 commit
        gate: 'test -e ../once || { touch ../once; echo loose >../myapp-alpha/loose.txt; }; echo run >>../runs'
        made the worktree '$WORLD/myapp--land' for gates (git flux gc --scratch removes it)
        'main' or a task has changed; planning again
        error: 'alpha' has 1 uncommitted file
        hint: to commit and merge: git flux land alpha --commit
        hint: to merge only what is committed: git flux cleanup alpha --gate --discard
        landed beta (2 runs, <number> s)
        hint: to undo the landing on 'main': git reset --keep <object>
        hint: or, if 'main' has newer commits: git revert --no-edit -m 1 <object>
        error: not every task has landed
    "#]]);
    assert_eq!(tasks(&world), ["alpha"]);
    assert_eq!(
        world.git(["show", &format!("main:{}", file("beta"))]),
        "work"
    );
    assert_eq!(
        world.read(world.worktree("alpha").join("loose.txt")),
        "loose\n"
    );
    assert_no_landing(&world);
}

#[test]
fn land_shows_the_tasks_that_it_tests_in_the_list() {
    let world = World::new();
    done(&world, &["alpha"]);
    let list = "git-flux list --porcelain | grep '^land' >../state";
    gate_that(&world, &format!("(cd ../myapp && {list})"));
    world.flux(["land", "--all"]).run().success();
    assert_eq!(world.read(world.root().join("state")), "land landing\n");
}

#[test]
fn land_deletes_the_refs_of_a_killed_landing_whose_git_held_the_lock() {
    let world = World::new();
    done(&world, &["alpha"]);
    world.own_ref("refs/flux/land/0000abcd/1", "main");
    let lock = File::create(world.repo().join(".git/flux/land.lock")).unwrap();
    lock.lock().unwrap();
    let terminal = world.terminal(100, 30);
    terminal.command("git-flux land --all --yes");
    terminal.wait_for_screen("which holds");
    drop(lock);
    assert_eq!(terminal.exit_code(), 0, "{}", terminal.screen());
    assert_no_landing(&world);
}

#[test]
fn land_leaves_fetched_refs_of_a_landing_alone() {
    let world = World::new();
    done(&world, &["alpha"]);
    let fetched = "refs/flux/land/0000abcd/1";
    world.git(["update-ref", fetched, "main"]);
    let before = commit(&world, fetched);
    world.flux(["land", "--all"]).run().success();
    world.flux(["cleanup", "none"]).run().code(1);
    assert_eq!(commit(&world, fetched), before);
}
