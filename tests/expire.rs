//! Tests how long worktrees stay in the trash and tasks in the archive.

use std::collections::BTreeSet;

use crate::world::*;

/// Removes a task with a commit, an uncommitted file and an ignored one.
fn removed(world: &World, name: &str, options: &[&str]) {
    world.behaviour("exit 0");
    world.flux(["run", "-q", "--name", name, "Fix"]).ok();
    world.wait_ended(name);
    let worktree = world.worktree(name);
    world.commit_in(&worktree, &format!("{name}.txt"), "work\n");
    world.write(worktree.join("loose.txt"), "loose\n");
    world.write(worktree.join(".env"), "ignored\n");
    let cleanup = ["cleanup", name, "--yes", "--discard"];
    let cleanup = cleanup.iter().chain(options).copied();
    world.flux(cleanup).run().success();
}

fn in_trash(world: &World) -> BTreeSet<String> {
    let dir = world.repo().join(".git/flux/trash");
    let entries = std::fs::read_dir(dir).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// Sets the times of removed tasks back by two hours.
fn age(world: &World, names: &[&str]) {
    for name in names {
        let place = world.repo().join(".git/flux/trash").join(name);
        let hours = std::time::Duration::from_secs(2 * 3600);
        let place = std::fs::File::open(place).unwrap();
        let at = place.metadata().unwrap().modified().unwrap();
        place.set_modified(at - hours).unwrap();
    }
}

fn in_archive(world: &World) -> BTreeSet<String> {
    let listed = world.flux(["restore", "--list", "--json"]).run().json();
    let names = listed.as_array().unwrap().iter();
    names
        .map(|one| one["name"].as_str().unwrap().to_owned())
        .collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn expire_keeps_the_last_three_worktrees_in_the_trash() {
    let world = World::new();
    for name in ["one", "two", "three", "four", "five"] {
        removed(&world, name, &[]);
    }
    // Not before an hour has passed: they may have been removed all at once.
    world.flux(["__expire"]).run().success();
    assert_eq!(
        in_trash(&world),
        names(&["one", "two", "three", "four", "five"])
    );
    age(&world, &["one", "two", "three"]);
    world.flux(["__expire"]).run().success();
    assert_eq!(in_trash(&world), names(&["three", "four", "five"]));
    assert_eq!(
        in_archive(&world),
        names(&["one", "two", "three", "four", "five"])
    );
    world.flux(["restore", "one"]).run().success();
    assert_eq!(
        world.read(world.worktree("one").join("loose.txt")),
        "loose\n"
    );
    assert!(!world.worktree("one").join(".env").exists());
    world.flux(["restore", "five"]).run().success();
    assert_eq!(world.read(world.worktree("five").join(".env")), "ignored\n");
}

#[test]
fn expire_keeps_the_number_of_worktrees_in_trash_keep() {
    let world = World::new();
    world.git(["config", "flux.trashKeep", "1"]);
    removed(&world, "one", &[]);
    assert_eq!(in_trash(&world), names(&["one"]));
    age(&world, &["one"]);
    removed(&world, "two", &[]);
    wait_until("the trash to be emptied", || {
        in_trash(&world) == names(&["two"])
    });
    world.git(["config", "flux.trashKeep", "many"]);
    world.flux(["__expire"]).run().code(1).says(&expect![[r#"
        --- stderr
        error: bad value 'many' for 'flux.trashKeep' in file '.git/config'
        hint: use a whole number
    "#]]);
    assert_eq!(in_trash(&world), names(&["two"]));
}

#[test]
fn expire_removes_only_merged_tasks_after_archive_expire() {
    let world = World::new();
    removed(&world, "merged", &[]);
    removed(&world, "dropped", &["--discard-branch"]);
    world.flux(["__expire"]).run().success();
    assert_eq!(in_archive(&world), names(&["merged", "dropped"]));
    for (limit, left) in [
        ("never", &["merged", "dropped"][..]),
        ("1.day.ago", &["merged", "dropped"]),
        ("now", &["dropped"]),
    ] {
        world.git(["config", "flux.archiveExpire", limit]);
        world.flux(["__expire"]).run().success();
        assert_eq!(
            (in_archive(&world), in_trash(&world)),
            (names(left), names(left)),
            "{limit}"
        );
    }
    assert_eq!(world.git(["show", "main:merged.txt"]), "work");
    // What cannot be read is no reason to delete anything.
    world.git(["config", "flux.archiveExpire", "some day"]);
    let before = world.snapshot();
    world.flux(["__expire"]).run().code(1);
    assert_eq!(in_archive(&world), names(&["dropped"]));
    world.assert_unchanged(&before);
}

#[test]
fn expire_keeps_a_task_without_commits_that_had_uncommitted_files() {
    let world = World::new();
    world.behaviour("exit 0");
    for name in ["empty", "loose"] {
        world.flux(["run", "-q", "--name", name, "Fix"]).ok();
        world.wait_ended(name);
    }
    world.write(world.worktree("loose").join("loose.txt"), "loose\n");
    let cleanup = ["cleanup", "--yes", "--discard", "empty", "loose"];
    world.flux(cleanup).run().success();
    world.git(["config", "flux.archiveExpire", "now"]);
    world.flux(["__expire"]).run().success();
    assert_eq!(in_archive(&world), names(&["loose"]));
}

#[test]
fn expire_skips_a_task_that_is_being_removed_or_restored() {
    let world = World::new();
    removed(&world, "one", &[]);
    // Killed after it had moved the worktree away.
    world.git(["config", "flux.trashKeep", "0"]);
    let record = world.git(["rev-parse", "refs/flux/archive/one/task"]);
    world.git(["update-ref", "refs/flux/tasks/one", &record]);
    world.flux(["__expire"]).run().success();
    assert_eq!(in_trash(&world), names(&["one"]));
    world.git(["update-ref", "-d", "refs/flux/tasks/one"]);
    // A restore is about to move it back.
    let run = world.repo().join(".git/flux/run/one");
    std::fs::create_dir_all(&run).unwrap();
    let lock = std::fs::File::create(run.join("lock")).unwrap();
    lock.lock().unwrap();
    world.flux(["__expire"]).run().success();
    assert_eq!(in_trash(&world), names(&["one"]));
    drop(lock);
    world.flux(["__expire"]).run().success();
    assert_eq!(in_trash(&world), names(&[]));
    assert_eq!(in_archive(&world), names(&["one"]));
    assert!(!run.exists());
}

#[test]
fn expire_deletes_a_partly_deleted_worktree() {
    let world = World::new();
    removed(&world, "one", &[]);
    world.write(".git/flux/trash/.going-one/worktree/left", "");
    world.git(["config", "flux.trashKeep", "0"]);
    world.flux(["__expire"]).run().success();
    assert_eq!(in_trash(&world), names(&[]));
}
