//! Tests merges despite settings, hooks and other commands, and removals that cannot be completed at once.

use std::fs;

use crate::world::hooks::{assert_hooked, once_in_hook};
use crate::world::removal::*;
use crate::world::*;

#[test]
fn cleanup_ignores_merge_options_of_the_target_branch() {
    for options in ["--squash", "--no-commit", "--no-ff --squash", "--autostash"] {
        let world = World::new();
        world.git(["config", "branch.main.mergeOptions", options]);
        let id = done_task(&world);
        let (main, tip) = (commit(&world, "main"), tip(&world, &id));
        world.flux(["cleanup", &id]).run().success();
        assert_merge_of(&world, &main, &tip);
        assert_eq!(world.git(["status", "--porcelain"]), "");
        assert_eq!(world.read("agent.txt"), "one\n");
        assert_removed(&world, &id);
    }
}

#[test]
fn cleanup_lets_a_hook_start_a_task() {
    let world = World::new();
    let id = done_task(&world);
    let run = format!(
        "cd '{}'; git-flux run -q --name other Do",
        world.repo().display()
    );
    once_in_hook(&world, "commit-msg", "true", &run);
    world.flux(["cleanup", &id]).run().success();
    assert_hooked(&world);
    assert_removed(&world, &id);
    world.agent("other").wait_started();
    let list = world.flux(["list", "--json"]).run().json();
    assert_eq!(list[0]["id"], "other");
}

#[test]
fn cleanup_does_not_block_other_commands_while_a_hook_runs() {
    let world = World::new();
    let (one, two) = (done_task(&world), done_task(&world));
    // The hook of the first merge ends only when the second is removed.
    let gone = format!(
        "cd '{}'; git-flux cleanup --discard-branch {two}; git-flux run -q --name third Do",
        world.repo().display()
    );
    once_in_hook(&world, "commit-msg", "true", &gone);
    world.flux(["cleanup", &one]).run().success();
    assert_removed(&world, &one);
    assert_removed(&world, &two);
}

#[test]
fn cleanup_reports_what_is_done_if_a_hook_refuses_to_record_the_removal() {
    let world = World::new();
    let id = done_task(&world);
    let (main, tip) = (commit(&world, "main"), tip(&world, &id));
    let refuse = "#!/bin/sh\n[ \"$1\" != prepared ] || ! grep -q refs/flux/tasks/ || { echo 'not today' >&2; exit 1; }\n";
    let hook = ".git/hooks/reference-transaction";
    world.write(hook, refuse);
    let executable = world
        .command("chmod")
        .args(["+x"])
        .arg(world.repo().join(hook))
        .status();
    assert!(executable.unwrap().success());
    let output = world.flux(["cleanup", &id]).run();
    output
        .code(1)
        .stderr_has(&format!("could not remove '{id}': it is merged, but"))
        .stderr_has("the task is intact")
        .stderr_has("not today")
        .stderr_has(&format!("hint: git flux cleanup {id}"));
    assert_merge_of(&world, &main, &tip);
    assert!(world.worktree(&id).join("agent.txt").exists());
    // It is merged once, whatever is tried.
    let before = world.snapshot();
    world
        .flux(["cleanup", &id])
        .run()
        .code(1)
        .has_not("it is merged, but");
    world.assert_unchanged(&before);
    fs::remove_file(world.repo().join(hook)).unwrap();
    world.flux(["cleanup", &id]).run().success();
    assert_merge_of(&world, &main, &tip);
    assert_removed(&world, &id);
}

#[test]
fn cleanup_names_the_nested_repository_that_it_cannot_commit() {
    let world = World::new();
    let id = done_task(&world);
    // Tracked as a link to a repository, whose own changes no commit here can take up.
    let worktree = world.worktree(&id);
    world.git_in(&worktree, ["init", "-q", "inner"]);
    world.commit_in(worktree.join("inner"), "work.txt", "one\n");
    world.git_in(&worktree, ["add", "inner"]);
    world.git_in(&worktree, ["commit", "-q", "-m", "Link"]);
    world.write(worktree.join("inner/work.txt"), "changed\n");
    let before = world.snapshot();
    let output = world.flux(["cleanup", "--commit", &id]).run();
    output.code(1).stderr_has("inner");
    world.assert_unchanged(&before);
}

#[test]
fn cleanup_keeps_a_directory_recreated_after_a_killed_removal() {
    let world = World::new();
    let id = done_task(&world);
    let worktree = world.worktree(&id);
    world.write(worktree.join(".env"), "SECRET\n");
    world.fault(&Fault::every("git", "--remove-section", Mode::KillBefore));
    world.flux(["cleanup", &id]).run().killed();
    world.wait_fault_over();
    world.clear_fault();
    assert!(!worktree.exists());
    // A server that still runs writes its log.
    let log = world.write(worktree.join("server.log"), "up\n");
    let output = world.flux(["cleanup", "--all"]).run();
    output
        .success()
        .says(&expect![[r#"
            --- stderr
            the removal of 'fix-login-XXXXXX' was interrupted; it is removed now, with its branch 'feature/fix-login-XXXXXX'
            nothing to clean up
        "#]]);
    assert_eq!(world.read(&log), "up\n");
    assert_eq!(world.read(trash(&world, &id).join(".env")), "SECRET\n");
    fs::remove_dir_all(&worktree).unwrap();
    assert_removed(&world, &id);
}
