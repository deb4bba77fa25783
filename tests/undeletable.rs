//! Tests files in the trash that belong to another user and cannot be read or deleted.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, lchown};
use std::path::Path;

use crate::world::*;

/// A plain user of the machine, and another.
const USER: u32 = 54_321;
const OTHER: u32 = 54_322;

/// Gives all files below `path` to [`USER`], except those named `pgdata.log`.
fn give_away(path: &Path) {
    let is_other = path.ends_with("pgdata.log");
    let user = Some(if is_other { OTHER } else { USER });
    lchown(path, user, user).unwrap();
    let real = path.symlink_metadata().unwrap().is_dir() && !is_other;
    for entry in fs::read_dir(path).into_iter().flatten().filter(|_| real) {
        give_away(&entry.unwrap().path());
    }
}

/// Runs git-flux as [`USER`].
fn as_user(world: &World, args: &[&str]) -> (i32, String, String) {
    let output = world
        .command("setpriv")
        .current_dir(world.repo())
        .args([
            "--reuid",
            &USER.to_string(),
            "--regid",
            &USER.to_string(),
            "--clear-groups",
        ])
        .arg(world.tools().join("bin/git-flux"))
        .args(args)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn restore_reports_files_of_another_user_in_the_trash_and_lists_every_task() {
    let world = World::new();
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return;
    }
    world.behaviour("exit 0");
    for name in ["one", "two", "three", "four"] {
        world.flux(["run", "-q", "--name", name, "Fix"]).ok();
        world.wait_ended(name);
        if name == "two" || name == "four" {
            world.write(world.worktree(name).join("pgdata.log/data"), "theirs");
        }
        let drop = ["cleanup", name, "--discard-branch", "--yes"];
        world.flux(drop).run().success();
    }
    // One whose record cannot be read.
    world.git(["update-ref", "refs/flux/archive/odd/tip", "HEAD"]);
    world.git(["config", "--global", "safe.directory", "*"]);
    world.kill_tmux();
    let program = world.tools().join("bin/git-flux");
    let real = fs::canonicalize(&program).unwrap();
    fs::remove_file(&program).unwrap();
    fs::copy(real, &program).unwrap();
    give_away(world.root().parent().unwrap());
    let trash = world.repo().join(".git/flux/trash");
    for name in ["two", "four"] {
        let theirs = trash.join(name).join("worktree/pgdata.log");
        fs::set_permissions(theirs, fs::Permissions::from_mode(0o700)).unwrap();
    }

    let (code, out, err) = as_user(&world, &["restore", "--list"]);
    assert_eq!(code, 1, "{err}");
    let names = ["one", "two", "three", "four"];
    assert!(names.iter().all(|name| out.contains(name)), "{out}{err}");
    for file in ["two/worktree/pgdata.log", "four/worktree/pgdata.log"] {
        assert_eq!(err.matches(file).count(), 1, "{err}");
    }
    assert!(
        err.contains("hint: to keep its commits: git branch odd "),
        "{err}"
    );
    let (code, out, _) = as_user(&world, &["restore", "--list", "--json"]);
    let list: serde_json::Value = serde_json::from_str(&out).unwrap();
    let sizes = list.as_array().unwrap().iter();
    let unknown = sizes.filter(|one| one["size"].is_null()).count();
    assert_eq!((code, list.as_array().unwrap().len(), unknown), (1, 5, 3));

    // What is left is named, and how to get rid of it.
    let (code, _, err) = as_user(&world, &["restore", "--drop", "--yes", "four"]);
    assert_eq!(code, 1);
    assert!(
        err.contains("/worktree/pgdata.log'\n  caused by: Permission denied"),
        "{err}"
    );
    let left = || {
        let entries = fs::read_dir(&trash).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    };
    let going = left()[0].clone();
    assert!(going.starts_with(".going-four."), "{going}");
    let rid = format!("hint: sudo rm -rf '{}'\n", trash.join(&going).display());
    assert!(err.contains(&rid), "{err}");
    world.git(["config", "flux.trashKeep", "0"]);
    chown(world.repo().join(".git/config"), Some(USER), None).unwrap();
    let (code, _, err) = as_user(&world, &["__expire"]);
    assert_eq!((code, left().len()), (1, 2), "{err}");
    assert!(left()[1].starts_with(".going-two."), "{:?}", left());
    assert!(err.contains("pgdata.log'"), "{err}");
    let (_, out, err) = as_user(&world, &["restore", "--list"]);
    assert!(!out.contains("four") && out.contains("three"), "{out}");
    assert!(err.contains(&rid) && err.contains(".going-two."), "{err}");
    let (code, _, err) = as_user(&world, &["gc", "--trash", "--yes"]);
    assert_eq!((code, left().len()), (1, 2), "{err}");
    for name in ["one", "two", "three"] {
        assert!(err.contains(&format!("deleted '{name}'")), "{err}");
    }
    for place in left() {
        fs::remove_dir_all(trash.join(place)).unwrap();
    }
    world.git(["update-ref", "-d", "refs/flux/archive/odd/tip"]);
    let (code, out, err) = as_user(&world, &["restore", "--list"]);
    assert_eq!((code, &*out), (0, ""), "{err}");
    assert_eq!(err, "there is nothing to restore\n");
}
