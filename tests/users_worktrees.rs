//! Whose worktree is it: what was never the task's, whatever its path or branch, is neither moved nor removed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::world::hooks::*;
use crate::world::removal::*;
use crate::world::*;

#[test]
fn a_start_that_is_undone_leaves_the_users_worktree_at_its_path() {
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
fn a_start_that_is_undone_leaves_an_entry_of_the_users_whose_worktree_is_away() {
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
fn a_start_that_was_killed_is_settled_around_the_users_worktree_at_its_path() {
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
        .stderr_has("the start of 'fix' was interrupted");
    assert_eq!(world.git_in(&theirs, ["rev-parse", "HEAD"]), work);
    assert_eq!(world.git_in(&theirs, ["rev-parse", ":src/login.txt"]), blob);
    let snapshot = world.snapshot();
    assert!(!snapshot.has("ref refs/flux/tasks/fix"));
    assert!(!snapshot.has("ref refs/heads/feature/fix"));
}

#[test]
fn a_start_that_is_undone_keeps_what_others_wrote_into_its_worktree() {
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

/// A copy of the repository, made while its task works.
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
fn a_copied_repository_does_not_take_the_originals_worktree() {
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
fn a_copied_repository_does_not_stop_the_originals_agent() {
    let world = World::new();
    let id = working_task(&world);
    let copy = copied(&world);
    let said = ["is elsewhere: its worktree belongs to the repository"];
    refused_in(&world, &copy, &["cleanup", "-y", &id], &said);
    assert!(world.agent(&id).is_alive());
}

#[test]
fn a_task_is_dropped_from_a_copied_repository_alone() {
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
fn a_clone_at_the_path_is_not_the_tasks_worktree() {
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
fn a_repository_that_the_agent_made_of_its_worktree_is_not_removed() {
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
fn a_worktree_that_became_a_symbolic_link_is_not_taken_for_its_files() {
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
fn a_worktree_inside_the_tasks_own_is_not_taken_along() {
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
