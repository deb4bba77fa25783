//! Tests what becomes of a task's own stash entries: status, cleanup and restore.

use std::fs;

use crate::world::archive::*;
use crate::world::removal::*;
use crate::world::*;

/// Returns the entries of a task's own stash as `status` names them, the latest first.
#[track_caller]
fn entries(world: &World, id: &str) -> Vec<(String, String)> {
    let status = world.flux(["status", "--json", id]).run().json();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let entries = status["stash"].as_array().unwrap().iter();
    let entry = |entry: &serde_json::Value| (text(&entry["commit"]), text(&entry["subject"]));
    entries.map(entry).collect()
}

fn stash_refs(world: &World) -> String {
    let refs = ["refs/flux/stash", "refs/flux/stashed"];
    world.git(["for-each-ref", "--format=%(refname)"].iter().chain(&refs))
}

#[test]
fn status_names_the_stash_entries_of_a_task() {
    let world = World::new();
    let id = done_task(&world);
    assert_eq!(entries(&world, &id), []);
    world
        .flux(["status", &id])
        .run()
        .success()
        .has_not("Stash:");
    let commits = ["one", "two", "three", "four"].map(|message| world.push_stash(&id, message));
    let name = |n: usize, message: &str| format!("{} (On fix: {message})", &commits[n][..9]);
    let names = [name(3, "four"), name(2, "three"), name(1, "two")].join(", ");
    let status = world.flux(["status", &id]).run();
    status
        .success()
        .stdout_has(&format!("\nStash:     {names}, and 1 more\n"));
    let found = entries(&world, &id);
    assert_eq!(found.len(), 4);
    assert_eq!(found[0], (commits[3].clone(), "On fix: four".to_owned()));
}

#[test]
fn cleanup_refuses_stash_entries_without_a_terminal() {
    let world = World::new();
    let id = done_task(&world);
    let commit = world.push_stash(&id, "one");
    let before = world.snapshot();
    let refused = world.flux(["cleanup", &id]).run();
    refused.code(1).says(&expect![[r#"
        --- stderr
        error: 'fix-login-XXXXXX' has 1 stash entry: <object> (On fix: one)
        hint: to see the latest: git stash show -p <object>
        hint: to remove them with the task: git flux cleanup fix-login-XXXXXX --discard-stash
    "#]]);
    let hint = format!("hint: to see the latest: git stash show -p {commit}\n");
    refused.stderr_has(&hint);
    world.assert_unchanged(&before);
    let args = ["cleanup", &id, "--yes", "--discard"];
    world.flux(args).run().code(1).stderr_has(&hint);
    world.assert_unchanged(&before);
    let all = world.flux(["cleanup", "--all", "--yes"]).run();
    all.code(1).stderr_has("has 1 stash entry: ");
    world.assert_unchanged(&before);
    let dry_run = ["cleanup", "-n", &id, "--discard-stash"];
    let output = world.flux(dry_run).run();
    output.success().stdout_has("would remove 1 stash entry\n");
    output.stdout_has("can be restored: ");
    world.assert_unchanged(&before);
    world.git(["stash", "show", "-p", &commit]);
}

#[test]
fn cleanup_merged_leaves_out_a_task_with_stash_entries() {
    let world = World::new();
    let id = done_task(&world);
    world.push_stash(&id, "one");
    world.git(["merge", "-q", &format!("feature/{id}")]);
    let before = world.snapshot();
    let merged = world.flux(["cleanup", "--merged"]).run();
    merged.success().stderr_is("nothing to clean up\n");
    world.assert_unchanged(&before);
    let merged = ["cleanup", "--merged", "--discard-stash"];
    world.flux(merged).run().success();
    assert_removed(&world, &id);
}

#[test]
fn cleanup_archives_stash_entries_and_restore_brings_them_back() {
    let world = World::new();
    done(&world, "fix");
    let commits = ["one", "two: ä", "three"].map(|message| world.push_stash("fix", message));
    let before = entries(&world, "fix");
    let cleanup = ["cleanup", "fix", "--yes", "--discard-stash"];
    world.flux(cleanup).run().success();
    assert_eq!(stash_refs(&world), "");
    for (n, commit) in commits.iter().rev().enumerate() {
        let name = format!("refs/flux/archive/fix/stash/{n}");
        assert_eq!(&world.git(["rev-parse", &name]), commit);
    }
    // Nothing of it is in a new task of this id.
    world.git(["reset", "-q", "--hard", "HEAD~1"]);
    done(&world, "fix");
    assert_eq!(entries(&world, "fix"), []);
    world.flux(["cleanup", "fix", "--yes"]).run().success();
    world.git(["reset", "-q", "--hard", "HEAD~1"]);
    // The merge that was undone stays for its hint.
    let never = ["reflogExpire", "reflogExpireUnreachable"].map(|key| format!("gc.{key}=never"));
    world.git(["-c", &never[0], "-c", &never[1], "gc", "-q", "--prune=now"]);
    world.behaviour("exit 0");
    world.flux(["restore", "fix"]).run().success();
    assert_eq!(entries(&world, "fix"), before);
    let pins: Vec<String> = stash_refs(&world).lines().map(str::to_owned).collect();
    let mut expected = commits.map(|commit| format!("refs/flux/stashed/fix/{commit}"));
    expected.sort();
    assert_eq!(pins, expected);
    let left = world.git(["for-each-ref", "--format=%(refname)", "refs/flux/archive"]);
    assert!(!left.contains("/fix/stash"), "{left}");
}

#[test]
fn restore_brings_back_what_the_agent_has_stashed() {
    let world = World::new();
    world.behaviour("raw");
    world.flux(["run", "-q", "--name", "fix", "Fix"]).ok();
    world.agent("fix").wait_started();
    let shell = world.agent_shell("fix");
    for message in ["one", "two"] {
        shell.ok(&format!(
            "echo {message} >new; git stash push -q -u -m {message}"
        ));
    }
    let list = shell.ok("git stash list --format='%gd %H %gs'");
    assert_eq!(entries(&world, "fix").len(), 2);
    end_agent(&world, "fix");
    world.flux(["cleanup", "fix"]).run().code(1);
    world
        .flux(["cleanup", "fix", "--discard-stash"])
        .run()
        .success();
    assert_eq!(stash_refs(&world), "");
    world.behaviour("raw");
    world.flux(["restore", "fix"]).run().success();
    world.agent("fix").wait_starts(2);
    let shell = world.agent_shell("fix");
    assert_eq!(shell.ok("git stash list --format='%gd %H %gs'"), list);
    shell.ok("git stash pop -q");
    assert_eq!(shell.ok("cat new"), "two\n");
    let found = entries(&world, "fix");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].1, "On feature/fix: one");
}

#[test]
fn cleanup_asks_about_stash_entries_on_a_terminal() {
    let world = World::new();
    let id = done_task(&world);
    world.push_stash(&id, "one");
    let before = world.snapshot();
    let terminal = world.terminal(160, 24);
    terminal.type_line(&format!("git-flux cleanup {id}; echo \"code $?\""));
    terminal.wait_for_screen("Remove them (they can be restored)?");
    terminal.type_line("n");
    terminal.wait_for_screen("code 130");
    drop(terminal);
    world.assert_unchanged(&before);
}

#[test]
fn cleanup_refuses_a_stash_that_is_damaged() {
    let world = World::new();
    let id = done_task(&world);
    world.push_stash(&id, "one");
    world.write(format!(".git/flux/run/{id}/stash/logs/refs/stash"), "x\n");
    let before = world.snapshot();
    let cleanup = ["cleanup", &id, "--discard-stash"];
    world.flux(cleanup).run().code(1).says(&expect![[r#"
        --- stderr
        error: cannot read the stash of 'fix-login-XXXXXX'
          caused by: could not read the stash in '$WORLD/myapp/.git/flux/run/fix-login-XXXXXX/stash'
        hint: to list its entries, and keep those you need: git for-each-ref refs/flux/stashed/fix-login-XXXXXX/
        hint: then, to delete the stash: rm -rf '$WORLD/myapp/.git/flux/run/fix-login-XXXXXX/stash'
    "#]]);
    world.assert_unchanged(&before);
    let status = world.flux(["status", &id]).run();
    status
        .success()
        .stderr_has("warning: cannot read the stash of");
}

#[test]
fn cleanup_ignores_entries_whose_commits_do_not_exist() {
    let world = World::new();
    let id = done_task(&world);
    let run = world.repo().join(format!(".git/flux/run/{id}/stash"));
    world.push_stash(&id, "one");
    let missing = "D".repeat(40);
    let line = format!("{missing} {missing} A <a@b> 1 +0000\tforged\n");
    fs::write(run.join("logs/refs/stash"), line).unwrap();
    fs::remove_file(run.join("refs/stash")).unwrap();
    world.flux(["cleanup", &id]).run().success();
    assert_removed(&world, &id);
}
