//! Odd names, odd settings and half finished work of the user's: understood, or refused in one sentence.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::world::hooks::hook;
use crate::world::removal::*;
use crate::world::*;

/// A branch name of a stranger's, that git allows.
const HOSTILE: &str = "x;touch${IFS}pwned";

/// Asserts that a cleanup is refused with a hint that names the branch, and pastes it.
#[track_caller]
fn paste_hint(world: &World, id: &str, code: i32, command: &str) {
    let before = world.snapshot();
    let output = world.flux(["cleanup", id]).run();
    output.code(code).stderr_has(&format!("'{HOSTILE}'"));
    world.assert_unchanged(&before);
    let hint = output
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix("hint: "))
        .find(|hint| hint.contains("pwned"))
        .unwrap_or_else(|| panic!("no hint\n{output}"));
    assert!(hint.contains(command), "{hint}");
    let hint = hint.split_once(": ").map_or(hint, |(_, command)| command);
    let pasted = world
        .command("sh")
        .current_dir(world.repo())
        .args(["-c", hint])
        .output();
    drop(pasted.unwrap());
    for dir in [world.repo(), world.worktree(id)] {
        assert!(!dir.join("pwned").exists(), "{hint}");
    }
}

#[test]
fn a_hint_with_a_hostile_branch_can_be_pasted() {
    let world = World::new();
    world.git(["switch", "-q", "-c", HOSTILE]);
    let id = done_task(&world);
    let worktree = world.worktree(&id);
    world.commit_in(&worktree, "README.md", "theirs\n");
    world.commit_in(world.repo(), "README.md", "mine\n");
    paste_hint(&world, &id, 3, "merge");
    let status = ["status", "--porcelain"];
    assert_eq!(world.git_in(&worktree, status), "UU README.md");
    world.git_in(&worktree, ["merge", "--abort"]);
    world.git(["reset", "-q", "--hard", "HEAD~"]);
    world.git(["switch", "-q", "main"]);
    paste_hint(&world, &id, 2, "--into");
    let merged = world.git(["show", &format!("{HOSTILE}:README.md")]);
    assert_eq!(merged, "theirs");
    assert_removed(&world, &id);
    // The task's own branch.
    let id = done_task(&world);
    let worktree = world.worktree(&id);
    world.git(["branch", "-q", "-D", HOSTILE]);
    world.git(["branch", "-m", &format!("feature/{id}"), HOSTILE]);
    world.git_in(&worktree, ["checkout", "-q", "--detach"]);
    paste_hint(&world, &id, 1, "switch");
    let head = world.git_in(&worktree, ["symbolic-ref", "HEAD"]);
    assert_eq!(head, format!("refs/heads/{HOSTILE}"));
}

#[test]
fn a_dry_run_refuses_what_the_cleanup_would_refuse() {
    let world = World::new();
    let id = done_task(&world);
    world.write(world.worktree(&id).join("README.md"), "theirs\n");
    world.commit_in(world.repo(), "README.md", "mine\n");
    let before = world.snapshot();
    for args in [
        &["cleanup", "--commit", &*id][..],
        &["cleanup", "--dry-run", "--commit", &id],
    ] {
        let output = world.flux(args).run();
        output.code(3).stderr_has("README.md");
        world.assert_unchanged(&before);
    }
    // And what is in the way of the merge.
    world.write("agent.txt", "mine\n");
    let before = world.snapshot();
    for args in [
        &["cleanup", "--discard", &*id][..],
        &["cleanup", "--dry-run", "--discard", &id],
    ] {
        let output = world.flux(args).run();
        output.code(1).stderr_has("agent.txt");
        world.assert_unchanged(&before);
    }
}

#[test]
fn worktrees_are_made_in_a_directory_that_is_not_utf_8() {
    let world = World::new();
    let dir = world.root().join(OsStr::from_bytes(b"w\xff\xe9"));
    fs::create_dir(&dir).unwrap();
    world.git([
        OsStr::new("config"),
        "flux.worktreeDir".as_ref(),
        dir.as_os_str(),
    ]);
    let id = done_task(&world);
    assert!(dir.join(format!("myapp-{id}/agent.txt")).exists());
    let beside: Vec<PathBuf> = fs::read_dir(world.root())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| *path != world.repo())
        .collect();
    assert_eq!(beside, [dir]);
    world.flux(["cleanup", &id]).run().success();
    assert_removed(&world, &id);
}

#[test]
fn a_template_lies_in_a_directory_that_is_not_utf_8() {
    let world = World::new();
    let file = world.root().join(OsStr::from_bytes(b"t\xff.md"));
    fs::write(&file, "Do this: {{task}}").unwrap();
    world.git([
        OsStr::new("config"),
        "flux.template".as_ref(),
        file.as_os_str(),
    ]);
    let id = running_task(&world);
    assert_eq!(world.agent(&id).prompt(), b"Do this: Fix login");
}

#[test]
fn a_repository_whose_path_is_not_utf_8_merges_with_hooks() {
    let world = World::at(OsStr::from_bytes(b"r\xff\xe9"));
    let id = done_task(&world);
    let hooks = world.repo().join(".git/hooks");
    for name in ["prepare-commit-msg", "commit-msg"] {
        hook(&world, &hooks, name, "echo \"Seen-by: hook\" >>\"$1\"");
    }
    let (main, tip) = (commit(&world, "main"), tip(&world, &id));
    world.flux(["cleanup", &id]).run().success();
    assert_merge_of(&world, &main, &tip);
    let body = world.git(["log", "-1", "--format=%B", "main"]);
    assert_eq!(body.matches("Seen-by: hook").count(), 2, "{body}");
    assert_removed(&world, &id);
}

/// Leaves a sequence of cherry-picks half done in `dir`, with its conflict committed already.
fn half_done_sequence(world: &World, dir: &Path) {
    world.git(["switch", "-q", "--orphan", "picks"]);
    let picks = [
        world.commit_in(world.repo(), "one.txt", "one\n"),
        world.commit_in(world.repo(), "clash.txt", "theirs\n"),
        world.commit_in(world.repo(), "three.txt", "three\n"),
    ];
    world.git(["switch", "-q", "main"]);
    world.commit_in(dir, "clash.txt", "ours\n");
    let picked = world
        .command("git")
        .current_dir(dir)
        .arg("cherry-pick")
        .args(&picks)
        .output();
    assert_eq!(picked.unwrap().status.code(), Some(1));
    world.git_in(dir, ["add", "clash.txt"]);
    world.git_in(dir, ["commit", "-q", "--no-edit", "--allow-empty"]);
    assert_eq!(world.git_in(dir, ["status", "--porcelain"]), "");
    let status = world.git_in(dir, ["status"]);
    assert!(
        status.contains("Cherry-pick currently in progress"),
        "{status}"
    );
}

#[test]
fn a_sequence_of_cherry_picks_is_in_progress_between_two_of_them() {
    for in_target in [false, true] {
        let world = World::new();
        let id = working_task(&world);
        let dir = if in_target {
            world.repo()
        } else {
            world.worktree(&id)
        };
        half_done_sequence(&world, &dir);
        let before = world.snapshot();
        let output = world.flux(["cleanup", "-y", &id]).run();
        output
            .code(1)
            .stderr_has("a cherry-pick is in progress")
            .stderr_has("hint: finish or abort it: git -C ");
        world.assert_unchanged(&before);
        assert!(world.agent(&id).is_alive());
        world.git_in(&dir, ["cherry-pick", "--continue"]);
        world.flux(["cleanup", "-y", &id]).run().success();
        assert_eq!(world.read("three.txt"), "three\n");
        assert_removed(&world, &id);
    }
}

#[test]
fn a_pane_option_of_anybodys_stops_no_command() {
    let world = World::new();
    let id = working_task(&world);
    let mine = world.terminal_inside();
    for value in ["", "a\u{7f}\u{1b}b", "\t\t\t\t\t\t\t\t\t\t", "a\tb"] {
        for option in ["@flux_repo", "@flux_task"] {
            world.tmux(["set-option", "-p", "-t", mine.pane(), option, value]);
        }
        world.tmux(["rename-session", "-t", mine.pane(), "my session"]);
        let before = world.snapshot();
        world
            .flux(["list"])
            .run()
            .success()
            .stdout_has("running")
            .has_not("warning");
        let everywhere = world.flux(["list", "--everywhere"]).run();
        everywhere.success().stdout_has(&id);
        world.flux(["status", &id]).run().success();
        world.assert_unchanged(&before);
    }
    world.flux(["cleanup", "-y", &id]).run().success();
    assert_removed(&world, &id);
}

#[test]
fn a_work_tree_that_does_not_know_its_repository_is_refused() {
    let world = World::new();
    // As yadm and vcsh have it: the work tree itself belongs to another repository, or to none.
    for in_another in [false, true] {
        let home = world.root().join(format!("home {in_another}"));
        fs::create_dir(&home).unwrap();
        if in_another {
            world.git_in(&home, ["init", "-q"]);
            world.fill(&home);
        }
        let git_dir = world.repo().join(".git");
        let before = (world.snapshot(), world.snapshot_of(&world.repo()));
        for args in [&["list"][..], &["run", "Fix"], &["cleanup", "fix"]] {
            let output = world
                .flux(args)
                .in_dir(&home)
                .env("GIT_DIR", &git_dir)
                .env("GIT_WORK_TREE", &home)
                .run();
            output
                .code(1)
                .stdout_is("")
                .stderr_has("does not lead to the repository")
                .stderr_has("unset GIT_DIR GIT_WORK_TREE");
            assert_eq!(output.stderr.matches("error: ").count(), 1, "{output}");
            world.assert_unchanged(&before.0);
        }
        assert!(world.started_agents().is_empty());
    }
}

#[test]
fn a_target_worktree_that_was_deleted_is_named() {
    let world = World::new();
    let other = world.root().join("main's own");
    world.git(["switch", "-q", "-c", "aside"]);
    world.git(["worktree", "add", "-q", other.to_str().unwrap(), "main"]);
    let output = world.flux(["run", "-q", "Fix login"]).in_dir(&other).run();
    let id = output.success().stdout.trim().to_owned();
    world.agent(&id).tell("commit one");
    fs::remove_dir_all(&other).unwrap();
    let before = world.snapshot();
    let output = world.flux(["cleanup", "-y", "--into", "main", &id]).run();
    output
        .code(1)
        .stderr_has(&format!(
            "the worktree of 'main' is gone: '{}'",
            other.display()
        ))
        .stderr_has("hint: git worktree prune")
        .has_not("git init");
    world.assert_unchanged(&before);
    assert!(world.agent(&id).is_alive());
    world.git(["worktree", "prune"]);
    let cleanup = ["cleanup", "-y", "--into", "main", &id];
    world.flux(cleanup).run().success();
    assert_removed(&world, &id);
}
