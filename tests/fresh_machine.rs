//! Types the commands of README on a machine with only git, tmux, shells and what cargo has installed.

use std::fs;
use std::os::unix::fs::symlink;

use crate::world::documents::{block, document};
use crate::world::home::Home;
use crate::world::*;

/// Starts a shell of the user of that machine in the clone.
fn log_in<'a>(home: &Home<'a>) -> Terminal<'a> {
    let world = home.world;
    let machine = world.tools().join("machine");
    fs::create_dir(&machine).unwrap();
    for program in ["git", "tmux", "bash", "sh"] {
        symlink(require(program), machine.join(program)).unwrap();
    }
    let terminal = world.terminal(110, 45);
    let vars = format!(
        "HOME='{}' PATH='{}' TERM=$TERM LC_ALL=C.UTF-8 SHELL={2} TMUX_TMPDIR=$TMUX_TMPDIR {2}",
        home.dir.display(),
        machine.display(),
        require("bash").display(),
    );
    terminal.type_line(&format!("exec env -i {vars}"));
    // Typed with quotes, printed without.
    terminal
        .type_line("echo rea''dy")
        .wait_for_screen("\nready");
    terminal
}

/// Runs a command, says yes to all it asks, and gives the screen.
#[track_caller]
fn yes(terminal: &Terminal, line: &str) -> String {
    terminal.command(line);
    let mut answered = String::new();
    wait_until(&format!("the end of '{line}'"), || {
        let screen = terminal.screen();
        let last = screen.lines().last().unwrap_or_default();
        if last.contains("(y/n)") && last != answered {
            answered = last.to_owned();
            terminal.keys(["y"]);
        }
        screen.lines().any(|line| line.starts_with("[exit "))
    });
    assert_eq!(terminal.exit_code(), 0, "{}", terminal.screen());
    terminal.screen()
}

/// Goes to a task, commits a file of this name there, and comes back as README says.
#[track_caller]
fn visit(terminal: &Terminal, line: &str, title: &str, file: &str) {
    terminal.command(line);
    // The task's own shell has it on its screen.
    terminal.wait_for_screen(title);
    terminal.type_line(&format!(
        ">{file}; git add {file} && git commit -qm 'Add {file}' && echo do''ne"
    ));
    terminal.wait_for_screen("\ndone");
    terminal.keys(["C-b", "d"]);
    assert_eq!(terminal.exit_code(), 0);
}

/// Returns the commands in a text that are written as `git flux …`, without those with a placeholder.
fn uses(text: &str) -> Vec<&str> {
    let spans = text.split('`').skip(1).step_by(2);
    spans
        .filter(|span| span.starts_with("git flux") && !span.contains('<'))
        .collect()
}

#[track_caller]
fn section<'a>(readme: &'a str, heading: &str) -> &'a str {
    let (_, section) = readme.split_once(&format!("\n{heading}\n")).unwrap();
    section.split("\n## ").next().unwrap()
}

#[test]
fn readme_commands_work_on_a_new_machine() {
    let world = World::new();
    let home = Home::new(&world);
    for (name, value) in [("user.name", "Alice"), ("user.email", "alice@example.com")] {
        world.git(["config", name, value]);
    }
    let readme = document("README.md");
    let terminal = log_in(&home);

    // Its first part has been done by whoever built the program under test.
    let line = block(&readme, "## Set up");
    let line = line.strip_prefix("cargo install --path . --locked && ");
    let screen = yes(&terminal, line.expect("the install"));
    for part in ["\ninstalled '", "\n  Task ID: try-git-flux-"] {
        assert!(screen.contains(part), "no {part:?}:\n{screen}");
    }
    // What this machine lacks is said, and stops nothing.
    assert!(
        screen.contains("warning: 'man' is not installed"),
        "{screen}"
    );

    let mut done = Vec::new();
    for line in uses(section(&readme, "## Set up")) {
        match line.split(' ').nth(2) {
            Some("attach") => visit(&terminal, line, "Try git flux", "hello"),
            Some("cleanup") => {
                let screen = yes(&terminal, line);
                assert!(screen.contains("\nmerged 1 commit of "), "{screen}");
                assert!(world.repo().join("hello").exists());
            }
            Some("install") => {
                let screen = yes(&terminal, line);
                assert!(screen.contains("\nunchanged '"), "{screen}");
            }
            _ => continue,
        }
        done.push(line);
    }
    assert_eq!(
        done,
        [
            "git flux attach try",
            "git flux cleanup try",
            "git flux install"
        ]
    );
    everyday(&world, &terminal, &readme);

    yes(&terminal, "git flux install --uninstall");
    let left = home.files();
    // Its shell may have noted what was typed, and tasks that are still there have their ports.
    let kept =
        |name: &String| name == ".bash_history" || name.starts_with(".local/state/git-flux/ports/");
    assert!(left.iter().all(kept), "{left:?}");
}

/// The table of everyday commands, from top to bottom.
#[track_caller]
fn everyday(world: &World, terminal: &Terminal, readme: &str) {
    let rows = section(readme, "## Everyday").lines();
    let rows = rows.filter(|line| line.starts_with("| `git flux"));
    let lines: Vec<&str> = rows.filter_map(|row| uses(row).first().copied()).collect();
    assert!(lines.len() >= 6, "{lines:?}");
    let title = "Fix the login redirect";
    let run = format!("git flux run \"{title}\"");
    assert_eq!(lines[0], run);
    // There is no claude on this machine; README and the hint say what to do.
    terminal.command(&run);
    assert_eq!(terminal.exit_code(), 1);
    terminal.wait_for_screen("error: the agent 'claude' is not installed");
    world.git(["config", "flux.agent", "shell"]);
    // There is no editor either.
    world.git(["config", "core.editor", ":"]);
    for line in lines {
        let what = line.strip_prefix("git flux").unwrap().trim();
        let expected = match what.split(' ').next().unwrap() {
            "run" => "\n  Task ID: fix-the-login-redirect-",
            "" => "\nfix-the-login-redirect-",
            "attach" if what.contains("--waiting") => {
                terminal.command(line);
                assert_eq!(terminal.exit_code(), 1);
                terminal.wait_for_screen("error: no task waits for you");
                continue;
            }
            "attach" => {
                visit(terminal, line, title, "login");
                continue;
            }
            "send" => {
                // It would be a command to the shell that is the agent here.
                terminal.command(line);
                assert_eq!(terminal.exit_code(), 1);
                terminal.wait_for_screen("does not accept input");
                continue;
            }
            "watch" => {
                terminal.command(line);
                terminal.wait_for_screen("fix-the-login-redirect-");
                terminal.keys(["q"]);
                assert_eq!(terminal.exit_code(), 0);
                continue;
            }
            "review" => "noted that you have seen 1 file of 'fix-the-login-redirect-",
            "cleanup" if what.contains("--merged") => "",
            "cleanup" => "\nmerged 1 commit of ",
            "land" => "no task is ready to land",
            "restore" => "fix-the-login-redirect-",
            other => panic!("what becomes of 'git flux {other}'?"),
        };
        let screen = yes(terminal, line);
        assert!(
            screen.contains(expected),
            "no {expected:?} after '{line}':\n{screen}"
        );
    }
    assert!(world.repo().join("login").exists());
    let tasks = world.flux(["list", "--json"]).run().json();
    assert_eq!(tasks.as_array().unwrap().len(), 1, "{tasks}");
    assert_eq!(tasks[0]["title"], title);
}
