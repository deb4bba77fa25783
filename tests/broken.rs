//! Tests tasks whose worktree, branch, HEAD or index is missing or damaged: each hint works when pasted, and a cleanup
//! loses nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::world::hints::{Saved, hints, paste};
use crate::world::removal::done_task;
use crate::world::*;

/// Makes a task with a change and an ignored file, whose agent has committed and ended.
fn task() -> (World, String) {
    let world = World::new();
    let id = done_task(&world);
    end_all(&world, &id);
    let worktree = world.worktree(&id);
    world.write(worktree.join("loose.txt"), "only here\n");
    world.write(worktree.join("trace.log"), "ignored\n");
    (world, id)
}

/// Ends all that runs for a task, and waits until nothing does that could still write.
fn end_all(world: &World, id: &str) {
    world.kill_tmux();
    let alive = world.repo().join(".git/flux/run").join(id).join("alive");
    wait_until("the launcher to end", || {
        fs::File::open(&alive).map_or(true, |file| file.try_lock_shared().is_ok())
    });
}

/// How often a way out may lead to another refusal.
const STEPS: usize = 3;

/// Pastes the hints of a refused command, and those of the refusals after it, until one of them leads to success.
#[track_caller]
fn follow_hints(world: &World, args: &[&str], see: &dyn Fn(&World), steps: usize) -> bool {
    let output = world.flux(args).run();
    if output.code == Some(0) {
        see(world);
        return true;
    }
    output.code(1).has_not("panicked");
    let hints = hints(&output);
    assert!(!hints.is_empty(), "no hint\n{output}");
    let mut leads = false;
    for hint in hints.iter().filter(|hint| !hint.contains('<')) {
        let saved = Saved::of(world);
        paste(world, hint).unwrap_or_else(|said| panic!("{said}\nafter {output}"));
        let id = args[1];
        let gone = world
            .try_git(["show-ref", &format!("refs/flux/tasks/{id}")])
            .is_err();
        if gone {
            see(world);
        }
        leads |= gone || (steps > 0 && follow_hints(world, args, see, steps - 1));
        saved.put_back();
    }
    assert!(leads || steps < STEPS, "no way out: {hints:#?}\n{output}");
    leads
}

/// Returns whether the worktree, the trash or a directory beside the repository has this file.
fn has_file(world: &World, id: &str, name: &str, text: &str) -> bool {
    let trash = world.repo().join(".git/flux/trash");
    let places = [world.worktree(id), trash.join(id).join("worktree")];
    let aside = fs::read_dir(world.root()).unwrap();
    let aside = aside.map(|entry| entry.unwrap().path());
    let mut places = places.into_iter().chain(aside);
    places.any(|place| fs::read_to_string(place.join(name)).is_ok_and(|found| found == text))
}

/// Breaks a task, and asserts that the hints of `cleanup` lead to its removal, that its change is kept unless it is
/// `lost` already, and that the task can be restored with its commit.
#[track_caller]
fn assert_cleanup_recovers(said: &str, lost: bool, make: impl FnOnce(&World, &str, &Path)) {
    let (world, id) = task();
    make(&world, &id, &world.worktree(&id));
    let before = Saved::of(&world);
    for command in ["cleanup", "resume", "diff"] {
        let output = world.flux([command, &id]).run();
        let refused = output.code == Some(1) && output.stderr.contains(said);
        assert!(refused, "'{command}' did not say {said:?}\n{output}");
        output.stderr_has("hint: ").has_not("panicked");
    }
    world.flux(["log", &id]).run().success();
    let status = world.flux(["status", &id]).run();
    let next = status.success().stdout.split_once("Next\n").unwrap().1;
    let next: Vec<&str> = next
        .lines()
        .filter_map(|line| line.trim().split("  ").next())
        .collect();
    before.assert_unchanged();
    for command in next {
        let saved = Saved::of(&world);
        paste(&world, command).unwrap_or_else(|said| panic!("{said}\nafter {status}"));
        saved.put_back();
    }
    let see = |world: &World| {
        assert!(lost || has_file(world, &id, "loose.txt", "only here\n"));
        world.flux(["restore", &id]).run().success();
        end_all(world, &id);
        world.git(["rev-parse", &format!("refs/heads/feature/{id}")]);
    };
    assert!(follow_hints(
        &world,
        &["cleanup", &id, "-y", "--discard"],
        &see,
        STEPS
    ));
    assert!(follow_hints(
        &world,
        &["cleanup", &id, "-y", "--discard", "--discard-branch"],
        &see,
        STEPS
    ));
}

#[test]
fn cleanup_gives_working_hints_if_the_worktree_is_gone_or_moved() {
    assert_cleanup_recovers("is gone", true, |_, _, worktree| {
        fs::remove_dir_all(worktree).unwrap();
    });
    assert_cleanup_recovers("is gone", true, |world, _, worktree| {
        fs::remove_dir_all(worktree).unwrap();
        world.git(["worktree", "prune"]);
    });
    assert_cleanup_recovers("it was moved to '", false, |world, _, worktree| {
        fs::rename(worktree, world.root().join("moved by hand")).unwrap();
    });
    assert_cleanup_recovers("is checked out in '", false, |world, _, worktree| {
        let to = world.root().join("moved by git");
        world.git([
            "worktree",
            "move",
            worktree.to_str().unwrap(),
            to.to_str().unwrap(),
        ]);
    });
}

fn prune(world: &World, worktree: &Path) {
    let away = world.root().join("unmounted");
    fs::rename(worktree, &away).unwrap();
    world.git(["worktree", "prune"]);
    fs::rename(&away, worktree).unwrap();
}

fn delete_branch(world: &World, id: &str) {
    world.git(["update-ref", "-d", &format!("refs/heads/feature/{id}")]);
}

#[test]
fn cleanup_gives_working_hints_if_the_branch_is_gone() {
    assert_cleanup_recovers("is gone", false, |world, id, _| delete_branch(world, id));
    assert_cleanup_recovers("and so is its branch", true, |world, id, worktree| {
        world.git(["worktree", "remove", "--force", worktree.to_str().unwrap()]);
        world.git(["branch", "-q", "-D", &format!("feature/{id}")]);
    });
    assert_cleanup_recovers("and so is its branch", true, |world, id, worktree| {
        fs::remove_dir_all(worktree).unwrap();
        delete_branch(world, id);
    });
    assert_cleanup_recovers(
        "no longer a worktree of this repository",
        false,
        |world, id, worktree| {
            prune(world, worktree);
            delete_branch(world, id);
        },
    );
}

#[test]
fn cleanup_gives_working_hints_if_the_path_is_no_longer_the_worktree() {
    let said = "no longer a worktree of this repository";
    assert_cleanup_recovers(said, false, |world, _, worktree| prune(world, worktree));
    assert_cleanup_recovers(said, true, |world, _, worktree| {
        fs::remove_dir_all(worktree).unwrap();
        world.git(["clone", "-q", ".", worktree.to_str().unwrap()]);
    });
    assert_cleanup_recovers(said, true, |world, _, worktree| {
        fs::remove_dir_all(worktree).unwrap();
        world.write(worktree, "a file");
    });
    assert_cleanup_recovers(said, false, |_, _, worktree| {
        fs::remove_file(worktree.join(".git")).unwrap();
    });
    // Made in a repository that was moved since.
    assert_cleanup_recovers(said, false, |world, id, worktree| {
        let name = format!("gitdir: /elsewhere/.git/worktrees/myapp-{id}\n");
        world.write(worktree.join(".git"), name);
    });
}

#[test]
fn cleanup_gives_working_hints_if_another_head_is_checked_out() {
    for switch in [
        &["switch", "-q", "--detach"][..],
        &["switch", "-q", "-c", "other"],
    ] {
        let (world, id) = task();
        world.git_in(world.worktree(&id), switch);
        let see = |world: &World| assert!(has_file(world, &id, "loose.txt", "only here\n"));
        assert!(follow_hints(
            &world,
            &["cleanup", &id, "-y", "--discard"],
            &see,
            STEPS
        ));
        delete_branch(&world, &id);
        let forget = ["cleanup", &id, "-y", "--discard", "--discard-branch"];
        assert!(follow_hints(&world, &forget, &see, STEPS));
    }
}

/// A `git worktree prune` in a container or on another machine removes the entry of a worktree whose directory it does
/// not see.
#[test]
fn adopt_repairs_a_pruned_worktree_entry() {
    let (world, id) = task();
    let worktree = world.worktree(&id);
    world.write(worktree.join("README.md"), "changed\n");
    let status = || world.git_in(&worktree, ["status", "--porcelain", "--ignored"]);
    let before = status();
    prune(&world, &worktree);
    let output = world.flux(["adopt", worktree.to_str().unwrap()]).run();
    output.success().says(&expect![[r#"
        --- stderr
        reconnected '$WORLD/myapp-fix-login-XXXXXX' to the task 'fix-login-XXXXXX'
        hint: to see the state of the task: git flux status fix-login-XXXXXX
    "#]]);
    assert_eq!(status(), before);
    assert_eq!(world.read(worktree.join("README.md")), "changed\n");
    let run = world.repo().join(".git/flux/run").join(&id);
    assert!(!run.join("merge").exists());
    let whole = world.flux(["status", "--json", &id]).run().json();
    assert_ne!(whole["state"], "broken");
    // Once more, after a git flux that was killed half way.
    prune(&world, &worktree);
    world.fault(&Fault::every("git", "worktree repair", Mode::KillBefore));
    world
        .flux(["adopt", worktree.to_str().unwrap()])
        .run()
        .killed();
    world.clear_fault();
    world
        .flux(["adopt", worktree.to_str().unwrap()])
        .run()
        .success();
    assert_eq!(status(), before);
    let cleanup = ["cleanup", &id, "--commit"];
    world.flux(cleanup).run().success();
    assert_eq!(world.read("README.md"), "changed\n");
}

/// `--discard` moves the whole worktree to the trash, so it needs no list of the changes.
#[test]
fn cleanup_discard_trashes_a_worktree_whose_changes_cannot_be_read() {
    let (world, id) = task();
    let worktree = world.worktree(&id);
    world.git(["config", "filter.lost.clean", "no-such-program"]);
    world.git(["config", "filter.lost.required", "true"]);
    world.write(".git/info/attributes", "*.x filter=lost\n");
    world.write(worktree.join("a.x"), "only here\n");
    world.git_in(&worktree, ["-c", "filter.lost.clean=cat", "add", "a.x"]);
    world.write(worktree.join("a.x"), "only hare\n");
    let before = world.snapshot();
    let output = world.flux(["list"]).run();
    let unread = format!("the changes of '{id}' are unknown: `git status` failed");
    assert_eq!(
        output.code(1).stderr.matches(&unread).count(),
        1,
        "{output}"
    );
    for options in [&[][..], &["--discard-branch"], &["--commit"], &["--merged"]] {
        let name = (options != ["--merged"]).then_some(&*id);
        let args = ["cleanup", "-y"].into_iter().chain(name);
        let output = world.flux(args.chain(options.iter().copied())).run();
        let said = "could not read the uncommitted files";
        match options {
            // Nor was it merged.
            ["--merged"] => output.success().has_not("error"),
            _ => output
                .code(1)
                .stderr_has(said)
                .stderr_has("no-such-program"),
        };
        world.assert_unchanged(&before);
    }
    let see = |world: &World| {
        assert_eq!(world.read("agent.txt"), "one\n");
        // No snapshot has it: it stays, however full the trash is.
        world.git(["config", "flux.trashKeep", "0"]);
        world.git(["config", "flux.archiveExpire", "now"]);
        world.flux(["__expire"]).run().success();
        world.flux(["restore", &id]).run().success();
        end_all(world, &id);
        assert_eq!(world.read(worktree.join("a.x")), "only hare\n");
        assert_eq!(world.read(worktree.join("trace.log")), "ignored\n");
    };
    assert!(follow_hints(&world, &["cleanup", "-y", &id], &|_| (), 0));
    world
        .flux(["cleanup", "-y", "--discard", &id])
        .run()
        .success();
    see(&world);
}

/// git lists the changes, but a filter that fails keeps them out of the archive.
#[test]
fn cleanup_discard_trashes_a_worktree_whose_changes_cannot_be_archived() {
    let (world, id) = task();
    let worktree = world.worktree(&id);
    world.git(["config", "filter.lost.clean", "no-such-program"]);
    world.git(["config", "filter.lost.required", "true"]);
    world.write(".git/info/attributes", "*.x filter=lost\n");
    world.write(worktree.join("a.x"), "only here\n");
    let cleanup = ["cleanup", &id, "--discard"];
    let output = world.flux(cleanup).run();
    // What git says in several lines is in one here.
    output
        .success()
        .stderr_has("only its worktree has them: ")
        .stderr_has("; ")
        .has_not("\\u{a}");
    let kept = world.repo().join(".git/flux/trash").join(&id);
    assert!(kept.join("only").exists());
    assert_eq!(world.read(kept.join("worktree/a.x")), "only here\n");
}

#[test]
fn cleanup_discard_trashes_a_worktree_with_a_damaged_index() {
    let (world, id) = task();
    let index = world
        .repo()
        .join(format!(".git/worktrees/myapp-{id}/index"));
    fs::write(&index, "damaged").unwrap();
    fs::set_permissions(&index, fs::Permissions::from_mode(0o000)).unwrap();
    world
        .flux(["cleanup", &id])
        .run()
        .code(1)
        .stderr_has("hint: ");
    world.flux(["cleanup", "--discard", &id]).run().success();
    assert!(has_file(&world, &id, "loose.txt", "only here\n"));
    world.flux(["restore", &id]).run().success();
    assert_eq!(
        world.read(world.worktree(&id).join("loose.txt")),
        "only here\n"
    );
    assert_eq!(world.read(&index), "damaged");
}

#[test]
fn adopt_repairs_a_worktree_moved_together_with_its_repository() {
    let (world, id) = task();
    let new = world.root().join("new");
    fs::create_dir(&new).unwrap();
    let repo = new.join("myapp");
    fs::rename(world.repo(), &repo).unwrap();
    let worktree = new.join(format!("myapp-{id}"));
    fs::rename(world.worktree(&id), &worktree).unwrap();
    for hint in ["git worktree repair ", "git flux adopt "] {
        let output = world.flux(["cleanup", "-y", &id]).in_dir(&repo).run();
        let hints = hints(output.code(1));
        assert!(hints[0].starts_with(hint), "{output}");
        let there = format!("cd '{}' && {}", repo.display(), hints[0]);
        let shell = world.command("/bin/sh").args(["-c", &there]).status();
        assert!(shell.unwrap().success(), "{output}");
    }
    assert_eq!(world.read(worktree.join("loose.txt")), "only here\n");
    let cleanup = ["cleanup", "-y", "--discard", &id];
    world.flux(cleanup).in_dir(&repo).run().success();
    assert_eq!(world.read(repo.join("agent.txt")), "one\n");
    let kept = repo.join(".git/flux/trash").join(&id);
    assert_eq!(world.read(kept.join("worktree/loose.txt")), "only here\n");
}

#[test]
fn cleanup_gives_a_hint_that_repairs_an_empty_or_damaged_head() {
    for head in [Some(""), Some("garbage\n"), None] {
        let (world, id) = task();
        let place = world.repo().join(format!(".git/worktrees/myapp-{id}/HEAD"));
        match head {
            Some(text) => fs::write(&place, text).unwrap(),
            None => fs::remove_file(&place).unwrap(),
        }
        let output = world.flux(["cleanup", &id, "-y", "--commit"]).run();
        output.code(1).says(&expect![[r#"
            --- stderr
            error: refusing to run git in '$WORLD/myapp-fix-login-XXXXXX': its HEAD is missing or damaged
            hint: to repair its HEAD: echo 'ref: refs/heads/feature/fix-login-XXXXXX' >'$WORLD/myapp/.git/worktrees/myapp-fix-login-XXXXXX/HEAD'
        "#]]);
        let hints = hints(&output);
        assert_eq!(hints.len(), 1, "{output}");
        paste(&world, &hints[0]).unwrap();
        let output = world.flux(["cleanup", &id, "-y", "--commit"]).run();
        output.success();
        assert_eq!(world.git(["show", "main:loose.txt"]), "only here");
    }
}
