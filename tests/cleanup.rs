//! Tests `git flux cleanup` without a terminal: merge, commit, discard, conflict and dry run. The questions are in
//! `cleanup_questions`, the refusals in `cleanup_obstacles`.

use std::fs;

use crate::world::removal::*;
use crate::world::*;

#[test]
fn cleanup_merges_and_removes_a_finished_task() {
    let world = World::new();
    let id = done_task(&world);
    let (main, tip) = (commit(&world, "main"), tip(&world, &id));
    let output = world.flux(["cleanup", &id]).run();
    output
        .success()
        .stderr_has(&format!("merged 1 commit of 'feature/{id}' into 'main'"))
        .stderr_has(&format!("removed '{id}'"))
        .says(&expect![[r#"
            --- stderr
            merged 1 commit of 'feature/fix-login-XXXXXX' into 'main' (<object>..<object>)
            removed 'fix-login-XXXXXX': worktree, branch 'feature/fix-login-XXXXXX' and session
            its commits stay in refs/flux/archive/fix-login-XXXXXX/tip
            its files are kept in '$WORLD/myapp/.git/flux/trash/fix-login-XXXXXX'
            hint: to restore the task: git flux restore fix-login-XXXXXX
            hint: to undo the merge, on 'main': git revert -m 1 <object>
        "#]]);
    // A merge commit also where the target has not moved: the history says what belonged together.
    assert_merge_of(&world, &main, &tip);
    assert_eq!(
        world.git(["log", "-1", "--format=%s|%an|%ae", "main"]),
        format!("Merge task '{id}' into main|Flux Test|flux@example.com")
    );
    assert_eq!(world.read("agent.txt"), "one\n");
    assert_eq!(world.git(["status", "--porcelain"]), "");
    assert_removed(&world, &id);
    let archive = |name: &str| commit(&world, &format!("refs/flux/archive/{id}/{name}"));
    assert_eq!((archive("tip"), archive("base")), (tip, main));
    let record = format!("refs/flux/archive/{id}/task:prompt.md");
    assert_eq!(world.git(["show", &record]), "Fix login");
    assert!(trash(&world, &id).join("agent.txt").exists());
}

#[test]
fn cleanup_merges_into_a_target_that_has_moved() {
    let world = World::new();
    let id = done_task(&world);
    let main = world.commit_in(world.repo(), "README.md", "moved\n");
    let tip = tip(&world, &id);
    world.flux(["cleanup", &id]).run().success();
    assert_merge_of(&world, &main, &tip);
    assert_eq!(world.read("README.md"), "moved\n");
    assert_eq!(world.read("agent.txt"), "one\n");
    assert_eq!(world.git(["status", "--porcelain"]), "");
    assert_removed(&world, &id);
}

#[test]
fn cleanup_leaves_the_target_unchanged_without_commits() {
    let world = World::new();
    let id = running_task(&world);
    end_agent(&world, &id);
    let main = commit(&world, "main");
    let output = world.flux(["cleanup", &id]).run();
    output.success().says(&expect![[r#"
        --- stderr
        nothing was merged: 'feature/fix-login-XXXXXX' has no commits of its own
        removed 'fix-login-XXXXXX': worktree, branch 'feature/fix-login-XXXXXX' and session
        its files are kept in '$WORLD/myapp/.git/flux/trash/fix-login-XXXXXX'
        hint: to restore the task: git flux restore fix-login-XXXXXX
    "#]]);
    assert_eq!(commit(&world, "main"), main);
    assert_removed(&world, &id);
}

#[test]
fn cleanup_does_not_merge_again_after_a_merge_by_hand() {
    let world = World::new();
    let id = done_task(&world);
    world.git(["merge", "-q", "--ff-only", &format!("feature/{id}")]);
    let main = commit(&world, "main");
    let output = world.flux(["cleanup", &id]).run();
    output.success().says(&expect![[r#"
        --- stderr
        nothing was merged: 'main' already has all commits of 'feature/fix-login-XXXXXX'
        removed 'fix-login-XXXXXX': worktree, branch 'feature/fix-login-XXXXXX' and session
        its commits stay in refs/flux/archive/fix-login-XXXXXX/tip
        its files are kept in '$WORLD/myapp/.git/flux/trash/fix-login-XXXXXX'
        hint: to restore the task: git flux restore fix-login-XXXXXX
    "#]]);
    assert_eq!(commit(&world, "main"), main);
    assert_removed(&world, &id);
}

/// Stages, changes, deletes and adds a file, and returns the output of `git status`.
fn make_dirty(world: &World, id: &str) -> String {
    let worktree = world.worktree(id);
    world.write(worktree.join("staged.txt"), "staged\n");
    world.git_in(&worktree, ["add", "staged.txt"]);
    world.write(worktree.join("agent.txt"), "one\nchanged\n");
    world.write(worktree.join("new/untracked.txt"), "untracked\n");
    fs::remove_file(worktree.join("README.md")).unwrap();
    world.git_in(&worktree, ["status", "--porcelain", "-uall"])
}

#[test]
fn cleanup_refuses_uncommitted_changes_also_with_yes() {
    let world = World::new();
    let id = done_task(&world);
    make_dirty(&world, &id);
    let before = world.snapshot();
    for args in [&["cleanup", &id][..], &["cleanup", "-y", &id]] {
        let output = world.flux(args).run();
        output.code(1).says(&expect![[r#"
            --- stderr
            error: 'fix-login-XXXXXX' has 4 uncommitted files
            hint: to commit and merge: git flux cleanup fix-login-XXXXXX --commit
            hint: to merge only what is committed: git flux cleanup fix-login-XXXXXX --discard
        "#]]);
        world.assert_unchanged(&before);
    }
}

#[test]
fn cleanup_commits_uncommitted_changes_with_the_given_message() {
    let world = World::new();
    for (option, subject) in [
        ("--commit=All of it", "All of it"),
        ("--commit", "WIP: Fix login"),
    ] {
        let id = done_task(&world);
        make_dirty(&world, &id);
        world.flux(["cleanup", option, &id]).run().success();
        assert_eq!(world.git(["log", "-1", "--format=%s", "main^2"]), subject);
        assert_eq!(world.read("staged.txt"), "staged\n");
        assert_eq!(world.read("agent.txt"), "one\nchanged\n");
        assert_eq!(world.read("new/untracked.txt"), "untracked\n");
        assert!(!world.repo().join("README.md").exists());
        assert_removed(&world, &id);
        world.git(["reset", "-q", "--hard", "main^"]);
    }
}

#[test]
fn cleanup_discard_keeps_uncommitted_changes_in_the_trash() {
    let world = World::new();
    let id = done_task(&world);
    let status = make_dirty(&world, &id);
    let output = world.flux(["cleanup", "--discard", &id]).run();
    output.success().says(&expect![[r#"
        --- stderr
        merged 1 commit of 'feature/fix-login-XXXXXX' into 'main' (<object>..<object>)
        removed 'fix-login-XXXXXX': worktree, branch 'feature/fix-login-XXXXXX' and session
        its commits stay in refs/flux/archive/fix-login-XXXXXX/tip
        its files are kept in '$WORLD/myapp/.git/flux/trash/fix-login-XXXXXX'
        hint: to restore the task: git flux restore fix-login-XXXXXX
        hint: to undo the merge, on 'main': git revert -m 1 <object>
    "#]]);
    assert_eq!(world.read("agent.txt"), "one\n");
    assert!(world.repo().join("README.md").exists());
    assert!(!world.repo().join("staged.txt").exists());
    assert_removed(&world, &id);
    let kept = trash(&world, &id);
    assert_eq!(world.read(kept.join("agent.txt")), "one\nchanged\n");
    assert_eq!(world.read(kept.join("new/untracked.txt")), "untracked\n");
    assert_eq!(world.read(kept.join("staged.txt")), "staged\n");
    // With the kept index it is what it was, down to what was staged.
    let (index, git_dir) = (kept.with_file_name("index"), world.repo().join(".git"));
    let args = [
        "--work-tree",
        kept.to_str().unwrap(),
        "status",
        "--porcelain",
        "-uall",
    ];
    let tip = format!("refs/flux/archive/{id}/tip");
    world.git(["branch", "back", &tip]);
    world.git(["symbolic-ref", "HEAD", "refs/heads/back"]);
    let again = world
        .command("git")
        .arg("--git-dir")
        .arg(git_dir)
        .args(args)
        .env("GIT_INDEX_FILE", index)
        .output()
        .unwrap();
    let again = String::from_utf8(again.stdout).unwrap();
    // The kept `.git` file counts for nothing: it names an entry that is gone.
    assert_eq!(again.trim_end(), status);
}

#[test]
fn cleanup_names_and_keeps_ignored_files() {
    let world = World::new();
    let id = done_task(&world);
    world.write(world.worktree(&id).join(".env"), "SECRET=1\n");
    world.write(world.worktree(&id).join("deep/down/trace.log"), "line\n");
    let output = world.flux(["cleanup", &id]).run();
    output.success().says(&expect![[r#"
        --- stderr
        these ignored files can be restored: .env, deep/ (1 file)
        merged 1 commit of 'feature/fix-login-XXXXXX' into 'main' (<object>..<object>)
        removed 'fix-login-XXXXXX': worktree, branch 'feature/fix-login-XXXXXX' and session
        its commits stay in refs/flux/archive/fix-login-XXXXXX/tip
        its files are kept in '$WORLD/myapp/.git/flux/trash/fix-login-XXXXXX'
        hint: to restore the task: git flux restore fix-login-XXXXXX
        hint: to undo the merge, on 'main': git revert -m 1 <object>
    "#]]);
    assert!(!world.repo().join(".env").exists());
    assert_eq!(world.read(trash(&world, &id).join(".env")), "SECRET=1\n");
    let log = trash(&world, &id).join("deep/down/trace.log");
    assert_eq!(world.read(log), "line\n");
    assert_removed(&world, &id);
}

#[test]
fn cleanup_discard_branch_archives_the_branch_without_a_merge() {
    let world = World::new();
    let id = done_task(&world);
    let (main, tip) = (commit(&world, "main"), tip(&world, &id));
    let output = world.flux(["cleanup", "--discard-branch", &id]).run();
    output.success().says(&expect![[r#"
        --- stderr
        dropped 'feature/fix-login-XXXXXX' without merging it
        removed 'fix-login-XXXXXX': worktree, branch 'feature/fix-login-XXXXXX' and session
        its commits stay in refs/flux/archive/fix-login-XXXXXX/tip
        its files are kept in '$WORLD/myapp/.git/flux/trash/fix-login-XXXXXX'
        hint: to restore the task: git flux restore fix-login-XXXXXX
    "#]]);
    assert_eq!(commit(&world, "main"), main);
    assert_eq!(commit(&world, &format!("refs/flux/archive/{id}/tip")), tip);
    assert_removed(&world, &id);
}

#[test]
fn cleanup_discard_branch_does_not_discard_uncommitted_changes() {
    let world = World::new();
    let id = done_task(&world);
    make_dirty(&world, &id);
    let before = world.snapshot();
    let output = world.flux(["cleanup", "-y", "--discard-branch", &id]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: 'fix-login-XXXXXX' has 4 uncommitted files
        hint: to commit them first: git flux cleanup fix-login-XXXXXX --discard-branch --commit
        hint: to discard them (they can be restored): git flux cleanup fix-login-XXXXXX --discard-branch --discard
    "#]]);
    world.assert_unchanged(&before);
    let args = ["cleanup", "--discard-branch", "--discard", &id];
    world.flux(args).run().success();
    assert_removed(&world, &id);
    assert!(trash(&world, &id).join("new/untracked.txt").exists());
}

#[test]
fn cleanup_lists_conflicting_files_and_changes_nothing() {
    let world = World::new();
    let id = working_task(&world);
    let worktree = world.worktree(&id);
    world.commit_in(&worktree, "src/login.txt", "theirs\n");
    world.commit_in(world.repo(), "src/login.txt", "ours\n");
    world.commit_in(world.repo(), "agent.txt", "ours too\n");
    let before = world.snapshot();
    for args in [&["cleanup", "-y", &id][..], &["cleanup", "-n", &id]] {
        let output = world.flux(args).run();
        output
            .code(3)
            .stderr_has("'src/login.txt'")
            .stderr_has("'agent.txt'")
            .stderr_has(&format!("git -C '{}' merge main", worktree.display()));
        world.assert_unchanged(&before);
    }
    assert!(world.agent(&id).is_alive());
}

#[test]
fn cleanup_merges_after_the_conflict_is_resolved_in_the_worktree() {
    let world = World::new();
    let id = done_task(&world);
    let worktree = world.worktree(&id);
    let ours = world.commit_in(world.repo(), "agent.txt", "ours\n");
    world.flux(["cleanup", &id]).run().code(3);
    let merge = ["-C", worktree.to_str().unwrap(), "merge", "-q", "main"];
    world.try_git(merge).unwrap_err();
    let before = world.snapshot();
    let output = world.flux(["cleanup", "-y", &id]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: a merge is in progress in '$WORLD/myapp-fix-login-XXXXXX'
        hint: to see how to finish or abort it: git -C '$WORLD/myapp-fix-login-XXXXXX' status
    "#]]);
    world.assert_unchanged(&before);
    world.write(worktree.join("agent.txt"), "both\n");
    world.git_in(&worktree, ["commit", "-q", "-a", "--no-edit"]);
    world.flux(["cleanup", &id]).run().success();
    assert_eq!(world.read("agent.txt"), "both\n");
    assert_eq!(commit(&world, "main^1"), ours);
    assert_removed(&world, &id);
}

#[test]
fn cleanup_dry_run_describes_the_steps_and_changes_nothing() {
    let world = World::new();
    let id = working_task(&world);
    let before = world.snapshot();
    world
        .flux(["cleanup", "--dry-run", "-y", &id])
        .run()
        .success()
        .stdout_has("would stop the agent of")
        .stdout_has("would merge 1 commit into 'main'")
        .stdout_has(&format!(
            "would remove the worktree '{}'",
            world.worktree(&id).display()
        ))
        .stderr_has("Nothing was done");
    world
        .flux(["cleanup", "-n", "-y", "--discard-branch", &id])
        .run()
        .success();
    world.assert_unchanged(&before);
    make_dirty(&world, &id);
    let before = world.snapshot();
    let output = world.flux(["cleanup", "-n", "-y", &id]).run();
    output.code(1).stderr_has("has 4 uncommitted files");
    for (option, said) in [
        ("--commit", "would commit 4 uncommitted files"),
        ("--discard", "would discard 4 uncommitted files"),
    ] {
        let output = world.flux(["cleanup", "-n", "-y", option, &id]).run();
        output.success().stdout_has(said);
    }
    world.assert_unchanged(&before);
    assert!(world.agent(&id).is_alive());
}

#[test]
fn cleanup_rejects_contradicting_options_as_a_usage_error() {
    let world = World::new();
    let id = done_task(&world);
    let before = world.snapshot();
    for options in [
        ["--commit", "--discard"],
        ["--discard-branch", "--into=main"],
    ] {
        let [a, b] = options;
        world.flux(["cleanup", a, b, &id]).run().code(2);
    }
    world.assert_unchanged(&before);
}
