//! Tests `git flux land` without a gate.

use crate::world::removal::*;
use crate::world::*;

/// Starts tasks whose agents have committed a file and ended.
pub(crate) fn done(world: &World, names: &[&str]) {
    for name in names {
        world.behaviour("exit 0");
        world.flux(["run", "-q", "--name", name, "Fix"]).ok();
        world.wait_ended(name);
        world.commit_in(world.worktree(name), &file(name), "work\n");
    }
}

/// Returns the name of the file that a task commits.
pub(crate) fn file(name: &str) -> String {
    format!("{}.txt", name.to_uppercase())
}

/// Returns the ids of the tasks that exist.
pub(crate) fn tasks(world: &World) -> Vec<String> {
    let refs = world.git([
        "for-each-ref",
        "--format=%(refname:lstrip=3)",
        "refs/flux/tasks",
    ]);
    refs.lines().map(str::to_owned).collect()
}

/// Asserts that no landing has left refs or marks.
#[track_caller]
pub(crate) fn assert_no_landing(world: &World) {
    assert_eq!(world.git(["for-each-ref", "refs/flux/land"]), "");
    let marks = world.repo().join(".git/flux/marks/land");
    assert!(std::fs::read_dir(marks).is_ok_and(|mut dir| dir.next().is_none()));
}

#[test]
fn land_merges_and_removes_the_named_tasks() {
    let world = World::new();
    done(&world, &["alpha", "beta", "gamma"]);
    let output = world.flux(["land", "gamma", "alpha"]).run();
    output.success().says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        alpha     main    merge 1 commit
        gamma     main    merge 1 commit
        landed alpha, gamma
        hint: to undo the landing on 'main': git reset --keep <object>
        hint: or, after other commits: git revert --no-edit -m 1 <object> <object>
    "#]]);
    assert_eq!(tasks(&world), ["beta"]);
    for name in ["alpha", "gamma"] {
        assert_eq!(world.git(["show", &format!("main:{}", file(name))]), "work");
        assert_removed(&world, name);
    }
    assert_no_landing(&world);
}

#[test]
fn land_needs_a_selection_without_a_terminal() {
    let world = World::new();
    done(&world, &["alpha"]);
    let before = world.snapshot();
    let output = world.flux(["land"]).run();
    output.code(2).says(&expect![[r#"
        --- stderr
        error: no task given
        hint: git flux land <task>...
        hint: git flux land --ready
    "#]]);
    world.assert_unchanged(&before);
}
