//! Tests that records and files of a newer git flux are recognised and left alone.

use std::fs;

use crate::world::output::row;
use crate::world::*;

/// Replaces a piece of a record.
#[track_caller]
fn rewrite(world: &World, name: &str, from: &str, to: &str) {
    world.edit_record(name, |json| {
        assert!(json.contains(from), "{json}");
        json.replace(from, to)
    });
}

const ONE: &str = "\"version\": 1";
const TWO: &str = "\"version\": 2";

#[test]
fn commands_refuse_a_task_with_a_newer_record() {
    let world = World::new();
    let other = world.start("Other");
    world.flux(["run", "-q", "--name", "later", "Later"]).ok();
    world.agent("later").wait_started();
    rewrite(&world, "refs/flux/tasks/later", ONE, TWO);
    // As a start that died would be settled, or a removal.
    rewrite(
        &world,
        "refs/flux/tasks/later",
        "\"active\"",
        "\"starting\"",
    );
    let before = world.snapshot();
    let table = world.flux(["list"]).ok();
    assert_eq!(row(&table, "later")[1], "newer");
    assert!(
        table.contains("it has version 2, for a newer git flux"),
        "{table}"
    );
    let list = world.flux(["list", "--json"]).run().json();
    let later = list
        .as_array()
        .unwrap()
        .iter()
        .find(|task| task["id"] == "later");
    assert_eq!(later.unwrap()["state"], "newer");
    world
        .flux(["list", "--porcelain"])
        .run()
        .success()
        .stdout_has("task later\nstate newer\nerror it has version 2");
    for args in [
        &["status", "later"][..],
        &["status", "--explain", "later"],
        &["diff", "later"],
        &["log", "later"],
        &["attach", "later"],
        &["send", "later", "x"],
        &["wait", "later"],
        &["resume", "later"],
        &["cleanup", "later", "-y"],
        &["cleanup", "later", "-y", "--discard", "--discard-branch"],
        &["cleanup", "later", "--dry-run"],
        &["adopt", "../myapp-later"],
    ] {
        let output = world.flux(args).run();
        output
            .code(1)
            .says(&expect![[r#"
                --- stderr
                error: the record of 'later' cannot be read: it has version 2, for a newer git flux; this one reads version 1
                hint: update git flux, or find the newer one: type -a git-flux
                hint: to look at the record: git cat-file -p refs/flux/tasks/later
            "#]]);
    }
    world.flux(["run", "--name", "later", "x"]).run().code(1);
    world.assert_unchanged(&before);
    // It stands in the way of no other task.
    let waited = world
        .flux(["wait", "--all", "--for", "exited", "--timeout", "0s"])
        .run();
    waited.code(124).stdout_is("later newer\n");
    world.flux(["status", &other]).run().success();
    world.flux(["run", "-q", "--name", "third", "Third"]).ok();
    let all = world.flux(["cleanup", "--all", "-y"]).run();
    all.code(1).stderr_has("1 of 3 tasks were not removed");
    assert_eq!(
        world.git(["for-each-ref", "refs/flux/tasks", "--format=%(refname)"]),
        "refs/flux/tasks/later"
    );
    assert!(world.agent("later").is_alive());
    assert!(world.worktree("later").join(".git").exists());
    // The newer one goes on where it was.
    rewrite(&world, "refs/flux/tasks/later", TWO, ONE);
    rewrite(
        &world,
        "refs/flux/tasks/later",
        "\"starting\"",
        "\"active\"",
    );
    world.flux(["cleanup", "later", "-y"]).run().success();
}

#[test]
fn restore_refuses_an_archived_task_with_a_newer_record() {
    let world = World::new();
    world.behaviour("exit 0");
    for name in ["one", "two"] {
        world.flux(["run", "-q", "--name", name, "Fix"]).ok();
        world.wait_ended(name);
        world.commit_in(world.worktree(name), "work.txt", name);
        world
            .flux(["cleanup", name, "-y", "--discard-branch"])
            .run()
            .success();
    }
    rewrite(&world, "refs/flux/archive/one/task", ONE, TWO);
    let before = world.snapshot();
    let place = world.repo().join(".git/flux/trash/one");
    let table = world.flux(["restore", "--list"]).ok();
    assert_eq!(row(&table, "one")[3], "newer");
    let list = world.flux(["restore", "--list", "--json"]).run().json();
    assert_eq!(
        (&list[0]["name"], &list[1]["name"]),
        (&"two".into(), &"one".into())
    );
    assert_eq!(
        (&list[1]["state"], &list[1]["tip"]),
        (&"newer".into(), &serde_json::Value::Null)
    );
    for args in [
        &["restore", "one"][..],
        &["restore", "--drop", "-y", "one"],
        &["log", "one"],
    ] {
        world
            .flux(args)
            .run()
            .code(1)
            .says(&expect![[r#"
                --- stderr
                error: the record of the removed task 'one' cannot be read: it has version 2, for a newer git flux; this one reads version 1
                hint: update git flux, or find the newer one: type -a git-flux
                hint: to look at the record: git cat-file -p refs/flux/archive/one/task
            "#]]);
    }
    world.assert_unchanged(&before);
    world
        .flux(["gc", "--trash", "-y"])
        .run()
        .code(1)
        .says(&expect![[r#"
            --- stderr
            deleted 'two' (the commits of 'feature/two' were at <object>)
            warning: the record of the removed task 'one' cannot be read: it has version 2, for a newer git flux; this one reads version 1
            hint: update git flux, or find the newer one: type -a git-flux
            hint: to look at the record: git cat-file -p refs/flux/archive/one/task
            error: not everything could be deleted
        "#]]);
    // Neither its refs nor its worktree have expired.
    for name in ["one", "two"] {
        let place = place.with_file_name(name);
        let Ok(place) = fs::File::open(place) else {
            continue;
        };
        place.set_modified(std::time::UNIX_EPOCH).unwrap();
    }
    world.git(["config", "flux.trashKeep", "0"]);
    world.git(["config", "flux.archiveExpire", "now"]);
    world.flux(["__expire"]).run().success();
    assert!(place.join("worktree").exists());
    rewrite(&world, "refs/flux/archive/one/task", TWO, ONE);
    world.flux(["restore", "one"]).run().success();
    assert_eq!(world.read(world.worktree("one").join("work.txt")), "one");
}

#[test]
fn status_is_unknown_if_the_run_files_are_newer() {
    let world = World::new();
    let id = world.start("Fix");
    let run = world.repo().join(".git/flux/run").join(&id);
    let running = fs::read_to_string(run.join("running")).unwrap();
    let state = || world.flux(["status", "--json", &id]).run().json()["state"].clone();
    // An event that is not understood makes what was before it no truer.
    let event = |version: u32, state: &str| {
        format!("{{\"version\":{version},\"at\":1,\"state\":\"{state}\",\"event\":\"x\"}}\n")
    };
    fs::write(run.join("events"), event(1, "working")).unwrap();
    assert_eq!(state(), "working");
    fs::write(
        run.join("events"),
        event(1, "working") + &event(2, "working"),
    )
    .unwrap();
    assert_eq!(state(), "running");
    world
        .flux(["log", &id])
        .run()
        .success()
        .stderr_has("1 event of")
        .stdout_has("working");
    for file in ["running", "exit"] {
        let newer = running.replacen('{', "{\"version\":2,\"status\":0,\"at\":1,", 1);
        fs::write(run.join(file), newer).unwrap();
        let before = world.snapshot();
        assert_eq!(state(), "unknown", "{file}");
        world
            .flux(["status", &id])
            .run()
            .success()
            .stdout_has(&format!("/{file}' cannot be read: it has version 2"));
        world
            .flux(["cleanup", "-y", &id])
            .run()
            .code(1)
            .stderr_has("cannot tell whether the agent");
        world.assert_unchanged(&before);
        assert!(world.agent(&id).is_alive());
        match file {
            "running" => fs::write(run.join(file), &running).unwrap(),
            _ => fs::remove_file(run.join(file)).unwrap(),
        }
    }
    // A request that is not understood is not taken.
    fs::write(run.join("launch"), "{\"version\":2}").unwrap();
    world
        .flux(["__run".as_ref(), run.join("launch").as_os_str()])
        .run()
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: the file 'launch' of the task cannot be read
              caused by: it has version 2, for a newer git flux; this one reads version 1
        "#]]);
    assert!(run.join("launch").exists());
    assert_eq!(fs::read_to_string(run.join("running")).unwrap(), running);
    fs::remove_file(run.join("launch")).unwrap();
    // A field that is not known is no newer version.
    fs::write(
        run.join("running"),
        running.replacen('{', "{\"later\":[1],", 1),
    )
    .unwrap();
    assert_eq!(state(), "running");
}

#[test]
fn cleanup_and_restore_keep_unknown_fields_of_a_record() {
    let world = World::new();
    world.behaviour("exit 0");
    world.git(["branch", "topic"]);
    world
        .flux(["run", "-q", "--name", "fix", "--branch", "topic", "Fix"])
        .ok();
    world.wait_ended("fix");
    let later = "\"later\": { \"a\": [1] }, ";
    for (at, rest) in [("\"id\"", ""), ("\"tip\"", "")] {
        rewrite(
            &world,
            "refs/flux/tasks/fix",
            at,
            &format!("{later}{at}{rest}"),
        );
    }
    let record = |name: &str| {
        let json = world.git(["show", &format!("{name}:task.json")]);
        serde_json::from_str::<serde_json::Value>(&json).unwrap()
    };
    // What is configured may be anything, and goes into no record.
    world.git(["config", "branch.topic.fluxInto", "no branch"]);
    world.git(["config", "branch.topic.fluxAgent", "no\nagent"]);
    let cleanup = ["cleanup", "fix", "-y", "--into", "main"];
    world.flux(cleanup).run().success();
    for key in ["fluxInto", "fluxAgent"] {
        world.git(["config", "--unset", &format!("branch.topic.{key}")]);
    }
    rewrite(
        &world,
        "refs/flux/archive/fix/task",
        "\"at\"",
        &format!("{later}\"at\""),
    );
    world.flux(["restore", "fix"]).run().success();
    let restored = record("refs/flux/tasks/fix");
    assert_eq!(restored["phase"], "active");
    for later in [&restored["later"], &restored["existing"]["later"]] {
        assert_eq!(later["a"][0], 1, "{restored:#}");
    }
}

#[test]
fn list_shows_a_huge_record_as_broken() {
    let world = World::new();
    world.start("Whole");
    world.flux(["run", "-q", "--name", "huge", "Huge"]).ok();
    let title = format!("\"title\": \"{}", "x".repeat(20 * 1024 * 1024));
    rewrite(&world, "refs/flux/tasks/huge", "\"title\": \"", &title);
    let table = world.flux(["list"]).run().code(1).stdout.clone();
    assert_eq!(row(&table, "huge")[1], "broken");
    assert!(table.len() < 10_000);
}
