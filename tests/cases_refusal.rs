//! Tests that a cleanup that refuses, fails or is declined changes nothing.

use std::fs;

use crate::world::hooks::hook;
use crate::world::removal::*;
use crate::world::*;

#[test]
fn cleanup_refuses_a_locked_worktree_and_shows_the_reason() {
    let world = World::new();
    let id = working_task(&world);
    let worktree = world.worktree(&id);
    let path = worktree.to_str().unwrap();
    // In place of its launcher.
    world.git(["worktree", "unlock", path]);
    world.git(["worktree", "lock", "--reason", "backup until Monday", path]);
    let before = world.snapshot();
    for options in [
        &["-y"][..],
        &["-y", "--discard"],
        &["-y", "--discard-branch"],
    ] {
        let args = ["cleanup", &id].into_iter().chain(options.iter().copied());
        let output = world.flux(args).run();
        output.code(1).says(&expect![[r#"
            --- stderr
            error: the worktree '$WORLD/myapp-fix-login-XXXXXX' is locked: backup until Monday
            hint: git worktree unlock '$WORLD/myapp-fix-login-XXXXXX'
        "#]]);
        world.assert_unchanged(&before);
    }
    assert!(world.agent(&id).is_alive());
    world.git(["worktree", "unlock", path]);
    world.flux(["cleanup", "-y", &id]).run().success();
    assert_removed(&world, &id);
}
#[test]
fn cleanup_leaves_no_operation_in_progress_after_a_conflict() {
    let world = World::new();
    let id = working_task(&world);
    let worktree = world.worktree(&id);
    world.commit_in(&worktree, "src/login.txt", "theirs\n");
    world.commit_in(world.repo(), "src/login.txt", "ours\n");
    world.write("README.md", "unstaged\n");
    let before = world.snapshot();
    world
        .flux(["cleanup", "-y", &id])
        .run()
        .code(3)
        .says(&expect![[r#"
            --- stderr
            error: 'feature/fix-login-XXXXXX' and 'main' conflict in 'src/login.txt' (contents)
            hint: resolve it in the task's worktree: git -C '$WORLD/myapp-fix-login-XXXXXX' merge main
            hint: or have cleanup start the same merge, for the task's agent or you to resolve: git flux cleanup fix-login-XXXXXX --update
            hint: then: git flux cleanup fix-login-XXXXXX
        "#]]);
    world.assert_unchanged(&before);
    for dir in [&world.repo(), &worktree] {
        let says = world.git_in(dir, ["status"]);
        assert!(!says.contains("merg") && !says.contains("rebas"), "{says}");
        for name in [
            "MERGE_HEAD",
            "rebase-merge",
            "CHERRY_PICK_HEAD",
            "AUTO_MERGE",
        ] {
            let path = world.git_in(
                dir,
                ["rev-parse", "--path-format=absolute", "--git-path", name],
            );
            assert!(!fs::exists(&path).unwrap(), "{path}");
        }
    }
    assert_eq!(world.read("src/login.txt"), "ours\n");
    assert!(world.agent(&id).is_alive());
}
#[test]
fn cleanup_runs_hooks_and_signs_without_switching_the_branch_of_the_user() {
    let world = World::new();
    let id = done_task(&world);
    let hooks = world.repo().join(".git/hooks");
    let refusal = "[ -e ../allow ] || { echo no merges today >&2; exit 1; }";
    hook(
        &world,
        &hooks,
        "pre-merge-commit",
        &format!("cd '{}'; {refusal}", hooks.display()),
    );
    world.git(["switch", "-q", "-c", "topic"]);
    world.git(["config", "core.editor", "false"]);
    let before = world.snapshot();
    let output = world.flux(["cleanup", "--into=main", &id]).run();
    output.code(1).stderr_has("no merges today");
    world.assert_unchanged(&before);
    world.write(".git/allow", "");
    world.install(
        "fake-gpg",
        "#!/bin/sh\ncat >/dev/null\necho '[GNUPG:] SIG_CREATED ' >&2\necho SIGNED\n",
    );
    let gpg = world.tools().join("bin/fake-gpg");
    world.git(["config", "gpg.program", gpg.to_str().unwrap()]);
    world.git(["config", "commit.gpgSign", "true"]);
    world.flux(["cleanup", "--into=main", &id]).run().success();
    assert!(
        world
            .git(["cat-file", "-p", "main"])
            .contains("gpgsig SIGNED")
    );
    assert_eq!(world.git(["symbolic-ref", "--short", "HEAD"]), "topic");
    assert_eq!(world.git(["status", "--porcelain"]), "");
    assert_removed(&world, &id);
}
#[test]
fn cleanup_refuses_if_a_check_fails() {
    for (program, words) in [
        ("git", "status"),
        ("git", "worktree list"),
        ("git", "for-each-ref"),
        ("git", "merge-tree"),
        ("git", "commit-tree"),
        ("tmux", "list-panes"),
    ] {
        let world = World::new();
        let id = working_task(&world);
        world.commit_in(world.repo(), "README.md", "moved\n");
        let before = world.snapshot();
        world.fault(&Fault::every(program, words, Mode::Fail));
        let output = world.flux(["cleanup", "-y", &id]).run();
        assert!(world.fault_fired(), "{words} is not called\n{output}");
        assert_eq!(output.code, Some(1), "{words} failed\n{output}");
        output.stderr_has("error: ").has_not("panicked");
        world.clear_fault();
        world.assert_unchanged(&before);
        assert!(world.agent(&id).is_alive(), "{words}");
    }
}
#[test]
fn cleanup_refuses_if_the_index_or_the_run_directory_is_damaged() {
    let world = World::new();
    let id = working_task(&world);
    // An index that is damaged, and a launcher's mark that is.
    let index = world.git_in(world.worktree(&id), ["rev-parse", "--git-path", "index"]);
    let good = fs::read(&index).unwrap();
    fs::write(&index, "rubbish").unwrap();
    let output = world.flux(["cleanup", "-y", &id]).run();
    output.code(1).stderr_has("failed with exit code 128");
    assert!(world.agent(&id).is_alive());
    fs::write(&index, good).unwrap();
    let mark = world.repo().join(".git/flux/run").join(&id).join("running");
    let good = fs::read(&mark).unwrap();
    fs::write(&mark, "rubbish").unwrap();
    let before = world.snapshot();
    world
        .flux(["cleanup", "-y", &id])
        .run()
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: cannot tell whether the agent of 'fix-login-XXXXXX' is running
              caused by: cannot read the run directory of 'fix-login-XXXXXX'
              caused by: '$WORLD/myapp/.git/flux/run/fix-login-XXXXXX/running' cannot be read
              caused by: it is damaged
              caused by: expected value at line 1 column 1
            hint: to see the state of the task: git flux status fix-login-XXXXXX
            hint: to delete this file: rm -rf '$WORLD/myapp/.git/flux/run/fix-login-XXXXXX/running'
        "#]]);
    world.assert_unchanged(&before);
    assert!(world.agent(&id).is_alive());
    fs::write(&mark, good).unwrap();
    world.flux(["cleanup", "-y", &id]).run().success();
}
#[test]
fn cleanup_keeps_the_agent_running_when_it_refuses() {
    let world = World::new();
    let id = working_task(&world);
    world.write(world.worktree(&id).join("loose.txt"), "loose\n");
    let before = world.snapshot();
    let panes = world.tmux(["list-panes", "-a", "-F", "#{pane_pid}"]);
    world.flux(["cleanup", "-y", &id]).run().code(1);
    world.assert_unchanged(&before);
    assert_eq!(world.tmux(["list-panes", "-a", "-F", "#{pane_pid}"]), panes);
    world.agent(&id).tell("commit still at work");
}
#[test]
fn cleanup_refuses_to_overwrite_an_ignored_file_of_the_user() {
    for moved in [false, true] {
        let world = World::new();
        let id = working_task(&world);
        let worktree = world.worktree(&id);
        world.write(worktree.join(".env"), "theirs\n");
        world.git_in(&worktree, ["add", "-f", ".env"]);
        world.git_in(&worktree, ["commit", "-q", "-m", "Add .env"]);
        if moved {
            world.commit_in(world.repo(), "README.md", "moved\n");
        }
        world.write(".env", "mine, and nowhere else\n");
        let before = world.snapshot();
        world
            .flux(["cleanup", "-y", &id])
            .run()
            .code(1)
            .says(&expect![[r#"
                --- stderr
                error: the merge would overwrite '.env' in the worktree of 'main'
                hint: to see untracked and ignored files: git -C '$WORLD/myapp' status --ignored
                hint: commit, stash or move '.env', then: git flux cleanup fix-login-XXXXXX
            "#]]);
        world.assert_unchanged(&before);
        assert!(world.agent(&id).is_alive());
    }
}
#[test]
fn cleanup_exits_with_130_if_declined() {
    let world = World::new();
    let id = working_task(&world);
    let before = world.snapshot();
    for key in ["n", "Escape", "C-c"] {
        let terminal = world.terminal(100, 30);
        terminal.command(&format!("git flux cleanup {id}"));
        terminal.wait_for_screen("and remove");
        terminal.keys([key]);
        assert_eq!(terminal.exit_code(), 130, "{key}");
        world.assert_unchanged(&before);
    }
}

#[test]
fn cleanup_refuses_to_overwrite_a_file_created_during_the_merge() {
    let world = World::new();
    let id = done_task(&world);
    let worktree = world.worktree(&id);
    world.write(worktree.join(".env"), "theirs\n");
    world.git_in(&worktree, ["add", "-f", ".env"]);
    world.git_in(&worktree, ["commit", "-q", "-m", "Add .env"]);
    let main = commit(&world, "main");
    let mine = world.repo().join(".env");
    let appear = format!("echo mine >'{}'", mine.display());
    hook(
        &world,
        &world.repo().join(".git/hooks"),
        "commit-msg",
        &appear,
    );
    let output = world.flux(["cleanup", "-y", &id]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: the merge would overwrite '.env' in the worktree of 'main'
        hint: to see untracked and ignored files: git -C '$WORLD/myapp' status --ignored
        hint: commit, stash or move '.env', then: git flux cleanup fix-login-XXXXXX
    "#]]);
    assert_eq!(world.read(&mine), "mine\n");
    assert_eq!(commit(&world, "main"), main);
    assert!(worktree.join(".env").exists());
    std::fs::remove_file(mine).unwrap();
    world.flux(["cleanup", "-y", &id]).run().code(1);
    assert_eq!(commit(&world, "main"), main);
}
