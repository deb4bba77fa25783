//! Tests what `git flux restore` refuses: it overwrites nothing, and works once the obstacle is moved away.

use std::fs;

use crate::world::archive::*;
use crate::world::removal::*;
use crate::world::*;

/// A removed task `fix` with a commit, and something uncommitted in the trash.
fn removed(world: &World) {
    done(world, "fix");
    make_dirty(world, &world.worktree("fix"));
    let discard = ["cleanup", "fix", "--discard", "--discard-branch"];
    world.flux(discard).run().success();
}

/// Restoring `fix` is refused as long as `obstacle` is there, which `away` takes away.
#[track_caller]
fn refused(said: &[&str], obstacle: fn(&World), away: fn(&World)) {
    for from_trash in [true, false] {
        let world = World::new();
        removed(&world);
        if !from_trash {
            empty_trash(&world);
        }
        obstacle(&world);
        let before = world.snapshot();
        let output = world.flux(["restore", "fix"]).run();
        output.code(1).stdout_is("");
        for said in said {
            output.stderr_has(said);
        }
        world.assert_unchanged(&before);
        away(&world);
        world.flux(["restore", "fix"]).run().success();
        let worktree = world.worktree("fix");
        assert_eq!(world.read(worktree.join("fix.txt")), "work\n");
        assert_eq!(
            world.read(worktree.join("README.md")),
            "changed after that\n"
        );
        assert_eq!(worktree.join(".env").exists(), from_trash);
        assert_not_archived(&world, "fix");
    }
}

#[test]
fn restore_refuses_if_a_task_has_the_id() {
    refused(
        &["another task has the id 'fix'", "git flux cleanup fix"],
        |world| {
            world.behaviour("raw");
            world.flux(["run", "-q", "--name", "fix", "Another"]).ok();
        },
        |world| {
            world.flux(["cleanup", "-y", "fix"]).run().success();
            world
                .flux(["restore", "--drop", "-y", "fix.1"])
                .run()
                .success();
        },
    );
}

#[test]
fn restore_refuses_if_the_branch_exists() {
    refused(
        &[
            "the branch 'feature/fix' exists already",
            "git branch -m feature/fix",
        ],
        |world| drop(world.git(["branch", "feature/fix", "main"])),
        |world| drop(world.git(["branch", "-m", "feature/fix", "mine"])),
    );
}

#[test]
fn restore_refuses_if_a_branch_conflicts_with_the_name() {
    refused(
        &["cannot create the branch 'feature/fix': 'feature/fix/more' exists"],
        |world| drop(world.git(["branch", "feature/fix/more", "main"])),
        |world| drop(world.git(["branch", "-m", "feature/fix/more", "mine"])),
    );
    refused(
        &["cannot create the branch 'feature/fix': 'feature' exists"],
        |world| drop(world.git(["branch", "feature", "main"])),
        |world| drop(world.git(["branch", "-m", "feature", "mine"])),
    );
}

#[test]
fn restore_refuses_if_the_path_of_the_worktree_exists() {
    refused(
        &["exists already", "mv '"],
        |world| drop(world.write(world.worktree("fix").join("mine.txt"), "mine\n")),
        |world| fs::rename(world.worktree("fix"), world.root().join("mine")).unwrap(),
    );
    refused(
        &["exists already"],
        |world| fs::create_dir(world.worktree("fix")).unwrap(),
        |world| fs::remove_dir(world.worktree("fix")).unwrap(),
    );
    refused(
        &["exists already"],
        |world| std::os::unix::fs::symlink("nowhere", world.worktree("fix")).unwrap(),
        |world| fs::remove_file(world.worktree("fix")).unwrap(),
    );
}

#[test]
fn restore_refuses_if_another_worktree_is_registered_at_the_path() {
    fn add(world: &World) {
        let dir = world.worktree("fix");
        let add = ["worktree", "add", "-q", "--detach", dir.to_str().unwrap()];
        world.git(add);
    }
    refused(&["exists already"], add, |world| {
        let dir = world.worktree("fix");
        let away = world.root().join("mine");
        let (dir, away) = (dir.to_str().unwrap(), away.to_str().unwrap());
        world.git(["worktree", "move", dir, away]);
    });
    // Its directory may be away, on a disk that is not mounted.
    refused(
        &["which is missing", "git worktree repair "],
        |world| {
            add(world);
            fs::rename(world.worktree("fix"), world.root().join("away")).unwrap();
        },
        |world| {
            let away = world.root().join("away");
            world.git(["worktree", "repair", away.to_str().unwrap()]);
        },
    );
}

#[test]
fn restore_refuses_if_the_tmux_session_exists() {
    refused(
        &["the tmux session 'flux-myapp-fix' exists already"],
        |world| drop(world.tmux(["new-session", "-d", "-s", "flux-myapp-fix"])),
        |world| drop(world.tmux(["kill-session", "-t", "=flux-myapp-fix"])),
    );
}

#[test]
fn restore_refuses_if_the_branch_is_checked_out_elsewhere() {
    refused(
        &["the branch 'feature/fix' exists already"],
        |world| drop(world.git(["switch", "-q", "-c", "feature/fix"])),
        |world| drop(world.git(["branch", "-m", "mine"])),
    );
}

#[test]
fn restore_refuses_without_tmux() {
    let world = World::new();
    removed(&world);
    let before = world.snapshot();
    let path = world.path_without(["tmux"]);
    let output = world.flux(["restore", "fix"]).env("PATH", path).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: tmux is not installed, or not on PATH
        hint: to install it: apt install tmux, dnf install tmux, pacman -S tmux or brew install tmux
    "#]]);
    world.assert_unchanged(&before);
    world.flux(["restore", "fix"]).run().success();
}

#[test]
fn restore_keeps_the_archive_when_it_fails() {
    for from_trash in [true, false] {
        let world = World::new();
        removed(&world);
        if !from_trash {
            empty_trash(&world);
        }
        let archive = world.git(["for-each-ref", "refs/flux/archive"]);
        let before = world.snapshot();
        world.fault(&Fault::every("tmux", "new-session", Mode::Fail));
        let output = world.flux(["restore", "fix"]).run();
        output
            .code(1)
            .stderr_has("could not restore 'fix'; nothing was lost")
            .has_not("nothing was left behind");
        world.clear_fault();
        assert_eq!(world.git(["for-each-ref", "refs/flux/archive"]), archive);
        if from_trash {
            world.assert_unchanged(&before);
        }
        assert!(!world.worktree("fix").exists());
        assert_eq!(archived(&world), ["fix"]);
        world.flux(["restore", "fix"]).run().success();
        let worktree = world.worktree("fix");
        assert_eq!(
            world.read(worktree.join("README.md")),
            "changed after that\n"
        );
        assert_eq!(world.read(worktree.join("new dir/loose.sh")), "untracked\n");
    }
}

#[test]
fn restore_refuses_a_record_that_cannot_be_read() {
    let world = World::new();
    removed(&world);
    done(&world, "good");
    world.flux(["cleanup", "good"]).run().success();
    let tree = commit(&world, "main");
    world.git([
        "update-ref",
        "refs/flux/archive/fix/task",
        &format!("{tree}^{{tree}}"),
    ]);
    let before = world.snapshot();
    let unread = "the record of the removed task 'fix' cannot be read: ";
    let output = world.flux(["restore", "--list"]).run();
    output.code(1).stdout_has("good ").stderr_has(unread);
    let output = world.flux(["restore", "fix"]).run();
    output.code(1).stderr_has(unread).says(&expect![[r#"
        --- stderr
        error: the record of the removed task 'fix' cannot be read: the record has no 'task.json'
        hint: to look at the record: git cat-file -p refs/flux/archive/fix/task
        hint: to keep its commits: git branch fix <object>
        hint: to delete the task for good: git for-each-ref --format='delete %(refname)' refs/flux/archive/fix | git update-ref --stdin
    "#]]);
    world.assert_unchanged(&before);
    let output = world.flux(["gc", "--trash", "-y"]).run();
    output
        .code(1)
        .stderr_has(unread)
        .says(&expect![[r#"
            --- stderr
            deleted 'good' (the commits of 'feature/good' were at <object>)
            warning: the record of the removed task 'fix' cannot be read: the record has no 'task.json'
            hint: to look at the record: git cat-file -p refs/flux/archive/fix/task
            hint: to keep its commits: git branch fix <object>
            hint: to delete the task for good: git for-each-ref --format='delete %(refname)' refs/flux/archive/fix | git update-ref --stdin
            error: not everything could be deleted
        "#]]);
    assert_eq!(archived(&world), ["fix"]);
    assert!(trash(&world, "fix").join("fix.txt").exists());
    commit(&world, "refs/flux/archive/fix/tip");
}

#[test]
fn restore_refuses_a_symbolic_link_in_the_trash() {
    let world = World::new();
    removed(&world);
    let mine = world.root().join("mine");
    fs::create_dir(&mine).unwrap();
    let files = trash(&world, "fix");
    fs::rename(&files, world.root().join("away")).unwrap();
    std::os::unix::fs::symlink(&mine, &files).unwrap();
    let before = world.snapshot();
    let output = world.flux(["restore", "fix"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: could not restore 'fix'; nothing was lost
          caused by: '$WORLD/myapp/.git/flux/trash/fix/worktree' is a link
        hint: rm '$WORLD/myapp/.git/flux/trash/fix/worktree'
    "#]]);
    world.assert_unchanged(&before);
    assert_eq!(fs::read_dir(&mine).unwrap().count(), 0);
    fs::remove_file(&files).unwrap();
    world.flux(["restore", "fix"]).run().success();
    assert_eq!(world.read(world.worktree("fix").join("fix.txt")), "work\n");
}
