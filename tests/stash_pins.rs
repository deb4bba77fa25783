//! Tests the pins of the stash that all worktrees share, and what is said about its entries.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::world::removal::*;
use crate::world::*;

/// Adds an entry to the stash of the repository, and returns its commit.
#[track_caller]
fn push(world: &World, message: &str) -> String {
    world.write("README.md", format!("{message}\n"));
    world.git(["stash", "push", "-q", "-m", message]);
    world.git(["rev-parse", "refs/stash"])
}

/// Returns the commits that pins keep, after asserting the names of the pins.
fn pins(world: &World) -> BTreeSet<String> {
    let format = "--format=%(refname) %(objectname)";
    let refs = world.git(["for-each-ref", format, "refs/flux/stash"]);
    let pin = |line: &str| {
        let (name, commit) = line.split_once(' ').unwrap();
        assert_eq!(name, format!("refs/flux/stash/{commit}"));
        commit.to_owned()
    };
    refs.lines().map(pin).collect()
}

/// Waits until exactly these commits are pinned.
#[track_caller]
fn wait_for_pins(world: &World, commits: &[&str]) {
    let expected: BTreeSet<String> = commits.iter().map(|&commit| commit.to_owned()).collect();
    wait_until("the pins of the stash", || pins(world) == expected);
}

/// Returns the messages of the entries that `status` says were removed, the last first.
#[track_caller]
fn removed(world: &World, id: &str) -> Vec<String> {
    let status = world.flux(["status", "--json", id]).run().json();
    let entries = status["removedStashEntries"].as_array().unwrap().iter();
    let subject = |entry: &serde_json::Value| entry["subject"].as_str().unwrap().to_owned();
    entries.map(subject).collect()
}

/// Waits until `status` says that these entries were removed.
#[track_caller]
fn wait_removed(world: &World, id: &str, messages: &[&str]) {
    let expected: Vec<String> = messages.iter().map(|it| format!("On main: {it}")).collect();
    wait_until("the removed entries", || removed(world, id) == expected);
}

/// Starts a task with a name.
fn start(world: &World, name: &str) {
    world.behaviour("raw");
    world.flux(["run", "-q", "--name", name, "Fix"]).ok();
    world.agent(name).wait_started();
}

fn world_of(format: &[&str]) -> World {
    let world = World::without_repository("pins");
    fs::create_dir(world.repo()).unwrap();
    world.git(["init", "-q"].iter().chain(format));
    world.fill(&world.repo());
    world
}

#[track_caller]
fn assert_pinned_and_said(world: &World) {
    let early = push(world, "early");
    start(world, "fix");
    wait_for_pins(world, &[&early]);
    let late = push(world, "late; $(x) it's");
    wait_for_pins(world, &[&early, &late]);
    assert_eq!(removed(world, "fix"), [""; 0]);
    // As by an agent that brings its own git.
    world.git(["stash", "drop", "-q"]);
    wait_removed(world, "fix", &["late; $(x) it's"]);
    let before = world.snapshot();
    let said = world.flux(["status", "fix"]).run().success().stderr.clone();
    world.assert_unchanged(&before);
    let short = &late[..9];
    let warning = format!("warning: stash entry {short} (On main: late; $(x) it's) was removed");
    assert!(
        said.starts_with(&(warning + " while the agent of 'fix' ran\n")),
        "{said}"
    );
    let put_back = "hint: to put it back: ";
    let hint = said.lines().find_map(|line| line.strip_prefix(put_back));
    // It can be pasted.
    let mut shell = world.command("sh");
    let shell = shell
        .current_dir(world.repo())
        .args(["-c", hint.unwrap()])
        .status();
    assert!(shell.unwrap().success());
    let list = world.git(["stash", "list", "--format=%H %gs"]);
    assert_eq!(
        list,
        format!("{late} On main: late; $(x) it's\n{early} On main: early")
    );
    wait_removed(world, "fix", &[]);
    world.flux(["status", "fix"]).run().success().stderr_is("");
    world.git(["stash", "clear"]);
    wait_removed(world, "fix", &["late; $(x) it's", "early"]);
    assert_eq!(pins(world).len(), 2);
}

#[test]
fn launcher_pins_and_notes_each_entry_of_the_stash() {
    assert_pinned_and_said(&world_of(&[]));
}

#[test]
fn launcher_pins_and_notes_each_entry_with_reftable_and_sha_256() {
    let format = ["--ref-format=reftable", "--object-format=sha256"];
    assert_pinned_and_said(&world_of(&format));
}

#[test]
fn launcher_pins_the_first_entry_of_a_bare_repository() {
    let world = World::new();
    let bare = world.root().join("bare.git");
    world.git(["clone", "-q", "--bare", ".", bare.to_str().unwrap()]);
    // A bare repository has no reflogs until one is needed.
    fs::remove_dir_all(bare.join("logs")).ok();
    world.behaviour("raw");
    let run = ["run", "-q", "--name", "fix", "Fix"];
    world.flux(run).in_dir(&bare).ok();
    world.agent("fix").wait_started();
    let worktree = world.root().join("bare-fix");
    world.write(worktree.join("README.md"), "changed\n");
    world.git_in(&worktree, ["stash", "-q"]);
    let commit = world.git_in(&worktree, ["rev-parse", "refs/stash"]);
    wait_until("the pin", || {
        let refs = ["for-each-ref", "--format=%(objectname)", "refs/flux/stash"];
        world.git_in(&bare, refs) == commit
    });
}

#[test]
fn pins_are_deleted_with_the_last_task_that_noted_the_entry() {
    let world = World::new();
    let entry = push(&world, "mine");
    start(&world, "one");
    start(&world, "two");
    wait_for_pins(&world, &[&entry]);
    let notes = |id: &str| {
        world
            .repo()
            .join(".git/flux/run")
            .join(id)
            .join("stash-seen")
    };
    wait_until("the notes", || {
        ["one", "two"].iter().all(|id| notes(id).exists())
    });
    for (id, left) in [("one", 1), ("two", 0)] {
        world.agent(id).tell("commit one");
        let cleanup = ["cleanup", id, "--yes"];
        world.flux(cleanup).run().success().has_not("stash entry");
        assert_eq!(pins(&world).len(), left, "{id}");
        world.git(["reset", "-q", "--hard", "HEAD~1"]);
    }
    assert_eq!(world.git(["rev-parse", "refs/stash"]), entry);
}

#[test]
fn cleanup_archives_removed_entries_and_restore_notes_them_again() {
    let world = World::new();
    let entries = ["1", "2", "3", "4", "5"].map(|message| push(&world, message));
    let all: Vec<&str> = entries.iter().map(String::as_str).collect();
    start(&world, "fix");
    wait_for_pins(&world, &all);
    world.agent("fix").tell("commit one");
    world.git(["stash", "clear"]);
    wait_removed(&world, "fix", &["5", "4", "3", "2", "1"]);
    end_agent(&world, "fix");
    let before = world.snapshot();
    let dry_run = world.flux(["cleanup", "-n", "fix"]).run();
    let output = dry_run.success();
    let mut rows = output.stdout.lines();
    let row = rows.find(|row| row.starts_with("shared stash"));
    let row = row.expect("a check of the shared stash");
    assert!(row.contains("removed while the task ran: "), "{row}");
    let bulk = world.flux(["cleanup", "-n", "--all"]).run();
    bulk.success()
        .stderr_has("was removed while the agent of 'fix' ran");
    world.assert_unchanged(&before);
    world
        .flux(["cleanup", "fix"])
        .run()
        .success()
        .says(&expect![[r#"
            --- stderr
            warning: stash entry <object> (On main: 5) was removed while the agent of 'fix' ran
            hint: to put it back: git stash store -m 'On main: 5' <object>
            warning: stash entry <object> (On main: 4) was removed while the agent of 'fix' ran
            hint: to put it back: git stash store -m 'On main: 4' <object>
            warning: stash entry <object> (On main: 3) was removed while the agent of 'fix' ran
            hint: to put it back: git stash store -m 'On main: 3' <object>
            warning: more stash entries were removed while the agent of 'fix' ran: 2
            hint: to see them: git flux status fix --json
            hint: once the task is removed, restore it before that: git flux restore fix
            merged 1 commit of 'feature/fix' into 'main' (<object>..<object>)
            removed 'fix': worktree, branch 'feature/fix' and session
            its commits stay in refs/flux/archive/fix/tip
            its files are kept in '$WORLD/myapp/.git/flux/trash/fix'
            hint: to restore the task: git flux restore fix
            hint: to undo the merge, on 'main': git revert -m 1 <object>
        "#]]);
    wait_for_pins(&world, &[]);
    for (n, commit) in entries.iter().rev().enumerate() {
        let name = format!("refs/flux/archive/fix/shared-stash/{n}");
        assert_eq!(&world.git(["rev-parse", &name]), commit);
    }
    world.git(["reset", "-q", "--hard", "HEAD~1"]);
    world.behaviour("exit 0");
    world.flux(["restore", "fix"]).run().success();
    assert_eq!(world.git(["for-each-ref", "refs/flux/archive"]), "");
    wait_for_pins(&world, &all);
    wait_removed(&world, "fix", &["5", "4", "3", "2", "1"]);
}

#[test]
fn resume_does_not_note_what_was_removed_between_two_runs() {
    let world = World::new();
    let first = push(&world, "first");
    push(&world, "second");
    start(&world, "fix");
    wait_until("two pins", || pins(&world).len() == 2);
    end_agent(&world, "fix");
    world.git(["stash", "drop", "-q"]);
    world.behaviour("raw");
    world.flux(["resume", "fix"]).run().success();
    wait_for_pins(&world, &[&first]);
    assert_eq!(removed(&world, "fix"), [""; 0]);
}

#[test]
fn launcher_replaces_a_pin_that_was_fetched() {
    let world = World::new();
    let entry = push(&world, "mine");
    let name = format!("refs/flux/stash/{entry}");
    world.git(["update-ref", &name, "HEAD"]);
    world.git(["update-ref", "refs/flux/stash/other", "HEAD"]);
    start(&world, "fix");
    wait_until("the pin", || world.git(["rev-parse", &name]) == entry);
    world.agent("fix").tell("commit one");
    world.flux(["cleanup", "fix", "--yes"]).run().success();
    // A foreign one stays.
    let left = world.git(["for-each-ref", "--format=%(refname)", "refs/flux/stash"]);
    assert_eq!(left, "refs/flux/stash/other");
}

#[test]
fn launcher_does_not_note_an_autostash_that_moves_to_its_task() {
    let world = World::new();
    let mine = push(&world, "mine");
    start(&world, "fix");
    wait_for_pins(&world, &[&mine]);
    let shell = world.agent_shell("fix");
    // As a git does that is not on the agent's PATH.
    let git = require("git");
    let git = git.to_str().unwrap();
    shell.ok(&format!(
        "echo x >>README.md; {git} stash store -m auto $(git stash create)"
    ));
    wait_until("two pins", || pins(&world).len() == 2);
    shell.ok("git stash list");
    assert_eq!(shell.stash(), ["auto"]);
    world.git(["stash", "drop", "-q"]);
    wait_removed(&world, "fix", &["mine"]);
}

#[test]
fn cleanup_refuses_notes_that_are_damaged() {
    let world = World::new();
    push(&world, "mine");
    let id = done_task(&world);
    let notes = format!(".git/flux/run/{id}/stash-seen");
    world.write(Path::new(&notes), "{}");
    let before = world.snapshot();
    world
        .flux(["cleanup", &id])
        .run()
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: cannot read the file that notes the entries of your stash
              caused by: '$WORLD/myapp/.git/flux/run/fix-login-XXXXXX/stash-seen' cannot be read
              caused by: missing field `present` at line 1 column 2
            hint: to delete this file: rm -rf '$WORLD/myapp/.git/flux/run/fix-login-XXXXXX/stash-seen'
        "#]]);
    world.assert_unchanged(&before);
    world
        .flux(["status", &id])
        .run()
        .success()
        .stderr_has("warning: cannot read the file that notes the entries of your stash");
}
