//! Tests the candidates that the program offers to a shell. `completion_shells` has the shells.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::world::output::*;
use crate::world::*;

/// Returns the candidates, each with its description after a tab.
#[track_caller]
fn offered(question: Flux<'_>) -> Vec<String> {
    let output = question.run();
    output.success().stderr_is("");
    output.stdout.lines().map(str::to_owned).collect()
}

#[track_caller]
fn offers(world: &World, words: &[&str], expected: &[&str]) {
    assert_eq!(offered(ask(world, "fish", words)), expected, "{words:?}");
}

fn run(world: &World, name: &str, title: &str) {
    world.behaviour("raw");
    world.flux(["run", "-q", "--name", name, title]).ok();
}

fn ended(world: &World, name: &str, title: &str) {
    run(world, name, title);
    world.agent(name).tell("exit 0");
    world.wait_ended(name);
}

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("completions")
}

#[test]
fn completions_prints_the_shipped_files() {
    let world = World::without_repository("w");
    let file = |name: &str| fs::read_to_string(shipped().join(name)).unwrap();
    let fish = ["conf.d", "completions"].map(|dir| file(&format!("fish/{dir}/git-flux.fish")));
    for (shell, text) in [
        ("bash", file("git-flux")),
        ("zsh", file("zsh/_git-flux")),
        ("fish", fish.concat()),
    ] {
        let print = || world.flux(["completions", shell]).in_dir(world.root());
        print().run().success().stdout_is(&text).stderr_is("");
        // As other programs have it: a shell that asks without a question.
        let asked = world.flux::<&str>([]).in_dir(world.root());
        asked
            .env("COMPLETE", shell)
            .run()
            .success()
            .stdout_is(&text);
    }
    let mut files = BTreeSet::new();
    collect(&shipped(), &mut files);
    let known = [
        "fish/completions/git-flux.fish",
        "fish/conf.d/git-flux.fish",
        "git-flux",
        "zsh/_git-flux",
        "zsh/_git_flux",
    ];
    assert_eq!(files.iter().collect::<Vec<_>>(), known);
    // It has nothing of its own to say.
    assert!(file("zsh/_git_flux").lines().count() <= 3);
    let unknown = world
        .flux(["completions", "ksh"])
        .in_dir(world.root())
        .run();
    unknown.code(2).says(&expect![[r#"
        --- stderr
        error: invalid value 'ksh' for '<shell>' [possible values: bash, zsh, fish]
        hint: a similar value exists: 'zsh'
        hint: git flux completions -h
    "#]]);
}

fn collect(dir: &Path, files: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.insert(path.strip_prefix(shipped()).unwrap().display().to_string());
        }
    }
}

#[test]
fn completion_offers_commands_and_offers_options_after_a_dash() {
    let world = World::without_repository("w");
    let values = |words: &[&str]| {
        let question = ask(&world, "bash", words).in_dir(world.root());
        offered(question)
    };
    let commands = values(&[""]);
    assert_eq!(commands[..2], ["run", "list"]);
    assert!(
        !commands.iter().any(|name| name.starts_with(['-', '_'])),
        "{commands:?}"
    );
    let help = values(&["help", ""]);
    assert_eq!(help, commands);
    assert_eq!(values(&["cle"]), ["cleanup"]);
    // Where nothing else can stand, what there is is shown at once.
    let options = values(&["run", ""]);
    assert!(options.contains(&"--agent".to_owned()) && !options.contains(&"-q".to_owned()));
    // An option is offered by its long name, and by the short one if it has no other.
    let options = values(&["cleanup", "-"]);
    for name in ["--yes", "--dry-run", "--merge", "--squash", "--help", "-z"] {
        assert!(
            options.iter().any(|option| option == name),
            "{name}: {options:?}"
        );
    }
    assert!(!options.iter().any(|option| option == "-y"), "{options:?}");
    assert_eq!(values(&["cleanup", "--ff"]), ["--ff-only"]);
    assert_eq!(values(&["completions", ""]), ["bash", "zsh", "fish"]);
    assert_eq!(values(&["run", "-F", ""]), [":files"]);
    assert_eq!(values(&["run", "--file=a"]), ["--file=:files"]);
    assert_eq!(values(&["diff", "fix", "--", ""]), [":files"]);
    assert_eq!(values(&["diff", "--", ""]), [":files"]);
}

#[test]
fn completion_offers_only_tasks_that_the_command_accepts() {
    let world = World::new();
    ended(&world, "fix-1-end", "Fix the parser");
    run(&world, "fix-2-run", "Fix the login");
    run(&world, "old", "Long ago");
    world.flux(["cleanup", "old", "--yes"]).ok();
    let both = ["fix-1-end\tFix the parser", "fix-2-run\tFix the login"];
    for command in ["cleanup", "status", "diff"] {
        offers(&world, &[command, ""], &both);
        offers(&world, &[command, "fix-2"], &both[1..]);
        offers(&world, &[command, "old"], &[]);
    }
    offers(&world, &["attach", ""], &both[1..]);
    offers(&world, &["stop", ""], &both[1..]);
    offers(&world, &["restore", ""], &["old\tLong ago"]);
    offers(&world, &["restore", "fix"], &[]);
    // Any task can be attached: where none runs, all are offered.
    offers(&world, &["attach", "fix-1"], &both[..1]);
    world.kill_tmux();
    world.wait_ended("fix-2-run");
    offers(&world, &["attach", ""], &both);

    // The second of a name, and one of which nothing else is known.
    run(&world, "old", "Not so long ago");
    world.flux(["cleanup", "old", "--yes"]).ok();
    let archived = ["old\tLong ago", "old.1\tNot so long ago"];
    offers(&world, &["restore", ""], &archived);
    offers(&world, &["restore", "old."], &archived[1..]);
}

#[test]
fn completion_does_not_offer_a_named_task_again() {
    let world = World::new();
    for name in ["fix-1", "fix-2", "grow-1"] {
        run(&world, name, "It");
    }
    world.git(["branch", "grow"]);
    let offers = |words: &[&str], expected: &[&str]| {
        let bash = offered(ask(&world, "bash", words));
        assert_eq!(bash, expected, "{words:?}");
    };
    offers(&["cleanup", ""], &["fix-1", "fix-2", "grow-1"]);
    offers(&["cleanup", "fix-1", ""], &["fix-2", "grow-1"]);
    offers(&["cleanup", "fix-1", "--yes", "fix-2", "gr"], &["grow-1"]);
    offers(&["cleanup", "fix", ""], &["fix-1", "fix-2", "grow-1"]);
    // A branch is no task.
    offers(&["cleanup", "--into", "grow", "g"], &["grow-1"]);
    offers(&["cleanup", "fix-1", "fix-2", "grow-1", "fix"], &[]);
    // Behind the cursor too.
    let question = ask(&world, "bash", &["cleanup", "", "fix-2"]);
    let values = offered(question.env("_CLAP_COMPLETE_INDEX", "2"));
    assert_eq!(values, ["fix-1", "grow-1"]);
}

#[test]
fn completion_offers_ended_tasks_to_resume_and_other_worktrees_to_adopt() {
    let world = World::new();
    run(&world, "up", "It runs");
    run(&world, "down", "It has ended");
    world.agent("down").tell("exit 0");
    world.wait_ended("down");
    offers(&world, &["resume", ""], &["down\tIt has ended"]);
    world.git(["worktree", "add", "-q", "-b", "side", "../side"]);
    let reason = "claude session side (pid 1 start 1)";
    world.git(["worktree", "lock", "--reason", reason, "../side"]);
    let side = world.root().join("side");
    offers(&world, &["adopt", ""], &[side.to_str().unwrap()]);
}

#[test]
fn completion_offers_branches_and_agents_as_values() {
    let world = World::new();
    run(&world, "fix", "It");
    world.git(["branch", "topic/one"]);
    world.git(["branch", "topic/$(two)"]);
    world.git(["tag", "v1.0"]);
    world.git(["update-ref", "refs/remotes/origin/main", "HEAD"]);
    world.git([
        "symbolic-ref",
        "refs/remotes/origin/HEAD",
        "refs/remotes/origin/main",
    ]);
    world.git(["config", "flux.mine.command", "cat --number"]);
    world.git(["config", "flux.gone.command", "no-such-program"]);
    let heads = ["feature/fix", "main", "topic/$(two)", "topic/one"];
    offers(&world, &["cleanup", "--into", ""], &heads);
    offers(
        &world,
        &["cleanup", "--into=topic/o"],
        &["--into=topic/one"],
    );
    let commits = [
        "feature/fix",
        "main",
        "topic/$(two)",
        "topic/one",
        "origin/main",
        "v1.0",
    ];
    offers(&world, &["run", "--base", ""], &commits);
    offers(&world, &["run", "--base", "v"], &commits[5..]);
    offers(&world, &["run", "--branch", ""], &commits[..5]);
    // Those that could be started, from `git -c` too.
    offers(
        &world,
        &["run", "--agent", ""],
        &["claude", "mine", "shell"],
    );
    offers(&world, &["run", "--agent", "claude,m"], &["claude,mine"]);
    let question = ask(&world, "fish", &["run", "--agent", "y"]);
    let question = question.via_git_with(["-c", "flux.yours.command=cat"]);
    assert_eq!(offered(question), ["yours"]);
}

#[test]
fn completion_shows_the_descriptions_of_list() {
    let world = World::new();
    run(&world, "fix", "As it was given");
    offers(&world, &["status", ""], &["fix\tAs it was given"]);
    let describe = |text: &str| world.git(["config", "branch.feature/fix.description", text]);
    describe("As it was changed\nand more");
    offers(&world, &["status", ""], &["fix\tAs it was changed"]);
    world.git(["branch", "-m", "feature/fix", "mine"]);
    offers(&world, &["status", ""], &["fix\tAs it was changed"]);
    world.git(["branch", "-c", "mine", "copy"]);
    world.git(["config", "branch.mine.fluxTask", "fix"]);
    world.git(["config", "--remove-section", "branch.mine"]);
    world.git(["config", "--remove-section", "branch.copy"]);
    offers(&world, &["status", ""], &["fix\tAs it was given"]);
}

#[test]
fn completion_escapes_descriptions_and_leaves_out_unsafe_names() {
    let world = World::new();
    run(&world, "fix", "It");
    let title = "a\x1b[31mb\u{202e}c\td\u{9b}e";
    world.git(["config", "branch.feature/fix.description", title]);
    let shown = "a\\u{1b}[31mb\\u{202e}c    d\\u{9b}e";
    offers(&world, &["status", ""], &[&format!("fix\t{shown}")]);
    let zsh = offered(ask(&world, "zsh", &["status", ""]));
    assert_eq!(zsh, [format!("fix:{}", shown.replace('\\', "\\\\"))]);
    // What cannot be shown as it is is not offered.
    world.git(["branch", "a\u{202e}b"]);
    world.git(["config", "flux.x\x1b.command", "cat"]);
    offers(&world, &["cleanup", "--into", ""], &["feature/fix", "main"]);
    offers(&world, &["run", "--agent", "x"], &[]);
}

#[test]
fn completion_finds_the_repository_as_git_does() {
    let world = World::new();
    run(&world, "fix", "It");
    let other = world.root().join("other");
    world.make_repository(&other);
    world
        .flux(["run", "-q", "--name", "elsewhere", "Other"])
        .in_dir(&other)
        .ok();
    let there = ["elsewhere\tOther"];
    let words = ["cleanup", ""];
    for options in [
        &["-C", "../other"][..],
        &["--git-dir=../other/.git"],
        &["-C", "..", "-C", "other"],
    ] {
        let question = ask(&world, "fish", &words).via_git_with(options);
        assert_eq!(offered(question), there, "{options:?}");
    }
    let here = ["fix\tIt"];
    for dir in [
        world.repo().join("src"),
        world.worktree("fix"),
        world.repo().join(".git"),
    ] {
        let question = ask(&world, "fish", &words).in_dir(&dir);
        assert_eq!(offered(question), here, "{}", dir.display());
        // Where they run is found from there as well.
        let question = ask(&world, "fish", &["attach", "f"]).in_dir(&dir);
        assert_eq!(offered(question), here, "{}", dir.display());
    }
}
