//! Tests how verdicts and logs are shown.

use std::fs;

use super::*;

#[test]
fn gate_prints_objects_and_lines_for_programs() {
    let world = World::new();
    configure(&world, ["echo 'an error'; exit 2"]);
    let path = task(&world, "fix");
    let dry = world.flux(["gate", "-n", "--json", "fix"]).run();
    let untested = dry.code(125).json();
    assert_eq!(untested[0]["gate"]["state"], "none");
    assert!(!scratch(&world).exists());
    let object = world.flux(["gate", "--json", "fix"]).run().code(1).json();
    let (id, gate) = (&object[0]["id"], &object[0]["gate"]);
    assert_eq!((id, &gate["state"]), (&"fix".into(), &"red".into()));
    assert_eq!(gate["command"], "echo 'an error'; exit 2");
    assert_eq!((&gate["status"], &gate["why"]), (&2.into(), &().into()));
    let tree = world.git_in(&path, ["rev-parse", "HEAD^{tree}"]);
    assert_eq!(gate["tree"], *tree);
    let log = fs::read_to_string(gate["log"].as_str().unwrap()).unwrap();
    assert_eq!(log, "$ echo 'an error'; exit 2\nan error\n".repeat(2));
    let lines = world.flux(["gate", "--porcelain", "fix"]).run();
    let tree = tree.trim_end();
    lines.code(1).stdout_is(&format!(
        "task fix\ngate red\ngate-command echo 'an error'; exit 2\ngate-status 2\ngate-tree {tree}\n\n"
    ));
    for list in [["list", "--json"], ["status", "--json"]] {
        let shown = world.flux(list).in_dir(&path).run().success().json();
        let shown = shown.get(0).unwrap_or(&shown);
        assert_eq!(shown["gate"], *gate, "{list:?}");
    }
    let list = world.flux(["list", "--porcelain"]).run();
    list.success()
        .stdout_has("\ngate red\ngate-command echo 'an error'; exit 2\n");
}

#[test]
fn list_and_status_show_the_verdict_once_there_is_a_gate() {
    let world = World::new();
    let path = task(&world, "fix");
    let columns = |table: &str| table.lines().next().unwrap().contains("GATE");
    assert!(!columns(&world.flux(["list"]).ok()));
    let status = world.flux(["status", "fix"]).ok();
    assert!(status.contains("Gate:      untested"), "{status}");
    configure(&world, ["test ! -e red"]);
    let shows = |label: &str, text: &str| {
        let list = world.flux(["list"]).ok();
        assert!(columns(&list), "{list}");
        let row = list.lines().find(|line| line.starts_with("fix")).unwrap();
        assert!(row.contains(label), "{list}");
        let status = world.flux(["status", "fix"]).ok();
        assert!(status.contains(&format!("\nGate:      {text}")), "{status}");
    };
    shows("untested", "untested\n");
    world.flux(["gate", "fix"]).run().success();
    shows("green", "green, ");
    world.commit_in(&path, "red", "");
    shows("untested", "untested\n");
    world.flux(["gate", "fix"]).run().code(1);
    shows("red(1)", "red: 'test ! -e red' exited with status 1, ");
    // The tree of uncommitted files is not searched for.
    task(&world, "other");
    world.write(path.join("more"), "");
    let list = world.flux(["list"]).ok();
    let row = list.lines().find(|line| line.starts_with("fix")).unwrap();
    assert!(row.contains(" - "), "{list}");
    let list = world.flux(["list", "--json"]).run().success().json();
    let dirty = list.as_array().unwrap().iter().find(|it| it["id"] == "fix");
    assert_eq!(dirty.unwrap()["gate"], serde_json::Value::Null);
}

#[test]
fn gate_prints_the_log_of_the_last_run_on_the_same_files() {
    let world = World::new();
    configure(&world, ["printf 'one\\033[2J\\n'", "echo two >&2"]);
    let path = task(&world, "fix");
    let log = || world.flux(["gate", "--log", "fix"]).run();
    let before = world.snapshot();
    log().code(1).says(&expect![[r#"
        --- stderr
        error: the gate has not run on 'fix' as it is now
        hint: to run it: git flux gate fix
    "#]]);
    world.assert_unchanged(&before);
    world.flux(["gate", "fix"]).run().success();
    let text = "$ printf 'one\\033[2J\\n'\none\x1b[2J\n$ echo two >&2\ntwo\n";
    log().success().stdout_is(text);
    let terminal = world.terminal(80, 24);
    terminal.command("git-flux gate --log fix");
    assert_eq!(terminal.exit_code(), 0);
    terminal.wait_for_screen("one\\u{1b}[2J");
    // As many are kept as it says, and none of other files is shown.
    for n in 0..21 {
        world.write(path.join("number"), n.to_string());
        world.flux(["gate", "fix"]).run().success();
    }
    let files = fs::read_dir(world.repo().join(".git/flux/gate")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.ends_with(".log")).count(), 20);
    fs::remove_file(path.join("number")).unwrap();
    log()
        .code(1)
        .stderr_has("the gate has not run on 'fix' as it is now");
}
