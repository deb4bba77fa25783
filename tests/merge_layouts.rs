//! Tests merges with hooks in repositories of each layout and format.

use std::fs;
use std::path::{Path, PathBuf};

use crate::world::hooks::hook;
use crate::world::*;

const STYLES: [&str; 3] = ["--merge", "--squash", "--rebase"];

/// A check that every such hook makes: it stands on the branch, with the files of the merge, and
/// git finds nothing wrong.
const CHECK: &str = "set -e; test -d .git; grep -q one agent.txt; grep -q moved README.md\n\
    git rev-parse -q --verify HEAD >/dev/null; git fsck --connectivity-only >/dev/null 2>&1; git stash list";

/// Merges a task in each style from `dir`, a worktree of the repository with the git directory `common`, and checks the
/// result. `moves` makes a commit on main; the hook also runs `check`.
#[track_caller]
fn assert_merges(
    world: &World,
    dir: &Path,
    common: &Path,
    check: &str,
    moves: &dyn Fn(&World, usize),
) {
    for (n, style) in STYLES.into_iter().enumerate() {
        let name = format!("t{n}");
        world.behaviour("commit one");
        world
            .flux(["run", "-q", "--name", &name, "Fix"])
            .in_dir(dir)
            .ok();
        world.agent(&name).wait_first_done().tell("exit 0");
        world.wait_ended_in(common, &name);
        moves(world, n);
        for name in ["prepare-commit-msg", "pre-merge-commit", "pre-commit"] {
            hook(
                world,
                &common.join("hooks"),
                name,
                &format!("{CHECK}\n{check}"),
            );
        }
        let log = world.tools().join("hooks.log");
        drop(fs::remove_file(&log));
        let args = ["cleanup", style, &name, "--into", "main"];
        world.flux(args).in_dir(dir).run().success();
        assert!(
            fs::read_to_string(log)
                .unwrap()
                .contains("prepare-commit-msg"),
            "{style}"
        );
        let content = world.git_in(dir, ["show", "main:agent.txt"]);
        assert_eq!(content, "one", "{style}");
        world.git_in(dir, ["fsck", "--strict"]);
        fs::remove_dir_all(common.join("hooks")).unwrap();
        // The next one brings the same again.
        let without = world.git_in(dir, ["rev-parse", "main"]);
        assert!(!without.is_empty());
        remove_again(world, dir);
    }
}

/// Takes `agent.txt` off main again, in whichever worktree has it.
fn remove_again(world: &World, dir: &Path) {
    let list = world.git_in(dir, ["worktree", "list", "--porcelain"]);
    let mut place = None;
    for line in list.lines() {
        if let Some(path) = line.strip_prefix("worktree ") {
            place = Some(PathBuf::from(path));
        }
        if line == "branch refs/heads/main" {
            let place = place.clone().unwrap();
            assert_eq!(world.git_in(&place, ["status", "--porcelain"]), "");
            world.git_in(&place, ["rm", "-q", "agent.txt"]);
            world.git_in(&place, ["commit", "-q", "-m", "Remove"]);
        }
    }
}

fn moved(world: &World, n: usize) {
    world.commit_in(world.repo(), "README.md", &format!("moved {n}\n"));
}

/// Makes a world whose repository is made with these options of `git init`.
fn world_of(options: &[&str]) -> World {
    let world = World::without_repository("flux world");
    fs::create_dir(world.repo()).unwrap();
    world.git(["init", "-q"].iter().chain(options));
    world.fill(&world.repo());
    world
}

#[test]
fn cleanup_with_hooks_supports_every_format_of_refs_and_objects() {
    for options in [
        &["--ref-format=files"][..],
        &["--ref-format=reftable"],
        &["--object-format=sha256"],
        &["--ref-format=reftable", "--object-format=sha256"],
    ] {
        let world = world_of(options);
        world.git(["pack-refs", "--all"]);
        world.git([
            "symbolic-ref",
            "refs/remotes/origin/HEAD",
            "refs/heads/main",
        ]);
        let common = world.repo().join(".git");
        let check = "test \"$(git symbolic-ref refs/remotes/origin/HEAD)\" = refs/heads/main";
        assert_merges(&world, &world.repo(), &common, check, &moved);
    }
}

#[test]
fn cleanup_with_hooks_uses_the_configuration_of_a_linked_worktree() {
    let world = World::new();
    let main = world.root().join("the main one");
    world.git(["switch", "-q", "-c", "other"]);
    world.git(["worktree", "add", "-q", main.to_str().unwrap(), "main"]);
    world.git(["config", "extensions.worktreeConfig", "true"]);
    world.git_in(
        &main,
        ["config", "--worktree", "user.email", "linked@example.org"],
    );
    let common = world.repo().join(".git");
    let check = "test \"$(git config user.email)\" = linked@example.org; test \"$(basename \"$PWD\")\" = 'the main one'";
    assert_merges(&world, &main, &common, check, &|world, n| {
        world.commit_in(&main, "README.md", &format!("moved {n}\n"));
    });
}

#[test]
fn cleanup_with_hooks_merges_into_a_target_that_is_not_checked_out() {
    let world = World::new();
    let common = world.repo().join(".git");
    world.behaviour("commit one");
    for (n, style) in STYLES.into_iter().enumerate() {
        let name = format!("t{n}");
        world.git(["switch", "-q", "main"]);
        world.flux(["run", "-q", "--name", &name, "Fix"]).ok();
        world.agent(&name).wait_first_done().tell("exit 0");
        world.wait_ended(&name);
        moved(&world, n);
        world.git(["switch", "-q", "--detach", "main~1"]);
        let (before, files) = (world.git(["rev-parse", "HEAD"]), world.read("README.md"));
        hook(&world, &common.join("hooks"), "prepare-commit-msg", CHECK);
        let args = ["cleanup", style, &name, "--into", "main"];
        world.flux(args).run().success();
        assert_eq!(world.git(["show", "main:agent.txt"]), "one", "{style}");
        assert_eq!(world.git(["rev-parse", "HEAD"]), before);
        assert_eq!(world.read("README.md"), files);
        assert_eq!(world.git(["status", "--porcelain"]), "");
        fs::remove_dir_all(common.join("hooks")).unwrap();
        world.git(["branch", "-q", "-f", "main", "main~1"]);
    }
}

#[test]
fn cleanup_with_hooks_keeps_a_sparse_checkout_sparse() {
    let world = World::new();
    world.git(["sparse-checkout", "set", "--cone", "src"]);
    let common = world.repo().join(".git");
    world.commit_in(world.repo(), "src/a.txt", "a\n");
    world.git(["sparse-checkout", "disable"]);
    world.commit_in(world.repo(), "far/away.txt", "a\n");
    world.git(["sparse-checkout", "set", "--cone", "src"]);
    assert_merges(
        &world,
        &world.repo(),
        &common,
        "test ! -e far; test -e src/a.txt",
        &moved,
    );
}

#[test]
fn cleanup_with_hooks_works_in_shallow_and_partial_clones() {
    for option in ["--depth=2", "--filter=blob:none"] {
        let world = World::new();
        for n in 0..4 {
            moved(&world, n);
        }
        world.git(["config", "uploadpack.allowFilter", "true"]);
        world.git(["config", "uploadpack.allowAnySHA1InWant", "true"]);
        let clone = world.root().join("clone");
        let url = format!("file://{}", world.repo().display());
        world.git(["clone", "-q", option, &url, clone.to_str().unwrap()]);
        let common = clone.join(".git");
        assert_merges(&world, &clone, &common, "", &|world, n| {
            world.commit_in(&clone, "README.md", &format!("moved {n}0\n"));
        });
    }
}

#[test]
fn cleanup_with_hooks_shows_directories_of_tools_in_the_git_directory() {
    let world = World::new();
    let common = world.repo().join(".git");
    world.write(".git/lfs/objects/x", "of git-lfs\n");
    world.write(".git/tool-state/x", "of a tool\n");
    let check =
        "grep -q tool .git/tool-state/x; grep -q lfs .git/lfs/objects/x; test ! -e .git/flux";
    assert_merges(&world, &world.repo(), &common, check, &moved);
}
