//! Tests worktrees with submodules: they are moved and restored, and work that exists only there is refused.

use std::fs;
use std::path::{Path, PathBuf};

use crate::world::removal::elsewhere;
use crate::world::*;

/// Makes a task in a repository with two submodules, both checked out: its id, the repository, its worktree.
fn with_submodules(world: &World) -> (String, PathBuf, PathBuf) {
    let (top, lib) = (world.root().join("super"), world.root().join("lib.git"));
    world.make_repository(&top);
    world.git(["clone", "-q", "--bare", ".", lib.to_str().unwrap()]);
    let allow = ["-c", "protocol.file.allow=always", "submodule", "--quiet"];
    for name in ["one", "deep/two"] {
        let add = ["add", lib.to_str().unwrap(), name];
        world.git_in(&top, allow.iter().chain(&add));
    }
    world.git_in(&top, ["commit", "-q", "-m", "Add submodules"]);
    world.behaviour("exit 0");
    let id = world.flux(["run", "-q", "Fix login"]).in_dir(&top).run();
    let id = id.stdout.trim().to_owned();
    world.wait_ended_in(&top.join(".git"), &id);
    let worktree = world.agent(&id).cwd();
    world.git_in(&worktree, allow.iter().chain(&["update", "--init"]));
    (id, top, worktree)
}

#[test]
fn cleanup_refuses_uncommitted_or_unpushed_work_in_a_submodule() {
    let world = World::new();
    let (id, top, worktree) = with_submodules(&world);
    let two = worktree.join("deep/two");
    let refused = |what: &str| {
        let before = world.snapshot_of(&top);
        for options in [&["-y"][..], &["-y", "--discard"], &["-n"]] {
            let args = ["cleanup", &id];
            let output = world.flux(args.iter().chain(options)).in_dir(&top).run();
            output.code(1).stderr_has(what).has_not("'one'");
        }
        assert_eq!(
            before.changes(&world.snapshot_of(&top)),
            Vec::<String>::new()
        );
    };
    world.write(two.join("new.txt"), "new\n");
    refused("uncommitted changes in 'deep/two'");
    world.git_in(&two, ["add", "."]);
    world.git_in(&two, ["stash", "-q"]);
    refused("unpushed commits in 'deep/two'");
    world.git_in(&two, ["stash", "drop", "-q"]);
    world.git_in(&two, ["switch", "-q", "-c", "aside"]);
    let only = world.commit_in(&two, "only.txt", "here\n");
    world.git_in(&two, ["checkout", "-q", "main"]);
    refused("unpushed commits in 'deep/two'");
    // Put away, it is still there, and nowhere else.
    world.git_in(&worktree, ["submodule", "--quiet", "deinit", "deep/two"]);
    refused("unpushed commits in 'deep/two'");
    world.git_in(&worktree, ["submodule", "--quiet", "update", "--init"]);
    world.git_in(&two, ["push", "-q", "origin", "aside"]);
    let output = world.flux(["cleanup", "-n", &id]).in_dir(&top).run();
    output
        .success()
        .stdout_has("everything in 'deep/two', 'one' is on remotes");
    // They go with the worktree, and come back with it.
    let head = world.git_in(&two, ["rev-parse", "HEAD"]);
    world
        .flux(["cleanup", "-y", &id])
        .in_dir(&top)
        .run()
        .success();
    assert!(!worktree.exists());
    world
        .flux(["restore", "-q", &id])
        .in_dir(&top)
        .run()
        .success();
    assert_eq!(world.git_in(&two, ["rev-parse", "HEAD"]), head);
    assert_eq!(world.git_in(&two, ["rev-parse", "aside"]), only);
    assert_eq!(world.git_in(&worktree, ["status", "--porcelain"]), "");
    world
        .flux(["cleanup", "-y", &id])
        .in_dir(&top)
        .run()
        .success();
}

/// Asserts that the task is not removed, whatever is agreed to, and why.
#[track_caller]
fn assert_refused((world, id, top): (&World, &str, &Path), what: &str) {
    let before = world.snapshot_of(top);
    for options in [&["-y"][..], &["-y", "--discard"], &["-n", "--discard"]] {
        let args = ["cleanup", id];
        let output = world.flux(args.iter().chain(options)).in_dir(top).run();
        output.code(1).stderr_has("hint: ");
        if options.contains(&"--discard") {
            output.stderr_has(what);
        }
    }
    let after = world.snapshot_of(top);
    assert_eq!(before.changes(&after), Vec::<String>::new());
}

#[test]
fn cleanup_refuses_unpushed_submodule_commits_if_the_worktree_is_gone() {
    let world = World::new();
    let (id, top, worktree) = with_submodules(&world);
    world.commit_in(worktree.join("one"), "only.txt", "here\n");
    fs::remove_dir_all(&worktree).unwrap();
    assert_refused((&world, &id, &top), "unpushed commits in 'one'");
    // The hints name a repository whose files are gone.
    let admin = top
        .join(".git/worktrees")
        .join(worktree.file_name().unwrap());
    let git_dir = format!("--git-dir={}", admin.join("modules/one").display());
    let push = [
        "--work-tree=.",
        "push",
        "-q",
        "origin",
        "HEAD:refs/heads/aside",
    ];
    world.git_in(&top, [&[git_dir.as_str()], &push[..]].concat());
    world
        .flux(["cleanup", "-y", "--discard", &id])
        .in_dir(&top)
        .run()
        .success();
}

#[test]
fn cleanup_refuses_unpushed_commits_of_a_removed_submodule() {
    let world = World::new();
    let (id, top, worktree) = with_submodules(&world);
    let one = worktree.join("one");
    let only = world.commit_in(&one, "only.txt", "here\n");
    world.git_in(&one, ["checkout", "-q", "HEAD~"]);
    world.git_in(&one, ["branch", "-q", "aside", &only]);
    world.git_in(&worktree, ["rm", "-q", "one"]);
    world.git_in(&worktree, ["commit", "-q", "-m", "Remove a submodule"]);
    assert!(!one.exists());
    assert_refused((&world, &id, &top), "unpushed commits in 'one'");
    let admin = world.git_in(&worktree, ["rev-parse", "--absolute-git-dir"]);
    let git_dir = format!("--git-dir={admin}/modules/one");
    let push = ["--work-tree=.", "push", "-q", "origin", "aside"];
    world.git_in(&top, [&[git_dir.as_str()], &push[..]].concat());
    world
        .flux(["cleanup", "-y", &id])
        .in_dir(&top)
        .run()
        .success();
    let links = world.git_in(&top, ["ls-files", "--stage", "one"]);
    assert_eq!(links, "");
}

#[test]
fn cleanup_refuses_a_submodule_with_other_worktrees() {
    let world = World::new();
    let (id, top, worktree) = with_submodules(&world);
    let other = world.root().join("other");
    let add = ["worktree", "add", "-q", "--detach", other.to_str().unwrap()];
    world.git_in(worktree.join("one"), add);
    world.commit_in(&other, "only.txt", "here\n");
    assert_refused((&world, &id, &top), "other worktrees of 'one'");
    let remove = ["worktree", "remove", other.to_str().unwrap()];
    world.git_in(worktree.join("one"), remove);
    world
        .flux(["cleanup", "-y", &id])
        .in_dir(&top)
        .run()
        .success();
}

#[test]
fn cleanup_refuses_submodules_on_another_file_system() {
    let world = World::new();
    let dir = elsewhere(&world);
    let place = dir.path().to_str().unwrap();
    world.git(["config", "--global", "flux.worktreeDir", place]);
    let (id, top, worktree) = with_submodules(&world);
    assert!(worktree.starts_with(dir.path()));
    world.commit_in(&worktree, "agent.txt", "one\n");
    assert_refused(
        (&world, &id, &top),
        "restore could not recover its submodules",
    );
    world.git_in(&worktree, ["submodule", "--quiet", "deinit", "--all"]);
    world
        .flux(["cleanup", "-y", &id])
        .in_dir(&top)
        .run()
        .success();
    assert!(!worktree.exists());
    assert_eq!(world.read(top.join("agent.txt")), "one\n");
}

/// No call of git is between the renames: the test makes the first ones itself.
#[test]
fn restore_keeps_submodules_if_killed_before_its_last_rename() {
    let world = World::new();
    let (id, top, worktree) = with_submodules(&world);
    let two = worktree.join("deep/two");
    world.git_in(&two, ["branch", "-q", "aside", "origin/main"]);
    let git_dir = world.git_in(&worktree, ["rev-parse", "--absolute-git-dir"]);
    let state = || {
        let status = world.git_in(&worktree, ["submodule", "status", "--recursive"]);
        (status, world.git_in(&two, ["branch", "--verbose"]))
    };
    let before = state();
    let flux = |args: &[&str]| world.flux(args).in_dir(&top).run();
    flux(&["cleanup", "-y", &id]).success();
    let fault = Fault::nth("git", 1, Mode::KillAfter);
    let words = "worktree add";
    world.fault(&Fault { words, ..fault });
    flux(&["restore", &id]).killed();
    world.wait_fault_over();
    world.clear_fault();
    let kept = top.join(".git/flux/trash").join(&id).join("modules");
    fs::rename(kept, Path::new(&git_dir).join("modules")).unwrap();
    fs::remove_dir_all(&worktree).unwrap();
    flux(&["cleanup", "no-such-task"])
        .code(1)
        .says(&expect![[r#"
            --- stderr
            an earlier restore of 'fix-login-XXXXXX' was interrupted; the task can still be restored
            error: there is no task 'no-such-task'
            hint: to start a task: git flux run "<description>"
        "#]]);
    flux(&["restore", &id]).success();
    assert_eq!(state(), before);
}
