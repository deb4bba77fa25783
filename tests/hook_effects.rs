//! Tests that changes made by a hook beside those of git flux are reported.

use crate::world::hints::{hints, paste};
use crate::world::removal::*;
use crate::world::*;

/// Installs a hook that runs `commands` in the repository as its user would, whatever it is given.
fn hook(world: &World, name: &str, commands: &str) {
    let repo = world.repo();
    let script = format!(
        "#!/bin/sh\nunset $(git rev-parse --local-env-vars)\ncd '{}' || exit\n{commands}\n",
        repo.display()
    );
    install_at(&repo.join(".git/hooks").join(name), &script);
}

const MEDDLE: &str = "git config core.bare true; git update-ref refs/heads/made HEAD
git update-ref refs/heads/topic $(git rev-list --max-parents=0 HEAD); git update-ref -d refs/tags/v1";

/// Commits once more, and makes what [`MEDDLE`] changes; gives the refs.
fn prepare(world: &World) -> String {
    world.commit_in(world.repo(), "second.txt", "2\n");
    world.git(["branch", "topic"]);
    world.git(["tag", "v1"]);
    refs(world)
}

fn refs(world: &World) -> String {
    world.git([
        "for-each-ref",
        "refs/heads/topic",
        "refs/heads/made",
        "refs/tags",
    ])
}

/// Asserts that each change is reported, and that the hints undo them.
#[track_caller]
fn assert_reported_and_undone(world: &World, output: &Output, before: &str) {
    let ran = "warning: while hooks ran, ";
    output
        .success()
        .stderr_has(&format!("{ran}core.bare was set"))
        .stderr_has(&format!("{ran}'refs/heads/made' was created"))
        .stderr_has(&format!("{ran}'refs/heads/topic' was moved"))
        .stderr_has(&format!("{ran}'refs/tags/v1' was deleted"));
    let said = output.stderr.matches(ran).count();
    assert_eq!(said, 4, "{output}");
    let undo = hints(output);
    let undo: Vec<_> = undo
        .iter()
        .filter(|hint| hint.contains("update-ref") || hint.contains("core.bare"))
        .collect();
    assert_eq!(undo.len(), 4, "{output}");
    undo.iter()
        .for_each(|hint| drop(paste(world, hint).unwrap()));
    assert_eq!(refs(world), before);
    assert_eq!(world.git(["config", "core.bare"]), "false");
}

#[test]
fn run_reports_changes_made_by_a_post_checkout_hook() {
    let world = World::new();
    let before = prepare(&world);
    hook(&world, "post-checkout", MEDDLE);
    let output = world.flux(["run", "--name", "go", "Go"]).run();
    assert_reported_and_undone(&world, &output, &before);
}

#[test]
fn cleanup_reports_changes_made_by_a_post_merge_hook() {
    let world = World::new();
    let before = prepare(&world);
    let id = done_task(&world);
    hook(&world, "post-merge", MEDDLE);
    let output = world.flux(["cleanup", "-y", &id]).run();
    assert_reported_and_undone(&world, &output, &before);
    assert_removed(&world, &id);
}

#[test]
fn cleanup_does_not_mention_a_hook_that_changes_nothing() {
    let world = World::new();
    hook(&world, "post-checkout", ":");
    hook(&world, "post-merge", ":");
    let id = done_task(&world);
    let output = world.flux(["cleanup", "-y", &id]).run();
    output.success().has_not("hook ran");
}
