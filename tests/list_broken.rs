//! `git flux list` where something is wrong: interrupted tasks, corrupt records, hostile titles.

use crate::world::hints::{hints, paste};
use crate::world::output::{ids, row};
use crate::world::*;

const BAD: [char; 6] = [
    '\u{1b}',
    '\u{9b}',
    '\u{202e}',
    '\u{200b}',
    '\u{2066}',
    '\u{e0041}',
];

#[test]
fn list_shows_an_interrupted_task_as_incomplete() {
    let world = World::new();
    let whole = world.start("Whole");
    world.fault(&Fault::every("tmux", "new-session", Mode::KillBefore));
    world
        .flux(["run", "--name", "wreck", "Cut off"])
        .run()
        .killed();
    world.wait_fault_over();
    world.clear_fault();
    let before = world.snapshot();
    let list = world.flux(["list", "--json"]).run().success().json();
    assert_eq!(ids(&list), [&*whole, "wreck"]);
    assert_eq!(
        (&list[0]["state"], &list[1]["state"]),
        (&"running".into(), &"incomplete".into())
    );
    assert_eq!(list[1]["phase"], "starting");
    assert_eq!(row(&world.flux(["list"]).ok(), "wreck")[1], "incomplete");
    world
        .flux(["list", "--porcelain"])
        .run()
        .success()
        .stdout_has("task wreck\nstate incomplete\nphase starting\n");
    world
        .flux(["status", "wreck"])
        .run()
        .success()
        .stdout_has("incomplete");
    // Looking settles nothing.
    world.assert_unchanged(&before);
}

#[test]
fn list_shows_only_the_task_with_a_corrupt_record_as_broken() {
    let world = World::new();
    let whole = world.start("Whole");
    let tree = |file: &str, content: &str| {
        world.write("../content", content);
        let blob = world.git(["hash-object", "-w", "--no-filters", "../content"]);
        let script = format!("printf '100644 blob {blob}\\t{file}\\n' | git mktree");
        let output = world
            .command("/bin/sh")
            .current_dir(world.repo())
            .args(["-c", &script])
            .output()
            .unwrap();
        String::from_utf8(output.stdout)
            .unwrap()
            .trim_end()
            .to_owned()
    };
    let json = world.git(["show", &format!("refs/flux/tasks/{whole}:task.json")]);
    let records = [
        world.git(["hash-object", "-w", "README.md"]),
        world.git(["rev-parse", "HEAD"]),
        tree("other.json", "{}"),
        tree("task.json", "not json"),
        tree("task.json", "{}"),
        tree(
            "task.json",
            &json.replace("\"version\": 1", "\"version\": 0"),
        ),
        // A field that is not what it must be.
        tree(
            "task.json",
            &json.replace("\"base\": \"", "\"base\": \"--output=/tmp/x"),
        ),
        tree("task.json", &json),
    ];
    for (at, record) in records.iter().enumerate() {
        world.own_ref(&format!("refs/flux/tasks/broken-{at}"), record);
    }
    let before = world.snapshot();
    let list = world.flux(["list", "--json"]).run().code(1).json();
    let states: Vec<&str> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|task| task["state"].as_str().unwrap())
        .collect();
    assert_eq!(
        states.iter().filter(|state| **state == "broken").count(),
        records.len(),
        "{list:#}"
    );
    let good = list
        .as_array()
        .unwrap()
        .iter()
        .find(|task| task["id"] == *whole)
        .unwrap();
    assert_eq!(good["state"], "running");
    let output = world.flux(["list"]).run();
    output.code(1).stderr_has("not everything could be read");
    let table = output.stdout;
    assert_eq!(row(&table, &whole)[1], "running");
    let waited = world.flux(["wait", "--any"]).run();
    waited.code(1).stdout_has("broken-3 broken\n");
    for many in [
        ["cleanup", "--merged"],
        ["cleanup", "--all"],
        ["resume", "--all"],
    ] {
        let output = world.flux(many).run();
        for at in 0..records.len() {
            let named = format!("error: the record of 'broken-{at}' cannot be read");
            assert_eq!(output.code(1).stderr.matches(&named).count(), 1, "{output}");
        }
    }
    for at in 0..records.len() {
        let id = format!("broken-{at}");
        let broken = row(&table, &id);
        assert_eq!(broken[1], "broken");
        assert!(
            broken.last().unwrap().contains("cannot be read"),
            "{broken:?}"
        );
        let output = world.flux(["status", &id]).run();
        output
            .code(1)
            .stderr_has(&format!("'{id}'"))
            .stderr_has("hint: ");
        world
            .flux(["list", "--porcelain"])
            .run()
            .code(1)
            .stdout_has(&format!("task {id}\nstate broken\nerror "));
    }
    for command in ["attach", "diff", "cleanup"] {
        world
            .flux([command, "broken-3"])
            .run()
            .code(1)
            .says(&expect![[r#"
                --- stderr
                error: the record of 'broken-3' cannot be read: it is damaged: expected ident at line 1 column 2
                hint: to look at the record: git cat-file -p refs/flux/tasks/broken-3
                hint: to set it aside: git update-ref refs/flux/archive/broken-3/task <object> && git update-ref -d refs/flux/tasks/broken-3
            "#]]);
    }
    world.assert_unchanged(&before);
    // Each can be looked at and set aside, as its hints say.
    for at in 0..records.len() {
        let output = world.flux(["cleanup", &format!("broken-{at}")]).run();
        for hint in hints(&output) {
            paste(&world, &hint).unwrap();
        }
    }
    let output = world.flux(["list"]).run();
    output.success().has_not("broken");
    let named = "the record of the removed task 'broken-3' cannot be read";
    let output = world.flux(["restore", "--list"]).run();
    output.code(1).stderr_has(named);
    // The others are as they were, and new ones start.
    world.flux(["status", &whole]).run().success();
    world.flux(["run", "-q", "Another"]).run().success();
}

#[test]
fn list_shows_only_the_task_with_a_missing_object_as_broken() {
    let world = World::new();
    let whole = world.start("Whole");
    let missing = "0123456789012345678901234567890123456789";
    world.write(".git/refs/flux/tasks/broken", format!("{missing}\n"));
    let mark = format!("version 1\n{missing} refs/flux/tasks/broken\n");
    world.write(".git/flux/marks/tasks/broken", mark);
    let list = world.flux(["list", "--json"]).run().code(1).json();
    let state = |id: &str| {
        list.as_array()
            .unwrap()
            .iter()
            .find(|task| task["id"] == id)
            .unwrap()["state"]
            .clone()
    };
    assert_eq!(
        (state(&whole), state("broken")),
        ("running".into(), "broken".into())
    );
}

#[test]
fn list_escapes_control_characters_in_titles_and_branches() {
    let world = World::new();
    let title = "Fix \u{1b}[31mred \u{9b}31m \u{202e}evil\u{200b} \u{2066}x \u{e0041} end";
    let prefix = "flux.branchPrefix=x\u{202e}y/";
    let run = world
        .flux(["run", "--name", "fix", "-F", "-"])
        .stdin(title)
        .via_git_with(["-c", prefix])
        .run();
    run.success().stdout_has("Branch: x\\u{202e}y/fix");
    let dry = world
        .flux(["run", "--dry-run", "-F", "-"])
        .stdin(title)
        .via_git_with(["-c", prefix])
        .run();
    let wrong = world
        .flux(["run", "--base", "no\u{1b}[31m\u{202e}", "Fix"])
        .run();
    wrong.code(1).stderr_has("does not name a commit");
    let shown = [
        run,
        dry,
        wrong,
        world.flux(["list"]).run(),
        world.flux(["status", "fix"]).run(),
        world.flux(["status", "no\u{1b}[31m\u{9b}\u{202e}"]).run(),
        world.flux(["list", "--json"]).run(),
    ];
    for output in &shown {
        for bad in BAD {
            let found = output.stdout.contains(bad) || output.stderr.contains(bad);
            assert!(!found, "{bad:?} in {:?} {:?}", output.stdout, output.stderr);
        }
    }
    shown[3].stdout_has("Fix \\u{1b}[31mred");
    // Escaped, and still exact.
    assert_eq!(shown[6].json()[0]["title"], title);
}
