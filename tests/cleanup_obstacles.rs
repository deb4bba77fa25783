//! Tests what a cleanup refuses before it stops the agent: operations in progress, locks, files in the way, a missing
//! worktree or branch.

use std::fs;
use std::path::Path;

use crate::world::removal::*;
use crate::world::*;

/// Puts something in the way of a task whose agent runs, and asserts that `cleanup -y` says `said`, with exit
/// code 1, and that everything, the agent too, is as it was.
#[track_caller]
fn refused(said: &[&str], obstacle: impl FnOnce(&World, &Path)) {
    refused_with(&["cleanup", "-y"], said, obstacle);
}

#[track_caller]
fn refused_with(args: &[&str], said: &[&str], obstacle: impl FnOnce(&World, &Path)) {
    let world = World::new();
    let id = working_task(&world);
    obstacle(&world, &world.worktree(&id));
    let before = world.snapshot();
    let output = world.flux(args.iter().copied().chain([&*id])).run();
    output
        .code(1)
        .stdout_is("")
        .stderr_has("hint: ")
        .has_not("panicked");
    for text in said {
        output.stderr_has(text);
    }
    world.assert_unchanged(&before);
    assert!(
        world.agent(&id).is_alive(),
        "the agent was stopped by a cleanup that was refused\n{output}"
    );
}

/// Shows that `refused` does not pass because every cleanup fails.
#[test]
fn cleanup_succeeds_without_an_obstacle() {
    let world = World::new();
    let id = working_task(&world);
    world.flux(["cleanup", "-y", &id]).run().success();
    assert_removed(&world, &id);
}

#[test]
fn cleanup_refuses_to_overwrite_an_uncommitted_change_in_the_target() {
    refused(
        &["'src/login.txt'", "'main'", "stash"],
        |world, worktree| {
            world.commit_in(worktree, "src/login.txt", "theirs\n");
            world.write("src/login.txt", "mine\n");
        },
    );
    refused(&["'src/login.txt'"], |world, worktree| {
        world.commit_in(worktree, "src/login.txt", "theirs\n");
        world.write("src/login.txt", "mine\n");
        world.git(["add", "-A"]);
    });
    // Also when the result is a real merge, of a target that has moved.
    refused(&["'src/login.txt'"], |world, worktree| {
        world.commit_in(worktree, "src/login.txt", "theirs\n");
        world.commit_in(world.repo(), "README.md", "moved\n");
        world.write("src/login.txt", "mine\n");
    });
}

#[test]
fn cleanup_keeps_uncommitted_changes_in_files_that_the_merge_leaves_alone() {
    let world = World::new();
    let id = working_task(&world);
    world.commit_in(world.repo(), "other.txt", "other\n");
    world.write("README.md", "unstaged\n");
    world.write("src/login.txt", "staged\n");
    world.git(["add", "src/login.txt"]);
    world.write("loose.txt", "untracked\n");
    let status = world.git(["status", "--porcelain"]);
    world.flux(["cleanup", "-y", &id]).run().success();
    assert_eq!(world.git(["status", "--porcelain"]), status);
    assert_eq!(world.read("README.md"), "unstaged\n");
    assert_eq!(world.read("agent.txt"), "one\n");
    assert_removed(&world, &id);
}

#[test]
fn cleanup_refuses_to_overwrite_an_untracked_file_in_the_target() {
    refused(&["'agent.txt'"], |world, _| {
        world.write("agent.txt", "mine\n");
    });
    refused(&["agent.txt"], |world, _| {
        world.write("agent.txt/below", "mine\n");
    });
    refused(&["dir"], |world, worktree| {
        world.commit_in(worktree, "dir/file", "theirs\n");
        world.write("dir", "mine\n");
    });
}

#[test]
fn cleanup_refuses_to_overwrite_an_ignored_file_in_the_target() {
    let add = |world: &World, worktree: &Path| {
        world.write(worktree.join("trace.log"), "theirs\n");
        world.git_in(worktree, ["add", "-f", "trace.log"]);
        world.git_in(worktree, ["commit", "-q", "-m", "Add a log"]);
        world.write("trace.log", "mine, and nowhere else\n");
    };
    refused(&["trace.log"], add);
    refused(&["trace.log"], |world, worktree| {
        add(world, worktree);
        world.commit_in(world.repo(), "README.md", "moved\n");
    });
}

#[test]
fn cleanup_refuses_if_an_operation_is_in_progress_in_the_target() {
    let conflicting = |world: &World| {
        world.git(["switch", "-q", "-c", "topic"]);
        world.commit_in(world.repo(), "src/login.txt", "topic\n");
        world.git(["switch", "-q", "main"]);
        world.commit_in(world.repo(), "src/login.txt", "main\n");
    };
    refused(&["merge", "in progress", "'main'"], |world, _| {
        conflicting(world);
        world.try_git(["merge", "topic"]).unwrap_err();
    });
    refused(&["cherry-pick", "in progress"], |world, _| {
        conflicting(world);
        world.try_git(["cherry-pick", "topic"]).unwrap_err();
    });
    refused(&["revert", "in progress"], |world, _| {
        conflicting(world);
        world.commit_in(world.repo(), "src/login.txt", "again\n");
        world.try_git(["revert", "HEAD~1"]).unwrap_err();
    });
    refused_with(&["cleanup", "-y", "--into=main"], &["main"], |world, _| {
        conflicting(world);
        world.try_git(["rebase", "topic"]).unwrap_err();
    });
    refused_with(&["cleanup", "-y", "--into=main"], &["main"], |world, _| {
        world.commit_in(world.repo(), "README.md", "two\n");
        world.commit_in(world.repo(), "README.md", "three\n");
        world.git(["bisect", "start", "HEAD", "HEAD~2"]);
    });
    refused(&["bisect", "main"], |world, _| {
        world.git(["bisect", "start"]);
    });
}

#[test]
fn cleanup_refuses_if_an_operation_is_in_progress_in_the_worktree() {
    let conflict = |world: &World, worktree: &Path| {
        world.commit_in(worktree, "src/login.txt", "theirs\n");
        world.commit_in(world.repo(), "src/login.txt", "ours\n");
    };
    let git = |world: &World, worktree: &Path, words: &[&str]| {
        let dir = worktree.to_str().unwrap();
        let args = ["-C", dir].into_iter().chain(words.iter().copied());
        world.try_git(args).unwrap_err();
    };
    refused(&["merge is in progress"], |world, worktree| {
        conflict(world, worktree);
        git(world, worktree, &["merge", "main"]);
    });
    refused(&["rebase is in progress"], |world, worktree| {
        conflict(world, worktree);
        git(world, worktree, &["rebase", "main"]);
    });
    refused(&["cherry-pick is in progress"], |world, worktree| {
        conflict(world, worktree);
        git(world, worktree, &["cherry-pick", "main"]);
    });
}

#[test]
fn cleanup_refuses_a_locked_worktree() {
    refused(
        &["is locked: on a stick", "git worktree unlock '"],
        |world, worktree| {
            lock(world, worktree, &["--reason", "on a stick"]);
        },
    );
    refused(
        &["is locked", "git worktree unlock '"],
        |world, worktree| {
            lock(world, worktree, &[]);
        },
    );
    // Also when its directory is not there: it may come back with its stick.
    refused(&["locked"], |world, worktree| {
        lock(world, worktree, &[]);
        fs::rename(worktree, world.root().join("away")).unwrap();
    });
}

/// Locks a task's worktree in place of its launcher.
fn lock(world: &World, worktree: &Path, reason: &[&str]) {
    world.git(["worktree", "unlock", worktree.to_str().unwrap()]);
    let args = ["worktree", "lock"].iter().chain(reason);
    world.git(args.copied().chain([worktree.to_str().unwrap()]));
}

#[test]
fn cleanup_refuses_a_worktree_on_another_branch_or_detached() {
    refused(
        &["does not have 'feature/fix-login-", "switch feature/"],
        |world, worktree| {
            world.git_in(worktree, ["switch", "-q", "--detach"]);
            world.commit_in(worktree, "agent.txt", "on no branch\n");
        },
    );
    refused(&["does not have 'feature/fix-login-"], |world, worktree| {
        world.git_in(worktree, ["switch", "-q", "-c", "other"]);
        world.commit_in(worktree, "agent.txt", "on another branch\n");
    });
}

#[test]
fn cleanup_refuses_a_directory_that_git_no_longer_knows_as_a_worktree() {
    refused(
        &["is no longer a worktree of this repository"],
        |world, worktree| {
            fs::rename(worktree, world.root().join("away")).unwrap();
            world.git(["worktree", "prune"]);
            world.write(worktree.join("other.txt"), "somebody else's\n");
        },
    );
}

/// Uncommitted changes in a missing directory are unknown, and consent to the merge is no consent to their loss.
#[test]
fn cleanup_refuses_if_the_worktree_is_gone_unless_discarded() {
    let world = World::new();
    let id = done_task(&world);
    let (worktree, away) = (world.worktree(&id), world.root().join("away"));
    world.write(worktree.join("staged.txt"), "staged\n");
    world.git_in(&worktree, ["add", "staged.txt"]);
    let before = world.snapshot();
    fs::rename(&worktree, &away).unwrap();
    let gone = world.snapshot();
    let output = world.flux(["cleanup", "-y", &id]).run();
    output
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: the worktree of 'fix-login-XXXXXX' is gone: '$WORLD/myapp-fix-login-XXXXXX'; it was moved to '$WORLD/away'
            hint: to move it back: mv '$WORLD/away' '$WORLD/myapp-fix-login-XXXXXX'
        "#]]);
    world.assert_unchanged(&gone);
    // It was only away: everything is as it was.
    fs::rename(&away, &worktree).unwrap();
    world.assert_unchanged(&before);
    fs::rename(&worktree, &away).unwrap();
    world.flux(["cleanup", "--discard", &id]).run().success();
    assert_eq!(world.read("agent.txt"), "one\n");
    assert_eq!(world.read(away.join("staged.txt")), "staged\n");
    fs::remove_dir_all(&away).unwrap();
    assert_removed(&world, &id);
}

#[test]
fn cleanup_refuses_a_nested_repository_unless_discarded() {
    let nested = |world: &World, worktree: &Path| {
        world.git_in(worktree, ["init", "-q", "inner"]);
        world.commit_in(worktree.join("inner"), "work.txt", "only here\n");
    };
    refused(&["1 uncommitted file"], nested);
    let commit = ["cleanup", "-y", "--commit"];
    refused_with(&commit, &["'inner/' is another repository"], nested);
    // One without a commit, and one that is ignored, are repositories too.
    refused(&["uncommitted"], |world, worktree| {
        world.git_in(worktree, ["init", "-q", "inner"]);
        world.write(worktree.join("inner/work.txt"), "only here\n");
    });
    let world = World::new();
    let id = done_task(&world);
    nested(&world, &world.worktree(&id));
    let head = world.git_in(world.worktree(&id).join("inner"), ["rev-parse", "HEAD"]);
    world.flux(["cleanup", "--discard", &id]).run().success();
    let kept = trash(&world, &id).join("inner");
    assert_eq!(world.git_in(kept, ["rev-parse", "HEAD"]), head);
    assert_removed(&world, &id);
}

#[test]
fn cleanup_refuses_if_the_branch_is_gone() {
    let world = World::new();
    let id = done_task(&world);
    let branch = format!("refs/heads/feature/{id}");
    world.git(["update-ref", "-d", &branch]);
    let before = world.snapshot();
    let output = world.flux(["cleanup", "-y", &id]).run();
    output
        .code(1)
        .stderr_has(&format!("git branch feature/{id} "))
        .says(&expect![[r#"
            --- stderr
            error: the branch 'feature/fix-login-XXXXXX' of 'fix-login-XXXXXX' is gone
            hint: to recreate its branch at the last known commit: git branch feature/fix-login-XXXXXX <object>
            hint: to remove the task: git flux cleanup fix-login-XXXXXX --discard --discard-branch
        "#]]);
    world.assert_unchanged(&before);
}

#[test]
fn cleanup_that_fails_leaves_a_missing_branch_missing() {
    let world = World::new();
    let id = done_task(&world);
    world.git(["update-ref", "-d", &format!("refs/heads/feature/{id}")]);
    let lock = format!(".git/refs/flux/tasks/{id}.lock");
    world.write(world.repo().join(&lock), "");
    let before = world.snapshot();
    let args = ["cleanup", "-y", "--discard", "--discard-branch", &id];
    let output = world.flux(args).run();
    let error = format!("could not remove '{id}': its record cannot be changed");
    output.code(1).stderr_has(&error);
    world.assert_unchanged(&before);
    std::fs::remove_file(world.repo().join(&lock)).unwrap();
    world.flux(args).run().success();
    assert_removed(&world, &id);
}

#[test]
fn cleanup_refuses_an_unknown_or_ambiguous_name() {
    let world = World::new();
    let (one, two) = (done_task(&world), done_task(&world));
    let before = world.snapshot();
    let output = world.flux(["cleanup", "fix"]).run();
    output
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: 'fix' is ambiguous
            hint: it could be: fix-login-XXXXXX, fix-login-XXXXXX
        "#]])
        .stderr_has(&one)
        .stderr_has(&two);
    world
        .flux(["cleanup", "nothing"])
        .run()
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: there is no task 'nothing'
            hint: the tasks are: fix-login-XXXXXX, fix-login-XXXXXX
        "#]]);
    // Off a terminal and outside every task's worktree nobody can be asked which.
    world.flux(["cleanup"]).run().code(2).says(&expect![[r#"
        --- stderr
        error: no task given, and not inside a task's worktree
        hint: git flux cleanup <task>
        hint: to see the tasks: git flux list
    "#]]);
    world.assert_unchanged(&before);
}

#[test]
fn cleanup_refuses_if_the_record_cannot_be_read() {
    let world = World::new();
    let id = done_task(&world);
    let blob = world.write("junk", "{\"version\": 99999");
    let blob = world.git(["hash-object", "-w", blob.to_str().unwrap()]);
    let tree = world.tools().join("tree");
    fs::write(&tree, format!("100644 blob {blob}\ttask.json\n")).unwrap();
    let made = world
        .command("git")
        .current_dir(world.repo())
        .args(["mktree"])
        .stdin(fs::File::open(tree).unwrap())
        .output()
        .unwrap();
    let made = String::from_utf8(made.stdout).unwrap();
    world.own_ref(&format!("refs/flux/tasks/{id}"), made.trim_end());
    let before = world.snapshot();
    let output = world.flux(["cleanup", "-y", &id]).run();
    output
        .code(1)
        .stderr_has(&format!("the record of '{id}' cannot be read"))
        .says(&expect![[r#"
            --- stderr
            error: the record of 'fix-login-XXXXXX' cannot be read: it is damaged: EOF while parsing an object at line 1 column 17
            hint: to look at the record: git cat-file -p refs/flux/tasks/fix-login-XXXXXX
            hint: to set it aside: git update-ref refs/flux/archive/fix-login-XXXXXX/task <object> && git update-ref -d refs/flux/tasks/fix-login-XXXXXX
        "#]]);
    world.assert_unchanged(&before);
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
fn cleanup_refuses_between_two_cherry_picks_of_a_sequence() {
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
            .stderr_has("hint: to see how to finish or abort it: git -C ");
        world.assert_unchanged(&before);
        assert!(world.agent(&id).is_alive());
        world.git_in(&dir, ["cherry-pick", "--continue"]);
        world.flux(["cleanup", "-y", &id]).run().success();
        assert_eq!(world.read("three.txt"), "three\n");
        assert_removed(&world, &id);
    }
}
