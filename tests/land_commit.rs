//! Tests `git flux land --commit` when files change after the plan was shown.

use std::fs::File;

use crate::land::{done, tasks};
use crate::world::removal::*;
use crate::world::reports::hook;
use crate::world::*;

/// Makes a file of this size in the worktree of `alpha`; it takes no space.
fn grow(world: &World, size: u64) {
    let file = File::create(world.worktree("alpha").join("data.bin")).unwrap();
    file.set_len(size).unwrap();
}

/// Lands `alpha` with its uncommitted file, with a change while the question is open. Asserts that nothing is committed
/// or landed, and returns the screen.
#[track_caller]
fn change_during_the_question(change: impl FnOnce(&World)) -> String {
    let world = World::new();
    done(&world, &["alpha"]);
    grow(&world, 10);
    let terminal = world.terminal(150, 40);
    terminal.command("git flux land alpha --commit");
    terminal.wait_for_screen("Land 1 task?");
    change(&world);
    let before = world.snapshot();
    terminal.keys(["y"]);
    assert_eq!(terminal.exit_code(), 1, "{}", terminal.screen());
    world.assert_unchanged(&before);
    let json = world.flux(["land", "alpha", "-n", "--json"]).run().json();
    assert_eq!(json[0]["result"], "refused", "{json}");
    terminal.screen()
}

#[test]
fn land_commits_nothing_if_a_file_is_written_during_the_question() {
    let write = |world: &World| drop(world.write(world.worktree("alpha").join("late"), "late\n"));
    let screen = change_during_the_question(write);
    assert!(screen.contains("error: 'alpha' has changed"), "{screen}");
}

#[test]
fn land_commits_nothing_on_a_branch_that_is_switched_to_during_the_question() {
    let switch = |world: &World| {
        drop(world.git_in(world.worktree("alpha"), ["switch", "-q", "-c", "mine"]));
    };
    let screen = change_during_the_question(switch);
    assert!(screen.contains("error: 'alpha' has changed"), "{screen}");
}

#[test]
fn land_commits_no_file_that_becomes_large_during_the_question() {
    let screen = change_during_the_question(|world| grow(world, (100 << 20) + 1));
    let refusal = "error: 'alpha': 'data.bin' has 100.00 MiB and would be committed";
    assert!(screen.contains(refusal), "{screen}");
}

#[test]
fn land_commits_nothing_under_an_agent_that_works_on_a_conflicting_task() {
    let world = World::new();
    let id = working_task(&world);
    world.git_in(world.worktree(&id), ["reset", "-q", "--hard", "main"]);
    world.commit_in(world.worktree(&id), "shared", "the task's\n");
    world.write(world.worktree(&id).join("half"), "done\n");
    world.commit_in(world.repo(), "shared", "main's\n");
    let session = r#"{"session_id":"one"}"#;
    hook(&world, &id, "SessionStart", session);
    hook(&world, &id, "UserPromptSubmit", session);
    let before = world.snapshot();
    let output = world.flux(["land", "-y", "--commit", &id]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        TASK              TARGET  PLAN
        fix-login-XXXXXX  main    commit 1 file, send back to its agent: 'feature/fix-login-XXXXXX' and 'main' conflict in 'shared' (contents)
        error: the agent of 'fix-login-XXXXXX' is working, so its files were not committed
        hint: to wait for it: git flux wait fix-login-XXXXXX
        error: no task has landed
    "#]]);
    world.assert_unchanged(&before);
}

#[test]
fn land_with_keep_commits_no_large_file() {
    let world = World::new();
    done(&world, &["alpha", "beta"]);
    grow(&world, (100 << 20) + 1);
    let main = commit(&world, "main");
    let before = world.snapshot();
    let output = world
        .flux(["land", "alpha", "--keep", "--commit", "-y"])
        .run();
    output.code(1).says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        alpha     main    refused: 'data.bin' has 100.00 MiB and would be committed
        error: 'alpha': 'data.bin' has 100.00 MiB and would be committed
        hint: move such files, or add them to .gitignore, then: git flux land alpha --commit --keep
        error: no task has landed
    "#]]);
    world.assert_unchanged(&before);
    // A trial stores nothing.
    let output = world.flux(["land", "alpha", "--check"]).run();
    output.success().stderr_has("no conflicts: alpha");
    assert_eq!(commit(&world, "main"), main);
    assert_eq!(tasks(&world), ["alpha", "beta"]);
}

#[test]
fn land_lands_the_others_if_a_task_changes_before_its_commit() {
    let world = World::new();
    done(&world, &["alpha", "beta"]);
    for name in ["alpha", "beta"] {
        world.write(world.worktree(name).join(name), "more\n");
    }
    // While the other one is committed.
    let late = world.worktree("beta").join("late");
    let write = format!("echo late >'{}'", late.display());
    crate::world::hooks::once_in_hook(&world, "pre-commit", "true", &write);
    let output = world.flux(["land", "--all", "--commit", "-y"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        alpha     main    commit 1 file, merge 2 commits
        beta      main    commit 1 file, merge 2 commits
        committed 1 file on 'feature/alpha'
        error: 'beta' has changed since the plan was made
        hint: to see the state of the task: git flux status beta
        landed alpha (untested)
        hint: to undo the landing on 'main': git reset --keep <object>
        hint: or, if 'main' has newer commits: git revert --no-edit -m 1 <object>
        error: not every task has landed
    "#]]);
    assert_eq!(world.git(["show", "main:alpha"]), "more");
    assert_eq!(tasks(&world), ["beta"]);
    assert_eq!(world.read(&late), "late\n");
}

/// Starts `alpha` and `beta`, whose uncommitted changes conflict with the target; `alpha` has also committed
/// some that do.
fn conflicts(world: &World) {
    world.commit_in(world.repo(), "shared", "1\n");
    done(world, &["alpha", "beta"]);
    world.commit_in(world.worktree("alpha"), "shared", "2\n");
    world.commit_in(world.repo(), "shared", "main's\n");
    for name in ["alpha", "beta"] {
        world.write(world.worktree(name).join("shared"), format!("{name}\n"));
    }
}

#[test]
fn land_commits_first_what_conflicts_and_is_sent_back() {
    let world = World::new();
    conflicts(&world);
    let before = world.snapshot();
    let output = world.flux(["land", "-n", "--all", "--commit"]).run();
    output.code(3).says(&expect![[r#"
        TASK      TARGET  PLAN
        alpha     main    commit 1 file, send back to its agent: 'feature/alpha' and 'main' conflict in 'shared' (contents)
        beta      main    commit 1 file, send back to its agent: 'feature/beta' and 'main' conflict in 'shared' (contents)
        untested: there is no gate
        --- stderr
        Nothing was done.
        error: not every task can land
    "#]]);
    world.assert_unchanged(&before);
    let output = world.flux(["land", "--all", "--commit", "-y"]).run();
    output.code(3).says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        alpha     main    commit 1 file, send back to its agent: 'feature/alpha' and 'main' conflict in 'shared' (contents)
        beta      main    commit 1 file, send back to its agent: 'feature/beta' and 'main' conflict in 'shared' (contents)
        committed 1 file on 'feature/alpha'
        committed 1 file on 'feature/beta'
        sent alpha back (its agent is not running): it conflicts with its target branch
        hint: to start its agent again: git flux resume alpha
        sent beta back (its agent is not running): it conflicts with its target branch
        hint: to start its agent again: git flux resume beta
        error: no task has landed
    "#]]);
    for name in ["alpha", "beta"] {
        let dir = world.worktree(name);
        assert_eq!(world.git_in(&dir, ["show", "HEAD:shared"]), name);
        assert_eq!(world.git_in(&dir, ["status", "--porcelain"]), "UU shared");
    }
    assert_eq!(tasks(&world), ["alpha", "beta"]);
}

#[test]
fn land_commits_no_large_file_of_a_task_that_conflicts() {
    let world = World::new();
    conflicts(&world);
    grow(&world, (100 << 20) + 1);
    let before = world.snapshot();
    let output = world.flux(["land", "alpha", "--commit", "-y"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        alpha     main    refused: 'data.bin' has 100.00 MiB and would be committed
        error: 'alpha': 'data.bin' has 100.00 MiB and would be committed
        hint: move such files, or add them to .gitignore, then: git flux land alpha --commit
        error: no task has landed
    "#]]);
    let output = world
        .flux(["land", "alpha", "--commit", "-y", "--json"])
        .run();
    assert_eq!(output.code(1).json()[0]["result"], "refused");
    world.assert_unchanged(&before);
}

#[test]
fn land_runs_no_changed_hook_to_commit_a_task_that_conflicts() {
    let world = World::new();
    world.compare_config();
    conflicts(&world);
    world.git(["config", "core.hooksPath", ".husky/_"]);
    let before = world.snapshot();
    let output = world.flux(["land", "alpha", "--commit", "-y"]).run();
    output
        .code(1)
        .stderr_has("refused: core.hooksPath was set to '.husky/_' while the agent of 'alpha' ran")
        .stderr_has("error: no task has landed");
    world.assert_unchanged(&before);
}

#[test]
fn land_names_the_files_in_the_way_of_a_task_that_is_sent_back() {
    let world = World::new();
    conflicts(&world);
    let output = world.flux(["land", "alpha"]).run();
    output.code(3).says(&expect![[r#"
        --- stderr
        TASK      TARGET  PLAN
        alpha     main    send back to its agent: 'feature/alpha' and 'main' conflict in 'shared' (contents)
        'alpha' did not land: it conflicts with its target branch
        warning: it was not sent back to its agent: merging 'main' would overwrite 'shared' in the worktree of 'feature/alpha'
        hint: to see untracked and ignored files: git -C '$WORLD/myapp-alpha' status --ignored
        hint: commit, stash or move 'shared', then: git flux land alpha
        error: no task has landed
    "#]]);
    let dir = world.worktree("alpha");
    assert_eq!(world.git_in(&dir, ["status", "--porcelain"]), " M shared");
}
