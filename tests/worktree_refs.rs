//! Tests per-worktree refs and commits that only the reflog of a worktree has.

use std::fs;

use crate::world::*;

/// Makes a task with a commit that only its reflog has, and one that only a per-worktree ref has; returns both.
fn task(world: &World) -> (String, [String; 2]) {
    world.behaviour("raw");
    let id = world.start("Fix login");
    let worktree = world.worktree(&id);
    let git = |args: &[&str]| world.git_in(&worktree, args.iter().copied());
    world.commit_in(&worktree, "first.txt", "taken back\n");
    let taken_back = world.commit_in(&worktree, "more.txt", "taken back\n");
    git(&["reset", "-q", "--hard", "HEAD~2"]);
    git(&["checkout", "-q", "--detach"]);
    let aside = world.commit_in(&worktree, "aside.txt", "aside\n");
    git(&["checkout", "-q", &format!("feature/{id}")]);
    git(&["update-ref", "refs/worktree/keep", &aside]);
    world.commit_in(&worktree, "work.txt", "work\n");
    (id, [taken_back, aside])
}

/// Prunes all unreachable objects and keeps the reflogs, although the commits have old dates.
fn collect_garbage(world: &World) {
    let logs = ["gc.reflogExpire=never", "gc.reflogExpireUnreachable=never"];
    let logs = logs.into_iter().flat_map(|setting| ["-c", setting]);
    world.git(logs.chain(["gc", "-q", "--prune=now"]));
}

fn exists(world: &World, commit: &str) -> bool {
    world.try_git(["cat-file", "-e", commit]).is_ok()
}

fn worlds() -> [World; 2] {
    ["--ref-format=files", "--ref-format=reftable"].map(|format| {
        let world = World::without_repository("myapp");
        fs::create_dir(world.repo()).unwrap();
        world.git(["init", "-q", format]);
        world.fill(&world.repo());
        world
    })
}

#[test]
fn cleanup_keeps_all_refs_if_output_of_git_is_truncated() {
    let world = World::new();
    let (id, commits) = task(&world);
    let refs = world.git(["for-each-ref"]);
    for words in [
        "for-each-ref",
        "worktree list",
        "status --porcelain",
        "refs/worktree",
        "rev-list",
        "config -z",
    ] {
        world.fault(&Fault::every("git", words, Mode::CutOff));
        world.flux(["cleanup", "-y", &id]).run().code(1);
        assert!(world.fault_fired(), "{words}");
        assert_eq!(world.git(["for-each-ref"]), refs, "{words}");
    }
    world.clear_fault();
    world.flux(["cleanup", "-y", &id]).run().success();
    let keep = format!("refs/flux/archive/{id}/worktree/keep");
    assert_eq!(world.git(["rev-parse", &keep]), commits[1]);
}

#[test]
fn restore_brings_back_worktree_refs_and_reflog_commits() {
    for world in worlds() {
        let (id, commits) = task(&world);
        world.flux(["cleanup", "-y", &id]).run().success();
        collect_garbage(&world);
        assert!(commits.iter().all(|commit| exists(&world, commit)));
        let keep = format!("refs/flux/archive/{id}/worktree/keep");
        assert_eq!(world.git(["rev-parse", &keep]), commits[1]);
        world.flux(["restore", &id]).run().success();
        collect_garbage(&world);
        assert!(commits.iter().all(|commit| exists(&world, commit)));
        let kept = world.git_in(world.worktree(&id), ["rev-parse", "refs/worktree/keep"]);
        assert_eq!(kept, commits[1]);
        // And once more, from the archive alone.
        world.flux(["cleanup", "-y", &id]).run().success();
        fs::remove_dir_all(world.repo().join(".git/flux/trash").join(&id)).unwrap();
        world.flux(["restore", &id]).run().success();
        collect_garbage(&world);
        assert!(commits.iter().all(|commit| exists(&world, commit)));
        world.flux(["cleanup", "-y", &id]).run().success();
        collect_garbage(&world);
        assert!(commits.iter().all(|commit| exists(&world, commit)));
        // Until somebody says so.
        world
            .flux(["restore", "--drop", &id, "--yes"])
            .run()
            .success();
        collect_garbage(&world);
        assert!(commits.iter().all(|commit| !exists(&world, commit)));
    }
}

#[test]
fn restore_brings_back_the_reflog_of_head() {
    let world = World::new();
    let (id, _) = task(&world);
    let log = || world.git_in(world.worktree(&id), ["reflog", "--format=%H %gs"]);
    let before = log();
    world.flux(["cleanup", "-y", &id]).run().success();
    world.flux(["restore", &id]).run().success();
    assert!(log().ends_with(&before), "{}\n{before}", log());
}

#[test]
fn cleanup_archives_only_base_task_and_tip_without_worktree_refs() {
    let world = World::new();
    world.behaviour("raw");
    let id = world.start("Fix login");
    world.commit_in(world.worktree(&id), "work.txt", "work\n");
    world
        .flux(["cleanup", "-y", "--squash", &id])
        .run()
        .success();
    let archive = format!("refs/flux/archive/{id}");
    let names = world.git(["for-each-ref", "--format=%(refname)", &archive]);
    let parts: Vec<&str> = names.lines().map(|name| &name[archive.len()..]).collect();
    assert_eq!(parts, ["/base", "/task", "/tip"]);
}
