//! Tests the files that `run` copies into a new worktree: `flux.copy` and `.worktreeinclude`.

use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::world::*;

fn configure(world: &World, values: &[&str]) {
    for value in values {
        world.git(["config", "--add", "flux.copy", value]);
    }
}

/// Returns the files below `dir` that git does not track, without git's own.
fn untracked(world: &World, dir: &Path) -> Vec<String> {
    let out = world.git_in(dir, ["ls-files", "-z", "--others"]);
    let mut files: Vec<String> = out.split_terminator('\0').map(str::to_owned).collect();
    files.sort();
    files
}

/// Sets the times of a file to values that no copy has by chance.
fn set_old_times(path: &Path) -> SystemTime {
    let then = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
    let times = FileTimes::new().set_modified(then).set_accessed(then);
    File::open(path).unwrap().set_times(times).unwrap();
    then
}

#[test]
fn run_copies_the_configured_files_with_mode_and_times() {
    let world = World::new();
    configure(&world, &[".env", "modules/", "notes/*.txt"]);
    let env = world.write(".env", "SECRET=1\n");
    fs::set_permissions(&env, Permissions::from_mode(0o640)).unwrap();
    let tool = world.write("modules/bin/tool", "#!/bin/sh\n");
    fs::set_permissions(&tool, Permissions::from_mode(0o751)).unwrap();
    symlink("bin/tool", world.repo().join("modules/run")).unwrap();
    world.write("notes/a.txt", "a");
    world.write("notes/b.md", "b");
    world.write("other.log", "no");
    world.write("src/.env", "also\n");
    let dir = world.repo().join("modules/bin");
    let then = [&env, &tool, &dir].map(|path| set_old_times(path))[0];

    world.behaviour("sh cat .env");
    let output = world.flux(["run", "--name", "fix", "Fix it"]).run();
    output
        .success()
        .stderr_has("Copied 5 files into the new worktree.\n");
    let worktree = world.worktree("fix");
    assert_eq!(
        untracked(&world, &worktree),
        [
            ".env",
            "modules/bin/tool",
            "modules/run",
            "notes/a.txt",
            "src/.env"
        ]
    );
    for (file, mode) in [(".env", 0o640), ("modules/bin/tool", 0o751)] {
        let copy = worktree.join(file).symlink_metadata().unwrap();
        assert_eq!(copy.permissions().mode() & 0o7777, mode, "{file}");
        assert_eq!(copy.modified().unwrap(), then, "{file}");
    }
    let copied = worktree.join("modules/bin").metadata().unwrap();
    assert_eq!(copied.modified().unwrap(), then);
    let link = fs::read_link(worktree.join("modules/run")).unwrap();
    assert_eq!(link, Path::new("bin/tool"));
    assert_eq!(world.read(worktree.join(".env")), "SECRET=1\n");
    // What is yours is not touched, and not shared.
    assert_eq!(env.metadata().unwrap().modified().unwrap(), then);
    assert_eq!(env.metadata().unwrap().nlink(), 1);
}

#[test]
fn run_copies_the_files_of_worktreeinclude_without_consent() {
    let world = World::new();
    world.write(
        ".worktreeinclude",
        "# local files\n.env\n!/src/.env\n/build/\n",
    );
    world.write(".env", "");
    world.write("src/.env", "");
    world.write("doc/.env", "");
    world.write("build/a/b", "");
    world.write("src/build/c", "");
    let id = world.start("Fix it");
    let found = untracked(&world, &world.worktree(&id));
    assert_eq!(found, [".env", "build/a/b", "doc/.env"]);
    // What the user says comes later, and an empty value takes back what is before it.
    configure(&world, &["no", "", "!/doc/.env"]);
    let id = world.start("Fix it");
    let found = untracked(&world, &world.worktree(&id));
    assert_eq!(found, [".env", "build/a/b"]);
}

#[test]
fn run_overwrites_no_existing_file_with_a_copy() {
    let world = World::new();
    configure(&world, &["*"]);
    // Tracked where the task starts, and no longer here.
    let base = world.commit_in(world.repo(), "local.conf", "tracked\n");
    world.git(["rm", "-q", "--cached", "local.conf"]);
    world.git(["commit", "-q", "-m", "Forget it"]);
    world.write("local.conf", "mine\n");
    world.write("made.txt", "mine\n");
    let hook = world.write(
        ".git/hooks/post-checkout",
        "#!/bin/sh\necho hook >made.txt\n",
    );
    fs::set_permissions(&hook, Permissions::from_mode(0o755)).unwrap();
    let id = world.flux(["run", "-q", "--base", &base, "Fix it"]).ok();
    let worktree = world.worktree(&id);
    assert_eq!(world.read(worktree.join("local.conf")), "tracked\n");
    assert_eq!(world.read(worktree.join("made.txt")), "hook\n");
    assert_eq!(
        world.git_in(&worktree, ["status", "--short"]),
        "?? made.txt"
    );
}

#[test]
fn run_copies_no_file_outside_a_sparse_checkout() {
    let world = World::new();
    configure(&world, &["*.conf"]);
    let base = world.commit_in(world.repo(), "deep/local.conf", "tracked\n");
    world.git(["rm", "-q", "--cached", "deep/local.conf"]);
    world.git(["commit", "-q", "-m", "Forget it"]);
    world.git(["sparse-checkout", "set", "src"]);
    world.write("deep/local.conf", "mine\n");
    world.write("src/other.conf", "mine\n");
    let id = world.flux(["run", "-q", "--base", &base, "Fix it"]).ok();
    let worktree = world.worktree(&id);
    assert!(worktree.join("src/other.conf").exists());
    assert!(!worktree.join("deep").exists());
}

#[test]
fn run_copies_no_file_through_links_into_or_out_of_the_worktree() {
    let world = World::new();
    let outside = world.root().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "secret").unwrap();
    // Where the task starts, `conf` is a link to a place that is none of the repository's.
    symlink("../outside", world.repo().join("conf")).unwrap();
    world.git(["add", "conf"]);
    world.git(["commit", "-q", "-m", "A link"]);
    let base = world.git(["rev-parse", "HEAD"]);
    world.git(["rm", "-q", "conf"]);
    world.git(["commit", "-q", "-m", "A directory"]);
    world.write("conf/local", "mine");
    world.write("conf/deeper/local", "mine");
    world.write("fine", "mine");
    symlink(&outside, world.repo().join("dir-link")).unwrap();
    symlink("../outside/secret", world.repo().join("file-link")).unwrap();
    let absolute = format!("{}/secret", outside.display());
    configure(
        &world,
        &[
            "conf",
            "fine",
            "../outside",
            "../outside/*",
            &absolute,
            "*-link",
            ".git/*",
        ],
    );
    let output = world
        .flux(["run", "--name", "fix", "--base", &base, "Fix it"])
        .run();
    output.success().stderr_has(
        "warning: could not copy 'conf/local': 'conf' is not a directory in the new worktree\n",
    );
    let worktree = world.worktree("fix");
    assert_eq!(
        untracked(&world, &worktree),
        ["dir-link", "file-link", "fine"]
    );
    for link in ["dir-link", "file-link"] {
        assert!(worktree.join(link).is_symlink(), "{link}");
    }
    let left: Vec<PathBuf> = fs::read_dir(&outside)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(left, [outside.join("secret")]);
    let beside = [world.repo(), worktree, outside];
    for entry in fs::read_dir(world.root()).unwrap() {
        let path = entry.unwrap().path();
        assert!(beside.contains(&path), "{}", path.display());
    }
}

#[test]
fn run_copies_no_nested_repository_or_worktree() {
    let world = World::new();
    configure(&world, &["*"]);
    world.git(["config", "flux.worktreeDir", "trees"]);
    for nested in ["nested", "deep/nested"] {
        let nested = world.repo().join(nested);
        world.make_repository(&nested);
        world.write(nested.join("file"), "");
    }
    world.write("deep/beside", "");
    let first = world.flux(["run", "-q", "--name", "one", "Fix it"]).ok();
    let second = world.flux(["run", "-q", "--name", "two", "Fix it"]).ok();
    for id in [first, second] {
        let worktree = world.repo().join("trees").join(format!("myapp-{id}"));
        assert_eq!(untracked(&world, &worktree), ["deep/beside"], "{id}");
        assert!(!worktree.join("nested").exists() && !worktree.join("trees").exists());
    }
}

#[test]
fn run_copies_a_huge_file_without_reading_it_into_memory() {
    let world = World::new();
    configure(&world, &["huge"]);
    let huge = File::create(world.repo().join("huge")).unwrap();
    huge.set_len(256 << 20).unwrap();
    let mut run = world.command("sh");
    // What a process may have for its data, in kilobytes.
    run.args([
        "-c",
        "ulimit -d 65536 && exec git-flux run -q --name fix 'Fix it'",
    ]);
    let output = run.current_dir(world.repo()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let copy = world.worktree("fix").join("huge");
    assert_eq!(copy.metadata().unwrap().len(), 256 << 20);
}

#[test]
fn run_removes_the_copies_when_the_start_fails() {
    let world = World::new();
    configure(&world, &[".env", "modules"]);
    world.write(".env", "SECRET=1\n");
    world.write("modules/a/b", "");
    let before = world.snapshot();
    world.fault(&Fault::every("tmux", "new-session", Mode::Fail));
    let output = world.flux(["run", "--name", "fix", "Fix it"]).run();
    output
        .code(1)
        .stderr_has("could not start 'fix'; nothing was left behind");
    world.clear_fault();
    world.assert_unchanged(&before);
}

#[test]
fn run_copies_from_the_current_worktree_without_a_main_worktree() {
    let world = World::new();
    let bare = world.root().join("project.git");
    let repo = world.repo();
    let args = ["clone", "-q", "--bare", repo.to_str().unwrap()];
    world.git_in(
        world.root(),
        args.into_iter().chain([bare.to_str().unwrap()]),
    );
    world.git_in(&bare, ["config", "flux.copy", ".env"]);
    let main = world.root().join("main");
    world.git_in(
        &bare,
        ["worktree", "add", "-q", main.to_str().unwrap(), "main"],
    );
    world.write(main.join(".env"), "SECRET=1\n");
    let run = |dir: &Path, name: &str| {
        world
            .flux(["run", "-q", "--name", name, "Fix it"])
            .in_dir(dir)
            .ok();
        let worktree = world.root().join(format!("project-{name}"));
        untracked(&world, &worktree)
    };
    assert_eq!(run(&main, "one"), [".env"]);
    assert!(run(&bare, "two").is_empty());
}

#[test]
fn restore_copies_the_configured_files_again_if_the_trash_is_empty() {
    let world = World::new();
    configure(&world, &[".env"]);
    world.write(".env", "old\n");
    let id = world.start("Fix it");
    let env = world.worktree(&id).join(".env");
    world.agent(&id).tell("commit one");
    world.write(&env, "changed by the agent\n");
    world
        .flux(["cleanup", "-y", "--discard-branch", &id])
        .run()
        .success();
    world.write(".env", "new\n");
    // As it was, if the worktree was kept whole.
    world.flux(["restore", &id]).run().success();
    assert_eq!(world.read(&env), "changed by the agent\n");
    world.git(["config", "flux.trashKeep", "0"]);
    world
        .flux(["cleanup", "-y", "--discard-branch", &id])
        .run()
        .success();
    let trash = world.repo().join(".git/flux/trash");
    wait_until("the trash to be empty", || {
        fs::read_dir(&trash).is_ok_and(|mut dir| dir.next().is_none())
    });
    world.flux(["restore", &id]).run().success();
    assert_eq!(world.read(&env), "new\n");
}
