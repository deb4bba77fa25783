//! Tests changes of the repository just before `git flux cleanup` or `git flux land` starts a merge that conflicts.

use std::path::{Path, PathBuf};

use crate::land::{done, file};
use crate::world::*;

const WHERE: &str = "Where do you want to resolve the conflict?";
const TELL: &str = "Tell the running agent";

/// Makes the task `fix-login-…` with a running agent, which conflicts with main; each has added another file besides.
fn conflicting_agent(world: &World) -> String {
    world.behaviour("wait");
    let id = world.start("Fix login");
    let worktree = world.worktree(&id);
    world.commit_in(&worktree, "agent.txt", "the task's\n");
    world.commit_in(&worktree, "of-task.txt", "the task's\n");
    world.commit_in(world.repo(), "agent.txt", "main's\n");
    world.commit_in(world.repo(), "of-main.txt", "main's\n");
    id
}

/// Writes a file with this name, which git ignores in every worktree.
fn write_ignored(world: &World, dir: &Path, name: &str) -> PathBuf {
    let exclude = world.repo().join(".git/info/exclude");
    let rules = world.read(&exclude) + "/" + name + "\n";
    world.write(&exclude, rules);
    world.write(dir.join(name), "mine\n")
}

/// Starts a cleanup that is to merge in the task's worktree, up to the last question.
fn ask_to_tell<'a>(world: &'a World, id: &str) -> Terminal<'a> {
    let terminal = world.terminal(150, 40);
    terminal.command(&format!("git flux cleanup {id}"));
    terminal.wait_for_screen(WHERE);
    terminal.keys(["Enter"]);
    terminal.wait_for_screen(TELL);
    terminal
}

fn wait_for_question_again(terminal: &Terminal, id: &str) {
    let changed = format!("'{id}' or its target has changed; planning again");
    terminal.wait_for_visible("the question after the change", |screen| {
        let again = screen.split_once(&changed);
        again.is_some_and(|(_, after)| after.contains(WHERE))
    });
}

#[test]
fn cleanup_starts_no_merge_on_a_branch_that_is_switched_to_during_the_question() {
    let world = World::new();
    let id = conflicting_agent(&world);
    let terminal = ask_to_tell(&world, &id);
    world.git_in(world.worktree(&id), ["switch", "-q", "-c", "mine"]);
    let before = world.snapshot();
    terminal.keys(["n"]);
    assert_eq!(terminal.exit_code(), 1, "{}", terminal.screen());
    terminal.wait_for_screen(&format!("'{id}' or its target has changed; planning again"));
    terminal.wait_for_screen(&format!("does not have 'feature/{id}' checked out"));
    world.assert_unchanged(&before);
}

#[test]
fn cleanup_starts_no_merge_over_an_ignored_file_that_is_written_during_the_question() {
    let world = World::new();
    let id = conflicting_agent(&world);
    let terminal = ask_to_tell(&world, &id);
    let mine = write_ignored(&world, &world.worktree(&id), "of-main.txt");
    let before = world.snapshot();
    terminal.keys(["n"]);
    assert_eq!(terminal.exit_code(), 1, "{}", terminal.screen());
    terminal
        .wait_for_screen("error: merging 'main' would overwrite 'of-main.txt' in the worktree of");
    world.assert_unchanged(&before);
    assert_eq!(world.read(mine), "mine\n");
}

#[test]
fn cleanup_starts_no_merge_over_an_ignored_file_that_the_target_gets_during_the_question() {
    let world = World::new();
    let id = conflicting_agent(&world);
    let mine = write_ignored(&world, &world.worktree(&id), "late.txt");
    let terminal = ask_to_tell(&world, &id);
    world.write("late.txt", "main's\n");
    world.git(["add", "-f", "late.txt"]);
    world.git(["commit", "-q", "-m", "Late"]);
    let before = world.snapshot();
    terminal.keys(["n"]);
    assert_eq!(terminal.exit_code(), 1, "{}", terminal.screen());
    terminal.wait_for_screen("error: merging 'main' would overwrite 'late.txt' in the worktree of");
    world.assert_unchanged(&before);
    assert_eq!(world.read(mine), "mine\n");
}

#[test]
fn cleanup_starts_no_merge_of_a_target_that_is_reset_during_the_question() {
    let world = World::new();
    let id = conflicting_agent(&world);
    let terminal = ask_to_tell(&world, &id);
    world.git(["reset", "-q", "--hard", "HEAD^"]);
    let before = world.snapshot();
    terminal.keys(["n"]);
    wait_for_question_again(&terminal, &id);
    terminal.keys(["C-c"]);
    assert_eq!(terminal.exit_code(), 130, "{}", terminal.screen());
    world.assert_unchanged(&before);
}

#[test]
fn cleanup_merges_beside_files_that_the_agent_writes_during_the_question() {
    let world = World::new();
    let id = conflicting_agent(&world);
    let terminal = ask_to_tell(&world, &id);
    let notes = world.write(world.worktree(&id).join("notes"), "note\n");
    terminal.keys(["n"]);
    assert_eq!(terminal.exit_code(), 3, "{}", terminal.screen());
    let unmerged = ["diff", "--name-only", "--diff-filter=U"];
    assert_eq!(world.git_in(world.worktree(&id), unmerged), "agent.txt");
    assert_eq!(world.read(notes), "note\n");
}

#[test]
fn cleanup_starts_no_merge_in_the_target_worktree_if_it_is_switched_during_the_question() {
    let world = World::new();
    let id = conflicting_agent(&world);
    let terminal = world.terminal(150, 40);
    terminal.command(&format!("git flux cleanup {id}"));
    terminal.wait_for_screen(WHERE);
    world.git(["switch", "-q", "-c", "wip"]);
    let before = world.snapshot();
    terminal.keys(["Down", "Enter"]);
    wait_for_question_again(&terminal, &id);
    terminal.keys(["C-c"]);
    assert_eq!(terminal.exit_code(), 130, "{}", terminal.screen());
    world.assert_unchanged(&before);
}

#[test]
fn cleanup_starts_no_merge_over_an_ignored_file_in_the_target_worktree() {
    let world = World::new();
    let id = conflicting_agent(&world);
    let mine = write_ignored(&world, &world.repo(), "of-task.txt");
    let before = world.snapshot();
    let terminal = world.terminal(150, 40);
    terminal.command(&format!("git flux cleanup {id}"));
    terminal.wait_for_screen(WHERE);
    terminal.keys(["Down", "Enter"]);
    assert_eq!(terminal.exit_code(), 1, "{}", terminal.screen());
    terminal.wait_for_screen("error: the merge would overwrite 'of-task.txt' in the worktree of");
    world.assert_unchanged(&before);
    assert_eq!(world.read(mine), "mine\n");
}

#[test]
fn land_starts_no_merge_on_a_branch_that_is_switched_to_in_the_last_moment() {
    let world = World::new();
    done(&world, &["alpha"]);
    world.commit_in(world.repo(), &file("alpha"), "main's\n");
    let worktree = world.worktree("alpha");
    // When the rounds are read, after the last plan.
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in *' for-each-ref '*' refs/flux/tasks/alpha '*) '{git}' -C '{worktree}' switch -q -c mine </dev/null >/dev/null ;; esac\n\
         exec '{git}' \"$@\"\n",
        git = require("git").display(),
        worktree = worktree.display(),
    );
    world.install("git", &script);
    let output = world.flux(["land", "alpha", "-y"]).run();
    world.uninstall("git");
    output.code(3).says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        alpha     main    send back to its agent: 'feature/alpha' and 'main' conflict in 'ALPHA.txt' (contents)
        'alpha' did not land: it conflicts with its target branch
        warning: it was not sent back to its agent: 'alpha' or 'main' has changed meanwhile
        error: no task has landed
    "#]]);
    assert_eq!(
        world.git_in(&worktree, ["symbolic-ref", "HEAD"]),
        "refs/heads/mine"
    );
    assert_eq!(world.git_in(&worktree, ["status", "--porcelain"]), "");
}

#[test]
fn land_starts_no_merge_over_an_ignored_file_that_a_task_before_has_landed() {
    let world = World::new();
    done(&world, &["alpha", "beta"]);
    for id in ["alpha", "beta"] {
        world.commit_in(world.worktree(id), "both.txt", &format!("{id}'s\n"));
    }
    let beta = world.worktree("beta");
    let mine = write_ignored(&world, &beta, &file("alpha"));
    let output = world.flux(["land", "alpha", "beta", "-y"]).run();
    output.code(3).says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        alpha     main    merge 2 commits
        beta      main    merge 2 commits
        landed alpha (untested)
        'beta' did not land: it conflicts with its target branch
        warning: it was not sent back to its agent: merging 'main' would overwrite 'ALPHA.txt' in the worktree of 'feature/beta'
        hint: to see untracked and ignored files: git -C '$WORLD/myapp-beta' status --ignored
        hint: commit, stash or move 'ALPHA.txt', then: git flux land beta
        hint: to undo the landing on 'main': git reset --keep <object>
        hint: or, if 'main' has newer commits: git revert --no-edit -m 1 <object>
        error: not every task has landed
    "#]]);
    assert_eq!(world.read(mine), "mine\n");
    assert_eq!(world.git_in(&beta, ["status", "--porcelain"]), "");
}
