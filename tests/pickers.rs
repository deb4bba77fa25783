//! Tests the picker that is shown if the task is left out.

use crate::world::archive::done;
use crate::world::*;

/// Starts three tasks: with a long name, with control characters in its title, and an ordinary one.
fn three_tasks(world: &World) -> [String; 3] {
    let long = "Add OAuth authentication to the settings page";
    let foreign = "修复登录页面上的错误\u{202e}，然后写测试\tfor a\x1b]2;owned\x07 while";
    [long, foreign, "Write the docs"].map(|title| world.start(title))
}

/// Returns the lines below the question, without the sign before them.
fn offered(terminal: &Terminal, question: &str) -> Vec<String> {
    let screen = terminal.screen();
    let below = screen.lines().skip_while(|line| !line.contains(question));
    let lines = below.skip(1).filter(|line| !line.trim().is_empty());
    lines
        .map(|line| line.trim_start_matches(['❯', ' ']).to_owned())
        .collect()
}

/// Waits until there are so many lines below the question.
#[track_caller]
fn wait_for_lines(terminal: &Terminal, question: &str, number: usize) -> Vec<String> {
    wait_until("the lines of the picker", || {
        offered(terminal, question).len() == number
    });
    offered(terminal, question)
}

#[test]
fn picker_shows_id_state_and_description_in_any_width() {
    let world = World::new();
    let ids = three_tasks(&world);
    world.agent(&ids[2]).tell("exit 3");
    wait_until("the end of the agent to be recorded", || {
        let list = world.flux(["list", "--json"]).run().json();
        list.as_array()
            .unwrap()
            .iter()
            .any(|t| t["state"] == "exited")
    });
    let question = "Which task? (status)";
    for columns in [40, 60, 120] {
        let terminal = world.terminal(columns, 20);
        terminal.type_line("echo before");
        terminal.wait_for_screen("\nbefore\n$ ");
        terminal.type_line("git flux status; echo \"[$?]\"");
        terminal.wait_for_screen(question);
        let lines = wait_for_lines(&terminal, question, 3);
        for id in &ids {
            // A long id loses its middle, not the end, by which it is told from another.
            let (begin, end) = (&id[..8], &id[id.len() - 6..]);
            let is_it = |line: &String| line.starts_with(begin) && line.contains(end);
            assert!(lines.iter().any(is_it), "{id}: {lines:?}");
        }
        let screen = terminal.screen();
        assert!(
            screen.contains("  running    ") && screen.contains("  exited(3)  "),
            "{screen}"
        );
        if columns == 120 {
            assert!(screen.contains(&ids[0]), "{screen}");
            assert!(
                screen.contains("Add OAuth authentication to the settings page"),
                "{screen}"
            );
            assert!(screen.contains("修复登录页面上的错误\\u{202e}"), "{screen}");
        }
        // Drawn again and again, in its place, and nothing above it is lost.
        for key in ["Down", "Down", "Up", "w", "BSpace", "Down"] {
            terminal.keys([key]);
        }
        terminal.text(&ids[2][ids[2].len() - 6..]);
        wait_for_lines(&terminal, question, 1);
        let screen = terminal.screen();
        assert!(
            screen.starts_with("$ echo before\nbefore\n$ git flux status"),
            "{screen}"
        );
        assert_eq!(screen.matches(question).count(), 1, "{screen}");
        terminal.keys(["Enter"]);
        terminal.wait_for_screen("[0]");
        let branch = format!("feature/{}", ids[2]);
        assert!(terminal.wait_for_screen("Branch").contains(&branch));
        assert_ne!(terminal.ask("#{pane_title}"), "owned");
    }
}

#[test]
fn picker_is_offered_by_every_command_and_can_be_cancelled() {
    let world = World::new();
    done(&world, "old");
    done(&world, "older");
    world.flux(["cleanup", "old"]).run().success();
    world.flux(["cleanup", "older"]).run().success();
    for name in ["one", "two"] {
        world.flux(["run", "-q", "--name", name, "Fix"]).ok();
        world.agent(name).wait_started();
    }
    let terminal = world.terminal(80, 24);
    terminal.type_line("stty -a >before");
    let before = world.snapshot();
    for (command, question) in [
        ("status", "Which task? (status)"),
        ("attach", "Which task? (attach)"),
        ("diff", "Which task? (diff)"),
        ("cleanup", "Which task? (cleanup)"),
        ("restore", "Which removed task?"),
    ] {
        for key in ["Escape", "C-c"] {
            terminal.command(&format!("git flux {command}"));
            terminal.wait_for_screen(question);
            let lines = wait_for_lines(&terminal, question, 2);
            let state = match command {
                "restore" => " ago, merged into 'main'  Fix login",
                _ => "  running  Fix",
            };
            assert!(lines.iter().all(|line| line.contains(state)), "{lines:?}");
            terminal.keys([key]);
            assert_eq!(terminal.exit_code(), 130, "{command} {key}");
            assert_eq!(terminal.ask("#{cursor_flag}"), "1", "{command} {key}");
        }
    }
    // The terminal echoes what is typed, a line at a time, as before.
    terminal.command("stty -a | diff before - && rm before");
    assert_eq!(terminal.exit_code(), 0);
    let changes = before.changes(&world.snapshot());
    assert!(
        changes.iter().all(|change| change.contains("/before")),
        "{changes:?}"
    );
}

#[test]
fn picker_reads_no_worktree_to_show_the_states() {
    let world = World::new();
    three_tasks(&world);
    world.shim();
    let terminal = world.terminal(80, 24);
    terminal.command("git-flux diff");
    terminal.wait_for_screen("running");
    terminal.keys(["Escape"]);
    assert_eq!(terminal.exit_code(), 130);
    let calls = world.calls();
    let of_git: Vec<String> = calls.iter().map(|call| call.line()).collect();
    assert!((1..=4).contains(&of_git.len()), "{of_git:#?}");
    assert!(
        !of_git.iter().any(|line| line.contains("status")),
        "{of_git:#?}"
    );
}

#[test]
fn picker_numbers_tasks_whose_lines_look_the_same() {
    let world = World::new();
    let names = ["fix-the-login-one-redirect", "fix-the-login-two-redirect"];
    for name in names {
        world.flux(["run", "-q", "--name", name, "Fix"]).ok();
        world.agent(name).wait_started();
    }
    let question = "Which task? (status)";
    let terminal = world.terminal(40, 20);
    terminal.command("git flux status");
    terminal.wait_for_screen(question);
    let lines = wait_for_lines(&terminal, question, 2);
    assert!(
        lines[0].starts_with("#1 ") && lines[1].starts_with("#2 "),
        "{lines:?}"
    );
    terminal.text("#2").keys(["Enter"]);
    assert_eq!(terminal.exit_code(), 0);
    let screen = terminal.wait_for_screen("Branch");
    assert!(
        screen.contains(&format!("feature/{}", names[1])),
        "{screen}"
    );
}

#[test]
fn question_ignores_keys_typed_before_it() {
    let world = World::new();
    done(&world, "fix");
    let before = world.snapshot();
    let terminal = world.terminal(100, 20);
    terminal
        .type_line("until [ -e ../go ]; do sleep 0.05; done; git flux cleanup fix; echo \"[$?]\"");
    terminal.text("y");
    // The terminal has it, and shows that.
    terminal.wait_for_visible("what was typed", |screen| {
        screen.trim_end().ends_with("\ny")
    });
    world.write("../go", "");
    terminal.wait_for_screen("and remove 'fix'?");
    terminal.keys(["n"]);
    terminal.wait_for_screen("[130]");
    std::fs::remove_file(world.root().join("go")).unwrap();
    world.assert_unchanged(&before);
}

#[test]
fn picker_and_cleanup_all_use_the_order_of_list() {
    let world = World::new();
    for name in ["zebra", "adder"] {
        done(&world, name);
    }
    // In the same second the order is that of their names.
    let earlier = |text: &str| {
        let mut task: serde_json::Value = serde_json::from_str(text).unwrap();
        task["created"] = (task["created"].as_u64().unwrap() - 10).into();
        task.to_string()
    };
    world.edit_record("refs/flux/tasks/zebra", earlier);
    let in_order = |text: &str| {
        let places = ["zebra", "adder"].map(|name| text.find(name).unwrap());
        assert!(places[0] < places[1], "{text}");
    };
    in_order(&world.flux(["list"]).ok());
    in_order(&world.flux(["cleanup", "--all", "--dry-run"]).ok());
    let terminal = world.terminal(100, 20);
    terminal.type_line("git flux status");
    let lines = wait_for_lines(&terminal, "Which task? (status)", 2);
    in_order(&lines.join("\n"));
    terminal.keys(["C-c"]);
}
