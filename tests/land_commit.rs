//! Tests `git flux land --commit` when files change after the plan was shown.

use std::fs::File;

use crate::land::{done, tasks};
use crate::world::removal::*;
use crate::world::*;

/// Makes a file of this size in the worktree of `alpha`; it takes no space.
fn grow(world: &World, size: u64) {
    let file = File::create(world.worktree("alpha").join("data.bin")).unwrap();
    file.set_len(size).unwrap();
}

/// Lands `alpha` with its uncommitted file, with a change while the question is open. Asserts that nothing is committed
/// or landed, and returns the screen.
#[track_caller]
fn change_during_the_question(change: impl FnOnce(&World)) -> String {
    let world = World::new();
    done(&world, &["alpha"]);
    grow(&world, 10);
    let terminal = world.terminal(150, 40);
    terminal.command("git flux land alpha --commit");
    terminal.wait_for_screen("Land 1 task?");
    change(&world);
    let before = world.snapshot();
    terminal.keys(["y"]);
    assert_eq!(terminal.exit_code(), 1, "{}", terminal.screen());
    world.assert_unchanged(&before);
    let json = world.flux(["land", "alpha", "-n", "--json"]).run().json();
    assert_eq!(json[0]["result"], "refused", "{json}");
    terminal.screen()
}

#[test]
fn land_commits_nothing_if_a_file_is_written_during_the_question() {
    let write = |world: &World| drop(world.write(world.worktree("alpha").join("late"), "late\n"));
    let screen = change_during_the_question(write);
    assert!(screen.contains("error: 'alpha' has changed"), "{screen}");
}

#[test]
fn land_commits_nothing_on_a_branch_that_is_switched_to_during_the_question() {
    let switch = |world: &World| {
        drop(world.git_in(world.worktree("alpha"), ["switch", "-q", "-c", "mine"]));
    };
    let screen = change_during_the_question(switch);
    assert!(screen.contains("error: 'alpha' has changed"), "{screen}");
}

#[test]
fn land_commits_no_file_that_becomes_large_during_the_question() {
    let screen = change_during_the_question(|world| grow(world, (100 << 20) + 1));
    let refusal = "error: 'alpha': 'data.bin' has 100.00 MiB and would be committed";
    assert!(screen.contains(refusal), "{screen}");
}

#[test]
fn land_with_keep_commits_no_large_file() {
    let world = World::new();
    done(&world, &["alpha", "beta"]);
    grow(&world, (100 << 20) + 1);
    let main = commit(&world, "main");
    let before = world.snapshot();
    let output = world
        .flux(["land", "alpha", "--keep", "--commit", "-y"])
        .run();
    output.code(1).says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        alpha     main    refused: 'data.bin' has 100.00 MiB and would be committed
        error: 'alpha': 'data.bin' has 100.00 MiB and would be committed
        hint: move such files, or add them to .gitignore, then: git flux cleanup alpha
        error: no task has landed
    "#]]);
    world.assert_unchanged(&before);
    // A trial stores nothing.
    let output = world.flux(["land", "alpha", "--check"]).run();
    output.success().stderr_has("no conflicts: alpha");
    assert_eq!(commit(&world, "main"), main);
    assert_eq!(tasks(&world), ["alpha", "beta"]);
}

#[test]
fn land_lands_the_others_if_a_task_changes_before_its_commit() {
    let world = World::new();
    done(&world, &["alpha", "beta"]);
    for name in ["alpha", "beta"] {
        world.write(world.worktree(name).join(name), "more\n");
    }
    // While the other one is committed.
    let late = world.worktree("beta").join("late");
    let write = format!("echo late >'{}'", late.display());
    crate::world::hooks::once_in_hook(&world, "pre-commit", "true", &write);
    let output = world.flux(["land", "--all", "--commit", "-y"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        alpha     main    commit 1 file, merge 2 commits
        beta      main    commit 1 file, merge 2 commits
        committed 1 file on 'feature/alpha'
        error: 'beta' has changed since the plan was made
        hint: to see the state of the task: git flux status beta
        landed alpha (untested)
        hint: to undo the landing on 'main': git reset --keep <object>
        hint: or, if 'main' has newer commits: git revert --no-edit -m 1 <object>
        error: not every task has landed
    "#]]);
    assert_eq!(world.git(["show", "main:alpha"]), "more");
    assert_eq!(tasks(&world), ["beta"]);
    assert_eq!(world.read(&late), "late\n");
}
