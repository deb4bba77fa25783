//! Tests changes of the repository while a cleanup waits for an answer, a hook, the agent or another cleanup.

use std::fs;

use crate::world::hooks::{assert_hooked, once_in_hook};
use crate::world::removal::task_with_stop_handler;
use crate::world::removal::*;
use crate::world::*;

const REMOVE: &str = "and remove";

/// Switches the main worktree to another branch while the hooks of the merge run.
fn switch_in_hook(world: &World) {
    let switch = format!("git -C '{}' switch -q -c hotfix", world.repo().display());
    once_in_hook(world, "commit-msg", "true", &switch);
}

/// Asserts that the work of a task with this tip went to `main` alone, though `hotfix` is checked out.
#[track_caller]
fn assert_only_main_moved(world: &World, main: &str, tip: &str) {
    assert_merge_of(world, main, tip);
    assert_eq!(commit(world, "hotfix"), main);
    assert_eq!(world.git(["symbolic-ref", "HEAD"]), "refs/heads/hotfix");
    assert_eq!(world.git(["status", "--porcelain"]), "");
    assert!(!world.repo().join("agent.txt").exists());
}

#[test]
fn cleanup_asks_again_if_the_target_worktree_is_switched_during_the_question() {
    let world = World::new();
    let id = done_task(&world);
    let (main, tip) = (commit(&world, "main"), tip(&world, &id));
    for answer in ["n", "y"] {
        let terminal = world.terminal(150, 40);
        world.git(["switch", "-q", "main"]);
        terminal.command(&format!("git flux cleanup {id}"));
        terminal.wait_for_screen(REMOVE);
        world.git(["switch", "-q", "-C", "hotfix"]);
        let before = world.snapshot();
        terminal.keys(["y"]);
        // What was agreed to was another thing.
        terminal.wait_for_screen("into 'main' (you are on 'hotfix'; untested)");
        world.assert_unchanged(&before);
        terminal.keys([answer]);
        if answer == "n" {
            assert_eq!(terminal.exit_code(), 130);
            world.assert_unchanged(&before);
        } else {
            assert_eq!(terminal.exit_code(), 0, "{}", terminal.screen());
        }
    }
    assert_only_main_moved(&world, &main, &tip);
    assert_removed(&world, &id);
}

#[test]
fn restore_brings_back_settings_changed_during_the_question_of_cleanup() {
    let world = World::new();
    let id = done_task(&world);
    let terminal = world.terminal(150, 40);
    terminal.command(&format!("git flux cleanup {id}"));
    terminal.wait_for_screen(REMOVE);
    let key = format!("branch.feature/{id}.description");
    world.git(["config", &key, "Described anew"]);
    terminal.keys(["y"]);
    assert_eq!(terminal.exit_code(), 0, "{}", terminal.screen());
    world.flux(["restore", &id]).run().success();
    assert_eq!(world.git(["config", &key]), "Described anew");
}

#[test]
fn cleanup_refuses_if_a_hook_switches_the_target_worktree() {
    let world = World::new();
    let id = done_task(&world);
    switch_in_hook(&world);
    let before = world.snapshot();
    let output = world.flux(["cleanup", &id]).run();
    output.code(2).says(&expect![[r#"
        --- stderr
        'fix-login-XXXXXX' or its target has changed; planning again
        error: 'fix-login-XXXXXX' would be merged into 'main', but you are on 'hotfix'
        hint: to merge it into 'main': git flux cleanup fix-login-XXXXXX --into main
    "#]]);
    assert_hooked(&world);
    world.git(["switch", "-q", "main"]);
    world.git(["branch", "-q", "-d", "hotfix"]);
    world.assert_unchanged(&before);
}

#[test]
fn cleanup_into_merges_if_a_hook_switches_the_target_worktree() {
    let world = World::new();
    let id = done_task(&world);
    switch_in_hook(&world);
    let (main, tip) = (commit(&world, "main"), tip(&world, &id));
    world
        .flux(["cleanup", "--into", "main", &id])
        .run()
        .success();
    assert_hooked(&world);
    assert_only_main_moved(&world, &main, &tip);
    assert_removed(&world, &id);
}

#[test]
fn cleanup_into_merges_if_the_stopping_agent_switches_the_target_worktree() {
    let world = World::new();
    let id = task_with_stop_handler(&world, "git -C ../myapp switch -q -c hotfix");
    let (main, tip) = (commit(&world, "main"), tip(&world, &id));
    world
        .flux(["cleanup", "-y", "--into", "main", &id])
        .run()
        .success();
    assert_only_main_moved(&world, &main, &tip);
    assert_removed(&world, &id);
}

#[test]
fn cleanup_merges_if_the_target_worktree_is_switched_just_before_the_merge() {
    let world = World::new();
    let id = done_task(&world);
    let (main, tip) = (commit(&world, "main"), tip(&world, &id));
    // Between the last look and the merge itself, which git makes in whatever is checked out.
    let script = format!(
        "#!/bin/sh\nset -e\ncase \" $* \" in *' merge --quiet --ff-only '*) '{git}' -C '{repo}' switch -q -c hotfix ;; esac\n\
         exec '{git}' \"$@\"\n",
        git = require("git").display(),
        repo = world.repo().display(),
    );
    world.install("git", &script);
    world
        .flux(["cleanup", "--into", "main", &id])
        .run()
        .success();
    world.uninstall("git");
    assert_eq!(world.git(["symbolic-ref", "HEAD"]), "refs/heads/hotfix");
    assert_merge_of(&world, &main, &tip);
    assert_removed(&world, &id);
}

#[test]
fn cleanup_merges_a_commit_made_while_the_removal_is_recorded() {
    let world = World::new();
    let id = done_task(&world);
    let worktree = world.worktree(&id);
    // After the last look at the branch, and before the record says that the task goes.
    let script = format!(
        "#!/bin/sh\nset -e\ncase \" $* \" in *' update-ref '*' is removing '*)\n\
         if [ ! -e '{mark}' ]; then : >'{mark}'; ( cd '{worktree}'; exec </dev/null >/dev/null; \
         echo late >late; '{git}' add late; '{git}' commit -q -m Late ); fi ;; esac\n\
         exec '{git}' \"$@\"\n",
        git = require("git").display(),
        mark = world.tools().join("late").display(),
        worktree = worktree.display(),
    );
    world.install("git", &script);
    world.flux(["cleanup", &id]).run().success();
    world.uninstall("git");
    assert!(world.tools().join("late").exists(), "nothing was in time");
    assert_eq!(world.git(["show", "main:late"]), "late");
    assert_removed(&world, &id);
}

#[test]
fn cleanup_refuses_if_a_hook_commits_on_a_detached_head() {
    let world = World::new();
    let id = done_task(&world);
    let worktree = world.worktree(&id);
    let detach = format!(
        "cd '{}'; git checkout -q --detach; git commit -q --allow-empty -m Detached",
        worktree.display()
    );
    once_in_hook(&world, "commit-msg", "true", &detach);
    let before = world.snapshot();
    let output = world.flux(["cleanup", &id]).run();
    output
        .code(1)
        .says(&expect![[r#"
            --- stderr
            'fix-login-XXXXXX' or its target has changed; planning again
            error: '$WORLD/myapp-fix-login-XXXXXX' does not have 'feature/fix-login-XXXXXX' checked out
            hint: git -C '$WORLD/myapp-fix-login-XXXXXX' switch feature/fix-login-XXXXXX
        "#]]);
    assert_hooked(&world);
    let subject = world.git_in(&worktree, ["log", "-1", "--format=%s"]);
    assert_eq!(subject, "Detached");
    world.git_in(&worktree, ["switch", "-q", &format!("feature/{id}")]);
    world.assert_unchanged(&before);
}

#[test]
fn cleanup_refuses_a_commit_on_a_detached_head_made_during_the_question() {
    let world = World::new();
    let id = done_task(&world);
    let worktree = world.worktree(&id);
    let terminal = world.terminal(150, 40);
    terminal.command(&format!("git flux cleanup {id}"));
    terminal.wait_for_screen(REMOVE);
    world.git_in(&worktree, ["checkout", "-q", "--detach"]);
    let work = world.commit_in(&worktree, "detached.txt", "detached\n");
    let before = world.snapshot();
    terminal.keys(["y"]);
    assert_eq!(terminal.exit_code(), 1, "{}", terminal.screen());
    terminal.wait_for_screen(&format!("does not have 'feature/{id}' checked out"));
    world.assert_unchanged(&before);
    assert_eq!(world.git_in(&worktree, ["rev-parse", "HEAD"]), work);
}

#[test]
fn cleanup_refuses_an_uncommitted_file_that_a_hook_writes() {
    let world = World::new();
    let id = done_task(&world);
    let late = world.worktree(&id).join("late.txt");
    let write = format!("echo late >'{}'", late.display());
    once_in_hook(&world, "commit-msg", "true", &write);
    let before = world.snapshot();
    let output = world.flux(["cleanup", &id]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        'fix-login-XXXXXX' or its target has changed; planning again
        error: 'fix-login-XXXXXX' has 1 uncommitted file
        hint: to commit and merge: git flux cleanup fix-login-XXXXXX --commit
        hint: to merge only what is committed: git flux cleanup fix-login-XXXXXX --discard
    "#]]);
    assert_hooked(&world);
    fs::remove_file(late).unwrap();
    world.assert_unchanged(&before);
}

#[test]
fn cleanup_asks_about_an_uncommitted_file_written_during_the_question() {
    let world = World::new();
    let id = done_task(&world);
    let terminal = world.terminal(150, 40);
    terminal.command(&format!("git flux cleanup {id}"));
    terminal.wait_for_screen(REMOVE);
    world.write(world.worktree(&id).join("late.txt"), "late\n");
    let before = world.snapshot();
    terminal.keys(["y"]);
    let screen = terminal.wait_for_screen("What should happen to them?");
    assert!(screen.contains("?? late.txt"), "{screen}");
    terminal.keys(["C-c"]);
    assert_eq!(terminal.exit_code(), 130);
    world.assert_unchanged(&before);
}

#[test]
fn cleanup_reports_a_task_that_another_cleanup_removed_while_it_waited() {
    let world = World::new();
    let id = done_task(&world);
    let (first, second) = (world.terminal(150, 40), world.terminal(150, 40));
    first.command(&format!("git flux cleanup {id}"));
    first.wait_for_screen(REMOVE);
    second.command(&format!("git flux cleanup -y {id}"));
    second.wait_for_screen("waiting for another git flux");
    first.keys(["y"]);
    assert_eq!(first.exit_code(), 0);
    assert_eq!(second.exit_code(), 1);
    let screen = second.screen();
    assert!(
        screen.contains(&format!("there is no task '{id}'")) && !screen.contains("repair"),
        "{screen}"
    );
    // Not even its lock is left.
    assert_removed(&world, &id);
}

#[test]
fn cleanup_sees_a_commit_made_while_it_waited_for_another_cleanup() {
    let world = World::new();
    let id = done_task(&world);
    let (first, second) = (world.terminal(150, 40), world.terminal(150, 40));
    first.command(&format!("git flux cleanup {id}"));
    first.wait_for_screen(REMOVE);
    second.command(&format!("git flux cleanup {id}"));
    second.wait_for_screen("waiting for another git flux");
    world.commit_in(world.worktree(&id), "more.txt", "more\n");
    first.keys(["n"]);
    assert_eq!(first.exit_code(), 130);
    second.wait_for_screen("Merge 2 commits");
    second.keys(["y"]);
    assert_eq!(second.exit_code(), 0);
    assert_eq!(world.read("more.txt"), "more\n");
    assert_removed(&world, &id);
}

#[test]
fn attach_opens_no_session_for_a_task_removed_during_its_question() {
    let world = World::new();
    let id = done_task(&world);
    world.kill_tmux();
    let terminal = world.terminal(150, 40);
    terminal.command(&format!("git flux attach {id}"));
    terminal.wait_for_screen("Open a new session in its worktree?");
    world.flux(["cleanup", &id]).run().success();
    let before = world.snapshot();
    terminal.keys(["y"]);
    assert_eq!(terminal.exit_code(), 1, "{}", terminal.screen());
    terminal.wait_for_screen(&format!("there is no task '{id}'"));
    world.assert_unchanged(&before);
    assert_eq!(world.try_tmux(["list-sessions"]), None);
    assert_removed(&world, &id);
}

#[test]
fn cleanup_keeps_files_staged_while_a_hook_refused_the_commit() {
    let world = World::new();
    let id = done_task(&world);
    let worktree = world.worktree(&id);
    world.write(worktree.join("README.md"), "changed\n");
    let stage = format!(
        "cd '{0}'; echo staged >src/login.txt; git add src/login.txt; echo later >src/login.txt; exit 1",
        worktree.display()
    );
    // After git has read the index, as an editor or the agent would.
    once_in_hook(&world, "pre-commit", "true", &stage);
    let output = world.flux(["cleanup", "--commit", &id]).run();
    output.code(1);
    assert_hooked(&world);
    assert_eq!(
        world.git_in(&worktree, ["show", ":src/login.txt"]),
        "staged"
    );
}
