//! Tests `git flux watch` through a terminal: keys pressed, screens read.

use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::land::{done, tasks};
use crate::world::reports::hook;
use crate::world::*;

const SESSION: &str = r#"{"session_id":"1"}"#;

/// Opens the view on a terminal, and waits until it is shown.
fn open<'a>(world: &'a World, options: &str) -> Terminal<'a> {
    let terminal = world.terminal(100, 30);
    terminal.command(&format!("git-flux watch {options}"));
    wait_shown(&terminal);
    terminal
}

#[track_caller]
fn wait_shown(terminal: &Terminal<'_>) {
    terminal.wait_for_visible("line of help", |screen| screen.contains("Enter attach"));
}

#[track_caller]
fn wait_for(terminal: &Terminal<'_>, text: &str) -> String {
    terminal.wait_for_visible(text, |screen| screen.contains(text))
}

/// Returns whether the end of the screen asks for a key: earlier commands may have asked above.
fn asks_for_a_key(screen: &str) -> bool {
    screen.trim_end().ends_with("(press a key)")
}

/// Returns the line of the table about a task.
fn line_of<'a>(screen: &'a str, id: &str) -> Option<&'a str> {
    screen.lines().find(|line| line.starts_with(id))
}

/// Asserts that the view is gone from the terminal, which is as it was.
#[track_caller]
fn assert_restored(terminal: &Terminal<'_>) {
    wait_until("the terminal to be as it was", || {
        terminal.ask("#{alternate_on} #{cursor_flag}") == "0 1"
    });
}

/// Makes a task whose agent shows its state in no other way than by hooks, and is idle.
pub(crate) fn idle_task(world: &World, name: &str) {
    world.install_agent("mine");
    world.git(["config", "flux.mine.command", "mine"]);
    let run = ["run", "-q", "--agent", "mine", "--name", name, "Fix it"];
    world.flux(run).run().success();
    world.agent(name).wait_started();
}

#[test]
fn watch_shows_tasks_as_they_change() {
    let world = World::new();
    let id = world.start("Fix login");
    let before = world.snapshot();
    let terminal = open(&world, "");
    terminal.wait_for_visible("the last line of the task", |screen| {
        line_of(screen, &id).is_some_and(|line| line.ends_with("fake agent ready"))
    });
    world.assert_unchanged(&before);
    hook(&world, &id, "PermissionRequest", SESSION);
    terminal.wait_for_visible("the question of the task", |screen| {
        line_of(screen, &id).is_some_and(|line| line.contains("waiting(permission)"))
    });
    std::fs::write(world.worktree(&id).join("new"), "new\n").unwrap();
    world.git_in(world.worktree(&id), ["add", "new"]);
    terminal.wait_for_visible("the new file", |screen| {
        line_of(screen, &id).is_some_and(|line| line.contains("  1      +0"))
    });
    let other = world.start("Another");
    terminal.wait_for_visible("the new task, below", |screen| {
        let at = |id: &str| screen.lines().position(|line| line.starts_with(id));
        at(&id) == Some(1) && at(&other) == Some(2)
    });
    world.agent(&other).tell("exit 3");
    wait_for(&terminal, "exited(3)");
    world
        .flux(["cleanup", "-y", "--discard", &other])
        .run()
        .success();
    terminal.wait_for_visible("only one task", |screen| line_of(screen, &other).is_none());
    terminal.keys(["q"]);
    assert_eq!(terminal.exit_code(), 0);
    assert_restored(&terminal);
}

#[test]
fn watch_shows_the_screen_of_the_selected_task_with_its_colours() {
    let world = World::new();
    let tasks = [world.start("One"), world.start("Other")];
    let terminal = open(&world, "");
    // The newest comes first, if a second is between them.
    let screen = wait_for(&terminal, "── o");
    let at = tasks
        .iter()
        .position(|id| screen.contains(&format!("── {id}")));
    let (other, one) = (&tasks[at.unwrap()], &tasks[1 - at.unwrap()]);
    let say = |id: &str, text: &str| world.agent(id).tell(&format!("say {text}"));
    say(other, r"\033[31mred\033[0m \033]0;title\007plain");
    wait_for(&terminal, "\nred plain");
    let colours = terminal.colours();
    let is_red = |colours: &str| {
        ["31", "38;5;1"]
            .iter()
            .any(|red| colours.contains(&format!("\u{1b}[{red}mred")))
    };
    assert!(is_red(&colours), "{colours}");
    terminal.keys(["j"]);
    wait_for(&terminal, &format!("── {one}"));
    say(one, "of the other");
    wait_for(&terminal, "\nof the other");
    say(one, "once more");
    wait_for(&terminal, "\nonce more");
    assert!(!terminal.screen().contains("\nred plain"));
    terminal.keys(["q"]);
    assert_eq!(terminal.exit_code(), 0);
}

#[test]
fn watch_reads_the_last_line_again_after_an_event() {
    let world = World::new();
    idle_task(&world, "fix");
    idle_task(&world, "other");
    let terminal = open(&world, "");
    let screen = wait_for(&terminal, "── ");
    let id = match screen.contains("── fix ") {
        true => "fix",
        false => "other",
    };
    // The screen of the selected task is read anyway.
    terminal.keys(["j"]);
    terminal.wait_for_visible("the other task", |screen| {
        screen.contains("── ") && !screen.contains(&format!("── {id} "))
    });
    hook(&world, id, "Stop", SESSION);
    // Output is no event.
    world.agent(id).tell("say the last words");
    terminal.wait_for_visible("the last line", |screen| {
        line_of(screen, id).is_some_and(|line| line.ends_with("the last words"))
    });
    terminal.keys(["q"]);
    assert_eq!(terminal.exit_code(), 0);
}

#[test]
fn watch_attaches_and_comes_back_on_detach() {
    let world = World::new();
    let id = world.start("Fix login");
    let terminal = open(&world, "");
    terminal.keys(["Enter"]);
    terminal.wait_for_visible("the task's pane", |screen| {
        screen.contains("fake agent ready") && !screen.contains(&format!("── {id}"))
    });
    terminal.type_line("hello");
    world.agent(&id).wait_stdin("hello\n");
    terminal.keys(["C-b", "d"]);
    wait_shown(&terminal);
    terminal.keys(["q"]);
    assert_eq!(terminal.exit_code(), 0);
    assert_restored(&terminal);
}

#[test]
fn watch_in_a_popup_ends_when_the_client_goes_to_a_task() {
    let world = World::new();
    let id = world.start("Fix login");
    let inside = world.terminal_inside();
    let client = inside.client(100, 30);
    let name = world.tmux(["list-clients", "-F", "#{client_name}"]);
    let watch = format!("cd '{}' && git flux watch", world.repo().display());
    let popup = [
        "display-popup",
        "-c",
        &name,
        "-w",
        "100%",
        "-h",
        "80%",
        "-E",
        &watch,
    ];
    thread::scope(|scope| {
        // It waits for the end of the popup.
        scope.spawn(|| world.tmux(popup));
        wait_for(&client, "Enter attach");
        assert!(client.screen().contains(&id), "{}", client.screen());
        client.keys(["Enter"]);
        client.wait_for_visible("the task's pane", |screen| {
            screen.contains("fake agent ready") && !screen.contains("Enter attach")
        });
    });
}

#[test]
fn watch_keys_run_commands_with_their_questions() {
    let world = World::new();
    idle_task(&world, "fix");
    std::fs::write(world.worktree("fix").join("new"), "new\n").unwrap();
    let terminal = open(&world, "");
    terminal.keys(["d"]);
    wait_for(&terminal, "+new");
    // The pager, and what waits for a key if that has ended within a second.
    terminal.keys(["q"]);
    terminal.wait_for_visible("the end of the pager", |screen| {
        let is_shown = screen.contains("Enter attach");
        if asks_for_a_key(screen) {
            terminal.keys(["Space"]);
        }
        is_shown
    });
    terminal.keys(["s"]);
    wait_for(&terminal, "to fix:");
    terminal.type_line("Test it, too");
    world.agent("fix").wait_stdin("Test it, too");
    wait_shown(&terminal);
    // What fails is shown until a key is pressed: the agent runs already.
    terminal.keys(["r"]);
    let screen = terminal.wait_for_visible("the failure", asks_for_a_key);
    assert!(
        screen.contains("$ git flux resume fix\nerror: "),
        "{screen}"
    );
    terminal.keys(["Space"]);
    wait_shown(&terminal);
    terminal.keys(["x"]);
    terminal.wait_for_visible("the end of the agent", |screen| {
        line_of(screen, "fix").is_some_and(|line| line.contains("stopped"))
    });
    terminal.keys(["r"]);
    wait_for(&terminal, "Start again from the task's prompt?");
    terminal.keys(["y"]);
    wait_shown(&terminal);
    wait_for(&terminal, "running");
    let before = world.snapshot();
    terminal.keys(["c"]);
    wait_for(&terminal, "uncommitted");
    // It reaches the command alone, which knows that it was declined.
    terminal.keys(["C-c"]);
    wait_shown(&terminal);
    world.assert_unchanged(&before);
    terminal.keys(["q"]);
    assert_eq!(terminal.exit_code(), 0);
}

#[test]
fn watch_lands_a_task_after_the_question_of_land() {
    let world = World::new();
    done(&world, &["alpha", "beta"]);
    let terminal = open(&world, "");
    terminal.keys(["/"]).text("alpha").keys(["Enter"]);
    let filtered = "1 task with 'alpha'";
    wait_for(&terminal, filtered);
    let before = world.snapshot();
    let ask = || {
        terminal.keys(["l"]);
        let screen = wait_for(&terminal, "Land 1 task? (y/n)");
        assert!(screen.contains("$ git flux land alpha\n"), "{screen}");
    };
    ask();
    terminal.keys(["n"]);
    wait_for(&terminal, filtered);
    world.assert_unchanged(&before);
    ask();
    terminal.keys(["y"]);
    let screen = terminal.wait_for_visible("the end of the landing", asks_for_a_key);
    assert!(screen.contains("landed alpha (untested)"), "{screen}");
    terminal.keys(["Space"]);
    wait_for(&terminal, "no task matches the filter");
    terminal.keys(["Escape"]);
    terminal.wait_for_visible("only the other task", |screen| {
        line_of(screen, "beta").is_some() && line_of(screen, "alpha").is_none()
    });
    assert_eq!(tasks(&world), ["beta"]);
    assert_eq!(world.git(["show", "main:ALPHA.txt"]), "work");
    terminal.keys(["q"]);
    assert_eq!(terminal.exit_code(), 0);
    assert_restored(&terminal);
}

/// Sets an editor that writes the line which is typed into it, and another one; nothing if it is
/// empty. It fails if the line is `fail`.
fn set_editor(world: &World) {
    let script = r#"#!/bin/sh
printf 'line to write: '
IFS= read -r line
case $line in
fail) exit 1 ;;
'') : >"$1" ;;
*) printf '%s\nand more\n' "$line" >"$1" ;;
esac
"#;
    world.install("editor", script);
    world.git(["config", "core.editor", "editor"]);
}

#[test]
fn watch_sends_the_message_that_is_written_in_the_editor() {
    let world = World::new();
    idle_task(&world, "fix");
    set_editor(&world);
    let terminal = open(&world, "");
    let write = |line: &str| {
        terminal.keys(["s"]);
        wait_for(&terminal, "to fix:");
        terminal.keys(["Enter"]);
        let screen = wait_for(&terminal, "line to write:");
        assert!(screen.contains("$ git flux send fix --edit\n"), "{screen}");
        terminal.type_line(line);
    };
    let before = (world.snapshot(), world.agent("fix").stdin());
    for (line, error) in [
        (
            "fail",
            "error: there was a problem with the editor; nothing was sent\n",
        ),
        ("", "error: no message given\n"),
    ] {
        write(line);
        let screen = terminal.wait_for_visible("the failure", asks_for_a_key);
        assert!(screen.contains(error), "{screen}");
        terminal.keys(["Space"]);
        wait_shown(&terminal);
        world.assert_unchanged(&before.0);
        assert!(world.agent("fix").stdin() == before.1);
    }
    write("Test 'it', too");
    let read = world.agent("fix").wait_stdin("and more");
    let read = String::from_utf8(read).unwrap();
    assert!(read.contains("Test 'it', too\n"), "{read:?}");
    wait_shown(&terminal);
    terminal.keys(["q"]);
    assert_eq!(terminal.exit_code(), 0);
    assert_restored(&terminal);
}

#[test]
fn watch_reviews_in_the_editor_and_comes_back() {
    let world = World::new();
    done(&world, &["fix"]);
    set_editor(&world);
    let terminal = open(&world, "");
    terminal.wait_for_visible("the unseen file", |screen| {
        line_of(screen, "fix").is_some_and(|line| line.contains("exited(0)"))
    });
    let before = world.snapshot();
    terminal.keys(["v"]);
    let screen = wait_for(&terminal, "line to write:");
    assert!(screen.contains("$ git flux review fix\n"), "{screen}");
    terminal.type_line("fail");
    wait_for(&terminal, "Have you seen this file? (y/n) › no");
    terminal.keys(["n"]);
    wait_shown(&terminal);
    world.assert_unchanged(&before);
    terminal.keys(["q"]);
    assert_eq!(terminal.exit_code(), 0);
    assert_restored(&terminal);
}

#[test]
fn watch_starts_a_task_with_the_description_that_is_typed() {
    let world = World::new();
    let id = world.start("Fix login");
    let terminal = open(&world, "");
    terminal.keys(["n"]);
    wait_for(&terminal, "new task in myapp:");
    terminal.type_line("Write the docs");
    let screen = terminal.wait_for_visible("the end of the start", asks_for_a_key);
    let command = "$ git flux run -- 'Write the docs'\n";
    assert!(screen.contains(command), "{screen}");
    terminal.keys(["Space"]);
    wait_shown(&terminal);
    terminal.wait_for_visible("both tasks", |screen| {
        line_of(screen, "write-the-docs").is_some() && line_of(screen, &id).is_some()
    });
    terminal.keys(["q"]);
    assert_eq!(terminal.exit_code(), 0);
}

#[test]
fn watch_filters_tasks_and_shows_help() {
    let world = World::new();
    let (one, other) = (world.start("One"), world.start("Other"));
    let terminal = open(&world, "");
    terminal.keys(["/"]).text("one");
    terminal.wait_for_visible("only the first", |screen| {
        line_of(screen, &one).is_some() && line_of(screen, &other).is_none()
    });
    terminal.keys(["Escape"]);
    terminal.wait_for_visible("both", |screen| line_of(screen, &other).is_some());
    terminal.keys(["?"]);
    wait_for(&terminal, "Any key goes back.");
    terminal.keys(["q"]);
    wait_shown(&terminal);
    terminal.keys(["C-c"]);
    assert_eq!(terminal.exit_code(), 130);
    assert_restored(&terminal);
}

#[test]
fn watch_follows_the_size_of_the_terminal() {
    let world = World::new();
    let id = world.start("Fix login");
    let terminal = open(&world, "");
    for (width, height) in [(40, 20), (200, 40), (40, 8)] {
        terminal.resize(width, height);
        let width = usize::from(width);
        terminal.wait_for_visible("the view at this size", |screen| {
            let lines: Vec<&str> = screen.lines().collect();
            line_of(screen, &id[..8]).is_some()
                && lines.last().is_some_and(|last| last.starts_with("? help"))
                && lines.len() == usize::from(height)
                && lines.iter().all(|line| line.chars().count() <= width)
        });
    }
    terminal.keys(["q"]);
    assert_eq!(terminal.exit_code(), 0);
    let compact = open(&world, "--compact");
    let screen = compact.screen();
    assert!(
        screen.contains("TASK") && !screen.contains("COMMITS"),
        "{screen}"
    );
    assert!(!screen.contains(&format!("── {id}")), "{screen}");
}

#[test]
fn watch_in_40_columns_shows_state_and_time_and_the_whole_help() {
    let world = World::new();
    let id = world.start("A long description that does not fit");
    hook(&world, &id, "PermissionRequest", r#"{"session_id":"1"}"#);
    let terminal = open(&world, "--compact");
    terminal.resize(40, 24);
    terminal.wait_for_visible("the compact table", |screen| {
        let words: Vec<&str> = screen.split_whitespace().take(6).collect();
        let [task, state, time, short, waiting, since] = words[..] else {
            return false;
        };
        let is_short = short.strip_suffix('…').is_some_and(|it| id.starts_with(it));
        is_short
            && (task, state, time, waiting, since)
                == ("TASK", "STATE", "FOR", "waiting(permission)", "<1m")
    });
    terminal.keys(["?"]);
    let mut help = wait_for(&terminal, "Any key shows more, Esc goes back.");
    terminal.keys(["Space"]);
    help += &wait_for(&terminal, "Any key goes back.");
    let words: Vec<&str> = help.split_whitespace().collect();
    let help = words.join(" ");
    for whole in [
        "Ctrl+b d comes back (inside tmux: Ctrl+b L)",
        "git flux cleanup",
        "they wait, have failed, or have something unseen.",
    ] {
        assert!(help.contains(whole), "{help}");
    }
}

#[test]
fn watch_leaves_the_terminal_as_it_was_however_it_ends() {
    let world = World::new();
    world.start("Fix login");
    for signal in [
        Signal::SIGKILL,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGABRT,
    ] {
        let terminal = world.terminal(100, 30);
        let ended = world.root().join("ended");
        terminal.command("stty -g >../before; git-flux watch; >../ended");
        wait_shown(&terminal);
        let pid = wait_for_process(&world);
        kill(Pid::from_raw(pid), signal).unwrap();
        // What the shell prints before the keeper of the terminal comes is gone with the view.
        wait_until("watch to end", || std::fs::remove_file(&ended).is_ok());
        assert_restored(&terminal);
        wait_until("the modes to be as they were", || {
            terminal.command("stty -g >../after").exit_code();
            let read = |name| std::fs::read_to_string(world.root().join(name)).unwrap();
            read("before") == read("after")
        });
    }
}

fn wait_for_process(world: &World) -> i32 {
    crate::world::wait_for("its process", || watching_process(world, "watch"))
}

#[test]
fn watch_stops_and_continues_as_a_job_of_the_shell() {
    let world = World::new();
    let id = world.start("Fix login");
    let terminal = open(&world, "");
    terminal.keys(["C-z"]);
    assert_restored(&terminal);
    terminal.wait_for_visible("the prompt", |screen| screen.ends_with("$ "));
    terminal.type_line("echo 'here again'; fg");
    terminal.wait_for_visible("the view", |screen| {
        line_of(screen, &id).is_some() && !screen.contains("here again")
    });
    // From another process, and with SIGSTOP, which cannot be caught.
    let pid = Pid::from_raw(wait_for_process(&world));
    kill(pid, Signal::SIGTSTP).unwrap();
    assert_restored(&terminal);
    terminal.type_line("fg");
    wait_shown(&terminal);
    kill(pid, Signal::SIGSTOP).unwrap();
    wait_until("the process to stop", || {
        Process::find(pid.as_raw()).is_some_and(|process| process.state == 'T')
    });
    // This shell leaves the terminal in raw mode.
    terminal.text("fg").keys(["C-j"]);
    wait_until("the process to continue", || {
        Process::find(pid.as_raw()).is_some_and(|process| process.state != 'T')
    });
    terminal.wait_for_visible("the help", |screen| {
        let is_shown = screen.contains("Any key goes back.");
        if !is_shown {
            terminal.keys(["?"]);
        }
        is_shown
    });
    terminal.keys(["q", "q"]);
    wait_until("the view to end", || Process::find(pid.as_raw()).is_none());
    assert_restored(&terminal);
}

#[test]
fn watch_has_no_colours_with_no_color() {
    let world = World::new();
    let id = world.start("Fix login");
    hook(&world, &id, "PermissionRequest", SESSION);
    let terminal = open(&world, "");
    let colours = |terminal: &Terminal<'_>| {
        let shown = terminal.colours();
        let codes = shown
            .split("\u{1b}[")
            .skip(1)
            .filter_map(|rest| rest.split_once('m'));
        codes
            .flat_map(|(code, _)| code.split(';'))
            .any(|code| code.len() == 2 && code.starts_with('3') && code != "39")
    };
    assert!(colours(&terminal), "{}", terminal.colours());
    let terminal = world.terminal(100, 30);
    terminal.command("NO_COLOR=1 git-flux watch");
    wait_shown(&terminal);
    assert!(!colours(&terminal), "{}", terminal.colours());
    let terminal = world.terminal(100, 30);
    terminal.command("git -c color.flux=never flux watch");
    wait_shown(&terminal);
    assert!(!colours(&terminal), "{}", terminal.colours());
}

#[test]
fn watch_needs_a_terminal_and_a_repository() {
    let world = World::new();
    let before = world.snapshot();
    world.flux(["watch"]).run().code(2).says(&expect![[r#"
        --- stderr
        error: watch needs a terminal
        hint: git flux list --follow --json
    "#]]);
    world.assert_unchanged(&before);
    let terminal = world.terminal_in(world.root(), 100, 30);
    terminal.command("git-flux watch");
    assert_eq!(terminal.exit_code(), 1);
    terminal.wait_for_screen("error: not a git repository");
    terminal.wait_for_screen("hint: git flux watch --all-repos");
    assert!(!terminal.screen().contains("list"), "{}", terminal.screen());
    assert_restored(&terminal);
}

#[test]
fn watch_acts_in_the_repository_of_the_row() {
    let world = World::new();
    let other = world.root().join("it's #(another) one");
    world.make_repository(&other);
    let run = |dir: &std::path::Path| {
        let run = ["run", "-q", "--name", "fix", "Fix it"];
        world.flux(run).in_dir(dir).run().success();
    };
    run(&world.repo());
    run(&other);
    let terminal = world.terminal_in(world.root(), 100, 30);
    terminal.command("git-flux watch --all-repos");
    wait_shown(&terminal);
    let screen = terminal.screen();
    assert!(
        screen.contains("REPO") && screen.contains("it's #(anoth"),
        "{screen}"
    );
    terminal.keys(["/"]).text("another").keys(["Enter"]);
    wait_for(&terminal, "1 task with 'another'");
    terminal.keys(["x"]);
    let state = |dir: &std::path::Path| {
        let status = world
            .flux(["status", "--json", "fix"])
            .in_dir(dir)
            .run()
            .json();
        status["state"].as_str().unwrap().to_owned()
    };
    wait_until("the agent to be stopped", || state(&other) == "stopped");
    assert_ne!(state(&world.repo()), "stopped");
    terminal.wait_for_visible("the view", |screen| screen.contains("1 task with"));
    terminal.keys(["q"]);
    assert_eq!(terminal.exit_code(), 0);
}

#[test]
fn watch_of_all_repositories_shows_one_with_its_first_task() {
    let world = World::new();
    let terminal = world.terminal_in(world.root(), 100, 30);
    terminal.command("git-flux watch --all-repos");
    // Neither a server of tmux nor the directory that is watched exists yet.
    wait_for(&terminal, "no tasks");
    let wait_running = |id: &str| {
        terminal.wait_for_visible("the new task", |screen| {
            line_of(screen, id)
                .is_some_and(|line| line.contains("running") && line.ends_with("fake agent ready"))
        });
    };
    // A task without reserved ports.
    world.git(["worktree", "add", "-q", "-b", "topic", "../topic"]);
    world.flux(["adopt", "../topic", "--name", "first"]).ok();
    world.flux(["resume", "first"]).run().success();
    wait_running("first");
    let other = world.root().join("other");
    world.make_repository(&other);
    let run = ["run", "-q", "--name", "second", "Fix it"];
    world.flux(run).in_dir(other).run().success();
    wait_running("second");
    terminal.keys(["q"]);
    assert_eq!(terminal.exit_code(), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn watch_makes_no_system_calls_while_idle() {
    let world = World::new();
    idle_task(&world, "fix");
    for options in ["", "--all-repos"] {
        let terminal = open(&world, options);
        wait_for(&terminal, "fake agent ready");
        let pid = wait_for_process(&world);
        // A process that it starts is a system call, too.
        let calls = calls_in_an_idle_second(pid, 5);
        assert!(calls <= 5, "{calls} system calls in a second");
        terminal.keys(["q"]);
        assert_eq!(terminal.exit_code(), 0);
    }
}

#[test]
#[ignore = "takes minutes: .ci/long idle_minute"]
fn watch_starts_no_process_in_an_idle_minute() {
    assert_idle_minute("");
}

#[test]
#[ignore = "takes minutes: .ci/long idle_minute"]
fn watch_of_all_repositories_starts_no_process_in_an_idle_minute() {
    assert_idle_minute("--all-repos");
}

#[track_caller]
fn assert_idle_minute(options: &str) {
    let world = World::new();
    idle_task(&world, "fix");
    let terminal = open(&world, options);
    wait_for(&terminal, "fake agent ready");
    let pid = wait_for_process(&world);
    // It reads the last lines again for some seconds after an event.
    let (first, _) = calls_and_starts_in_a_minute(pid);
    let (calls, starts) = calls_and_starts_in_a_minute(pid);
    println!("{first} system calls in the first minute, then {calls}, and {starts} starts");
    assert!(calls <= 60, "{calls} system calls in a minute");
    assert_eq!(starts, 0, "processes or threads in a minute");
    terminal.keys(["q"]);
    assert_eq!(terminal.exit_code(), 0);
}

#[test]
#[ignore = "takes minutes: .ci/long idle_minute"]
fn watch_starts_no_process_in_an_idle_minute_if_a_pane_is_closed() {
    let world = World::new();
    // The agent shows its state in its pane.
    let id = world.start("Fix login");
    world.agent(&id).tell("exit 0");
    world.wait_ended(&id);
    world.tmux(["kill-pane", "-t", &world.pane(&id)]);
    let terminal = open(&world, "");
    wait_for(&terminal, "exited(0)");
    let pid = wait_for_process(&world);
    calls_and_starts_in_a_minute(pid);
    let (calls, starts) = calls_and_starts_in_a_minute(pid);
    assert!(calls <= 60, "{calls} system calls in a minute");
    assert_eq!(starts, 0, "processes or threads in a minute");
    terminal.keys(["q"]);
    assert_eq!(terminal.exit_code(), 0);
}
