//! Tests that no branch is moved while it is checked out, rebased or bisected in another worktree.

use std::fs;
use std::path::{Path, PathBuf};

use crate::world::hints::{hints, paste};
use crate::world::removal::refused;
use crate::world::removal::*;
use crate::world::*;

/// Asserts that the files of a checkout are those of its branch.
#[track_caller]
fn assert_clean(world: &World, dir: impl AsRef<Path>) {
    assert_eq!(world.git_in(dir, ["status", "--porcelain"]), "");
}

/// Refuses a cleanup, does what its hint with this beginning says, and cleans up.
#[track_caller]
fn refused_until_pasted(world: &World, id: &str, said: &str, hint: &str) {
    let cleanup = ["cleanup", "-y", id];
    refused(world, &cleanup, &[said, hint]);
    let output = world.flux(cleanup).run();
    let hint = hints(&output).into_iter().find(|one| one.starts_with(hint));
    paste(world, &hint.expect("the hint is there")).unwrap();
    world.flux(cleanup).run().success();
    assert_removed(world, id);
}

/// Makes a linked worktree of the user's that has `main` checked out beside the main worktree.
fn second_worktree(world: &World) -> PathBuf {
    let dir = world.root().join("second");
    let add = ["worktree", "add", "-q", "--force"];
    world.git(add.into_iter().chain([dir.to_str().unwrap(), "main"]));
    dir
}

#[test]
fn cleanup_refuses_if_core_bare_is_set_in_a_repository_with_files() {
    let world = World::new();
    let id = done_task(&world);
    world.git(["branch", "topic"]);
    let (linked, other) = (world.worktree(&id), world.root().join("linked"));
    world.git(["worktree", "add", "-q", other.to_str().unwrap(), "topic"]);
    let removed = done_task(&world);
    world
        .flux(["cleanup", "-y", "--discard-branch", &removed])
        .ok();
    world.git(["config", "core.bare", "true"]);
    let said = "git treats '";
    refused(&world, &["run", "-q", "--name", "go", "Go"], &[said]);
    refused(&world, &["adopt", other.to_str().unwrap()], &[said]);
    refused(&world, &["restore", &removed], &[said]);
    let before = world.snapshot();
    let from_linked = world.flux(["cleanup", "-y", &id]).in_dir(&other).run();
    from_linked.code(1);
    let inside = world.flux(["cleanup", "-y"]).in_dir(&linked).run();
    inside.code(1).says(&expect![[r#"
        --- stderr
        error: git treats '$WORLD/myapp/.git' as bare, but its index has files of 'main'
        hint: if '$WORLD/myapp' is the main worktree: git --git-dir='$WORLD/myapp/.git' config core.bare false
        hint: if there is no main worktree, move the index away: mv '$WORLD/myapp/.git/index' '$WORLD/myapp/.git/index.away'
    "#]]);
    world.assert_unchanged(&before);
    refused_until_pasted(
        &world,
        &id,
        "its index has files of 'main'",
        "git --git-dir=",
    );
    assert_clean(&world, world.repo());
    assert_eq!(world.read("agent.txt"), "one\n");
}

#[test]
fn cleanup_gives_a_hint_for_the_level_at_which_core_bare_is_set() {
    let world = World::new();
    let id = done_task(&world);
    let said = "its index has files of 'main'";
    let before = world.snapshot();
    let given = world.flux(["cleanup", "-y", &id]);
    let output = given.via_git_with(["-c", "core.bare=true"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: git treats '$WORLD/myapp/.git' as bare, but its index has files of 'main'
        hint: run it again without -c core.bare=true
    "#]]);
    output.has_not("mv ");
    world.assert_unchanged(&before);
    world.git(["config", "extensions.worktreeConfig", "true"]);
    world.git(["config", "--worktree", "core.bare", "true"]);
    refused_until_pasted(&world, &id, said, "git --git-dir=");
    assert_clean(&world, world.repo());
}

/// Makes the repository bare, with its git directory elsewhere, as for dotfiles.
fn bare_dotfiles(world: &World) -> (PathBuf, String) {
    let dir = world.root().join("dotfiles");
    fs::rename(world.repo().join(".git"), &dir).unwrap();
    world.git_in(&dir, ["config", "core.bare", "true"]);
    world.behaviour("raw");
    let run = ["run", "-q", "--name", "fix", "Fix it"];
    let id = world.flux(run).in_dir(&dir).ok();
    world.agent(&id).tell("commit one");
    end_agent_in(world, &dir, &id);
    (dir, id)
}

#[test]
fn cleanup_refuses_to_merge_into_a_bare_repository_with_a_separate_work_tree() {
    let world = World::new();
    let (dir, id) = bare_dotfiles(&world);
    let cleanup = || world.flux(["cleanup", "-y", &id]).in_dir(&dir).run();
    let before = world.snapshot_of(&dir);
    let output = cleanup();
    output
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: git treats '$WORLD/dotfiles' as bare, but its index has files of 'main'
            hint: if the main worktree is elsewhere, merge there: git --git-dir='$WORLD/dotfiles' --work-tree=<directory> merge feature/fix
            hint: if there is no main worktree, move the index away: mv '$WORLD/dotfiles/index' '$WORLD/dotfiles/index.away'
        "#]]);
    assert_eq!(
        before.changes(&world.snapshot_of(&dir)),
        Vec::<String>::new()
    );
    let files = format!("'{}'", world.repo().display());
    let merge = hints(&output).remove(0).replace("<directory>", &files);
    paste(&world, &merge).unwrap();
    assert_eq!(world.read("agent.txt"), "one\n");
    cleanup().success().says(&expect![[r#"
        --- stderr
        nothing was merged: 'main' already has all commits of 'feature/fix'
        removed 'fix': worktree, branch 'feature/fix' and session
        its commits stay in refs/flux/archive/fix/tip
        its files are kept in '$WORLD/dotfiles/flux/trash/fix'
        hint: to restore the task: git flux restore fix
    "#]]);
    let [git_dir, work_tree] = [&dir, &world.repo()].map(|path| path.display().to_string());
    let git_dir = format!("--git-dir={git_dir}");
    let work_tree = format!("--work-tree={work_tree}");
    let status = world.git_in(&dir, [&git_dir, &work_tree, "status", "--porcelain"]);
    assert_eq!(status, "");
}

#[test]
fn cleanup_merges_into_a_bare_repository_once_its_unused_index_is_gone() {
    let world = World::new();
    let (dir, id) = bare_dotfiles(&world);
    // What HEAD does not name is not checked out.
    world.git_in(&dir, ["branch", "topic"]);
    world.behaviour("raw");
    let run = ["run", "-q", "--name", "other", "--base", "topic", "Do it"];
    world.flux(run).in_dir(&dir).ok();
    world.agent("other").tell("commit two");
    end_agent_in(&world, &dir, "other");
    let other = world.flux(["cleanup", "-y", "other", "--into", "topic"]);
    other.in_dir(&dir).run().success();
    let cleanup = || world.flux(["cleanup", "-y", &id]).in_dir(&dir).run();
    let output = cleanup();
    output.code(1);
    paste(&world, &hints(&output)[1]).unwrap();
    cleanup().success().says(&expect![[r#"
        --- stderr
        merged 1 commit of 'feature/fix' into 'main' (<object>..<object>)
        removed 'fix': worktree, branch 'feature/fix' and session
        its commits stay in refs/flux/archive/fix/tip
        its files are kept in '$WORLD/dotfiles/flux/trash/fix'
        hint: to restore the task: git flux restore fix
        hint: to undo the merge, on 'main': git revert -m 1 <object>
    "#]]);
}

#[test]
fn cleanup_refuses_a_target_checked_out_in_two_worktrees() {
    let world = World::new();
    let id = done_task(&world);
    let other = second_worktree(&world);
    let said = format!(
        "the branch 'main' is checked out in '{}' and in '{}'",
        world.repo().display(),
        other.display()
    );
    refused_until_pasted(&world, &id, &said, "git -C ");
    assert_clean(&world, world.repo());
    assert_clean(&world, &other);
}

#[test]
fn cleanup_refuses_a_target_that_another_worktree_rebases_or_bisects() {
    for start in [
        // It stops at the commit that it is to edit.
        "GIT_SEQUENCE_EDITOR='sed -i 1s/^pick/edit/' git rebase -q -i --root",
        "git bisect start",
    ] {
        let world = World::new();
        let id = done_task(&world);
        let other = second_worktree(&world);
        let mut shell = world.command("/bin/sh");
        let shell = shell.args(["-c", start]).current_dir(&other);
        assert!(shell.output().unwrap().status.success(), "{start} succeeds");
        world.git_in(&other, ["checkout", "-q", "--detach"]);
        let said = format!("is in progress on 'main' in '{}'", other.display());
        refused(&world, &["cleanup", "-y", &id], &[&said, "git -C "]);
        world.git(["switch", "-q", "--detach"]);
        let run = ["run", "-q", "--name", "go", "--branch", "main", "Go"];
        refused(&world, &run, &[&said]);
        world.git(["switch", "-q", "--ignore-other-worktrees", "main"]);
        match start.contains("rebase") {
            true => world.git_in(&other, ["rebase", "--quit"]),
            false => world.git_in(&other, ["bisect", "reset", "HEAD"]),
        };
        world.git_in(&other, ["checkout", "-q", "--detach"]);
        world.flux(["cleanup", "-y", &id]).run().success();
        assert_clean(&world, world.repo());
    }
}

#[test]
fn cleanup_refuses_if_the_head_of_another_worktree_is_lost() {
    let world = World::new();
    let id = done_task(&world);
    world.git(["switch", "-q", "-c", "mine"]);
    let other = second_worktree(&world);
    let head = world.repo().join(".git/worktrees/second/HEAD");
    let text = fs::read(&head).unwrap();
    fs::write(&head, "").unwrap();
    let cleanup = ["cleanup", "-y", &id, "--into", "main"];
    let run = ["run", "-q", "--name", "go", "--branch", "main", "Go"];
    // git cannot look at such a worktree, nor can a snapshot.
    let refs = world.git(["for-each-ref"]);
    for args in [&cleanup[..], &run] {
        world.flux(args).run().code(1).says(&expect![[r#"
            --- stderr
            error: the HEAD of the worktree '$WORLD/second' names no branch or commit
            hint: to repair its HEAD: echo 'ref: refs/heads/<branch>' >'$WORLD/myapp/.git/worktrees/second/HEAD'
        "#]]);
        assert_eq!(world.git(["for-each-ref"]), refs);
    }
    assert!(!world.worktree("go").exists());
    let output = world.flux(cleanup).run();
    paste(&world, &hints(&output)[0].replace("<branch>", "main")).unwrap();
    assert_eq!(fs::read(&head).unwrap(), text);
    world.flux(cleanup).run().success();
    assert_clean(&world, &other);
    assert!(other.join("agent.txt").exists());
}

#[test]
fn cleanup_refuses_a_target_checked_out_in_a_pruned_worktree_of_a_task() {
    let world = World::new();
    let (id, kept) = (done_task(&world), done_task(&world));
    world.commit_in(world.worktree(&id), "more.txt", "1\n");
    let (path, away) = (world.worktree(&kept), world.root().join("away"));
    fs::rename(&path, &away).unwrap();
    world.git(["worktree", "prune"]);
    fs::rename(&away, &path).unwrap();
    let branch = format!("feature/{kept}");
    let cleanup = ["cleanup", "-y", &id, "--into", &branch, "--merge"];
    let said = format!(
        "the branch '{branch}' is checked out in '{}'",
        path.display()
    );
    refused(&world, &cleanup, &[&said, "git flux adopt "]);
    let run = ["run", "-q", "--name", "go", "--branch", &branch, "Go"];
    refused(&world, &run, &[&said]);
    let output = world.flux(cleanup).run();
    paste(&world, &hints(&output)[0]).unwrap();
    world.flux(cleanup).run().success();
    assert_clean(&world, &path);
    assert!(path.join("more.txt").exists());
}

#[test]
fn cleanup_treats_branch_names_that_are_one_file_as_one_branch() {
    let world = World::new();
    let id = done_task(&world);
    let refs = world.repo().join(".git/refs/heads");
    // As on a file system that folds case.
    fs::hard_link(refs.join("main"), refs.join("Main")).unwrap();
    let cleanup = ["cleanup", "-y", &id, "--into", "Main"];
    let said = "has the branch 'Main' checked out as 'refs/heads/main'";
    refused(&world, &cleanup, &[said]);
    let run = ["run", "-q", "--name", "go", "--branch", "Main", "Go"];
    refused(&world, &run, &[said]);
    let output = world.flux(cleanup).run();
    paste(&world, &hints(&output)[0]).unwrap();
    world.flux(cleanup).run().success();
    assert_clean(&world, world.repo());
    assert_eq!(world.read("agent.txt"), "one\n");
}
