//! Tests branches that are symbolic refs of other branches.

use crate::world::hints::{hints, paste};
use crate::world::removal::refused;
use crate::world::removal::*;
use crate::world::*;

/// Makes the branch `name` a symbolic ref of `target`.
fn link(world: &World, name: &str, target: &str) {
    world.git(["symbolic-ref", &format!("refs/heads/{name}"), target]);
}

#[test]
fn cleanup_merges_into_the_target_of_a_symbolic_branch() {
    for configure in ["", "flux.into", "branch.feature/fix.fluxInto"] {
        let world = World::new();
        link(&world, "trunk", "refs/heads/main");
        // Of a chain, the end counts.
        link(&world, "master", "refs/heads/trunk");
        world.behaviour("raw");
        world.flux(["run", "-q", "--name", "fix", "Fix it"]).ok();
        world.agent("fix").tell("commit one");
        end_agent(&world, "fix");
        let output = match configure {
            "" => world.flux(["cleanup", "-y", "fix", "--into", "master"]),
            key => {
                world.git(["config", key, "master"]);
                world.flux(["cleanup", "-y", "fix"])
            }
        };
        output.run().success().says(&expect![[r#"
            --- stderr
            merged 1 commit of 'feature/fix' into 'main' (<object>..<object>)
            removed 'fix': worktree, branch 'feature/fix' and session
            its commits stay in refs/flux/archive/fix/tip
            its files are kept in '$WORLD/myapp/.git/flux/trash/fix'
            hint: to restore the task: git flux restore fix
            hint: to undo the merge, on 'main': git revert -m 1 <object>
        "#]]);
        assert_eq!(world.git(["status", "--porcelain"]), "");
        assert_eq!(world.read("agent.txt"), "one\n");
        assert_removed(&world, "fix");
        assert_eq!(
            world.git(["symbolic-ref", "--no-recurse", "refs/heads/master"]),
            "refs/heads/trunk"
        );
    }
}

#[test]
fn run_and_adopt_resolve_a_symbolic_branch() {
    let world = World::new();
    link(&world, "master", "refs/heads/main");
    let run = |branch: &str| world.flux(["run", "-q", "--name", "go", "--branch", branch, "Go"]);
    let before = world.snapshot();
    run("master").run().code(1).says(&expect![[r#"
        --- stderr
        error: the branch 'main' is checked out in '$WORLD/myapp'
        hint: git -C '$WORLD/myapp' switch <another branch>
    "#]]);
    world.assert_unchanged(&before);
    world.git(["branch", "topic"]);
    link(&world, "other", "refs/heads/topic");
    run("other").ok();
    let status = world.flux(["status", "--json", "go"]).run().json();
    assert_eq!(status["branch"], "topic");
    assert_eq!(status["into"], "main");
    let dir = world.root().join("linked");
    world.git(["worktree", "add", "-q", "-b", "mine", dir.to_str().unwrap()]);
    let adopt = ["adopt", "--into", "master", "-q", "--name", "mine"];
    world
        .flux(adopt.iter().copied().chain([dir.to_str().unwrap()]))
        .ok();
    let status = world.flux(["status", "--json", "mine"]).run().json();
    assert_eq!(status["into"], "main");
    world
        .flux(["run", "-q", "--name", "base", "--base", "master", "Go"])
        .ok();
    let status = world.flux(["status", "--json", "base"]).run().json();
    assert_eq!(status["into"], "main");
}

#[test]
fn cleanup_and_run_refuse_a_symbolic_branch_that_leads_to_no_branch() {
    let world = World::new();
    let id = done_task(&world);
    world.git(["update-ref", "refs/other/x", "HEAD"]);
    link(&world, "outside", "refs/other/x");
    link(&world, "nowhere", "refs/heads/gone");
    link(&world, "circle", "refs/heads/round");
    link(&world, "round", "refs/heads/circle");
    for (branch, why) in [
        (
            "outside",
            "'outside' is a symbolic ref of 'refs/other/x', which is not a branch",
        ),
        ("nowhere", "there is no branch 'nowhere'"),
        ("circle", "there is no branch 'circle'"),
    ] {
        refused(&world, &["cleanup", "-y", &id, "--into", branch], &[why]);
        let run = ["run", "-q", "--name", "go", "--branch", branch, "Go"];
        refused(&world, &run, &[why]);
    }
    let output = world.flux(["cleanup", &id, "--into", "outside"]).run();
    let hint = hints(&output).remove(0).replace("<branch>", "main");
    paste(&world, &hint).unwrap();
    let cleanup = ["cleanup", "-y", &id, "--into", "outside"];
    world.flux(cleanup).run().success().says(&expect![[r#"
        --- stderr
        merged 1 commit of 'feature/fix-login-XXXXXX' into 'main' (<object>..<object>)
        removed 'fix-login-XXXXXX': worktree, branch 'feature/fix-login-XXXXXX' and session
        its commits stay in refs/flux/archive/fix-login-XXXXXX/tip
        its files are kept in '$WORLD/myapp/.git/flux/trash/fix-login-XXXXXX'
        hint: to restore the task: git flux restore fix-login-XXXXXX
        hint: to undo the merge, on 'main': git revert -m 1 <object>
    "#]]);
    assert_eq!(world.git(["status", "--porcelain"]), "");
}

#[test]
fn run_does_not_overwrite_a_dangling_symbolic_ref() {
    let world = World::new();
    link(&world, "feature/go", "refs/heads/gone");
    let run = ["run", "-q", "--name", "go", "Go"];
    let said = "'refs/heads/feature/go' is a dangling symbolic ref";
    refused(&world, &run, &[said]);
    let output = world.flux(run).run();
    paste(&world, &hints(&output)[0]).unwrap();
    world.flux(run).ok();
}

#[test]
fn cleanup_refuses_a_task_whose_branch_became_symbolic() {
    let world = World::new();
    let id = done_task(&world);
    let branch = format!("feature/{id}");
    world.git(["branch", "other", &branch]);
    link(&world, &branch, "refs/heads/other");
    let said = format!("the branch '{branch}' is a symbolic ref of 'refs/heads/other'");
    for options in [&["-y"][..], &["-y", "--discard-branch"]] {
        let args = ["cleanup", &id].into_iter().chain(options.iter().copied());
        refused(&world, &args.collect::<Vec<_>>(), &[&said]);
    }
    let output = world.flux(["cleanup", "-y", &id]).run();
    paste(&world, &hints(&output)[0]).unwrap();
    world.flux(["cleanup", "-y", &id]).run().success();
    assert_removed(&world, &id);
    assert_eq!(world.read("agent.txt"), "one\n");
    assert!(world.try_git(["rev-parse", "--verify", "other"]).is_ok());
}
