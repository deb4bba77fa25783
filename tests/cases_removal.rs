//! Tests that a cleanup loses no work and removes only what belongs to its task.

use std::fs;

use crate::world::hooks::hook;
use crate::world::removal::*;
use crate::world::*;

#[test]
fn cleanup_refuses_if_the_target_branch_is_gone() {
    let world = World::new();
    world.git(["switch", "-q", "-c", "base"]);
    let id = working_task(&world);
    let tip = tip(&world, &id);
    world.git(["switch", "-q", "main"]);
    world.git(["branch", "-D", "base"]);
    let before = world.snapshot();
    let output = world.flux(["cleanup", "-y", &id]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: there is no branch 'base' to merge 'fix-login-XXXXXX' into
        hint: to merge it elsewhere: git flux cleanup fix-login-XXXXXX --into <branch>
        hint: to remove it without a merge: git flux cleanup fix-login-XXXXXX --discard-branch
    "#]]);
    world.assert_unchanged(&before);
    // On a terminal too.
    let terminal = world.terminal(100, 30);
    terminal.command(&format!("git flux cleanup -y {id}"));
    assert_eq!(terminal.exit_code(), 1);
    world.assert_unchanged(&before);
    assert!(world.agent(&id).is_alive());
    let status = world.flux(["status", &id]).run();
    status.success().has_not("merged");
    // Told where to, or agreed to be dropped, it is archived all the same.
    world
        .flux(["cleanup", "-y", "--discard-branch", &id])
        .run()
        .success();
    assert_eq!(commit(&world, &format!("refs/flux/archive/{id}/tip")), tip);
    assert_removed(&world, &id);
}
#[test]
fn cleanup_merges_a_commit_made_between_merge_and_removal() {
    let world = World::new();
    let id = done_task(&world);
    let worktree = world.worktree(&id);
    // The merge's own hook commits on the branch: no agent could be quicker.
    let once = world.root().join("once");
    let late = format!(
        "[ -e '{0}' ] && exit; touch '{0}'; unset $(git rev-parse --local-env-vars)\n\
         cd '{1}' && echo late >late.txt && git add late.txt && git commit -q -m late",
        once.display(),
        worktree.display()
    );
    hook(
        &world,
        &world.repo().join(".git/hooks"),
        "post-merge",
        &late,
    );
    let output = world.flux(["cleanup", "-y", &id]).run();
    output.success();
    assert!(once.exists());
    fs::remove_file(once).unwrap();
    assert_eq!(world.read("late.txt"), "late\n");
    let archived = world.git(["show", &format!("refs/flux/archive/{id}/tip:late.txt")]);
    assert_eq!(archived, "late");
    assert_removed(&world, &id);
}
#[test]
fn cleanup_keeps_a_file_written_between_merge_and_removal() {
    let world = World::new();
    let id = done_task(&world);
    let late = world.worktree(&id).join("late.txt");
    let write = format!("echo late >'{}'", late.display());
    hook(
        &world,
        &world.repo().join(".git/hooks"),
        "post-merge",
        &write,
    );
    let output = world.flux(["cleanup", "-y", &id]).run();
    output.has_not("panicked");
    let kept = trash(&world, &id).join("late.txt");
    let places = [late, kept].map(|path| fs::read(path).unwrap_or_default());
    assert!(places.contains(&b"late\n".to_vec()), "{output}");
}
#[test]
fn cleanup_keeps_another_worktree_registered_while_its_directory_is_away() {
    let world = World::new();
    let (mine, away) = (world.root().join("mine"), world.root().join("away"));
    world.git([
        "worktree",
        "add",
        "-q",
        "-b",
        "mine",
        mine.to_str().unwrap(),
    ]);
    world.write(mine.join("loose.txt"), "loose\n");
    let whole = world.snapshot();
    fs::rename(&mine, &away).unwrap();
    let id = done_task(&world);
    world.flux(["list"]).run().success();
    world
        .flux(["cleanup", "--discard-branch", &id])
        .run()
        .success();
    world.fault(&Fault::every("tmux", "new-session", Mode::Fail));
    world.flux(["run", "Another"]).run().code(1);
    world.clear_fault();
    fs::rename(&away, &mine).unwrap();
    let facts = whole.changes(&world.snapshot());
    let lost: Vec<_> = facts.iter().filter(|fact| !fact.starts_with('+')).collect();
    assert!(lost.is_empty(), "{lost:?}");
    assert_eq!(
        world.git_in(&mine, ["status", "--porcelain"]),
        "?? loose.txt"
    );
}
#[test]
fn cleanup_sees_untracked_files_despite_status_settings() {
    let world = World::new();
    let id = done_task(&world);
    world.git(["config", "status.showUntrackedFiles", "no"]);
    world.git(["config", "status.short", "true"]);
    world.git(["config", "diff.ignoreSubmodules", "all"]);
    world.write(world.worktree(&id).join("new/work.txt"), "only here\n");
    let before = world.snapshot();
    let output = world.flux(["cleanup", "-y", &id]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: 'fix-login-XXXXXX' has 1 uncommitted file
        hint: to commit and merge: git flux cleanup fix-login-XXXXXX --commit
        hint: to merge only what is committed: git flux cleanup fix-login-XXXXXX --discard
    "#]]);
    world
        .flux(["status", &id])
        .run()
        .success()
        .stdout_has("new/work.txt");
    world
        .flux(["diff", &id])
        .run()
        .success()
        .stdout_has("+only here");
    let list = world.flux(["list", "--json"]).run().json();
    assert_eq!(list[0]["changes"]["untracked"], 1);
    world.assert_unchanged(&before);
    world.flux(["cleanup", "--discard", &id]).run().success();
    assert_eq!(
        world.read(trash(&world, &id).join("new/work.txt")),
        "only here\n"
    );
}
#[test]
fn cleanup_names_ignored_files_before_it_trashes_them() {
    let world = World::new();
    let id = done_task(&world);
    let database = world.write(world.worktree(&id).join(".env"), "DATABASE=local\n");
    let before = world.snapshot();
    let terminal = world.terminal(100, 30);
    terminal.command(&format!("git flux cleanup {id}"));
    // Named while one can still say no.
    let screen = terminal.wait_for_screen("and remove");
    assert!(screen.contains(".env"), "{screen}");
    terminal.keys(["n"]);
    assert_eq!(terminal.exit_code(), 130);
    world.assert_unchanged(&before);
    world
        .flux(["cleanup", &id])
        .run()
        .success()
        .says(&expect![[r#"
            --- stderr
            ignored files, which can be restored: .env
            merged 1 commit of 'feature/fix-login-XXXXXX' into 'main' (<object>..<object>)
            removed 'fix-login-XXXXXX': worktree, branch 'feature/fix-login-XXXXXX' and session
            its commits stay in refs/flux/archive/fix-login-XXXXXX/tip
            its files are kept in '$WORLD/myapp/.git/flux/trash/fix-login-XXXXXX'
            hint: to restore the task: git flux restore fix-login-XXXXXX
            hint: to undo the merge, on 'main': git revert -m 1 <object>
        "#]]);
    assert!(!database.exists());
    assert_eq!(
        world.read(trash(&world, &id).join(".env")),
        "DATABASE=local\n"
    );
    assert_removed(&world, &id);
}
#[test]
fn cleanup_archives_work_that_was_reverted() {
    let world = World::new();
    let id = working_task(&world);
    let worktree = world.worktree(&id);
    let work = tip(&world, &id);
    world.git_in(&worktree, ["revert", "--no-edit", "HEAD"]);
    let tip = tip(&world, &id);
    end_agent(&world, &id);
    assert_eq!(world.git(["diff", "main", &tip]), "");
    world.flux(["cleanup", &id]).run().success();
    assert_eq!(commit(&world, &format!("refs/flux/archive/{id}/tip")), tip);
    world.git(["reflog", "expire", "--expire=now", "--all"]);
    world.git(["gc", "-q", "--prune=now"]);
    assert_eq!(world.git(["show", &format!("{work}:agent.txt")]), "one");
    assert_removed(&world, &id);
}
#[test]
fn cleanup_commits_no_untracked_secret_without_consent() {
    let world = World::new();
    let id = done_task(&world);
    world.write(world.worktree(&id).join("deep/id_rsa"), "SECRET\n");
    let before = world.snapshot();
    world.flux(["cleanup", "-y", &id]).run().code(1);
    let terminal = world.terminal(100, 30);
    terminal.command(&format!("git flux cleanup -y {id}"));
    let screen = terminal.wait_for_screen("abort");
    assert!(screen.contains("?? deep/id_rsa"), "{screen}");
    terminal.keys(["C-c"]);
    assert_eq!(terminal.exit_code(), 130);
    world.assert_unchanged(&before);
    world
        .flux(["cleanup", "-y", "--discard", &id])
        .run()
        .success();
    let reachable = world.git(["log", "--branches", "--tags", "--format=", "--name-only"]);
    assert!(!reachable.contains("id_rsa"), "{reachable}");
    assert_eq!(
        world.read(trash(&world, &id).join("deep/id_rsa")),
        "SECRET\n"
    );
}
#[test]
fn cleanup_does_not_merge_squashed_or_cherry_picked_work_again() {
    let ways: [fn(&World, &str); 3] = [
        |world, branch| {
            world.git(["merge", "-q", "--squash", branch]);
            world.git(["commit", "-q", "-m", "Squashed"]);
        },
        |world, branch| {
            world.git(["cherry-pick", branch]);
            world.git(["commit", "-q", "--amend", "-m", "Picked"]);
        },
        |world, branch| {
            world.git(["merge", "-q", "--squash", branch]);
            world.git(["commit", "-q", "-m", "Squashed"]);
            world.commit_in(world.repo(), "README.md", "and on it goes\n");
        },
    ];
    for integrate in ways {
        let world = World::new();
        let id = done_task(&world);
        integrate(&world, &format!("feature/{id}"));
        let main = commit(&world, "main");
        world.flux(["cleanup", &id]).run().success();
        assert_eq!(
            commit(&world, "main"),
            main,
            "main got a merge that adds nothing"
        );
        assert_eq!(world.read("agent.txt"), "one\n");
        assert_removed(&world, &id);
    }
}
#[test]
fn cleanup_distinguishes_tasks_whose_names_have_a_common_prefix() {
    let world = World::new();
    world.behaviour("raw");
    for name in ["p-1", "p-10", "p-1-0"] {
        world.flux(["run", "-q", "--name", name, "Fix login"]).ok();
        world.agent(name).wait_started();
    }
    // Without its session "flux-myapp-p-1" means, to tmux, the one of p-10.
    world.tmux(["kill-session", "-t", "=flux-myapp-p-1"]);
    world.wait_ended("p-1");
    world.flux(["cleanup", "-y", "p-1"]).run().success();
    assert_removed_but(&world, "p-1", &["p-10", "p-1-0"]);
    world.flux(["cleanup", "-y", "p-10"]).run().success();
    assert!(world.agent("p-1-0").is_alive());
    let list = world.flux(["list", "--json"]).run().json();
    assert_eq!(
        (list.as_array().unwrap().len(), &list[0]["state"]),
        (1, &"running".into())
    );
    world.flux(["cleanup", "-y", "p-1"]).run().success();
    assert!(
        world
            .try_tmux(["list-sessions"])
            .is_none_or(|sessions| !sessions.contains("flux-"))
    );
}
#[track_caller]
fn assert_removed_but(world: &World, gone: &str, others: &[&str]) {
    let snapshot = world.snapshot();
    assert!(!snapshot.has(&format!("ref refs/flux/tasks/{gone}")));
    assert!(!snapshot.has(&format!("ref refs/heads/feature/{gone}")));
    assert!(!world.worktree(gone).exists());
    for other in others {
        assert!(world.agent(other).is_alive(), "{other}");
        assert!(snapshot.has(&format!("ref refs/flux/tasks/{other}")));
        world.tmux(["has-session", "-t", &format!("=flux-myapp-{other}")]);
    }
}
#[test]
fn cleanup_ignores_a_pane_of_the_user_with_a_reused_id() {
    let world = World::new();
    let id = working_task(&world);
    let pane = world.flux(["status", "--json", &id]).run().json();
    let pane = pane["target"]["pane"].as_str().unwrap().to_owned();
    world.kill_tmux();
    world.wait_ended(&id);
    // The user's own pane, of the server that came after a reboot, has the same id.
    let mine = world.terminal_inside();
    assert_eq!(mine.pane(), pane);
    mine.command("echo my secret screen");
    mine.exit_code();
    world
        .flux(["status", &id])
        .run()
        .success()
        .has_not("my secret screen");
    let list = world.flux(["list", "--json"]).run().json();
    assert_ne!(list[0]["state"], "running");
    // Also called from that very pane, it is not the task's.
    mine.command(&format!("git-flux cleanup -y {id}"));
    assert_eq!(mine.exit_code(), 0);
    assert_eq!(mine.ask("#{pane_id}"), pane);
    assert_eq!(world.read("agent.txt"), "one\n");
    assert_removed(&world, &id);
}
