//! Tests a setup that switches, renames or moves the worktree and then fails.

use crate::world::*;

/// Starts `fix` with this setup.
fn run_with_setup(world: &World, setup: &str) -> Output {
    world.git(["config", "flux.setup", setup]);
    world.flux(["run", "--name", "fix", "Fix it"]).run()
}

#[test]
fn run_keeps_the_record_if_a_failed_setup_switched_the_branch() {
    for (stray, named) in [
        ("git checkout -q -b mine", "mine"),
        ("git checkout -q --detach", "HEAD"),
        ("git branch -m renamed-away", "renamed-away"),
    ] {
        let world = World::new();
        let commit = "echo c >c && git add c && git commit -qm mine";
        run_with_setup(&world, &format!("{stray} && {commit}; false"))
            .code(1)
            .stderr_has("could not start 'fix'; it was kept, since its worktree was")
            .stderr_has("hint: to see the state of the task: git flux status fix")
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
fn run_reports_a_worktree_moved_by_a_failed_setup() {
    let world = World::new();
    run_with_setup(&world, "mv \"$FLUX_WORKTREE\" ../elsewhere; false")
        .code(1)
        .stderr_has("its worktree is gone: '")
        .has_not("nothing was left behind");
}

#[test]
fn run_keeps_the_worktree_if_a_failed_setup_made_a_commit() {
    let world = World::new();
    let setup =
        "git checkout -q --detach; git commit -q --allow-empty -m det; git checkout -q -; false";
    run_with_setup(&world, setup)
        .code(1)
        .stderr_has("could not start 'fix'; its files are in '");
}
