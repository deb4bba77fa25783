//! Tests that completion changes no file, waits for no lock, prints no error and starts few processes.

use std::fs;

use crate::world::output::ask;
use crate::world::*;

/// One question of each kind.
const KINDS: [&[&str]; 9] = [
    &[""],
    &["cleanup", ""],
    &["attach", ""],
    &["status", ""],
    &["restore", ""],
    &["cleanup", "--into", ""],
    &["run", "--base", ""],
    &["run", "--agent", ""],
    &["cleanup", "--"],
];

/// Asserts that each kind of question is answered without output on standard error.
#[track_caller]
fn assert_quiet<'a>(question: impl Fn(&[&str]) -> Flux<'a>) {
    for words in KINDS {
        let output = question(words).run();
        output.success().stderr_is("");
    }
}

fn run(world: &World, name: &str) {
    world.behaviour("raw");
    world.flux(["run", "-q", "--name", name, "Fix it"]).ok();
}

#[test]
fn completion_changes_no_file() {
    let world = World::new();
    run(&world, "fix");
    run(&world, "old");
    world.flux(["cleanup", "old", "--yes"]).ok();
    // A command that looked at the worktree would now write the index anew.
    world.write("README.md", world.read("README.md"));
    let index = world.repo().join(".git/index");
    let seen = || {
        (
            fs::read(&index).unwrap(),
            fs::metadata(&index).unwrap().modified().unwrap(),
        )
    };
    let (before, snapshot) = (seen(), world.snapshot());
    let flux = world.repo().join(".git/flux");
    let times = || walk(&flux);
    let files = times();
    for shell in ["bash", "zsh", "fish"] {
        assert_quiet(|words| ask(&world, shell, words));
        assert_quiet(|words| ask(&world, shell, words).in_dir(world.worktree("fix")));
    }
    assert_eq!(seen(), before);
    assert_eq!(times(), files);
    world.assert_unchanged(&snapshot);
}

/// Returns every file below a directory with the time of its last change, lock files too.
fn walk(dir: &std::path::Path) -> Vec<(std::path::PathBuf, std::time::SystemTime)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.path().symlink_metadata().unwrap();
        if metadata.is_dir() {
            found.extend(walk(&entry.path()));
        }
        found.push((entry.path(), metadata.modified().unwrap()));
    }
    found.sort();
    found
}

#[test]
fn completion_waits_for_no_lock() {
    let world = World::new();
    run(&world, "fix");
    let flux = world.repo().join(".git/flux");
    let locks = [
        flux.join("run/fix/lock"),
        flux.join("lock"),
        flux.join("merge"),
    ];
    let held: Vec<fs::File> = locks
        .iter()
        .map(|path| fs::File::create(path).unwrap())
        .collect();
    held.iter().for_each(|file| file.lock().unwrap());
    for name in ["index.lock", "config.lock", "packed-refs.lock"] {
        fs::write(world.repo().join(".git").join(name), "").unwrap();
    }
    assert_quiet(|words| ask(&world, "zsh", words));
    let output = ask(&world, "fish", &["attach", ""]).run();
    output.success().stdout_is("fix\tFix it\n");
}

#[test]
fn completion_prints_nothing_if_something_fails() {
    let world = World::new();
    run(&world, "fix");
    let nothing = |question: Flux<'_>| {
        question.run().success().stdout_is("").stderr_is("");
    };
    for shell in ["bash", "zsh", "fish"] {
        for words in [
            &["cleanup", "f"][..],
            &["restore", "f"],
            &["run", "--base", "m"],
        ] {
            // No repository.
            nothing(ask(&world, shell, words).in_dir(world.root()));
            // No git.
            nothing(ask(&world, shell, words).env("PATH", world.path_without(["git"])));
            // Somewhere that is gone, or was never there.
            let dir = world.repo().join("nowhere");
            nothing(ask(&world, shell, words).env("GIT_DIR", &dir));
        }
        assert_quiet(|words| ask(&world, shell, words).in_dir(world.root()));
        assert_quiet(|words| ask(&world, shell, words).env("PATH", world.path_without(["git"])));
        // More words than there are, fewer, and a number that is none.
        for index in ["0", "1", "7", "999", "-1", "x", ""] {
            let question = ask(&world, shell, &["cleanup", "f"]);
            question
                .env("_CLAP_COMPLETE_INDEX", index)
                .run()
                .success()
                .stderr_is("");
        }
        // Words that are not text, and more than a person types.
        let odd = std::os::unix::ffi::OsStrExt::from_bytes;
        let odd: &std::ffi::OsStr = odd(b"fix\xff");
        let long = "x".repeat(100_000);
        for word in [
            odd,
            long.as_ref(),
            "fix*".as_ref(),
            "--into=".as_ref(),
            "--=".as_ref(),
        ] {
            let words = ["--".as_ref(), "git-flux".as_ref(), "cleanup".as_ref(), word];
            let question = world.flux(words).env("COMPLETE", shell);
            question
                .env("_CLAP_COMPLETE_INDEX", "2")
                .run()
                .success()
                .stderr_is("");
        }
    }
    // A broken configuration.
    let config = world.read(".git/config");
    world.write(".git/config", format!("{config}[branch \"x\n"));
    nothing(ask(&world, "zsh", &["cleanup", "f"]));
    assert_quiet(|words| ask(&world, "zsh", words));
    // One that says what is no value: that is for the command to say.
    world.write(
        ".git/config",
        format!("{config}[flux]\n\tlayout = middle\n[flux \"x\"]\n\tcommand = 'a\n"),
    );
    assert_quiet(|words| ask(&world, "zsh", words));
    let output = ask(&world, "fish", &["cleanup", ""]).run();
    output.success().stdout_is("fix\tFix it\n");
}

#[test]
fn completion_offers_a_task_with_an_unreadable_record_by_its_id() {
    let world = World::new();
    run(&world, "fix");
    let nothing = world
        .command("git")
        .args(["mktree"])
        .current_dir(world.repo())
        .output()
        .unwrap();
    let tree = String::from_utf8(nothing.stdout).unwrap();
    for name in ["refs/flux/tasks/empty", "refs/flux/archive/empty/task"] {
        world.own_ref(name, tree.trim());
    }
    // And one whose record is no record.
    world.own_ref("refs/flux/tasks/commit", "HEAD");
    // What is no id does not come from git flux.
    world.git(["update-ref", "refs/flux/tasks/A/b", "HEAD"]);
    // Its section is gone, so its record is read, among those that cannot be.
    world.git(["config", "--remove-section", "branch.feature/fix"]);
    let output = ask(&world, "fish", &["cleanup", ""]).run();
    output
        .success()
        .stderr_is("")
        .stdout_is("commit\nempty\nfix\tFix it\n");
    let output = ask(&world, "fish", &["restore", ""]).run();
    output.success().stderr_is("").stdout_is("empty\n");
}

#[test]
fn completion_starts_few_processes_for_any_number_of_tasks() {
    let world = World::new();
    world.shim();
    let count = |shell: &str, words: &[&str]| {
        world.clear_calls();
        ask(&world, shell, words).run().success();
        let calls = world.calls();
        let git = calls.iter().filter(|call| call.program == "git").count();
        assert_eq!(git, calls.len(), "only git is asked: {calls:?}");
        git
    };
    for tasks in [1, 4] {
        for n in 1..=tasks {
            if !world.worktree(&format!("fix-{n}")).exists() {
                run(&world, &format!("fix-{n}"));
            }
        }
        // bash shows no descriptions, so none are read.
        for (shell, descriptions) in [("bash", 0), ("zsh", 1), ("fish", 1)] {
            assert_eq!(count(shell, &[""]), 0);
            assert_eq!(count(shell, &["cleanup", "--"]), 0);
            assert_eq!(count(shell, &["run", ""]), 0);
            assert_eq!(count(shell, &["cleanup", ""]), 1 + descriptions);
            // There is nothing to describe where nothing else is left.
            let of_others = descriptions.min(tasks - 1);
            assert_eq!(count(shell, &["cleanup", "fix-1", ""]), 1 + of_others);
            assert_eq!(count(shell, &["attach", ""]), 1 + descriptions);
            assert_eq!(count(shell, &["cleanup", "--into", ""]), 1);
            assert_eq!(count(shell, &["run", "--agent", ""]), 1);
        }
    }
    for n in 1..=3 {
        world.flux(["cleanup", &format!("fix-{n}"), "--yes"]).ok();
        assert_eq!(count("bash", &["restore", ""]), 1);
        assert_eq!(count("zsh", &["restore", ""]), 1);
    }
    // So many records that it would take its time are not read.
    let record = world.git(["rev-parse", "refs/flux/archive/fix-1/task"]);
    let more = |numbers: std::ops::Range<u32>| {
        for n in numbers {
            world.own_ref(&format!("refs/flux/archive/x-{n}/task"), &record);
        }
        let output = ask(&world, "fish", &["restore", "x"]).run();
        let (all, described) = (
            output.stdout.lines().count(),
            output.stdout.matches("\tFix it\n").count(),
        );
        (all, described, count("zsh", &["restore", "x"]))
    };
    assert_eq!(more(0..16), (16, 16, 1));
    assert_eq!(more(16..100), (100, 100, 1));
    assert_eq!(more(100..101), (101, 0, 1));
}

#[test]
fn completion_ignores_a_complete_variable_that_names_no_shell() {
    let world = World::new();
    for value in ["", "0", "1", "ksh", "yes/no"] {
        let list = world.flux(["list", "--json"]).env("COMPLETE", value);
        assert_eq!(list.ok(), "[]", "{value:?}");
    }
}
