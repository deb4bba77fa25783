//! Tests the options of `git flux restore`, with and without a terminal.

use std::fs;

use serde_json::Value;

use crate::world::archive::*;
use crate::world::removal::*;
use crate::world::*;

const PICK: &str = "Which removed task?";

/// Two removed tasks, `alpha` dropped and `beta` merged.
pub(crate) fn two_removed(world: &World) {
    done(world, "alpha");
    done(world, "beta");
    world
        .flux(["cleanup", "alpha", "--discard-branch"])
        .run()
        .success();
    world.flux(["cleanup", "beta"]).run().success();
}

#[track_caller]
fn on_terminal<'a>(world: &'a World, args: &str, answers: &[(&str, &[&str])]) -> Terminal<'a> {
    command_on_terminal(world, &format!("restore {args}"), answers)
}

/// Runs a command of git flux on a terminal, and answers its questions.
#[track_caller]
pub(crate) fn command_on_terminal<'a>(
    world: &'a World,
    command: &str,
    answers: &[(&str, &[&str])],
) -> Terminal<'a> {
    let terminal = world.terminal(120, 40);
    terminal.command(&format!("git flux {command}"));
    for (question, keys) in answers {
        terminal.wait_for_screen(question);
        for key in *keys {
            terminal.keys([key]);
        }
    }
    terminal
}

/// Asserts that the command on this terminal ended as one that was declined, with nothing changed.
#[track_caller]
pub(crate) fn declined(world: &World, terminal: &Terminal<'_>, before: &Snapshot) {
    assert_eq!(terminal.exit_code(), 130, "{}", terminal.screen());
    world.assert_unchanged(before);
    assert_eq!(terminal.ask("#{cursor_flag}"), "1");
}

#[test]
fn restore_list_shows_how_each_task_ended() {
    let world = World::new();
    let nothing = world.flux(["restore", "-l"]).run();
    nothing.success().says(&expect![[r#"
        --- stderr
        there is nothing to restore
    "#]]);
    world
        .flux(["restore", "-l", "--json"])
        .run()
        .success()
        .stdout_is("[]\n");
    two_removed(&world);
    let before = world.snapshot();
    let output = world.flux(["restore", "--list"]).run();
    output.success().stderr_is("");
    let lines: Vec<Vec<&str>> = output
        .stdout
        .lines()
        .map(|line| {
            line.split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
                .collect()
        })
        .collect();
    assert_eq!(
        lines[0],
        ["TASK", "REMOVED", "SIZE", "ENDED", "DESCRIPTION"]
    );
    let line = |name: &str| lines.iter().find(|line| line[0] == name).unwrap();
    assert_eq!(line("alpha")[3..], ["not merged", "Fix login"]);
    assert_eq!(line("beta")[3..], ["merged into 'main'", "Fix login"]);
    assert!(line("beta")[1].ends_with(" ago"), "{output}");
    assert!(line("beta")[2].ends_with('B'), "{output}");
    world.assert_unchanged(&before);
}

#[test]
fn restore_list_json_prints_every_field() {
    let world = World::new();
    two_removed(&world);
    fs::remove_dir_all(trash(&world, "alpha").parent().unwrap()).unwrap();
    let output = world.flux(["restore", "-l", "--json"]).run();
    let list = output.success().json();
    let of = |name: &str| {
        let mut all = list.as_array().unwrap().iter();
        all.find(|one| one["name"] == name).unwrap().clone()
    };
    for (name, into) in [("alpha", Value::Null), ("beta", "main".into())] {
        let one = of(name);
        let tip = commit(&world, &format!("refs/flux/archive/{name}/tip"));
        assert_eq!(one["id"], name);
        assert_eq!(one["title"], "Fix login");
        assert_eq!(one["agent"], "claude");
        assert_eq!(one["branch"], format!("feature/{name}"));
        assert_eq!(one["base"], commit(&world, &format!("{tip}~")));
        assert_eq!(one["tip"], tip);
        assert_eq!(one["snapshot"], Value::Null);
        assert!(one["removed"].as_u64().unwrap() > 1_700_000_000);
        assert_eq!(one["mergedInto"], into);
        assert_eq!(one["worktree"], world.worktree(name).to_str().unwrap());
    }
    let kept = trash(&world, "beta");
    let (alpha, beta) = (of("alpha"), of("beta"));
    assert_eq!(
        (&alpha["trash"], &alpha["size"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(beta["trash"], kept.parent().unwrap().to_str().unwrap());
    assert!(beta["size"].as_u64().unwrap() > 50);
}

#[test]
fn restore_accepts_a_unique_prefix_of_the_name() {
    let world = World::new();
    two_removed(&world);
    done(&world, "alpine");
    world.flux(["cleanup", "alpine"]).run().success();
    let before = world.snapshot();
    let output = world.flux(["restore", "alp"]).run();
    output
        .code(1)
        .stderr_has("'alp' is ambiguous")
        .stderr_has("alpha")
        .stderr_has("alpine");
    let output = world.flux(["restore", "nothing"]).run();
    output
        .code(1)
        .stderr_has("there is no removed task 'nothing'")
        .stderr_has("hint: the removed tasks are: ");
    world.flux(["restore", ""]).run().code(1);
    world.assert_unchanged(&before);
    let output = world.flux(["restore", "-q", "alph"]).run();
    output.success().stdout_is("alpha\n").stderr_is("");
    assert!(world.worktree("alpha").join("alpha.txt").exists());
    assert_eq!(archived(&world), ["alpine", "beta"]);
}

#[test]
fn restore_brings_back_either_of_two_tasks_with_the_same_id() {
    let world = World::new();
    for text in ["one", "two"] {
        done(&world, "fix");
        world.write(world.worktree("fix").join(".env"), text);
        world
            .flux(["cleanup", "-y", "fix", "--discard-branch"])
            .run()
            .success();
    }
    assert_eq!(archived(&world), ["fix", "fix.1"]);
    world.flux(["restore", "fix.1"]).run().success();
    assert_eq!(world.read(world.worktree("fix").join(".env")), "two");
    // The other cannot come back to the same place.
    let before = world.snapshot();
    let output = world.flux(["restore", "fix"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: another task has the id 'fix'
        hint: to merge and remove that one first: git flux cleanup fix
        hint: then: git flux restore fix
    "#]]);
    world.assert_unchanged(&before);
    world
        .flux(["cleanup", "-y", "fix", "--discard-branch"])
        .run()
        .success();
    assert_eq!(archived(&world), ["fix", "fix.1"]);
    world.flux(["restore", "fix"]).run().success();
    // The name in the archive, not that of the task.
    let output = world.flux(["restore", "fix.1"]).run();
    output
        .code(1)
        .stderr_has("hint: then: git flux restore fix.1\n");
    world
        .flux(["cleanup", "-y", "fix", "--discard-branch"])
        .run()
        .success();
    assert_eq!(archived(&world), ["fix", "fix.1"]);
    world.flux(["restore", "fix"]).run().success();
    assert_eq!(world.read(world.worktree("fix").join(".env")), "one");
    world
        .flux(["cleanup", "-y", "fix", "--discard-branch"])
        .run()
        .success();
    assert_eq!(archived(&world), ["fix", "fix.1"]);
}

#[test]
fn restore_asks_for_a_task_without_a_name() {
    let world = World::new();
    two_removed(&world);
    let before = world.snapshot();
    for key in ["Escape", "C-c"] {
        let terminal = on_terminal(&world, "", &[(PICK, &[key])]);
        declined(&world, &terminal, &before);
    }
    let terminal = on_terminal(&world, "", &[(PICK, &[])]);
    let screen = terminal.wait_for_screen("not merged");
    assert!(screen.contains("merged into 'main'"), "{screen}");
    terminal.text("alph");
    wait_until("one to be left", || !terminal.screen().contains("beta"));
    terminal.keys(["Enter"]);
    assert_eq!(terminal.exit_code(), 0, "{}", terminal.screen());
    assert!(world.worktree("alpha").join("alpha.txt").exists());
    assert_eq!(archived(&world), ["beta"]);
}

#[test]
fn restore_without_a_name_or_terminal_is_a_usage_error() {
    let world = World::new();
    for args in [&["restore"][..], &["restore", "--drop"]] {
        let output = world.flux(args).run();
        output.code(1).says(&expect![[r#"
            --- stderr
            error: there is nothing to restore
            hint: git flux list
        "#]]);
    }
    two_removed(&world);
    let before = world.snapshot();
    for args in [&["restore"][..], &["restore", "--drop", "-y"]] {
        let output = world.flux(args).run();
        output.code(2).says(&expect![[r#"
            --- stderr
            error: no removed task given
            hint: git flux restore <task>
            hint: git flux restore --list
        "#]]);
    }
    for args in [
        &["--list", "alpha"][..],
        &["--list", "--drop"],
        &["--json"],
        &["--empty"],
    ] {
        world.flux(["restore"].iter().chain(args)).run().code(2);
    }
    world.assert_unchanged(&before);
}

#[test]
fn restore_drop_deletes_a_removed_task_with_consent() {
    let world = World::new();
    two_removed(&world);
    let tip = commit(&world, "refs/flux/archive/alpha/tip");
    let before = world.snapshot();
    let output = world.flux(["restore", "--drop", "alpha"]).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: refusing to delete without --yes
        hint: to see the removed tasks: git flux restore --list
        hint: add --yes to agree
    "#]]);
    world.assert_unchanged(&before);
    let question = "Delete 'alpha' for good (not merged)?";
    for key in ["Enter", "n", "Escape", "C-c"] {
        let terminal = on_terminal(&world, "--drop alpha", &[(question, &[key])]);
        declined(&world, &terminal, &before);
    }
    let terminal = on_terminal(&world, "--drop alpha", &[(question, &["y"])]);
    assert_eq!(terminal.exit_code(), 0, "{}", terminal.screen());
    terminal.wait_for_screen("the commits of 'feature/alpha' were at");
    assert!(terminal.screen().replace('\n', "").contains(&tip));
    assert_not_archived(&world, "alpha");
    assert_eq!(archived(&world), ["beta"]);
    let output = world.flux(["restore", "--drop", "-y", "-q", "bet"]).run();
    output.success().stdout_is("").stderr_is("");
    assert_not_archived(&world, "beta");
    assert_eq!(archived(&world), [""; 0]);
    // What was merged is merged.
    assert_eq!(world.read("beta.txt"), "work\n");
    assert!(!world.repo().join(".git/flux/run/alpha").exists());
}

/// Restores a task, and removes it again with another file.
fn replace_entry(world: &World, name: &str, text: &str) {
    world.flux(["restore", name]).run().success();
    world.write(world.worktree(name).join(".env"), text);
    world.commit_in(world.worktree(name), "new.txt", text);
    world
        .flux(["cleanup", "-y", name, "--discard-branch"])
        .run()
        .success();
}

#[test]
fn restore_refuses_if_the_entry_was_replaced_during_the_question() {
    let world = World::new();
    done(&world, "alpha");
    world
        .flux(["cleanup", "alpha", "--discard-branch"])
        .run()
        .success();
    for (args, question, answer) in [
        ("restore --drop alpha", "Delete 'alpha' for good", "y"),
        ("gc --trash", "Delete 'alpha' for good", "y"),
        ("restore", PICK, "Enter"),
    ] {
        let terminal = command_on_terminal(&world, args, &[(question, &[])]);
        replace_entry(&world, "alpha", &format!("new {args}\n"));
        let before = world.snapshot();
        terminal.keys([answer]);
        assert_eq!(terminal.exit_code(), 1, "{}", terminal.screen());
        terminal.wait_for_screen("'alpha' has just changed");
        world.assert_unchanged(&before);
        assert!(trash(&world, "alpha").join(".env").exists());
    }
    assert_eq!(archived(&world), ["alpha"]);
    assert!(!world.repo().join(".git/flux/run/alpha").exists());
}

#[test]
fn restore_starts_the_agent_with_its_original_options() {
    let world = World::new();
    world.behaviour("raw");
    let own = ["--agent-arg=--model", "--agent-arg=opus"];
    let run = ["run", "-q", "--name", "fix", "Fix it"]
        .into_iter()
        .chain(own);
    world.flux(run).ok();
    end_agent(&world, "fix");
    world.flux(["cleanup", "fix"]).run().success();
    world.flux(["restore", "fix"]).run().success();
    let agent = world.agent("fix");
    agent.wait_starts(2);
    let argv = agent.argv();
    assert!(argv.contains(&b"--model".to_vec()), "{argv:?}");
}

#[test]
fn restore_names_uncommitted_files_before_it_deletes_them() {
    let world = World::new();
    done(&world, "alpha");
    for name in ["one.txt", "two.txt"] {
        world.write(world.worktree("alpha").join(name), "precious\n");
    }
    let discard = ["cleanup", "alpha", "--discard", "--discard-branch"];
    world.flux(discard).run().success();
    let list = world.flux(["restore", "--list"]).ok();
    assert!(
        list.contains("  not merged, 2 uncommitted files  "),
        "{list}"
    );
    let before = world.snapshot();
    let question = "Delete 'alpha' for good (not merged, 2 uncommitted files)?";
    let terminal = on_terminal(&world, "--drop alpha", &[(question, &["n"])]);
    assert_eq!(terminal.exit_code(), 130);
    world.assert_unchanged(&before);
}

#[test]
fn restore_does_not_take_a_removed_task_for_an_existing_one() {
    let world = World::new();
    done(&world, "alpha");
    world.flux(["cleanup", "alpha"]).run().success();
    done(&world, "alp-beta");
    let before = world.snapshot();
    for name in ["alp-beta", "alp-b"] {
        world.flux(["restore", name]).run().code(1).stderr_is(
            "error: 'alp-beta' is not removed\nhint: to go to the task: git flux attach alp-beta\n",
        );
    }
    world.assert_unchanged(&before);
}
