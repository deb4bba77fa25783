//! Tests the help, and the suggestions for misspelt commands, options, values and tasks.

use std::collections::BTreeMap;

use crate::world::output::*;
use crate::world::*;

/// Returns the options of a command, in the order of its help: names, and what they do.
fn options(world: &World, command: &str) -> Vec<(String, String)> {
    let help = world.flux([command, "-h"]).in_dir(world.root()).ok();
    let (_, options) = help.split_once("\nOptions:\n").expect("options");
    let heads = options.lines().filter(|line| line.trim().starts_with('-'));
    let pair = |line: &str| {
        let (names, text) = line
            .trim()
            .split_once("  ")
            .expect("an option with its text");
        (names.to_owned(), text.trim().to_owned())
    };
    heads.map(pair).collect()
}

#[test]
fn help_without_a_command_shows_the_tasks_or_how_to_begin() {
    let world = World::new();
    let before = world.snapshot();
    let output = world.flux::<&str>([]).via_git().run();
    output.success().stderr_is("");
    output.says(&expect![[r#"
        There are no tasks in this repository. To start one:

            git flux run "<description>"

        Then:

            git flux                    list the tasks
            git flux attach <task>      go to a task: watch, answer, take over
            git flux cleanup <task>     merge it and remove it
            git flux restore            bring back a removed task

        'git flux -h' lists all commands, 'git help flux' is the manual.
    "#]]);
    world.assert_unchanged(&before);
    let id = world.start("Fix");
    let output = world.flux::<&str>([]).via_git().run();
    output.success().stdout_has("TASK ").stdout_has(&id);
    output.has_not("<description>");
    // With what git itself says, outside of a repository.
    let said = world
        .command("git")
        .arg("status")
        .current_dir(world.root())
        .output();
    let said = String::from_utf8(said.unwrap().stderr).unwrap();
    let said = said.lines().next().unwrap().replace("fatal: ", "error: ");
    let output = world.flux::<&str>([]).in_dir(world.root()).run();
    output.code(1).stdout_is("").stderr_has(&said);
}

#[test]
fn help_suggests_the_nearest_command_or_option() {
    let world = World::new();
    let before = world.snapshot();
    for (args, error, hint) in [
        (
            &["stauts"][..],
            "'stauts' is not a git flux command",
            "git flux status",
        ),
        (
            &["clean"],
            "'clean' is not a git flux command",
            "git flux cleanup",
        ),
        (
            &["help", "lst"],
            "'lst' is not a git flux command",
            "git flux list",
        ),
        (
            &["list", "--jsno"],
            "unexpected argument '--jsno' found",
            "a similar argument exists: '--json'",
        ),
        (
            &["run", "--quite", "x"],
            "unexpected argument '--quite' found",
            "git flux run -h",
        ),
        (
            &["list", "-z"],
            "the following required arguments were not provided: --porcelain",
            "git flux list -h",
        ),
    ] {
        let output = world.flux(args).run();
        let first = format!("error: {error}\n");
        assert!(output.stderr.starts_with(&first), "{output}");
        output
            .code(2)
            .stdout_is("")
            .stderr_has(&format!("hint: {hint}\n"));
    }
    let output = world.flux(["xyz"]).run();
    output
        .code(2)
        .stderr_is("error: 'xyz' is not a git flux command\nhint: git flux -h\n");
    world.assert_unchanged(&before);
}

#[test]
fn help_names_the_allowed_values_after_a_bad_value() {
    let world = World::new();
    let before = world.snapshot();
    for (args, said) in [
        (
            &["run", "--count", "Fix it"][..],
            "for '--count <number>': expected a number from 1 to 99\nhint: git flux run -h\n",
        ),
        (
            &["run", "--count", "0", "x"],
            "expected a number from 1 to 99\n",
        ),
        (
            &["wait", "--timeout", "3x"],
            "expected a time like 90s, 30m or 1h 30m\n",
        ),
    ] {
        world
            .flux(args)
            .run()
            .code(2)
            .stdout_is("")
            .stderr_has(said);
    }
    let run = |setting| {
        let run = world.flux(["run", "x"]).via_git_with(["-c", setting]);
        run.run()
    };
    let output = run("flux.agent=");
    output.code(1).says(&expect![[r#"
        --- stderr
        error: 'flux.agent' is empty
        hint: 'flux.agent' has the value '' from the command line
        hint: installed agents: claude, shell
        hint: git config flux.agent claude
    "#]]);
    // A file system that is not on a disk is not full.
    run("flux.worktreeDir=/proc").code(1).has_not("no space");
    world.assert_unchanged(&before);
}

#[test]
fn errors_suggest_the_nearest_task_in_a_hint_to_paste() {
    let world = World::new();
    for name in [
        "fix-the-login-5c3c4d",
        "add-oauth-343524",
        "speed-up-0d23e9",
    ] {
        world.flux(["run", "-q", "--name", name, "Fix"]).ok();
        world.agent(name).wait_started();
    }
    let before = world.snapshot();
    for (name, near) in [
        ("fix-teh-login", "fix-the-login-5c3c4d"),
        ("ad-oauth", "add-oauth-343524"),
        ("add-oauth-344524", "add-oauth-343524"),
    ] {
        for command in ["status", "attach", "diff", "cleanup"] {
            let output = world.flux([command, name]).run();
            output.code(1).stderr_has(&format!(
                "error: there is no task '{name}'\nhint: git flux {command} {near}\n"
            ));
            world.assert_unchanged(&before);
        }
    }
    let output = world.flux(["status", "xyz"]).run();
    output.code(1).stderr_is(
        "error: there is no task 'xyz'\n\
         hint: the tasks are: add-oauth-343524, fix-the-login-5c3c4d, speed-up-0d23e9\n",
    );
    // It does what it says.
    let hint = world.flux(["status", "fix-teh-login"]).run().stderr;
    let hint = hint.lines().find_map(|l| l.strip_prefix("hint: git flux "));
    world.flux(hint.unwrap().split(' ')).run().success();
}

#[test]
fn restore_suggests_the_nearest_removed_task() {
    let world = World::new();
    crate::world::archive::done(&world, "fix-the-login");
    world.flux(["cleanup", "fix-the-login"]).run().success();
    let before = world.snapshot();
    let output = world.flux(["restore", "fix-teh-login"]).run();
    output.code(1).stderr_is(
        "error: there is no removed task 'fix-teh-login'\n\
         hint: git flux restore fix-the-login\n\
         hint: the removed tasks are: fix-the-login\n",
    );
    world.assert_unchanged(&before);
}

/// The id of a removed task is never taken as the prefix of another task.
#[test]
fn cleanup_does_not_take_another_task_if_its_own_disappears() {
    let world = World::new();
    for name in ["fix", "fix-2"] {
        crate::world::archive::done(&world, name);
    }
    let terminal = world.terminal(100, 30);
    terminal.command("git flux cleanup fix");
    terminal.wait_for_screen("and remove 'fix'?");
    // Somebody else is faster.
    let tip = world.git(["rev-parse", "feature/fix-2"]);
    let removed = world.git(["rev-parse", "refs/flux/tasks/fix"]);
    world.git(["update-ref", "-d", "refs/flux/tasks/fix", &removed]);
    terminal.keys(["y"]);
    assert_ne!(terminal.exit_code(), 0);
    assert_eq!(world.git(["rev-parse", "feature/fix-2"]), tip);
    assert!(world.worktree("fix-2").exists());
}

#[test]
fn help_lists_options_in_the_same_order_and_words() {
    let world = World::without_repository("w");
    // As git has them: what is said, what is done, then the options of the command, then forms for programs.
    let order = |names: &str| match names {
        "-q, --quiet" => 0,
        "-n, --dry-run" => 1,
        "-y, --yes" => 2,
        "--json" => 4,
        "--porcelain" => 5,
        "-z" => 6,
        "-h, --help" => 7,
        _ => 3,
    };
    let mut words: BTreeMap<String, String> = BTreeMap::new();
    let mut seen = 0;
    for command in commands(&world) {
        let options = options(&world, &command);
        let places: Vec<i32> = options.iter().map(|(names, _)| order(names)).collect();
        assert!(places.is_sorted(), "{command}: {options:?}");
        for (names, text) in options {
            let first = text.chars().next().unwrap();
            assert!(
                !first.is_uppercase() && !text.ends_with('.'),
                "{command} {names}: {text}"
            );
            // What it is comes first, and is the same; what it prints is the command's own.
            let common = text.split(':').next().unwrap().to_owned();
            if [0, 1, 5, 6, 7].contains(&order(&names)) {
                let known = words.entry(names.clone()).or_insert_with(|| common.clone());
                assert_eq!(*known, common, "{command} {names}");
                seen += 1;
            }
        }
    }
    assert!(seen > 10 && words.len() == 5, "{words:?}");
}

#[test]
fn help_is_the_same_for_h_help_and_the_help_command() {
    let world = World::without_repository("w");
    let path = world.path_without(["git", "tmux"]);
    for command in commands(&world) {
        let short = world
            .flux([&command, "-h"])
            .in_dir(world.root())
            .env("PATH", &path)
            .ok();
        assert!(
            short.starts_with(&format!("usage: git flux {command}")),
            "{short}"
        );
        assert!(
            short.lines().all(|line| line.chars().count() <= 100),
            "{short}"
        );
        for args in [["help", &command], [&command, "--help"]] {
            let other = world.flux(args).in_dir(world.root()).ok();
            assert_eq!(other.trim_end(), short.trim_end(), "{args:?}");
        }
    }
    let asked = world
        .flux(["--", "git-flux", "help", "cl"])
        .env("COMPLETE", "fish");
    let offered = asked.in_dir(world.root()).ok();
    assert!(offered.starts_with("cleanup\t"), "{offered}");
    let version = |option| world.flux([option]).in_dir(world.root()).ok();
    assert_eq!(version("-v"), version("--version"));
}
