//! Tests histories that git does not merge: the hints lead to a merge by hand.

use crate::world::hints::{hints, paste};
use crate::world::removal::done_task;
use crate::world::*;

/// The options that merge a task in one way or another, and a dry run.
const WAYS: [&[&str]; 6] = [
    &["-y"],
    &["-y", "--squash"],
    &["-y", "--rebase"],
    &["-y", "--ff-only"],
    &["-y", "--commit"],
    &["--dry-run"],
];

/// Asserts that a task is not merged into main in any way, and returns the hints that are given
/// without an option.
#[track_caller]
fn refused(world: &World, id: &str, why: &str) -> Vec<String> {
    let before = world.snapshot();
    let mut given: Vec<Vec<String>> = Vec::new();
    for options in WAYS {
        let args = ["cleanup", id, "--into", "main"];
        let output = world.flux(args.iter().chain(options)).run();
        output.code(1).stderr_has(&format!("'feature/{id}'"));
        output.stderr_has(why);
        let repeated = options.get(1).map(|option| format!(" {option} "));
        let plain = |hint: String| {
            repeated
                .as_ref()
                .map_or(hint.clone(), |one| hint.replace(one, " "))
        };
        given.push(hints(&output).into_iter().map(plain).collect());
        world.assert_unchanged(&before);
    }
    assert!(given.iter().all(|hints| *hints == given[0]), "{given:?}");
    given.swap_remove(0)
}

/// Makes a task of a branch that has no commit in common with main.
fn unrelated(world: &World) -> String {
    world.git(["checkout", "-q", "--orphan", "pages"]);
    world.git(["rm", "-rfq", "."]);
    world.commit_in(world.repo(), "page.txt", "page\n");
    world.git(["checkout", "-q", "main"]);
    world.behaviour("commit");
    let id = world.flux(["run", "-q", "--base", "pages", "Fix it"]).ok();
    let tip = || world.git(["log", "-1", "--format=%s", &format!("feature/{id}")]);
    wait_until("the agent's commit", || tip() == "Agent work");
    id
}

#[test]
fn cleanup_refuses_unrelated_histories_with_hints_for_a_merge_by_hand() {
    let world = World::new();
    let id = unrelated(&world);
    let why = "  caused by: they have no commit in common\n";
    let given = refused(&world, &id, why);
    assert_eq!(given.len(), 3, "{given:?}");
    assert_eq!(given[0], format!("git flux cleanup {id} --into pages"));
    paste(&world, &given[1]).unwrap();
    let cleanup = ["cleanup", "-y", &id, "--into", "main"];
    assert_eq!(given[2], format!("git flux cleanup {id} --into main"));
    world.flux(cleanup).run().success();
    for file in ["page.txt", "agent.txt", "README.md"] {
        assert!(world.repo().join(file).exists(), "{file}");
    }
}

#[test]
fn cleanup_hint_for_unrelated_histories_merges_into_the_base_branch() {
    let world = World::new();
    let id = unrelated(&world);
    let given = refused(&world, &id, "no commit in common");
    paste(&world, &format!("{} -y", given[0])).unwrap();
    assert_eq!(world.git(["show", "pages:agent.txt"]), "Agent work");
}

#[test]
fn cleanup_suggests_a_merge_by_hand_if_git_merge_tree_crashes() {
    let world = World::new();
    let id = done_task(&world);
    world.commit_in(world.repo(), "other.txt", "main's\n");
    let git = require("git");
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in *' merge-tree '*) kill -ABRT $$ ;; esac\nexec '{}' \"$@\"\n",
        git.display()
    );
    world.install("git", &script);
    let why = "  caused by: `git merge-tree` was ended by signal 6\n";
    let given = refused(&world, &id, why);
    assert_eq!(given.len(), 2, "{given:?}");
    assert!(given[0].contains("-c merge.directoryRenames=false merge main"));
    paste(&world, &given[0]).unwrap();
    // git is not asked to merge any more.
    paste(&world, &format!("{} -y", given[1])).unwrap();
    assert!(world.repo().join("agent.txt").exists());
}
