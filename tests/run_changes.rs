//! Tests `git flux run --with-changes`, which copies uncommitted changes into the new worktree.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use crate::world::*;

const RUN: [&str; 5] = ["run", "-q", "--with-changes", "--name", "go"];

/// Returns the status, the index and the files of a worktree.
fn state(world: &World, dir: &Path) -> [String; 4] {
    let staged = world.git_in(dir, ["diff", "--cached", "--binary", "--no-renames"]);
    let unstaged = world.git_in(dir, ["diff", "--binary", "--no-renames"]);
    let status = [
        "status",
        "--porcelain",
        "--untracked-files=all",
        "--no-renames",
    ];
    let status = world.git_in(dir, status);
    let others = world.git_in(dir, ["ls-files", "--others", "--exclude-standard", "-z"]);
    let others = others.split_terminator('\0').map(|file| {
        let path = dir.join(file);
        let mode = path.symlink_metadata().unwrap().permissions().mode();
        let bytes = match path.read_link() {
            Ok(target) => target.into_os_string().into_encoded_bytes(),
            Err(_) => std::fs::read(&path).unwrap(),
        };
        format!("{file} {:o} {bytes:?}\n", mode & 0o170_100)
    });
    [status, staged, unstaged, others.collect()]
}

/// A commit with something of every kind, and changes of every kind on top.
fn every_kind(world: &World) {
    let repo = world.repo();
    for file in [
        "a",
        "b",
        "gone",
        "unstaged gone",
        "old name",
        "run.sh",
        "both",
        "kept",
    ] {
        world.write(file, &*format!("{file}\n1\n2\n3\n"));
    }
    world.write("bin", [0, 159, 146, 150].as_slice());
    symlink("a", repo.join("link")).unwrap();
    world.git(["add", "--all"]);
    world.git(["commit", "-q", "-m", "Every kind"]);
    world.write("a", "staged  \n\n\n");
    world.git(["rm", "-q", "gone"]);
    world.git(["rm", "-q", "--cached", "kept"]);
    world.git(["mv", "old name", "new name"]);
    world.write("both", "staged\n");
    let run = repo.join("run.sh");
    std::fs::set_permissions(run, std::fs::Permissions::from_mode(0o755)).unwrap();
    world.git(["add", "a", "both", "run.sh"]);
    world.write("both", "changed again\r\n");
    world.write("b", "not staged");
    std::fs::remove_file(repo.join("unstaged gone")).unwrap();
    std::fs::remove_file(repo.join("link")).unwrap();
    symlink("b", repo.join("link")).unwrap();
    world.write("bin", [0, 1, 255, 254].as_slice());
    world.write("meant", "only the name is staged\n");
    world.git(["add", "--intent-to-add", "meant"]);
    world.write("un tracked/new\nfile", "untracked\n");
    let tool = world.write("un tracked/tool", "#!/bin/sh\n");
    std::fs::set_permissions(tool, std::fs::Permissions::from_mode(0o755)).unwrap();
    symlink("nowhere", repo.join("dangling")).unwrap();
}

#[test]
fn run_with_changes_copies_every_kind_of_change() {
    let world = World::new();
    every_kind(&world);
    let before = state(&world, &world.repo());
    let index = std::fs::read(world.repo().join(".git/index")).unwrap();
    // Nobody else's lock is in the way, and none is taken.
    world.write(".git/index.lock", "");
    world.flux(RUN.into_iter().chain(["Go on"])).ok();
    std::fs::remove_file(world.repo().join(".git/index.lock")).unwrap();
    assert_eq!(
        std::fs::read(world.repo().join(".git/index")).unwrap(),
        index
    );
    assert_eq!(state(&world, &world.worktree("go")), before);
    assert_eq!(state(&world, &world.repo()), before);
    assert_eq!(
        world.git(["rev-parse", "feature/go"]),
        world.git(["rev-parse", "HEAD"])
    );
}

#[test]
fn run_with_changes_copies_changes_from_the_worktree_of_a_task() {
    let world = World::new();
    let id = world.start("First");
    let first = world.worktree(&id);
    world.write(first.join("README.md"), "changed\n");
    world.write(first.join("staged"), "staged\n");
    world.git_in(&first, ["add", "staged"]);
    world.write(first.join("new"), "new\n");
    let before = state(&world, &first);
    let run = world.flux(RUN.into_iter().chain(["Go on"]));
    run.in_dir(&first).ok();
    assert_eq!(state(&world, &world.worktree("go")), before);
    assert_eq!(state(&world, &first), before);
}

#[test]
fn run_with_changes_applies_changes_to_another_base() {
    let world = World::new();
    world.write("file", "1\n2\n3\n4\n5\n6\n7\n8\n9\n");
    world.git(["add", "file"]);
    world.git(["commit", "-q", "-m", "Nine lines"]);
    world.git(["switch", "-q", "-c", "other"]);
    world.write("file", "one\n2\n3\n4\n5\n6\n7\n8\n9\n");
    world.git(["commit", "-q", "-am", "The first"]);
    world.git(["switch", "-q", "main"]);
    world.write("file", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n");
    world.git(["add", "file"]);
    world.write("file", "1\n2\n3\n4\nfive\n6\n7\n8\nnine\n");
    world.write("new", "new\n");
    let own = state(&world, &world.repo());
    world
        .flux(RUN.into_iter().chain(["--base", "other", "Go on"]))
        .run()
        .success();
    let worktree = world.worktree("go");
    assert_eq!(
        world.read(worktree.join("file")),
        "one\n2\n3\n4\nfive\n6\n7\n8\nnine\n"
    );
    assert_eq!(
        world.git_in(&worktree, ["show", ":file"]),
        "one\n2\n3\n4\nfive\n6\n7\n8\n9"
    );
    assert_eq!(world.read(worktree.join("new")), "new\n");
    assert_eq!(
        world.git_in(&worktree, ["rev-parse", "HEAD"]),
        world.git(["rev-parse", "other"])
    );
    assert_eq!(state(&world, &world.repo()), own);
}

#[test]
fn run_with_changes_refuses_changes_that_do_not_apply() {
    let world = World::new();
    world.git(["switch", "-q", "-c", "other"]);
    world.commit_in(world.repo(), "README.md", "theirs\n");
    world.commit_in(world.repo(), "new", "theirs\n");
    world.commit_in(world.repo(), "dir", "theirs\n");
    world.git(["switch", "-q", "main"]);
    world.write("README.md", "ours\n");
    world.write("new", "ours\n");
    world.write("dir/file", "ours\n");
    let before = world.snapshot();
    let run = world.flux(RUN.into_iter().chain(["--base", "other", "Go on"]));
    run.run().code(1).says(&expect![[r#"
        --- stderr
        error: your changes do not apply to 'other': README.md, dir/file, new
        hint: leave out either --base or --with-changes
        hint: to see how 'other' differs: git diff HEAD <object>
    "#]]);
    world.assert_unchanged(&before);
}

#[test]
fn run_with_changes_refuses_conflicts_and_a_merge_in_progress() {
    let world = World::new();
    world.git(["switch", "-q", "-c", "other"]);
    world.commit_in(world.repo(), "README.md", "theirs\n");
    world.git(["switch", "-q", "main"]);
    world.commit_in(world.repo(), "README.md", "ours\n");
    world.try_git(["merge", "other"]).unwrap_err();
    let refused = |why: &str| {
        let before = world.snapshot();
        let run = world.flux(RUN.into_iter().chain(["Go on"]));
        run.run().code(1).stderr_has(why).stderr_has("hint: ");
        world.assert_unchanged(&before);
    };
    refused("a merge is in progress in '");
    world.git(["merge", "--abort"]);
    world.write("README.md", "changed\n");
    world.git(["stash"]);
    world.commit_in(world.repo(), "README.md", "other\n");
    world.try_git(["stash", "apply"]).unwrap_err();
    refused("cannot copy files with conflicts: README.md");
}

#[test]
fn run_with_changes_leaves_nested_repositories_behind() {
    let world = World::new();
    world.make_repository(&world.repo().join("nested"));
    world
        .flux(RUN.into_iter().chain(["Go on"]))
        .run()
        .success()
        .says(&expect![[r#"
            go
            --- stderr
            warning: changes in nested repositories are not copied: nested/
        "#]]);
    assert!(!world.worktree("go").join("nested").exists());
}

#[test]
fn run_with_changes_reports_how_many_files_it_copies() {
    let world = World::new();
    let run = ["run", "--with-changes", "--name", "go", "Go on"];
    world
        .flux(run)
        .run()
        .success()
        .stderr_has("There are no uncommitted changes to copy.");
    world.write("new", "new\n");
    let run = ["run", "--with-changes", "--name", "again", "Go on"];
    world
        .flux(run)
        .run()
        .success()
        .stderr_has("Your own uncommitted changes (1 file) are copied to the task.");
}

#[test]
fn run_with_changes_leaves_no_copy_behind_when_the_start_fails() {
    let world = World::new();
    every_kind(&world);
    let before = world.snapshot();
    world.fault(&Fault::every("tmux", "new-session", Mode::Fail));
    let run = world.flux(RUN.into_iter().chain(["Go on"])).run();
    run.code(1).stderr_has("nothing was left behind");
    world.clear_fault();
    world.assert_unchanged(&before);
}

#[test]
fn run_with_changes_leaves_the_changes_alone_when_killed() {
    for mode in Mode::KILLS {
        let world = World::new();
        world.write("README.md", "changed\n");
        world.write("staged", "staged\n");
        world.git(["add", "staged"]);
        world.write("new", "new\n");
        let before = world.snapshot();
        let own = state(&world, &world.repo());
        let index = std::fs::read(world.repo().join(".git/index")).unwrap();
        let words = "stash apply";
        let fault = Fault::nth("git", 1, mode);
        world.fault(&Fault { words, ..fault });
        world.flux(RUN.into_iter().chain(["Go on"])).run().killed();
        world.wait_fault_over();
        world.clear_fault();
        let next = world.flux(["cleanup", "no-such-task"]).run();
        next.code(1).says(&expect![[r#"
            --- stderr
            removed what the interrupted start of 'go' had made, with its branch 'feature/go'
            error: there is no task 'no-such-task'
            hint: to start a task: git flux run "<description>"
        "#]]);
        if next.stderr.contains("its files are in '") {
            // Cut off half way: nobody can tell whose the files are.
            assert!(matches!(mode, Mode::KillDuring), "{mode:?}");
        } else {
            world.assert_unchanged(&before);
        }
        assert_eq!(
            std::fs::read(world.repo().join(".git/index")).unwrap(),
            index
        );
        assert_eq!(state(&world, &world.repo()), own);
        world.flux(RUN.into_iter().chain(["Go on"])).ok();
        assert_eq!(state(&world, &world.worktree("go")), own);
    }
}
