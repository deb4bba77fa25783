//! Compares the help, the first errors and the screens of README word for word. `UPDATE=1 cargo test --test integration
//! screens::` rewrites the files of `tests/screens`; README is changed by hand.

use std::fs;
use std::path::PathBuf;

use crate::world::archive::done;
use crate::world::documents::document;
use crate::world::limits::full_disk;
use crate::world::limits::{old_git, old_tmux};
use crate::world::output::commands;
use crate::world::output::make_readme_tasks;
use crate::world::*;

/// Compares a text with `tests/screens/<name>.txt`, or writes it there.
#[track_caller]
fn assert_screen(name: &str, text: &str) {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/screens");
    let file = dir.join(format!("{name}.txt"));
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(&dir).unwrap();
        fs::write(&file, text).unwrap();
    }
    let known = fs::read_to_string(&file).unwrap_or_default();
    if let Some((at, (new, old))) = first_difference(text, &known) {
        panic!(
            "tests/screens/{name}.txt, line {at}, is not what is printed (UPDATE=1 rewrites it):\n\
             -{old}\n+{new}\n\n{text}"
        );
    }
}

/// Returns the number of the first line that differs.
fn first_difference<'a>(new: &'a str, old: &'a str) -> Option<(usize, (&'a str, &'a str))> {
    let number = new.lines().count().max(old.lines().count());
    let line = |text: &'a str, at| text.lines().nth(at).unwrap_or("(the end)");
    let mut lines = (0..number).map(|at| (at + 1, (line(new, at), line(old, at))));
    lines.find(|(_, (new, old))| new != old)
}

/// Returns the text without the path of the world and the random part of ids.
fn without_random_parts(world: &World, text: &str) -> String {
    let text = text.replace(&world.root().display().to_string(), "/home/alice");
    replaced(&text, "-", "123456", |after| {
        let digits = after.chars().take_while(char::is_ascii_hexdigit).count();
        let ends = !after[digits..].starts_with(|c: char| c.is_alphanumeric() || c == '-');
        if digits == 6 && ends { 6 } else { 0 }
    })
}

/// Replaces as much text as `length` says after each `mark`.
fn replaced(text: &str, mark: &str, by: &str, length: impl Fn(&str) -> usize) -> String {
    let mut parts = text.split_inclusive(mark);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let length = length(part);
        out += if length > 0 { by } else { "" };
        out += &part[length..];
    }
    out
}

#[test]
fn help_screens_match_the_recorded_text() {
    let world = World::without_repository("w");
    let mut screens = String::new();
    let mut print = |args: &[&str]| {
        let output = world.flux(args).in_dir(world.root()).run();
        output.success().stderr_is("");
        let command = args.join(" ");
        screens += &format!("$ git flux {command}\n{}\n", output.stdout);
    };
    print(&["-h"]);
    for command in commands(&world) {
        // `--help` is the same, see `help`.
        print(&[&command, "-h"]);
    }
    assert_screen("help", &screens);
}

/// The outputs of failing commands, one after the other.
struct Errors<'a> {
    world: &'a World,
    screens: String,
}

impl<'a> Errors<'a> {
    fn of(world: &'a World) -> Self {
        Self {
            world,
            screens: String::new(),
        }
    }

    /// Runs a command that fails and changes nothing.
    #[track_caller]
    fn run(&mut self, what: &str, args: &[&str]) {
        self.run_as(what, args, |flux| flux);
    }

    #[track_caller]
    fn run_as(&mut self, what: &str, args: &[&str], change: impl FnOnce(Flux<'a>) -> Flux<'a>) {
        let before = self.world.snapshot();
        let output = change(self.world.flux(args)).run();
        self.world.assert_unchanged(&before);
        assert_ne!(output.code, Some(0), "{output}");
        let words = args.join(" ");
        let said = without_random_parts(self.world, &(output.stdout.clone() + &output.stderr));
        let code = output.code.unwrap();
        self.screens += &format!("# {what}\n$ git flux {words}\n{said}[exit code {code}]\n\n");
    }
}

#[test]
fn errors_match_the_recorded_text() {
    let world = World::new();
    let mut errors = Errors::of(&world);
    let path = |without: &str| world.path_without([without]);
    errors.run_as("no git", &["list"], |flux| flux.env("PATH", path("git")));
    errors.run_as("no tmux", &["run", "Fix"], |flux| {
        flux.env("PATH", path("tmux"))
    });
    errors.run_as("no agent", &["run", "Fix"], |flux| {
        flux.env("PATH", path("claude"))
    });
    errors.run(
        "an agent nobody knows",
        &["run", "--agent", "cluade", "Fix"],
    );
    errors.run("no description", &["run"]);
    errors.run("no base", &["run", "--base", "nowhere", "Fix"]);
    errors.run("no id", &["run", "--name", "No Id", "Fix"]);
    errors.run("no task at all", &["attach"]);
    errors.run("nor one of this name", &["attach", "fix"]);
    errors.run("nothing to restore", &["restore"]);

    world.git(["branch", "feature/fix"]);
    errors.run("a branch", &["run", "--name", "fix", "Fix"]);
    world.git(["branch", "-m", "feature/fix", "feature"]);
    errors.run("a branch in the way", &["run", "--name", "fix", "Fix"]);
    world.git(["branch", "-D", "feature"]);
    world.write("../myapp-fix/file", "theirs");
    errors.run("a directory", &["run", "--name", "fix", "Fix"]);
    fs::remove_dir_all(world.worktree("fix")).unwrap();
    world.tmux(["new-session", "-d", "-s", "flux-myapp-fix", "sleep 1000"]);
    errors.run("a session", &["run", "--name", "fix", "Fix"]);

    for name in ["fix-login", "fix-logout"] {
        done(&world, name);
    }
    errors.run("a task of the id", &["run", "--name", "fix-login", "Fix"]);
    errors.run("no task of this name", &["status", "fix-lgoin"]);
    errors.run("several tasks", &["status", "fix"]);
    errors.run("no task named, nobody to ask", &["status"]);
    world.write(world.worktree("fix-login").join("loose"), "x");
    errors.run("uncommitted files", &["cleanup", "fix-login"]);
    world.commit_in(world.repo(), "fix-logout.txt", "mine\n");
    errors.run("a conflict", &["cleanup", "fix-logout"]);
    let running = world.flux(["run", "-q", "--name", "at-work", "Fix"]).ok();
    world.agent(&running).tell("commit One");
    errors.run("an agent at work", &["cleanup", "at-work"]);
    world.git(["config", "flux.layuot", "pane"]);
    errors.run("a setting that there is not", &["list"]);
    world.git(["config", "--rename-section", "flux", "other"]);
    world.git(["config", "flux.merge", "sqaush"]);
    errors.run("a bad value", &["cleanup", "fix-logout"]);
    assert_screen("errors", &errors.screens);
}

#[test]
fn errors_of_missing_programs_and_repositories_match_the_recorded_text() {
    let world = World::without_repository("flux world");
    fs::create_dir(world.repo()).unwrap();
    world.git(["init", "-q"]);
    let mut errors = Errors::of(&world);
    errors.run("no commit yet", &["run", "Fix"]);
    world.git(["commit", "-q", "--allow-empty", "-m", "Initial commit"]);
    // In the words of git, which depend on whether a file system ends there.
    errors.run_as("no repository", &["list"], |flux| flux.in_dir(world.root()));
    let git = "error: not a git repository (or any ";
    let said = errors.screens.split_once(git).expect("git's words").1;
    let said = said.lines().next().unwrap().to_owned();
    errors.screens = errors
        .screens
        .replace(&said, "of the parent directories): .git");

    old_tmux(&world);
    errors.run("an old tmux", &["run", "Fix"]);
    world.uninstall("tmux");
    full_disk(&world, "reset");
    errors.run("no space", &["run", "--name", "fix", "Fix"]);
    old_git(&world, "2.34.1");
    errors.run("an old git", &["run", "Fix"]);
    assert_screen("errors_around", &errors.screens);
}

/// Returns the screens of README: the command, and its output.
fn screens_of_readme() -> Vec<(String, String)> {
    let readme = document("README.md");
    let blocks = readme.split("\n```console\n").skip(1);
    let blocks = blocks.map(|rest| rest.split_once("\n```").unwrap().0);
    let commands = blocks.flat_map(|block| block.split("$ ").skip(1));
    let screen = |text: &str| {
        let (command, output) = text.split_once('\n').unwrap_or((text, ""));
        (command.to_owned(), output.trim_end().to_owned())
    };
    commands.map(screen).collect()
}

/// Returns the lines of a screen with one gap between columns, and without dates and times.
fn lines(world: &World, screen: &str) -> Vec<String> {
    let is_age = |word: &str| {
        let digits = word.trim_end_matches(['s', 'm', 'h', 'd']);
        digits.len() + 1 == word.len() && digits.bytes().all(|b| b.is_ascii_digit())
    };
    let line = |line: &str| {
        let indent = line.len() - line.trim_start().len();
        let cells = line
            .split("  ")
            .map(str::trim)
            .filter(|cell| !cell.is_empty());
        let cells = cells.map(|cell| if is_age(cell) { "AGE" } else { cell });
        " ".repeat(indent) + &cells.collect::<Vec<_>>().join("  ")
    };
    let screen = same_commits(&without_random_parts(world, screen));
    screen.trim_end().lines().map(line).collect()
}

/// Replaces each commit of nine digits by the same name.
fn same_commits(text: &str) -> String {
    let words = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
    let same = |word: &str| {
        let digits = word.bytes().take_while(u8::is_ascii_hexdigit).count();
        let ends = !word[digits..].starts_with(|c: char| c.is_ascii_alphanumeric());
        match digits == 9 && ends {
            true => format!("123456789{}", &word[digits..]),
            false => word.to_owned(),
        }
    };
    words.map(same).collect()
}

/// Does what the reader does while a command of README waits.
fn act_as_reader(terminal: &Terminal, command: &str) {
    if command.starts_with("git flux attach ") {
        // tmux's own line at the bottom.
        terminal.wait_for_visible("line of tmux", |screen| screen.contains("\n[flux-"));
        terminal.keys(["C-b", "d"]);
    } else if command.starts_with("git flux cleanup ") {
        terminal.wait_for_screen("(y/n)");
        terminal.keys(["y"]);
    }
}

#[test]
fn readme_screens_match_the_output() {
    let world = World::at("alice");
    let screens = screens_of_readme();
    assert_eq!(screens.len(), 4, "{screens:?}");
    // Wide enough for a question to stand on a line.
    let terminal = world.terminal(160, 60);
    for (command, expected) in screens {
        if command == "git flux list" {
            make_readme_tasks(&world);
        }
        terminal.command(&command);
        act_as_reader(&terminal, &command);
        assert_eq!(terminal.exit_code(), 0, "{command}");
        let screen = terminal.screen();
        let (_, printed) = screen.split_once('\n').unwrap();
        let (printed, _) = printed.rsplit_once("[exit 0 of ").unwrap();
        let (new, old) = (lines(&world, printed), lines(&world, &expected));
        assert_eq!(
            new, old,
            "README shows something else for '{command}' than\n{printed}"
        );
    }
}
