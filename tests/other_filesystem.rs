//! Tests worktrees on another file system or mount, which cannot be moved to the trash.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

use crate::world::hooks::{assert_hooked, once_in_hook};
use crate::world::removal::task_with_stop_handler;
use crate::world::removal::*;
use crate::world::*;

/// Makes a world whose tasks have their worktrees in that directory.
fn world_of(dir: impl FnOnce(&World) -> TempDir) -> (World, TempDir) {
    let world = World::new();
    let dir = dir(&world);
    world.git(["config", "flux.worktreeDir", dir.path().to_str().unwrap()]);
    (world, dir)
}

/// Asserts that a cleanup is refused and changes nothing, neither here nor in `dir`.
#[track_caller]
fn refused(world: &World, dir: &Path, args: &[&str]) {
    let files = || {
        let listed = world
            .command("find")
            .arg(dir)
            .args(["-type", "f", "-printf", "%p %s\n"])
            .output();
        String::from_utf8_lossy(&listed.unwrap().stdout).into_owned()
    };
    let before = (world.snapshot(), files());
    let output = world.flux(args).run();
    output.code(1).stdout_is("").stderr_has("hint: ");
    world.assert_unchanged(&before.0);
    assert_eq!(files(), before.1);
}

#[test]
fn cleanup_deletes_a_clean_worktree_on_another_file_system() {
    let (world, dir) = world_of(elsewhere);
    let id = done_task(&world);
    let worktree = dir.path().join(format!("myapp-{id}"));
    assert!(worktree.join(".git").exists());
    world.flux(["cleanup", &id]).run().success();
    assert!(!worktree.exists());
    assert_eq!(world.read("agent.txt"), "one\n");
    assert_removed(&world, &id);
}

#[test]
fn cleanup_refuses_uncommitted_or_ignored_files_on_another_file_system() {
    for (file, args) in [
        (".env", &["cleanup", "-y"][..]),
        ("loose.txt", &["cleanup", "-y", "--discard"]),
    ] {
        let (world, dir) = world_of(elsewhere);
        let id = working_task(&world);
        let file = dir.path().join(format!("myapp-{id}")).join(file);
        world.write(&file, "only here\n");
        refused(&world, dir.path(), &[args, &[&id]].concat());
        assert!(world.agent(&id).is_alive());
    }
}

/// Asserts that a file that came too late to be asked about is not lost by a cleanup.
#[track_caller]
fn assert_not_lost(world: &World, worktree: &Path, id: &str, late: &str) {
    let output = world.flux(["cleanup", "-y", id]).run();
    output.has_not("panicked");
    let places = [worktree.join(late), trash(world, id).join(late)];
    let found = places.map(|path| fs::read_to_string(path).unwrap_or_default());
    assert!(found.contains(&"SECRET\n".to_owned()), "{output}");
    // Not settled by the next command either.
    world.flux(["run", "-q", "--name", "other", "Do"]).ok();
    assert_eq!(world.read(worktree.join(late)), "SECRET\n");
    world
        .flux(["status", "--json", id])
        .run()
        .success()
        .has_not("removing");
}

#[test]
fn cleanup_keeps_an_ignored_file_that_a_hook_writes_on_another_file_system() {
    let (world, dir) = world_of(elsewhere);
    let id = done_task(&world);
    let worktree = dir.path().join(format!("myapp-{id}"));
    let write = format!("echo SECRET >'{}/late.log'", worktree.display());
    once_in_hook(&world, "commit-msg", "true", &write);
    assert_not_lost(&world, &worktree, &id, "late.log");
    assert_hooked(&world);
}

#[test]
fn cleanup_keeps_an_ignored_file_of_a_stopping_agent_on_another_file_system() {
    let (world, dir) = world_of(elsewhere);
    let id = task_with_stop_handler(&world, "echo SECRET >late.log");
    let worktree = dir.path().join(format!("myapp-{id}"));
    assert_not_lost(&world, &worktree, &id, "late.log");
}

#[test]
fn cleanup_keeps_assume_unchanged_changes_on_another_file_system() {
    for flag in ["--assume-unchanged", "--skip-worktree"] {
        let (world, dir) = world_of(elsewhere);
        let id = done_task(&world);
        let worktree = dir.path().join(format!("myapp-{id}"));
        world.git_in(&worktree, ["update-index", flag, "README.md"]);
        world.write(worktree.join("README.md"), "SECRET\n");
        assert_not_lost(&world, &worktree, &id, "README.md");
    }
}

#[test]
fn cleanup_refuses_a_trash_that_is_a_symbolic_link() {
    let world = World::new();
    let id = working_task(&world);
    let dir = elsewhere(&world);
    symlink(dir.path(), world.repo().join(".git/flux/trash")).unwrap();
    world.write(world.worktree(&id).join(".env"), "SECRET\n");
    let before = world.snapshot();
    let output = world.flux(["cleanup", "-y", &id]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: '$WORLD/myapp/.git/flux/trash' is not a directory
        hint: to make room: mv '$WORLD/myapp/.git/flux/trash' '$WORLD/myapp/.git/flux/trash'.away
    "#]]);
    world.assert_unchanged(&before);
    assert!(world.agent(&id).is_alive());
    fs::remove_file(world.repo().join(".git/flux/trash")).unwrap();
    world.flux(["cleanup", "-y", &id]).run().success();
    assert_removed(&world, &id);
}

#[test]
fn cleanup_refuses_ignored_files_on_a_bind_mount_of_the_same_file_system() {
    let world = World::new();
    let dir = world.root().join("volume");
    fs::create_dir(&dir).unwrap();
    world.git(["config", "flux.worktreeDir", dir.to_str().unwrap()]);
    let id = done_task(&world);
    let worktree = dir.join(format!("myapp-{id}"));
    world.write(worktree.join(".env"), "SECRET\n");
    let before = world.snapshot();
    // The directory is mounted on itself, as two volumes of a container are of one disk: the device is the same.
    let script =
        "mount --bind volume volume || exit 77; cd myapp && exec git-flux cleanup -y \"$1\"";
    let options = match world.command("id").arg("-u").output() {
        Ok(output) if output.stdout == b"0\n" => "-m",
        _ => "-rm",
    };
    let output = world
        .command("unshare")
        .args([options, "setsid", "-w", "sh", "-c", script, "sh", &id])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(77) || said.contains("unshare") {
        eprintln!("this machine lets nobody mount a directory: {said}");
        return;
    }
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("is not on the repository's file system"),
        "{said}"
    );
    world.assert_unchanged(&before);
    assert_eq!(world.read(worktree.join(".env")), "SECRET\n");
}
