//! Tests that worktrees and repositories of the user at the path of a task are neither moved nor removed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::world::hooks::*;
use crate::world::removal::*;
use crate::world::*;

#[test]
fn run_that_fails_keeps_a_worktree_of_the_user_at_the_path() {
    let world = World::new();
    let theirs = world.worktree("fix");
    let (repo, path) = (world.repo(), theirs.display());
    let add = format!(
        "cd '{}'; git worktree add -q -b mine '{path}'; echo precious >'{path}/precious'; echo edit >>'{path}/README.md'",
        repo.display()
    );
    once_in_hook(&world, "reference-transaction", CLAIMED, &add);
    let before = world.snapshot();
    let output = world.flux(["run", "--name", "fix", "Fix login"]).run();
    output.code(1).stderr_has("could not start 'fix'");
    assert_hooked(&world);
    assert_eq!(
        world.git_in(&theirs, ["status", "--porcelain", "--branch"]),
        "## mine\n M README.md\n?? precious"
    );
    // It is all that is new.
    world.git(["worktree", "remove", "--force", theirs.to_str().unwrap()]);
    world.git(["branch", "-q", "-D", "mine"]);
    world.assert_unchanged(&before);
}

#[test]
fn run_that_fails_keeps_an_entry_of_the_user_whose_worktree_is_away() {
    let world = World::new();
    let (theirs, away) = (world.worktree("fix"), world.root().join("unmounted"));
    let editor = format!(
        "#!/bin/sh\nset -e\ngit -C '{repo}' worktree add -q --detach '{path}'\ncd '{path}'\necho staged >README.md\n\
         git add README.md\ngit commit -q --allow-empty -m Mine\necho more >>README.md\ngit add README.md\n\
         git worktree lock '{path}'\nmv '{path}' '{away}'\necho 'Fix login' >\"$1\"\n",
        repo = world.repo().display(),
        path = theirs.display(),
        away = away.display()
    );
    world.install("an-editor", &editor);
    let before = world.snapshot();
    let output = world
        .flux(["run", "--edit", "--name", "fix"])
        .env("GIT_EDITOR", "an-editor")
        .run();
    output.code(1).has_not("panicked");
    // It is mounted again, as it was.
    fs::rename(&away, &theirs).unwrap();
    assert_eq!(
        world.git_in(&theirs, ["status", "--porcelain"]),
        "M  README.md"
    );
    assert_eq!(world.git_in(&theirs, ["log", "-1", "--format=%s"]), "Mine");
    let remove = ["worktree", "remove", "--force", "--force"];
    world.git(remove.into_iter().chain([theirs.to_str().unwrap()]));
    world.assert_unchanged(&before);
}

#[test]
fn run_that_was_killed_is_undone_without_a_worktree_of_the_user_at_the_path() {
    let world = World::new();
    let theirs = world.worktree("fix");
    world.fault(&Fault::every("git", "worktree add", Mode::KillBefore));
    world
        .flux(["run", "--name", "fix", "Fix login"])
        .run()
        .killed();
    world.wait_fault_over();
    world.clear_fault();
    world.git([
        "worktree",
        "add",
        "-q",
        "--detach",
        theirs.to_str().unwrap(),
    ]);
    // Files as in the task's base, but the commits and the index are the user's.
    let work = world.commit_in(&theirs, "README.md", "mine\n");
    world.write(theirs.join("src/login.txt"), "staged\n");
    world.git_in(&theirs, ["add", "-A"]);
    let blob = world.git_in(&theirs, ["rev-parse", ":src/login.txt"]);
    world.git_in(&theirs, ["restore", "--source=main", "--worktree", "."]);
    let output = world.flux(["run", "--name", "other", "Do"]).run();
    output
        .success()
        .stderr_has("removed what the interrupted start of 'fix' had made");
    assert_eq!(world.git_in(&theirs, ["rev-parse", "HEAD"]), work);
    assert_eq!(world.git_in(&theirs, ["rev-parse", ":src/login.txt"]), blob);
    let snapshot = world.snapshot();
    assert!(!snapshot.has("ref refs/flux/tasks/fix"));
    assert!(!snapshot.has("ref refs/heads/feature/fix"));
}

#[test]
fn run_that_fails_keeps_files_that_a_hook_wrote_into_the_worktree() {
    let world = World::new();
    let write = format!(
        "cd '{}'; echo hook >from-hook; echo edit >>README.md",
        world.worktree("fix").display()
    );
    once_in_hook(&world, "post-checkout", "true", &write);
    world.fault(&Fault::every("tmux", "new-session", Mode::Fail));
    let before = world.snapshot();
    let output = world.flux(["run", "--name", "fix", "Fix login"]).run();
    let kept = trash(&world, "fix");
    output.code(1).stderr_has("its files are in '");
    assert_hooked(&world);
    assert_eq!(world.read(kept.join("from-hook")), "hook\n");
    assert_eq!(world.read(kept.join("README.md")), "# myapp\nedit\n");
    let changes = before.changes(&world.snapshot());
    let archived = |line: &&String| {
        !line.starts_with("+ flux file trash/fix/")
            && !line.starts_with("+ flux file marks/archive/fix")
            && !line.starts_with("+ ref refs/flux/archive/fix/")
    };
    assert_eq!(changes.iter().find(archived), None);
}

/// Copies the repository while its task exists.
fn copied(world: &World) -> PathBuf {
    let copy = world.root().join("copy");
    let made = world
        .command("cp")
        .args(["-a".as_ref(), world.repo().as_os_str(), copy.as_os_str()])
        .status();
    assert!(made.unwrap().success());
    copy
}

#[test]
fn cleanup_in_a_copied_repository_refuses_the_worktree_of_the_original() {
    let world = World::new();
    let id = running_task(&world);
    end_agent(&world, &id);
    let copy = copied(&world);
    world.commit_in(world.worktree(&id), "new.txt", "newer than the copy\n");
    world.write(world.worktree(&id).join(".env"), "SECRET\n");
    for args in [&["cleanup", &*id][..], &["cleanup", "-y", "--discard", &id]] {
        let said = ["is elsewhere: its worktree belongs to the repository"];
        refused_in(&world, &copy, args, &said);
    }
    world.flux(["cleanup", &id]).run().success();
    assert_eq!(world.read("new.txt"), "newer than the copy\n");
}

#[test]
fn cleanup_in_a_copied_repository_does_not_stop_the_agent_of_the_original() {
    let world = World::new();
    let id = working_task(&world);
    let copy = copied(&world);
    let said = ["is elsewhere: its worktree belongs to the repository"];
    refused_in(&world, &copy, &["cleanup", "-y", &id], &said);
    assert!(world.agent(&id).is_alive());
}

#[test]
fn cleanup_discard_branch_removes_a_task_only_from_a_copied_repository() {
    let world = World::new();
    let id = working_task(&world);
    let copy = copied(&world);
    let before = world.snapshot();
    let list = world.flux(["list", "--json"]).in_dir(&copy).run();
    assert_eq!(list.success().json()[0]["state"], "elsewhere");
    let said = ["is elsewhere: its worktree belongs to the repository"];
    for args in [
        &["attach", &*id][..],
        &["send", &id, "stop"],
        &["resume", &id],
        &["diff", &id],
        &["cleanup", &id, "-y"],
    ] {
        refused_in(&world, &copy, args, &said);
    }
    let drop = ["cleanup", &id, "--discard-branch"];
    let json = ["cleanup", &id, "--discard-branch", "-y", "--json"];
    refused_in(&world, &copy, &json, &["no JSON for dropping"]);
    let dry_run = world.flux([drop[0], &id, drop[2], "-n"]).in_dir(&copy).ok();
    assert!(dry_run.starts_with("would drop"), "{dry_run}");
    world.flux(drop).in_dir(&copy).run().success();
    world.assert_unchanged(&before);
    assert!(world.agent(&id).is_alive());
    let list = world.flux(["list", "--json"]).in_dir(&copy).ok();
    assert_eq!(list, "[]");
    let refs = world.git_in(&copy, ["for-each-ref", "--format=%(refname)"]);
    let archived = format!("refs/flux/archive/{id}/tip");
    assert!(
        refs.contains(&archived) && !refs.contains("refs/heads/feature"),
        "{refs}"
    );
    world.git_in(&copy, ["worktree", "prune"]);
    world.assert_unchanged(&before);
    assert_eq!(
        world.flux(["list", "--json"]).run().success().json()[0]["id"],
        id
    );
}

#[test]
fn cleanup_refuses_a_clone_at_the_path_of_the_worktree() {
    let world = World::new();
    let id = done_task(&world);
    let path = world.worktree(&id);
    fs::remove_dir_all(&path).unwrap();
    world.git(["clone", "-q", ".", path.to_str().unwrap()]);
    world.git_in(&path, ["switch", "-q", &format!("feature/{id}")]);
    let head = world.commit_in(&path, "mine.txt", "mine\n");
    for args in [&["cleanup", &*id][..], &["cleanup", "-y", "--discard", &id]] {
        refused(
            &world,
            args,
            &["is no longer a worktree of this repository"],
        );
    }
    assert_eq!(world.git_in(&path, ["rev-parse", "HEAD"]), head);
}

#[test]
fn cleanup_refuses_a_worktree_that_became_a_repository() {
    let world = World::new();
    let id = done_task(&world);
    let path = world.worktree(&id);
    fs::remove_file(path.join(".git")).unwrap();
    world.git_in(&path, ["init", "-q", "-b", &format!("feature/{id}")]);
    world.commit_in(&path, "mine.txt", "mine\n");
    let said = ["is no longer a worktree of this repository"];
    refused(&world, &["cleanup", "-y", "--discard", &id], &said);
}

#[test]
fn cleanup_refuses_a_worktree_that_became_a_symbolic_link() {
    let world = World::new();
    let id = done_task(&world);
    let (path, elsewhere) = (world.worktree(&id), world.root().join("elsewhere"));
    world.write(path.join(".env"), "SECRET\n");
    fs::rename(&path, &elsewhere).unwrap();
    symlink(&elsewhere, &path).unwrap();
    let said = ["is no longer a worktree of this repository"];
    refused(&world, &["cleanup", "-y", "--discard", &id], &said);
    // Back in its place it is the task's again.
    fs::remove_file(&path).unwrap();
    fs::rename(&elsewhere, &path).unwrap();
    world.flux(["cleanup", &id]).run().success();
    assert_removed(&world, &id);
}

#[test]
fn cleanup_refuses_a_worktree_that_contains_another_worktree() {
    let world = World::new();
    let id = done_task(&world);
    let inner = world.worktree(&id).join(".env/inner");
    world.git(["worktree", "add", "-q", "--detach", inner.to_str().unwrap()]);
    let work = world.commit_in(&inner, "nested.txt", "only here\n");
    let said = [
        "there is another worktree inside that of",
        "git worktree remove",
    ];
    refused(&world, &["cleanup", "-y", "--discard", &id], &said);
    // Elsewhere it is in nobody's way, and stays what it is.
    let outside = world.root().join("outside");
    world.git([
        "worktree",
        "move",
        inner.to_str().unwrap(),
        outside.to_str().unwrap(),
    ]);
    world.flux(["cleanup", &id]).run().success();
    assert_eq!(world.git_in(&outside, ["rev-parse", "HEAD"]), work);
    assert_removed(&world, &id);
}
