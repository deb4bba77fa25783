//! A setup that fails after it has moved its worktree to another branch, or away: what it leaves is on record.

use crate::world::*;

/// A start of `fix` that this setup spoils.
fn spoiled(world: &World, setup: &str) -> Output {
    world.git(["config", "flux.setup", setup]);
    world.flux(["run", "--name", "fix", "Fix it"]).run()
}

#[test]
fn a_task_whose_setup_strays_and_fails_is_left_with_its_record() {
    for (stray, named) in [
        ("git checkout -q -b mine", "mine"),
        ("git checkout -q --detach", "HEAD"),
        ("git branch -m renamed-away", "renamed-away"),
    ] {
        let world = World::new();
        let commit = "echo c >c && git add c && git commit -qm mine";
        spoiled(&world, &format!("{stray} && {commit}; false"))
            .code(1)
            .stderr_has("could not start 'fix'; it was kept, since its worktree was")
            .stderr_has("hint: git flux status fix")
            .has_not("nothing was left behind");
        let status = world
            .flux(["status", "--json", "fix"])
            .run()
            .success()
            .json();
        assert_eq!(status["id"], "fix", "{stray}");
        assert_eq!(
            world.git_in(world.worktree("fix"), ["rev-parse", "--abbrev-ref", "HEAD"]),
            named
        );
        assert_eq!(world.git_in(world.worktree("fix"), ["show", "HEAD:c"]), "c");
        assert!(world.try_tmux(["list-panes", "-a"]).is_none());
        let before = world.snapshot();
        let cleanup = world.flux(["cleanup", "-y", "fix"]).run();
        if named == "renamed-away" {
            // It is the task's branch, whatever it is called.
            cleanup.success();
            assert_eq!(world.read("c"), "c\n");
        } else {
            cleanup.code(1);
            world.assert_unchanged(&before);
        }
    }
}

#[test]
fn a_worktree_that_its_setup_has_moved_away_is_not_said_to_be_nothing() {
    let world = World::new();
    spoiled(&world, "mv \"$FLUX_WORKTREE\" ../elsewhere; false")
        .code(1)
        .stderr_has("its worktree is gone: '")
        .has_not("nothing was left behind");
}

#[test]
fn a_commit_that_a_setup_has_made_and_left_is_no_reason_to_delete_the_worktree() {
    let world = World::new();
    let setup =
        "git checkout -q --detach; git commit -q --allow-empty -m det; git checkout -q -; false";
    spoiled(&world, setup)
        .code(1)
        .stderr_has("could not start 'fix'; its files are in '");
}
