//! Tests a fault in each call of `git flux restore`.

use super::matrix::{ID, Scenario};
use super::run::own_work;
use super::settled::{End, Kept, own_changes};
use crate::world::*;

/// Makes a removed task with a commit and uncommitted work of every kind, whose agent can go on.
fn removed(world: &World) -> Kept {
    removed_of(world, "claude")
}

fn removed_of(world: &World, agent: &str) -> Kept {
    removed_with(world, agent, &[])
}

/// Makes a removed task whose stash has entries with these messages.
fn removed_with(world: &World, agent: &str, messages: &[&str]) -> Kept {
    world.behaviour("raw");
    own_work(world);
    let run = ["run", "-q", "--agent", agent, "--name", ID, "Fix the login"];
    world.flux(run).ok();
    world.agent(ID).tell("exit 0");
    world.wait_ended(ID);
    let worktree = world.worktree(ID);
    let commit = world.commit_in(&worktree, "agent.txt", "work\n");
    world.write(worktree.join(".env"), "SECRET=1\n");
    world.write(worktree.join("src/login.txt"), "changed\n");
    world.write(worktree.join("new file.txt"), "untracked\n");
    world.write(worktree.join("staged.txt"), "staged\n");
    world.git_in(&worktree, ["add", "staged.txt"]);
    let stash = messages.iter().map(|message| world.push_stash(ID, message));
    let stash = stash.collect();
    let blob = world.git_in(&worktree, ["rev-parse", ":staged.txt"]);
    world.write(worktree.join("staged.txt"), "changed again\n");
    world.flux(["review", "--mark", ID]).run().success();
    let seen = world.git(["rev-parse", &format!("refs/flux/seen/{ID}")]);
    world
        .flux([
            "cleanup",
            ID,
            "--discard",
            "--discard-branch",
            "--discard-stash",
        ])
        .run()
        .success();
    Kept {
        commits: vec![commit],
        files: vec![
            (".env", b"SECRET=1\n".to_vec()),
            ("src/login.txt", b"changed\n".to_vec()),
            ("new file.txt", b"untracked\n".to_vec()),
            ("staged.txt", b"changed again\n".to_vec()),
        ],
        staged: vec![blob],
        stash,
        seen: Some(seen),
        own: own_changes(world),
        may_drop: true,
        restored: true,
        ..Kept::default()
    }
}

/// Makes the same removed task as `removed`, without its worktree in the trash.
fn archived(world: &World) -> Kept {
    let mut kept = removed(world);
    std::fs::remove_dir_all(world.repo().join(".git/flux/trash")).unwrap();
    kept.files.retain(|(file, _)| *file != ".env");
    kept
}

const RESTORE: Scenario = Scenario {
    before: removed,
    command: |world| world.flux(["restore", ID]),
    aim: End::Whole,
    // No server.
    harmless: &["list-sessions", "-V"],
};

#[test]
fn restore_with_stash_entries_survives_every_fault() {
    let scenario = Scenario {
        before: |world| removed_with(world, "claude", &["one", "two"]),
        ..RESTORE
    };
    scenario.survives_everything();
}

#[test]
fn restore_from_the_trash_survives_every_fault() {
    RESTORE.survives_everything();
}

#[test]
fn restore_from_the_archive_survives_every_fault() {
    let scenario = Scenario {
        before: archived,
        ..RESTORE
    };
    scenario.survives_everything();
}

#[test]
fn restore_of_a_task_with_an_unknown_agent_survives_every_fault() {
    let scenario = Scenario {
        before: |world| {
            world.git(["config", "flux.helper.command", "claude"]);
            let kept = removed_of(world, "helper");
            world.git(["config", "--unset", "flux.helper.command"]);
            kept
        },
        ..RESTORE
    };
    scenario.survives_everything();
}

/// No call of git is between the two renames, so a fault cannot stop there: the test makes the first rename itself.
#[test]
fn restore_is_undone_if_killed_between_two_renames() {
    for removed_link in [false, true] {
        let world = World::new();
        let kept = removed(&world);
        let fault = Fault::nth("git", 1, Mode::KillAfter);
        let words = "worktree add";
        world.fault(&Fault { words, ..fault });
        world.flux(["restore", ID]).run().killed();
        world.wait_fault_over();
        world.clear_fault();
        let (link, trash) = (
            world.worktree(ID).join(".git"),
            world.repo().join(".git/flux/trash").join(ID),
        );
        std::fs::copy(&link, trash.join("gitfile")).unwrap();
        std::fs::copy(&link, trash.join("worktree/.git")).unwrap();
        if removed_link {
            std::fs::remove_file(&link).unwrap();
        }
        let next = world.flux(["cleanup", "no-such-task"]).run();
        next.code(1).says(&expect![[r#"
            --- stderr
            an earlier restore of 'fix-login' was interrupted; the task can still be restored
            error: there is no task 'no-such-task'
            hint: to start a task: git flux run "<description>"
        "#]]);
        assert_eq!(kept.assert_settled(&world, &next.to_string()), End::Gone);
        world.flux(["restore", ID]).run().success();
        assert_eq!(kept.assert_settled(&world, "again"), End::Whole);
    }
}
