//! Tests `git flux config`, and the errors for unknown keys and bad values.

use std::fs;

use serde_json::{Value, json};

use crate::world::{hints, *};

/// Returns the object of one key from `git flux config --json`.
#[track_caller]
fn shown(world: &World, key: &str) -> Value {
    let all = world.flux(["config", "--json"]).run().success().json();
    let found = all.as_array().unwrap().iter().find(|one| one["key"] == key);
    found.unwrap_or_else(|| panic!("no {key} in {all}")).clone()
}

#[test]
fn config_shows_the_value_origin_and_meaning_of_every_setting() {
    let world = World::new();
    world.git(["config", "--global", "flux.agent", "shell"]);
    world.git(["config", "flux.layout", "window"]);
    world.git(["config", "flux.My robot.command", "robot  --big"]);
    world.git(["config", "flux.branchPrefix", "x\u{202e}/"]);
    let before = world.snapshot();
    let output = world
        .flux(["config"])
        .via_git_with(["-c", "flux.merge=squash"])
        .in_dir("src")
        .run();
    output
        .success()
        .stderr_has("hint: git config <key> <value>");
    let home = world.tools().join("gitconfig");
    for lines in [
        format!(
            "flux.agent = shell (global, {})\n    the agent that",
            home.display()
        ),
        "flux.My robot.command = robot  --big (local, .git/config)\n".to_owned(),
        "flux.claude.command = claude (default)\n".to_owned(),
        "flux.claude.yolo = true (default)\n".to_owned(),
        "flux.codex.yolo = false (default)\n".to_owned(),
        "flux.<agent>.promptArg (not set)\n".to_owned(),
        "flux.layout = window (local, .git/config)\n    where agents run".to_owned(),
        "flux.merge = squash (command, command line)\n    how cleanup merges".to_owned(),
        "(merge, squash, rebase, ff-only)\n".to_owned(),
        "flux.into (not set)\n    the branch".to_owned(),
        "flux.branchPrefix = x\\u{202e}/ (local, .git/config)\n".to_owned(),
        "flux.trashKeep = 3 (default)\n    how many".to_owned(),
        "branch.<name>.fluxInto (not set)\n".to_owned(),
    ] {
        output.stdout_has(&lines);
    }
    world.assert_unchanged(&before);
}

#[test]
fn config_shows_whether_an_agent_is_started_without_permission_prompts() {
    let world = World::new();
    for (command, skips) in [
        ("claude --model opus", true),
        ("claude --permission-mode plan", false),
        ("claude", true),
    ] {
        world.git(["config", "flux.claude.command", command]);
        let shown = format!("flux.claude.yolo = {skips} (default)\n");
        world.flux(["config"]).run().success().stdout_has(&shown);
        let planned = world.flux(["run", "--dry-run", "--agent", "claude", "Fix"]);
        let planned = planned.ok();
        let option = "--dangerously-skip-permissions";
        assert_eq!(planned.contains(option), skips, "{planned}");
    }
}

#[test]
fn config_shows_the_settings_of_a_branch_with_its_name() {
    let world = World::new();
    world.git(["config", "branch.main.description", "nobody's task"]);
    world.flux(["run", "-q", "--name", "fix", "Fix login"]).ok();
    world.git(["config", "branch.feature/fix.fluxInto", "develop"]);
    let output = world.flux(["config"]).run();
    output
        .success()
        .stdout_has("branch.feature/fix.description = Fix login (local, .git/config)\n")
        .stdout_has("branch.feature/fix.fluxTask = fix (local, .git/config)\n")
        .stdout_has("branch.feature/fix.fluxInto = develop (local, .git/config)\n")
        .stdout_has("branch.<name>.fluxAgent (not set)\n")
        .has_not("nobody's task");
}

#[test]
fn config_json_shows_values_defaults_and_origins() {
    let world = World::new();
    world.git(["config", "flux.layout", "window"]);
    world.git(["config", "flux.template", "a\nb"]);
    let layout = shown(&world, "flux.layout");
    let values = json!(["auto", "pane", "window", "session"]);
    assert_eq!(
        (&layout["value"], &layout["default"], &layout["values"]),
        (&json!("window"), &json!("auto"), &values)
    );
    assert_eq!(
        (&layout["scope"], &layout["origin"]),
        (&json!("local"), &json!("file:.git/config"))
    );
    let into = shown(&world, "flux.into");
    for unknown in ["value", "default", "scope", "origin", "values"] {
        assert_eq!(into[unknown], Value::Null, "{unknown}");
    }
    assert!(into["meaning"].as_str().unwrap().contains("merges into"));
}

#[test]
fn config_shows_the_global_settings_outside_a_repository() {
    let world = World::new();
    world.git(["config", "--global", "flux.layout", "pane"]);
    world.git(["config", "flux.merge", "squash"]);
    let output = world.flux(["config"]).in_dir(world.root()).run();
    output
        .success()
        .stdout_has("flux.layout = pane (global, ")
        .stdout_has("flux.merge = merge (default)");
}

#[test]
fn config_rejects_a_misspelt_key_in_every_command() {
    let world = World::new();
    let id = world.start("Fix");
    world.git(["config", "flux.layuot", "pane"]);
    let before = world.snapshot();
    for args in [
        &[][..],
        &["run", "Another"],
        &["list"],
        &["status", &id],
        &["attach", &id],
        &["diff", &id],
        &["cleanup", "-y", &id],
        &["restore"],
        &["config"],
    ] {
        let output = world.flux(args).run();
        output.code(1).stderr_has(
            "error: unknown setting 'flux.layuot' in file '.git/config'\n\
             hint: did you mean 'flux.layout'?\n\
             hint: the settings are flux.agent, flux.<agent>.command, flux.<agent>.promptArg,",
        );
        world.assert_unchanged(&before);
    }
    // A shell that asks what there is gets its answer: it could not show an error.
    let asked = ["--", "git-flux", "status", ""];
    let offered = world.flux(asked).env("COMPLETE", "fish").ok();
    assert!(offered.contains(&id), "{offered}");

    follow_last_hint(&world, &world.flux(["list"]).run());
    world.flux(["list"]).run().success().stdout_has(&id);
}

#[test]
fn config_suggests_the_nearest_key() {
    let world = World::new();
    for (key, near) in [
        ("flux.branchprefx", "flux.branchPrefix"),
        ("flux.worktree", "flux.worktreeDir"),
        ("flux.worktree.dir", "flux.worktreeDir"),
        ("flux.mine.comand", "flux.mine.command"),
        ("flux.trash", "flux.trashKeep"),
        ("branch.feature/a.b.fluxInt", "branch.feature/a.b.fluxInto"),
        ("branch.main.fluxagnet", "branch.main.fluxAgent"),
    ] {
        let option = format!("{key}=x");
        let output = world.flux(["list"]).via_git_with(["-c", &option]).run();
        let key = key.to_lowercase();
        output
            .code(1)
            .stderr_has(&format!(
                "error: unknown setting '{key}' from the command line\n"
            ))
            .stderr_has(&format!("hint: did you mean '{near}'?\n"));
        // There is nothing to unset.
        output.has_not("--unset");
    }
    let output = world
        .flux(["list"])
        .via_git_with(["-c", "flux.xyz=1"])
        .run();
    output
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: unknown setting 'flux.xyz' from the command line
            hint: the settings are flux.agent, flux.<agent>.command, flux.<agent>.promptArg, flux.<agent>.resume, flux.<agent>.yolo, flux.layout, flux.merge, flux.into, flux.landRounds, flux.landUnseen, flux.branchPrefix, flux.worktreeDir, flux.template, flux.copy, flux.setup, flux.setupRequired, flux.wrapper, flux.gate, flux.gateTimeout, flux.gateRetries, flux.gateSeed, flux.trust, flux.notify, flux.trashKeep, flux.archiveExpire
        "#]]);
    output.has_not("did you mean");
    // What belongs to others is theirs.
    world
        .flux(["list"])
        .via_git_with(["-c", "branch.main.theirs=1", "-c", "fluxx.y=1"])
        .run()
        .success();
}

#[test]
fn config_names_the_last_of_two_bad_values() {
    let world = World::new();
    world.git(["config", "flux.layout", "one"]);
    world.git(["config", "--add", "flux.layout", "two"]);
    let output = world.flux(["run", "Fix"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: bad value 'two' for 'flux.layout' in file '.git/config'
        hint: use one of auto, pane, window, session
    "#]]);
}

/// Pastes the last hint of an error into a shell; after that the error is gone.
#[track_caller]
fn follow_last_hint(world: &World, output: &Output) {
    let commands = hints::hints(output);
    hints::paste(world, commands.last().expect("a hint")).unwrap();
    world.flux(["list"]).run().success();
}

#[test]
fn config_names_the_included_or_global_file_of_a_bad_key() {
    let world = World::new();
    let included = world.root().join("more config");
    fs::write(&included, "\n\n[flux]\n\tlayuot = pane\n").unwrap();
    world.git(["config", "include.path", included.to_str().unwrap()]);
    let output = world.flux(["list"]).run();
    output
        .code(1)
        .stderr_has(&format!(
            "unknown setting 'flux.layuot' in file '{}'\n",
            included.display()
        ))
        .says(&expect![[r#"
            --- stderr
            error: unknown setting 'flux.layuot' in file '$WORLD/more config'
            hint: did you mean 'flux.layout'?
            hint: the settings are flux.agent, flux.<agent>.command, flux.<agent>.promptArg, flux.<agent>.resume, flux.<agent>.yolo, flux.layout, flux.merge, flux.into, flux.landRounds, flux.landUnseen, flux.branchPrefix, flux.worktreeDir, flux.template, flux.copy, flux.setup, flux.setupRequired, flux.wrapper, flux.gate, flux.gateTimeout, flux.gateRetries, flux.gateSeed, flux.trust, flux.notify, flux.trashKeep, flux.archiveExpire
            hint: to remove it: git config --file '$WORLD/more config' --unset-all flux.layuot
        "#]]);
    follow_last_hint(&world, &output);
    let left = fs::read_to_string(&included).unwrap();
    assert!(!left.contains("layuot"), "{left}");
    world.git(["config", "--global", "flux.layuot", "pane"]);
    let output = world.flux(["list"]).run();
    output
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: unknown setting 'flux.layuot' in file '$TOOLS/gitconfig'
            hint: did you mean 'flux.layout'?
            hint: the settings are flux.agent, flux.<agent>.command, flux.<agent>.promptArg, flux.<agent>.resume, flux.<agent>.yolo, flux.layout, flux.merge, flux.into, flux.landRounds, flux.landUnseen, flux.branchPrefix, flux.worktreeDir, flux.template, flux.copy, flux.setup, flux.setupRequired, flux.wrapper, flux.gate, flux.gateTimeout, flux.gateRetries, flux.gateSeed, flux.trust, flux.notify, flux.trashKeep, flux.archiveExpire
            hint: to remove it: git config --file '$TOOLS/gitconfig' --unset-all flux.layuot
        "#]]);
    follow_last_hint(&world, &output);
}

#[test]
fn config_lists_every_error_below_the_settings() {
    let world = World::new();
    for (key, value) in [
        ("flux.layuot", "pane"),
        ("flux.agent", "cluade"),
        ("flux.merge", "sqaush"),
        ("flux.trashKeep", "many"),
        ("flux.archiveExpire", "some day"),
        ("flux.mine.command", "robot 'open"),
    ] {
        world.git(["config", key, value]);
    }
    let before = world.snapshot();
    let output = world.flux(["config"]).run();
    output
        .code(1)
        .stdout_has("flux.merge = sqaush (local, .git/config)\n")
        .stdout_has("branch.<name>.fluxAgent (not set)\n");
    for error in [
        "error: unknown setting 'flux.layuot' in file",
        "error: there is no agent 'cluade'\nhint: did you mean 'claude'?\nhint: 'flux.agent' has the value 'cluade' in file '.git/config'\n",
        "error: bad value 'sqaush' for 'flux.merge' in file",
        "hint: did you mean 'squash'?\nhint: use one of merge, squash, rebase, ff-only\n",
        "error: bad value 'many' for 'flux.trashKeep' in file",
        "error: bad value 'some day' for 'flux.archiveExpire' in file",
        "error: bad value 'robot 'open' for 'flux.mine.command' in file",
    ] {
        output.stderr_has(error);
    }
    assert_eq!(output.stderr.matches("error: ").count(), 6, "{output}");
    world.assert_unchanged(&before);
    // So that programs can read what holds.
    let output = world.flux(["config", "--json"]).run();
    output.code(1);
    assert!(output.json().as_array().unwrap().len() >= 14);
}

#[test]
fn run_suggests_the_nearest_agent_for_a_misspelt_one() {
    let world = World::new();
    world.git(["config", "flux.my-robot.command", "robot"]);
    let before = world.snapshot();
    for (agent, near) in [
        ("cluade", "claude"),
        ("robot", "my-robot"),
        ("Shel", "shell"),
    ] {
        let output = world.flux(["run", "--agent", agent, "Fix"]).run();
        output
            .code(1)
            .stderr_has(&format!("there is no agent '{agent}'\n"))
            .stderr_has(&format!("hint: did you mean '{near}'?\n"));
        output.has_not("'flux.agent' is set");
    }
    let output = world.flux(["run", "--agent", "xyz", "Fix"]).run();
    output.code(1).has_not("did you mean");
    world.assert_unchanged(&before);
}

#[test]
fn config_names_the_file_of_a_setting_that_names_no_valid_branch() {
    let world = World::new();
    let id = world.start("Fix");
    world.git(["config", "flux.branchPrefix", "a..b/"]);
    world.git(["config", "flux.into", "gone"]);
    let before = world.snapshot();
    world
        .flux(["run", "Another"])
        .run()
        .code(1)
        .says(&expect![[r#"
            --- stderr
            error: 'a..b/another-XXXXXX' is not a valid branch name
            hint: 'flux.branchPrefix' has the value 'a..b/' in file '.git/config'
            hint: git config flux.branchPrefix feature/
        "#]]);
    let output = world.flux(["cleanup", "-y", &id]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: there is no branch 'gone' to merge 'fix-XXXXXX' into
        hint: 'flux.into' has the value 'gone' in file '.git/config'
        hint: to merge it elsewhere: git flux cleanup fix-XXXXXX --into <branch>
        hint: to remove it without a merge: git flux cleanup fix-XXXXXX --discard-branch
    "#]]);
    let output = world.flux(["cleanup", "-y", "--into=gone", &id]).run();
    output.code(1).has_not("is set in file");
    world.assert_unchanged(&before);
    world.git(["config", &format!("branch.feature/{id}.fluxInto"), "gone"]);
    let output = world.flux(["cleanup", "-y", &id]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: there is no branch 'gone' to merge 'fix-XXXXXX' into
        hint: 'branch.feature/fix-XXXXXX.fluxInto' has the value 'gone' in file '.git/config'
        hint: to merge it elsewhere: git flux cleanup fix-XXXXXX --into <branch>
        hint: to remove it without a merge: git flux cleanup fix-XXXXXX --discard-branch
    "#]]);
}
