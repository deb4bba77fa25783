//! Tests that list, status and diff change no file and need no lock.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::world::removal::*;
use crate::world::*;

/// Returns every file below a directory, with its content, or where it leads, and the time of its last change.
fn files(dir: &Path) -> BTreeMap<PathBuf, (Vec<u8>, i64, i64)> {
    let mut all = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = path.symlink_metadata().unwrap();
            if meta.is_dir() {
                dirs.push(path.clone());
            }
            // A run directory has a link to each program of git.
            let content = match fs::read_link(&path) {
                Ok(target) => target.into_os_string().into_vec(),
                Err(_) => fs::read(&path).unwrap_or_default(),
            };
            all.insert(path, (content, meta.mtime(), meta.mtime_nsec()));
        }
    }
    all
}
const READERS: [&[&str]; 9] = [
    &["list"],
    &["list", "--json"],
    &["list", "--porcelain", "-z"],
    &["list", "--all-repos"],
    &["status"],
    &["status", "--json"],
    &["diff"],
    &["diff", "--", "--stat"],
    &["cleanup", "--dry-run", "--yes", "--discard"],
];
#[test]
fn list_status_and_diff_change_no_file() {
    let world = World::new();
    let id = working_task(&world);
    let worktree = world.worktree(&id);
    world.write(worktree.join("staged.txt"), "staged\n");
    world.git_in(&worktree, ["add", "staged.txt"]);
    world.write(worktree.join("staged.txt"), "staged, then changed\n");
    world.write(worktree.join("untracked.txt"), "untracked\n");
    // Contents as before, times not: a plain `git status` would write the index anew.
    let same = world.read(worktree.join("README.md"));
    world.write(worktree.join("README.md"), same);
    let git_dir = world.repo().join(".git");
    let cache = git_dir.join("flux/cache");
    let (before, git) = (files(&worktree), files(&git_dir));
    let snapshot = world.snapshot();
    for args in READERS {
        world.flux(args).in_dir(&worktree).run().success();
        assert!(files(&worktree) == before, "{args:?} changed the worktree");
        let now = files(&git_dir);
        let changed: Vec<_> = now
            .iter()
            .filter(|(path, file)| git.get(*path) != Some(file))
            // What is known about conflicts may be kept there at any time.
            .filter(|(path, _)| !path.ends_with(".git/flux") && !path.starts_with(&cache))
            .collect();
        assert!(changed.is_empty(), "{args:?} changed {changed:?}");
        world.assert_unchanged(&snapshot);
    }
    assert!(world.agent(&id).is_alive());
}
#[test]
fn list_status_and_diff_need_no_lock() {
    let world = World::new();
    let id = working_task(&world);
    let worktree = world.worktree(&id);
    world.write(worktree.join("untracked.txt"), "untracked\n");
    let index = world.git_in(
        &worktree,
        ["rev-parse", "--path-format=absolute", "--git-path", "index"],
    );
    fs::write(format!("{index}.lock"), "").unwrap();
    fs::write(world.repo().join(".git/config.lock"), "").unwrap();
    for args in READERS {
        let output = world.flux(args).in_dir(&worktree).run();
        output.success();
    }
    fs::remove_file(format!("{index}.lock")).unwrap();
    fs::remove_file(world.repo().join(".git/config.lock")).unwrap();
}
#[test]
fn run_and_cleanup_change_no_file_in_the_home_directory() {
    let world = World::new();
    let home = world.tools().join("home");
    for (name, text) in [
        (".claude/settings.json", "{ \"hooks\": {} }\n"),
        (".claude.json", "{}\n"),
        (".tmux.conf", "set -g status-left mine\n"),
        (".profile", "# mine\n"),
        (".config/git/ignore", "*.mine\n"),
    ] {
        world.write(home.join(name), text);
    }
    let before = files(&home);
    let git_config = fs::read(world.tools().join("gitconfig")).unwrap();
    let id = working_task(&world);
    // Nor does anything of ours appear in the worktree, ignored or not.
    let args = ["status", "--porcelain", "--ignored", "-uall"];
    assert_eq!(world.git_in(world.worktree(&id), args), "");
    for args in READERS {
        world.flux(args).in_dir(world.worktree(&id)).run().success();
    }
    world.flux(["cleanup", "-y", &id]).run().success();
    // Whose ports are whose is no file of the user's, and it is nobody's any more.
    let mut after = files(&home);
    after.retain(|path, _| !path.starts_with(home.join(".local")));
    let ports = home.join(".local/state/git-flux/ports");
    assert!(files(&ports).keys().eq([&ports.join("lock")]));
    assert!(after == before, "something in HOME has changed");
    assert_eq!(
        fs::read(world.tools().join("gitconfig")).unwrap(),
        git_config
    );
    assert_eq!(world.git(["status", "--porcelain", "--ignored"]), "");
}
#[test]
fn status_ignores_the_text_on_the_screen() {
    let world = World::new();
    let id = working_task(&world);
    for words in [
        "exited with status 0",
        "$ ",
        "\\033[2J\\033[H",
        "error: crashed",
    ] {
        world.agent(&id).tell(&format!("say {words}"));
        let status = world.flux(["status", "--json", &id]).run().json();
        assert_eq!(
            (&status["state"], &status["stateSource"]),
            (&"running".into(), &"process".into())
        );
    }
    world.agent(&id).kill("KILL");
    world.agent(&id).wait_gone();
    wait_until("the end to be on record", || {
        world.flux(["status", "--json", &id]).run().json()["state"] == "killed"
    });
}
