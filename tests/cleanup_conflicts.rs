//! Tests a cleanup that conflicts with its target, and `--update`.

use crate::world::questions::*;
use crate::world::removal::*;
use crate::world::*;

const WHERE: &str = "Where do you want to resolve the conflict?";

/// Makes a task that changed the same file as main, and deleted one that main changed.
fn conflicting_task(world: &World) -> String {
    let id = done_task(world);
    let worktree = world.worktree(&id);
    world.git_in(&worktree, ["rm", "-q", "src/login.txt"]);
    world.git_in(&worktree, ["commit", "-q", "-m", "No login"]);
    world.commit_in(world.repo(), "agent.txt", "main's\n");
    world.commit_in(world.repo(), "src/login.txt", "main's\n");
    id
}

/// Resolves all conflicts in `dir` and commits the merge.
fn resolve(world: &World, dir: &std::path::Path) {
    world.write(dir.join("agent.txt"), "both\n");
    world.git_in(dir, ["rm", "-q", "src/login.txt"]);
    world.git_in(dir, ["add", "--all"]);
    world.git_in(dir, ["commit", "-q", "--no-edit"]);
}

#[test]
fn cleanup_lists_conflicting_files_with_the_kind_of_conflict() {
    let world = World::new();
    let id = conflicting_task(&world);
    let before = world.snapshot();
    let output = world.flux(["cleanup", "-y", &id]).run();
    output
        .code(3)
        .says(&expect![[r#"
            --- stderr
            error: 'feature/fix-login-XXXXXX' and 'main' conflict in 'agent.txt' (contents), 'src/login.txt' (modify/delete)
            hint: resolve it in the task's worktree: git -C '$WORLD/myapp-fix-login-XXXXXX' merge main
            hint: or have cleanup start the same merge, for the task's agent or you to resolve: git flux cleanup fix-login-XXXXXX --update
            hint: then: git flux cleanup fix-login-XXXXXX
        "#]]);
    world.assert_unchanged(&before);
    let output = world.flux(["cleanup", "--porcelain", &id]).run();
    output.code(3).stdout_is("agent.txt\nsrc/login.txt\n");
    let output = world.flux(["cleanup", "--porcelain", "-z", &id]).run();
    output.code(3).stdout_is("agent.txt\0src/login.txt\0");
    world.flux(["cleanup", "-z", &id]).run().code(2);
    world.assert_unchanged(&before);
}

#[test]
fn cleanup_update_merges_the_target_into_the_worktree_and_stops_at_conflicts() {
    let world = World::new();
    let id = conflicting_task(&world);
    let main = (commit(&world, "main"), world.git(["status", "--porcelain"]));
    let worktree = world.worktree(&id);
    let output = world.flux(["cleanup", "--update", &id]).run();
    output
        .code(3)
        .says(&expect![[r#"
            --- stderr
            merging 'main' in '$WORLD/myapp-fix-login-XXXXXX'; stopped at the conflicts
            error: 'fix-login-XXXXXX' is not removed: resolve the conflicts first
            hint: to see what is left: git -C '$WORLD/myapp-fix-login-XXXXXX' status
            hint: to go to the task: git flux attach fix-login-XXXXXX
            hint: then: git -C '$WORLD/myapp-fix-login-XXXXXX' commit && git flux cleanup fix-login-XXXXXX --update
            hint: or, to give up the merge: git -C '$WORLD/myapp-fix-login-XXXXXX' merge --abort
        "#]]);
    let after = (commit(&world, "main"), world.git(["status", "--porcelain"]));
    assert_eq!(after, main);
    let unmerged = world.git_in(&worktree, ["diff", "--name-only", "--diff-filter=U"]);
    assert_eq!(unmerged, "agent.txt\nsrc/login.txt");
    // As long as it is not done, nothing is removed.
    let before = world.snapshot();
    world
        .flux(["cleanup", "-y", &id])
        .run()
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: a merge is in progress in '$WORLD/myapp-fix-login-XXXXXX'
            hint: to see how to finish or abort it: git -C '$WORLD/myapp-fix-login-XXXXXX' status
        "#]]);
    world.assert_unchanged(&before);
    resolve(&world, &worktree);
    world.flux(["cleanup", &id]).run().success();
    assert_eq!(world.read("agent.txt"), "both\n");
    assert!(!world.repo().join("src/login.txt").exists());
    assert_removed(&world, &id);
}

#[test]
fn cleanup_update_dry_run_describes_the_merge_and_exits_as_the_cleanup_would() {
    let world = World::new();
    let id = conflicting_task(&world);
    let before = world.snapshot();
    let worktree = world.worktree(&id);
    let merge = format!(
        "would merge 'main' in '{}', which stops at the conflicts",
        worktree.display()
    );
    let dry = world.flux(["cleanup", "-n", "--update", &id]).run();
    dry.code(3)
        .stdout_has("'main' is merged into the task's worktree")
        .stdout_has(&merge)
        .stderr_has(&format!(
            "'{id}' is not removed: resolve the conflicts first"
        ));
    let json = world.flux(["cleanup", "--json", "--update", &id]).run();
    json.code(3);
    let would = json.json()[0]["would"].clone();
    assert_eq!(would, serde_json::json!([merge.strip_prefix("would ")]));
    world.assert_unchanged(&before);
    let done = world.flux(["cleanup", "--update", &id]).run();
    let last = |output: &Output| output.stderr.lines().last().unwrap().to_owned();
    assert_eq!(done.code, dry.code);
    assert_eq!(last(&done), last(&dry));
}

#[test]
fn cleanup_offers_a_merge_in_the_worktree_after_a_conflict() {
    let world = World::new();
    let id = conflicting_task(&world);
    let terminal = ask(&world, 100, &id, &[(WHERE, &["Enter"])]);
    assert_eq!(terminal.exit_code(), 3, "{}", terminal.screen());
    resolve(&world, &world.worktree(&id));
    world.flux(["cleanup", &id]).run().success();
    assert_eq!(world.read("agent.txt"), "both\n");
}

#[test]
fn cleanup_offers_a_merge_in_the_target_after_a_conflict() {
    let world = World::new();
    let id = conflicting_task(&world);
    let tip = commit(&world, &format!("feature/{id}"));
    let terminal = ask(&world, 100, &id, &[(WHERE, &["Down", "Enter"])]);
    assert_eq!(terminal.exit_code(), 3, "{}", terminal.screen());
    assert_eq!(world.git(["rev-parse", "MERGE_HEAD"]), tip);
    let worktree = world.worktree(&id);
    assert_eq!(world.git_in(&worktree, ["status", "--porcelain"]), "");
    resolve(&world, &world.repo());
    world.flux(["cleanup", &id]).run().success();
    assert_eq!(world.read("agent.txt"), "both\n");
    assert_removed(&world, &id);
}

#[test]
fn cleanup_changes_nothing_if_the_question_about_conflicts_is_declined() {
    let world = World::new();
    let id = conflicting_task(&world);
    let before = world.snapshot();
    for (cols, keys) in [
        (100, &["Down", "Down", "Enter"][..]),
        (40, &["Down", "Down", "Enter"]),
        (40, &["Escape"]),
        (100, &["C-c"]),
    ] {
        let terminal = ask(&world, cols, &id, &[(WHERE, keys)]);
        declined(&world, &terminal, &before);
    }
}

#[test]
fn cleanup_update_refuses_to_overwrite_uncommitted_changes() {
    let world = World::new();
    let id = conflicting_task(&world);
    world.commit_in(world.repo(), "new.txt", "main's\n");
    let worktree = world.worktree(&id);
    for file in ["agent.txt", "new.txt", "staged.txt"] {
        world.write(worktree.join(file), "not committed\n");
        if file == "staged.txt" {
            world.git_in(&worktree, ["add", file]);
        }
        let before = world.snapshot();
        let refusal = format!("error: merging 'main' would overwrite '{file}' in the worktree of");
        let done = world.flux(["cleanup", "--update", &id]).run();
        done.code(1).stderr_has(&refusal);
        let dry = world.flux(["cleanup", "-n", "--update", &id]).run();
        dry.code(1).stdout_has("collisions").stderr_has(&refusal);
        world.assert_unchanged(&before);
        world.git_in(&worktree, ["reset", "-q", "--hard"]);
        world.git_in(&worktree, ["clean", "-qfd"]);
    }
    world.write(worktree.join("notes.txt"), "not in the way\n");
    let dry = world.flux(["cleanup", "-n", "--update", &id]).run();
    dry.code(3);
    let done = world.flux(["cleanup", "--update", &id]).run();
    done.code(3)
        .says(&expect![[r#"
            --- stderr
            merging 'main' in '$WORLD/myapp-fix-login-XXXXXX'; stopped at the conflicts
            error: 'fix-login-XXXXXX' is not removed: resolve the conflicts first
            hint: to see what is left: git -C '$WORLD/myapp-fix-login-XXXXXX' status
            hint: to go to the task: git flux attach fix-login-XXXXXX
            hint: then: git -C '$WORLD/myapp-fix-login-XXXXXX' commit && git flux cleanup fix-login-XXXXXX --update
            hint: or, to give up the merge: git -C '$WORLD/myapp-fix-login-XXXXXX' merge --abort
        "#]]);
}

#[test]
fn cleanup_update_refuses_if_the_worktree_is_gone() {
    let world = World::new();
    let id = conflicting_task(&world);
    std::fs::remove_dir_all(world.worktree(&id)).unwrap();
    let before = world.snapshot();
    for dry in [&["-n"][..], &[]] {
        let args = [&["cleanup", "--update", "--discard", &id][..], dry].concat();
        world.flux(args).run().code(1).stderr_has("error: ");
    }
    world.assert_unchanged(&before);
}

#[test]
fn cleanup_update_removes_the_task_if_nothing_conflicts() {
    let world = World::new();
    let id = done_task(&world);
    world
        .flux(["cleanup", "--update", &id])
        .run()
        .success()
        .stdout_is("");
    assert_removed(&world, &id);
}

#[test]
fn cleanup_update_says_that_a_merge_is_clean_if_git_resolves_all_conflicts() {
    let world = World::new();
    let id = done_task(&world);
    world.commit_in(world.repo(), "agent.txt", "main's\n");
    let key = format!("branch.feature/{id}.mergeOptions");
    world.git(["config", &key, "-X ours"]);
    let output = world.flux(["cleanup", "--update", &id]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        merging 'main' in '$WORLD/myapp-fix-login-XXXXXX'; stopped before the commit
        error: 'fix-login-XXXXXX' is not removed: commit the merge first
        hint: to see what is left: git -C '$WORLD/myapp-fix-login-XXXXXX' status
        hint: to go to the task: git flux attach fix-login-XXXXXX
        hint: then: git -C '$WORLD/myapp-fix-login-XXXXXX' commit && git flux cleanup fix-login-XXXXXX --update
        hint: or, to give up the merge: git -C '$WORLD/myapp-fix-login-XXXXXX' merge --abort
    "#]]);
    let worktree = world.worktree(&id);
    world.git_in(&worktree, ["commit", "-q", "--no-edit"]);
    world.flux(["cleanup", &id]).run().success();
    assert_removed(&world, &id);
}

const TELL: &str = "Tell the running agent";
const MESSAGE: &str = "git flux: the target branch was merged";

/// Makes a task that conflicts with main, whose agent runs and behaves like this.
fn conflicting_agent(world: &World, behaviour: &str) -> String {
    world.behaviour(behaviour);
    let id = world.start("Fix login");
    world.commit_in(world.worktree(&id), "agent.txt", "the task's\n");
    world.commit_in(world.repo(), "agent.txt", "main's\n");
    id
}

#[test]
fn cleanup_sends_the_conflicts_to_a_running_agent_if_agreed() {
    for (answer, told) in [("y", true), ("n", false)] {
        let world = World::new();
        let id = conflicting_agent(&world, "wait");
        let terminal = ask(&world, 100, &id, &[(WHERE, &["Enter"]), (TELL, &[answer])]);
        assert_eq!(terminal.exit_code(), 3, "{}", terminal.screen());
        let said = terminal.screen().contains(&format!("sent to '{id}'"));
        assert_eq!(said, told, "{}", terminal.screen());
        let agent = world.agent(&id);
        if told {
            // Once, and as a line: it was submitted.
            let read = agent.wait_stdin("commit the merge.\n");
            let read = String::from_utf8(read).unwrap();
            assert_eq!(read.matches(MESSAGE).count(), 1);
        } else {
            assert_eq!(agent.stdin(), b"");
        }
        assert!(agent.is_alive());
    }
}

#[test]
fn cleanup_merges_nothing_before_the_question_about_sending_is_answered() {
    let world = World::new();
    let id = conflicting_agent(&world, "wait");
    let before = world.snapshot();
    for (cols, key) in [(40, "Escape"), (100, "C-c")] {
        let terminal = ask(&world, cols, &id, &[(WHERE, &["Enter"]), ("Tell", &[key])]);
        declined(&world, &terminal, &before);
    }
}

#[test]
fn cleanup_does_not_send_the_conflicts_to_an_agent_without_a_composer() {
    let world = World::new();
    let id = conflicting_agent(&world, "raw");
    let terminal = ask(&world, 100, &id, &[(WHERE, &["Enter"]), (TELL, &["y"])]);
    assert_eq!(terminal.exit_code(), 3, "{}", terminal.screen());
    assert!(terminal.screen().contains("shows no input field"));
    assert_eq!(world.agent(&id).stdin(), b"");
}
