//! Tests from which directories a cleanup can be called, and into which branch it merges.

use std::fs;
use std::path::Path;

use crate::world::removal::*;
use crate::world::*;

/// Cleans up from `dir`, without the name of the task if that is its own worktree.
#[track_caller]
fn cleanup_from(prepare: impl FnOnce(&World, &Path) -> std::path::PathBuf, name_it: bool) {
    let world = World::new();
    let id = done_task(&world);
    let worktree = world.worktree(&id);
    let dir = prepare(&world, &worktree);
    let args = ["cleanup", &id];
    let args = if name_it { &args[..] } else { &args[..1] };
    let output = world.flux(args).in_dir(&dir).run();
    output.success();
    let inside = dir.starts_with(&worktree);
    let hint = format!(
        "hint: this directory is gone: cd '{}'",
        world.repo().display()
    );
    assert_eq!(output.stderr.contains(&hint), inside, "{output}");
    assert_eq!(world.read("agent.txt"), "one\n");
    assert_removed(&world, &id);
}

#[test]
fn cleanup_works_from_every_directory_of_the_repository() {
    cleanup_from(|world, _| world.repo(), true);
    cleanup_from(|world, _| world.repo().join("src"), true);
    cleanup_from(|world, _| world.repo().join(".git"), true);
    cleanup_from(|_, worktree| worktree.to_owned(), false);
    cleanup_from(|_, worktree| worktree.join("src"), false);
}

#[test]
fn cleanup_refuses_from_a_linked_worktree_on_another_branch_without_into() {
    let world = World::new();
    let id = done_task(&world);
    let other = world.root().join("another worktree");
    let add = [
        "worktree",
        "add",
        "-q",
        "-b",
        "another",
        other.to_str().unwrap(),
    ];
    world.git(add);
    let before = world.snapshot();
    let output = world.flux(["cleanup", &id]).in_dir(&other).run();
    output.code(2).says(&expect![[r#"
        --- stderr
        error: 'fix-login-XXXXXX' would be merged into 'main', but you are on 'another'
        hint: to merge it into 'main': git flux cleanup fix-login-XXXXXX --into main
    "#]]);
    world.assert_unchanged(&before);
    world
        .flux(["cleanup", "--into=main", &id])
        .in_dir(&other)
        .run()
        .success();
    assert_eq!(world.read("agent.txt"), "one\n");
    assert!(!other.join("agent.txt").exists());
    assert_removed(&world, &id);
}

#[test]
fn cleanup_works_from_the_worktree_of_another_task() {
    let world = World::new();
    let (one, two) = (done_task(&world), running_task(&world));
    let output = world
        .flux(["cleanup", &one, "--into", "main"])
        .in_dir(world.worktree(&two))
        .run();
    output.success().has_not("this directory is gone");
    assert_removed(&world, &one);
    assert!(world.agent(&two).is_alive());
    assert_eq!(world.read("agent.txt"), "one\n");
    let status = world.flux(["status", "--json", &two]).run().json();
    assert_eq!(status["state"], "running");
}

#[test]
fn cleanup_requires_into_if_the_user_is_on_another_branch() {
    let world = World::new();
    let id = working_task(&world);
    world.git(["switch", "-q", "-c", "topic"]);
    let before = world.snapshot();
    let output = world.flux(["cleanup", "-y", &id]).run();
    output.code(2).says(&expect![[r#"
        --- stderr
        error: 'fix-login-XXXXXX' would be merged into 'main', but you are on 'topic'
        hint: to merge it into 'main': git flux cleanup fix-login-XXXXXX --into main
    "#]]);
    world.assert_unchanged(&before);
    world.git(["switch", "-q", "--detach"]);
    let before = world.snapshot();
    let output = world.flux(["cleanup", "-y", &id]).run();
    output.code(2).says(&expect![[r#"
        --- stderr
        error: 'fix-login-XXXXXX' would be merged into 'main', but your HEAD is detached
        hint: to merge it into 'main': git flux cleanup fix-login-XXXXXX --into main
    "#]]);
    world.assert_unchanged(&before);
    assert!(world.agent(&id).is_alive());
}

#[test]
fn cleanup_into_merges_into_a_branch_that_is_not_checked_out() {
    let world = World::new();
    let id = done_task(&world);
    world.git(["switch", "-q", "-c", "topic"]);
    world.write("loose.txt", "mine\n");
    let (main, tip) = (commit(&world, "main"), tip(&world, &id));
    world.flux(["cleanup", "--into=main", &id]).run().success();
    assert_merge_of(&world, &main, &tip);
    // The user stays where the user was.
    assert_eq!(world.git(["symbolic-ref", "HEAD"]), "refs/heads/topic");
    assert_eq!(commit(&world, "HEAD"), main);
    assert_eq!(world.git(["status", "--porcelain"]), "?? loose.txt");
    assert_removed(&world, &id);
}

#[test]
fn cleanup_into_merges_into_a_branch_other_than_the_base() {
    for name in ["topic", "refs/heads/topic"] {
        let world = World::new();
        let id = done_task(&world);
        world.git(["switch", "-q", "-c", "topic"]);
        let topic = world.commit_in(world.repo(), "topic.txt", "topic\n");
        let (main, tip) = (commit(&world, "main"), tip(&world, &id));
        world.flux(["cleanup", "--into", name, &id]).run().success();
        assert_eq!(commit(&world, "main"), main);
        let parents = world.git(["log", "-1", "--format=%P", "topic"]);
        assert_eq!(parents, format!("{topic} {tip}"));
        assert_eq!(world.read("agent.txt"), "one\n");
        assert_removed(&world, &id);
    }
}

#[test]
fn cleanup_into_refuses_anything_but_another_local_branch() {
    let world = World::new();
    let id = working_task(&world);
    world.git(["tag", "v1"]);
    let head = commit(&world, "HEAD");
    let own = format!("feature/{id}");
    let before = world.snapshot();
    for into in [
        "nowhere",
        "v1",
        "HEAD",
        &head,
        "refs/tags/v1",
        "",
        "-x",
        "main~0",
    ] {
        let output = world
            .flux(["cleanup", "-y", &format!("--into={into}"), &id])
            .run();
        output
            .code(1)
            .stderr_has("there is no branch")
            .stderr_has("hint: ");
        world.assert_unchanged(&before);
    }
    let output = world.flux(["cleanup", "-y", "--into", &own, &id]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: 'feature/fix-login-XXXXXX' cannot be merged into itself
        hint: to name its target: git flux cleanup fix-login-XXXXXX --into <branch>
    "#]]);
    world.assert_unchanged(&before);
    assert!(world.agent(&id).is_alive());
}

#[test]
fn cleanup_prefers_the_configured_target_to_the_base_branch() {
    let world = World::new();
    let id = done_task(&world);
    let main = commit(&world, "main");
    world.git(["branch", "release"]);
    world.git([
        "config",
        &format!("branch.feature/{id}.fluxInto"),
        "release",
    ]);
    let output = world.flux(["cleanup", "--into=release", "-n", &id]).run();
    output.success().stdout_has("into 'release'");
    world.git(["switch", "-q", "release"]);
    world.flux(["cleanup", &id]).run().success();
    assert_eq!(commit(&world, "main"), main);
    assert_eq!(world.git(["show", "release:agent.txt"]), "one");
    assert_removed(&world, &id);
}

#[test]
fn cleanup_merges_in_the_worktree_in_which_the_target_is_checked_out() {
    let world = World::new();
    let id = done_task(&world);
    world.git(["switch", "-q", "-c", "topic"]);
    let other = world.root().join("main is here");
    world.git(["worktree", "add", "-q", other.to_str().unwrap(), "main"]);
    world.write(other.join("loose.txt"), "mine\n");
    world
        .flux(["cleanup", "--into", "main", &id])
        .run()
        .success();
    assert_eq!(world.read(other.join("agent.txt")), "one\n");
    assert_eq!(
        world.git_in(&other, ["status", "--porcelain"]),
        "?? loose.txt"
    );
    assert_eq!(world.git(["status", "--porcelain"]), "");
    assert!(!world.repo().join("agent.txt").exists());
    assert_removed(&world, &id);
}

#[test]
fn cleanup_refuses_if_the_worktree_of_the_target_is_gone_or_would_be_overwritten() {
    let world = World::new();
    let id = working_task(&world);
    world.git(["switch", "-q", "-c", "topic"]);
    let other = world.root().join("main is here");
    world.git(["worktree", "add", "-q", other.to_str().unwrap(), "main"]);
    world.write(other.join("agent.txt"), "mine\n");
    let before = world.snapshot();
    let output = world.flux(["cleanup", "-y", "--into", "main", &id]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: the merge would overwrite 'agent.txt' in the worktree of 'main'
        hint: to see untracked and ignored files: git -C '$WORLD/main is here' status --ignored
        hint: commit, stash or move 'agent.txt', then: git flux cleanup fix-login-XXXXXX --into main
    "#]]);
    world.assert_unchanged(&before);
    assert!(world.agent(&id).is_alive());
    // Nor is a branch moved under a worktree that is not there: it would come back with all of this reversed.
    fs::remove_file(other.join("agent.txt")).unwrap();
    fs::rename(&other, world.root().join("away")).unwrap();
    let before = world.snapshot();
    let output = world.flux(["cleanup", "-y", "--into", "main", &id]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: the worktree of 'main' is gone: there is no '$WORLD/main is here'; it was moved to '$WORLD/away'
        hint: to tell git where it is: git worktree repair '$WORLD/away'
        hint: then: git flux cleanup fix-login-XXXXXX --into main
    "#]]);
    world.assert_unchanged(&before);
    assert!(world.agent(&id).is_alive());
}

#[test]
fn cleanup_requires_into_for_a_task_started_on_a_detached_head() {
    let world = World::new();
    world.git(["switch", "-q", "--detach"]);
    let id = done_task(&world);
    let before = world.snapshot();
    let output = world.flux(["cleanup", "-y", &id]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: 'fix-login-XXXXXX' did not start from a branch
        hint: to name its target: git flux cleanup fix-login-XXXXXX --into <branch>
    "#]]);
    world.assert_unchanged(&before);
    world.flux(["cleanup", "--into=main", &id]).run().success();
    assert_eq!(world.git(["show", "main:agent.txt"]), "one");
    assert_removed(&world, &id);
}

#[test]
fn cleanup_merges_into_the_branch_the_task_was_started_from() {
    let world = World::new();
    world.git(["branch", "topic"]);
    world.behaviour("raw");
    let id = world.flux(["run", "-q", "--base=topic", "Fix login"]).ok();
    world.agent(&id).tell("commit one");
    end_agent(&world, &id);
    let main = commit(&world, "main");
    let output = world.flux(["cleanup", &id]).run();
    output.code(2).says(&expect![[r#"
        --- stderr
        error: 'fix-login-XXXXXX' would be merged into 'topic', but you are on 'main'
        hint: to merge it into 'topic': git flux cleanup fix-login-XXXXXX --into topic
    "#]]);
    world.flux(["cleanup", "--into=topic", &id]).run().success();
    assert_eq!(commit(&world, "main"), main);
    assert_eq!(world.git(["show", "topic:agent.txt"]), "one");
    assert_removed(&world, &id);
}

#[test]
fn cleanup_merges_a_task_started_in_another_task_into_that_task() {
    let world = World::new();
    let outer = working_task(&world);
    world.behaviour("raw");
    let run = ["run", "-q", "--name=inner", "Part of it"];
    world.flux(run).in_dir(world.worktree(&outer)).ok();
    world
        .agent("inner")
        .tell("sh echo inner >inner.txt; git add . && git commit -qm inner");
    end_agent(&world, "inner");
    let main = commit(&world, "main");
    let output = world
        .flux(["cleanup", "inner"])
        .in_dir(world.worktree(&outer))
        .run();
    output.success();
    assert_eq!(
        world.read(world.worktree(&outer).join("inner.txt")),
        "inner\n"
    );
    assert_eq!(commit(&world, "main"), main);
    assert!(world.agent(&outer).is_alive());
    end_agent(&world, &outer);
    world.flux(["cleanup", &outer]).run().success();
    assert_eq!(world.read("inner.txt"), "inner\n");
    assert_removed(&world, &outer);
}

#[test]
fn cleanup_names_a_deleted_worktree_of_the_target() {
    let world = World::new();
    let other = world.root().join("main's own");
    world.git(["switch", "-q", "-c", "aside"]);
    world.git(["worktree", "add", "-q", other.to_str().unwrap(), "main"]);
    let output = world.flux(["run", "-q", "Fix login"]).in_dir(&other).run();
    let id = output.success().stdout.trim().to_owned();
    world.agent(&id).tell("commit one");
    fs::remove_dir_all(&other).unwrap();
    let before = world.snapshot();
    let output = world.flux(["cleanup", "-y", "--into", "main", &id]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: the worktree of 'main' is gone: there is no '$WORLD/main's own'
        hint: to remove it from the list of worktrees: git worktree prune
        hint: then: git flux cleanup fix-login-XXXXXX --into main
    "#]]);
    world.assert_unchanged(&before);
    assert!(world.agent(&id).is_alive());
    world.git(["worktree", "prune"]);
    let cleanup = ["cleanup", "-y", "--into", "main", &id];
    world.flux(cleanup).run().success();
    assert_removed(&world, &id);
}
