//! Tests worktrees inside another working tree: `git status` and `git add` do not see them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::world::*;

/// Makes a world with this `flux.worktreeDir`.
fn world_with(dir: impl AsRef<OsStr>) -> World {
    let world = World::new();
    world.git([
        OsStr::new("config"),
        OsStr::new("flux.worktreeDir"),
        dir.as_ref(),
    ]);
    world
}

fn exclude(world: &World) -> PathBuf {
    world.repo().join(".git/info/exclude")
}

#[track_caller]
fn start(world: &World, id: &str) {
    let output = world.flux(["run", "--name", id, "Fix it"]).run();
    output.success().has_not("warning");
}

#[track_caller]
fn assert_clean(world: &World, dir: &Path) {
    assert_eq!(world.git_in(dir, ["status", "--porcelain"]), "");
    world.git_in(dir, ["add", "--all"]);
    assert_eq!(world.git_in(dir, ["status", "--porcelain"]), "");
}

#[test]
fn run_ignores_a_worktree_directory_it_created_inside_the_repository() {
    let world = world_with(".worktrees/deep");
    let before = fs::read(exclude(&world)).unwrap();
    start(&world, "one");
    assert_clean(&world, &world.repo());
    let output = world.flux(["run", "--name", "two", "Fix it"]).run();
    output.success().has_not("uncommitted");
    assert_clean(&world, &world.repo());
    world.flux(["cleanup", "-y", "one"]).run().success();
    assert_clean(&world, &world.repo());
    assert!(world.repo().join(".worktrees/deep/myapp-two").exists());
    world.flux(["cleanup", "-y", "two"]).run().success();
    assert!(!world.repo().join(".worktrees/deep").exists());
    assert_eq!(fs::read(exclude(&world)).unwrap(), before);
    world.flux(["restore", "two"]).run().success();
    assert_clean(&world, &world.repo());
    let line = "# a worktree of git flux\n/.worktrees/deep/\n";
    let now = world.read(exclude(&world));
    assert_eq!(now.strip_suffix(line).unwrap().as_bytes(), before);
}

#[test]
fn run_ignores_only_its_worktrees_in_a_directory_of_the_user() {
    let world = world_with("trees");
    let theirs = world.write("trees/theirs.txt", "theirs\n");
    // Without an end, and not ours to mend.
    fs::write(exclude(&world), "*.tmp").unwrap();
    start(&world, "one");
    assert_eq!(world.git(["status", "--porcelain"]), "?? trees/");
    let all = ["status", "--porcelain", "--untracked-files=all"];
    assert_eq!(world.git(all), "?? trees/theirs.txt");
    start(&world, "two");
    assert_eq!(world.git(all), "?? trees/theirs.txt");
    let text = "*.tmp\n# a worktree of git flux\n/trees/myapp-one/\n# a worktree of git flux\n/trees/myapp-two/\n";
    assert_eq!(world.read(exclude(&world)), text);
    world.flux(["cleanup", "-y", "one"]).run().success();
    world.write(exclude(&world), world.read(exclude(&world)) + "/mine\n");
    world.flux(["cleanup", "-y", "two"]).run().success();
    assert_eq!(world.read(exclude(&world)), "*.tmp\n/mine\n");
    let left: Vec<_> = fs::read_dir(world.repo().join("trees")).unwrap().collect();
    assert_eq!(left.len(), 1);
    assert!(theirs.exists());
    world.flux(["restore", "two"]).run().success();
    assert_eq!(world.git(all), "?? trees/theirs.txt");
}

#[test]
fn run_ignores_a_worktree_at_the_top_of_the_repository() {
    let world = world_with(".");
    start(&world, "one");
    assert_clean(&world, &world.repo());
    world.flux(["cleanup", "-y", "one"]).run().success();
    assert!(!world.read(exclude(&world)).contains("git flux"));
}

#[test]
fn run_ignores_a_worktree_in_a_directory_with_any_name_exactly() {
    let names: [&[u8]; 8] = [
        b" two words ",
        b"#one",
        b"!one",
        b"[ab]*?",
        b"back\\slash",
        b"new\nline\n",
        b":(glob)x",
        b"odd\xff",
    ];
    for name in names {
        let world = World::new();
        let dir = world.repo().join(OsStr::from_bytes(name));
        fs::create_dir(&dir).unwrap();
        // The setting is text; a link leads to what is not.
        symlink(&dir, world.root().join("link")).unwrap();
        world.git(["config", "flux.worktreeDir", "../link"]);
        let before = fs::read(exclude(&world)).unwrap();
        start(&world, "one");
        assert_clean(&world, &world.repo());
        let worktree = dir.join("myapp-one");
        assert!(worktree.join(".git").exists(), "{name:?}");
        // What is called nearly like it shows.
        for near in ["a", "xone", "back/slash"] {
            world.write(world.repo().join(near).join("myapp-one/file"), "");
        }
        let all = ["status", "--porcelain", "--untracked-files=all"];
        assert_eq!(world.git(all).lines().count(), 3, "{name:?}");
        world.flux(["cleanup", "-y", "one"]).run().success();
        assert_eq!(fs::read(exclude(&world)).unwrap(), before, "{name:?}");
    }
}

#[test]
fn run_adds_no_pattern_if_the_directory_is_ignored_already() {
    let world = world_with("trees");
    world.write(".gitignore", "/trees/\n");
    world.git(["commit", "-qam", "Ignore"]);
    let before = fs::read(exclude(&world)).unwrap();
    start(&world, "one");
    assert_eq!(fs::read(exclude(&world)).unwrap(), before);
    world.flux(["cleanup", "-y", "one"]).run().success();
    assert!(world.repo().join("trees").exists());
}

#[test]
fn run_in_a_submodule_ignores_the_worktree_in_the_superproject() {
    let world = World::new();
    let (top, lib) = (world.root().join("super"), world.root().join("lib.git"));
    world.make_repository(&top);
    world.git(["clone", "-q", "--bare", ".", lib.to_str().unwrap()]);
    let allow = ["-c", "protocol.file.allow=always", "submodule", "--quiet"];
    let add = ["add", lib.to_str().unwrap(), "sub"];
    world.git_in(&top, allow.iter().chain(&add));
    world.git_in(&top, ["commit", "-q", "-m", "Add a submodule"]);
    let sub = top.join("sub");
    let run = ["run", "-q", "--name", "one", "Fix it"];
    world.flux(run).in_dir(&sub).run().success();
    assert!(top.join("sub-one").exists());
    assert_clean(&world, &top);
    let cleanup = ["cleanup", "-y", "one"];
    world.flux(cleanup).in_dir(&sub).run().success();
    assert!(
        !world
            .read(top.join(".git/info/exclude"))
            .contains("git flux")
    );
}

#[test]
fn run_leaves_no_ignore_pattern_behind_when_it_fails() {
    for dir in [".worktrees", "src"] {
        let world = world_with(dir);
        let before = (world.snapshot(), fs::read(exclude(&world)).unwrap());
        world.fault(&Fault {
            words: "reset --hard",
            ..Fault::nth("git", 1, Mode::Fail)
        });
        world.flux(["run", "Fix it"]).run().code(1);
        assert!(world.fault_fired());
        world.clear_fault();
        world.assert_unchanged(&before.0);
        assert_eq!(fs::read(exclude(&world)).unwrap(), before.1);
    }
}

#[test]
fn run_does_not_follow_a_symbolic_link_in_place_of_the_exclude_file() {
    let world = world_with("src");
    let theirs = world.write("../theirs", "theirs\n");
    fs::remove_file(exclude(&world)).unwrap();
    symlink(&theirs, exclude(&world)).unwrap();
    let output = world.flux(["run", "--name", "one", "Fix it"]).run();
    output
        .success()
        .stderr_has("warning: `git status` shows '")
        .stderr_has("info/exclude'");
    world.flux(["cleanup", "-y", "one"]).run().success();
    assert_eq!(world.read(&theirs), "theirs\n");
}

#[test]
fn run_starts_no_check_ignore_for_a_worktree_outside_the_repository() {
    let world = World::new();
    world.shim();
    world.start("Fix it");
    let asked = |call: &Call| call.args.iter().any(|arg| arg == "check-ignore");
    assert!(!world.calls().iter().any(asked));
}

#[test]
fn run_ignores_a_git_directory_that_is_no_repository() {
    let world = World::new();
    fs::create_dir(world.root().join(".git")).unwrap();
    start(&world, "one");
    world
        .flux(["cleanup", "-y", "one"])
        .run()
        .has_not("warning");
}
