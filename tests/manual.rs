//! Tests the manual as man shows it, and its examples, settings and variables.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::world::documents::{Manual, document, plain};
use crate::world::home::Home;
use crate::world::*;

/// The sections, in the order that git's own pages have.
const SECTIONS: [&str; 13] = [
    "NAME",
    "SYNOPSIS",
    "DESCRIPTION",
    "OPTIONS",
    "COMMANDS",
    "OUTPUT",
    "CONFIGURATION",
    "ENVIRONMENT",
    "FILES",
    "EXIT STATUS",
    "EXAMPLES",
    "NOTES",
    "SEE ALSO",
];

/// A page of 80 columns with all that is in it.
#[track_caller]
fn assert_whole(page: &str) {
    let lines: Vec<&str> = page.lines().collect();
    for line in &lines {
        assert!(line.chars().count() <= 80, "wider than 80: {line:?}");
    }
    let headings: Vec<&str> = lines
        .iter()
        .copied()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))
        .filter(|line| !line.starts_with("GIT-FLUX(1)"))
        .collect();
    assert_eq!(headings, SECTIONS, "{page}");
    let title = lines.iter().find(|line| line.starts_with("GIT-FLUX(1)"));
    let title: Vec<&str> = title.expect("a title").split_whitespace().collect();
    assert_eq!(title, ["GIT-FLUX(1)", "Git", "Manual", "GIT-FLUX(1)"]);
    let version = format!("git-flux {} ", env!("CARGO_PKG_VERSION"));
    assert!(
        lines.iter().any(|line| line.starts_with(&version)),
        "{page}"
    );
    // Every command has its heading, with its name in one piece.
    for command in Manual::read().commands().keys() {
        let heading = format!("   git flux {command}");
        assert!(
            lines.iter().any(|line| line.starts_with(&heading)),
            "{heading}"
        );
    }
}

#[test]
fn manual_is_shown_by_git_help_on_a_terminal_of_80_columns() {
    let world = World::new();
    let home = Home::new(&world);
    home.install([]).run().success();
    let terminal = world.terminal_in(world.root(), 80, 24);
    let (dir, path) = (home.dir.display(), home.path().into_string().unwrap());
    terminal.type_line(&format!("export HOME='{dir}' PATH='{path}' MANPAGER=cat"));
    terminal.command("git help flux");
    assert_eq!(terminal.exit_code(), 0);
    let page = terminal.wait_for_screen("of 1]");
    // A shell that is slow to start prints its prompts in front of it.
    let (_, page) = page.split_once("GIT-FLUX(1)").expect("a page");
    let (page, _) = page.rsplit_once("[exit").unwrap();
    assert_whole(&format!("GIT-FLUX(1){page}"));
}

#[test]
fn manual_is_shown_by_git_help_after_an_install_with_a_prefix() {
    let world = World::new();
    let home = Home::new(&world);
    let usr = world.root().join("usr");
    fs::create_dir_all(usr.join("bin")).unwrap();
    symlink(env!("CARGO_BIN_EXE_git-flux"), usr.join("bin/git-flux")).unwrap();
    let mut path = usr.join("bin").into_os_string();
    path.push(":");
    path.push(world.path_without(["git-flux", "claude"]));
    let show = |args: &[&str]| {
        let output = world
            .command("git")
            .args(args)
            .env("PATH", &path)
            .env("HOME", &home.dir)
            .env("MANWIDTH", "80")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        output
            .status
            .success()
            .then(|| String::from_utf8(output.stdout).unwrap())
            .ok_or(said)
    };
    let missing = show(&["help", "flux"]).unwrap_err();
    assert!(
        missing.contains("No manual entry for git-flux"),
        "{missing}"
    );
    let install = ["install", "--prefix", usr.to_str().unwrap()];
    let flux = world.flux(install).in_dir(world.root()).env("PATH", &path);
    flux.env("HOME", &home.dir).run().success();
    let page = show(&["help", "flux"]).unwrap();
    assert_whole(&page);
    for args in [["flux", "--help"], ["help", "git-flux"]] {
        assert_eq!(show(&args).as_ref(), Ok(&page), "{args:?}");
    }
    // Asked for itself, or for one of its commands, the program answers, as git's other extensions do.
    for args in [
        &["flux", "-h"][..],
        &["flux", "help"],
        &["flux", "run", "--help"],
    ] {
        let help = show(args).unwrap();
        let lower = help.to_lowercase();
        assert!(lower.contains("usage: git flux"), "{args:?}: {help}");
    }
    assert_eq!(
        world.flux(["-h"]).ok(),
        show(&["flux", "-h"]).unwrap().trim_end()
    );
}

#[test]
fn help_of_every_command_fits_on_a_screen() {
    let world = World::without_repository("w");
    let help = |args: &[&str]| {
        world
            .flux(args)
            .in_dir(world.root())
            .env("COLUMNS", "80")
            .ok()
    };
    let mut commands: Vec<String> = Manual::read().commands().into_keys().collect();
    commands.push(String::new());
    for command in commands.iter().filter(|command| *command != "help") {
        let help = match command.as_str() {
            "" => help(&["-h"]),
            command => help(&[command, "-h"]),
        };
        assert!(help.lines().count() <= 50, "{command}:\n{help}");
        let usage = format!("usage: git flux {command}");
        let lower = help.to_lowercase();
        assert!(lower.contains(usage.trim_end()), "{command}:\n{help}");
        for line in help.lines() {
            assert!(line.chars().count() <= 80, "{command}: {line:?}");
        }
    }
}

/// Returns every use of git flux in the examples and notes: its words.
fn examples() -> Vec<Vec<String>> {
    let manual = Manual::read();
    let mut found = Vec::new();
    for section in ["EXAMPLES", "NOTES"] {
        // A command goes on in the next line after a `|`.
        let text = manual.section(section).join("\n").replace("|\n", "| ");
        let commands = text.lines().filter_map(|line| line.strip_prefix("$ "));
        for part in commands.flat_map(|line| line.split(" | ")) {
            if let Some((_, words)) = part.split_once("git flux") {
                let words = words.strip_suffix(")\"").unwrap_or(words);
                found.push(shell_words::split(words).unwrap());
            }
        }
    }
    found
}

#[test]
fn manual_examples_are_accepted_by_the_program() {
    let world = World::without_repository("w");
    let home = Home::new(&world);
    let examples = examples();
    assert!(examples.len() >= 25, "{examples:?}");
    let mut commands = BTreeSet::new();
    for words in examples {
        commands.insert(words.first().cloned());
        // Where there is no repository, nothing is wrong but that.
        let flux = world.flux(&words).in_dir(world.root());
        let output = flux.env("HOME", &home.dir).stdin("Fix the login").run();
        if words.first().is_some_and(|command| command == "install") {
            output.success();
        } else {
            output.code(1);
            let known = ["not a git repository", "No such file or directory"];
            assert!(
                known.iter().any(|part| output.stderr.contains(part)),
                "{output}"
            );
        }
    }
    // The everyday ones are all there.
    for command in ["run", "attach", "diff", "cleanup", "restore", "install"] {
        assert!(commands.contains(&Some(command.to_owned())), "{commands:?}");
    }
}

#[test]
fn manual_names_exactly_the_existing_settings() {
    let manual = Manual::read();
    let known = manual.entries("CONFIGURATION").into_iter();
    let known: BTreeSet<String> = known.map(str::to_lowercase).collect();
    let text = plain(&document("man/git-flux.1"));
    let mut seen = BTreeSet::new();
    let part_of_key = |c: char| c.is_alphanumeric() || "<>.-".contains(c);
    for word in text.split(|c| !part_of_key(c)) {
        let word = word.trim_matches('.').to_lowercase();
        let sections = ["flux.", "color.flux", "branch.<"];
        if !sections.iter().any(|section| word.starts_with(section)) {
            continue;
        }
        // Of any state.
        if word.starts_with("color.flux.") && known.contains("color.flux.<slot>") {
            seen.insert("color.flux.<slot>".to_owned());
            continue;
        }
        let parts: Vec<&str> = word.split('.').collect();
        let agent = parts.len() == 3 && known.contains(&format!("flux.<agent>.{}", parts[2]));
        let section = word == "branch.<name>";
        assert!(
            agent || section || known.contains(&word),
            "'{word}' is no setting"
        );
        seen.insert(word);
    }
    assert!(seen.is_superset(&known), "{known:?}");
}

/// Returns the content of each file below a directory of this repository.
fn texts_below(dir: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts.extend(texts_below(&path));
        } else {
            texts.push(fs::read_to_string(path).unwrap());
        }
    }
    texts
}

#[test]
fn manual_names_every_environment_variable() {
    let manual = Manual::read();
    let section = manual.section("ENVIRONMENT").join("\n");
    let words: BTreeSet<&str> = section
        .split(|c: char| !c.is_ascii_uppercase() && c != '_')
        .collect();
    let mut read = BTreeSet::new();
    let mut sources = String::new();
    for text in texts_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let code = text.split("#[cfg(test)]").next().unwrap();
        for call in ["var(\"", "var_os(\"", "env_dir(\""] {
            for (at, _) in code.match_indices(call) {
                let name = code[at + call.len()..].split('"').next().unwrap();
                read.insert(name.to_owned());
            }
        }
        sources.push_str(code);
    }
    assert!(
        read.contains("TMUX") && read.contains("CARGO_HOME"),
        "{read:?}"
    );
    // What belongs to git is in git's manual, and how a shell asks for candidates is in our own files for shells.
    let foreign = |name: &str| {
        let prefixes = ["GIT_", "COMPLETE", "_CLAP_"];
        prefixes.iter().any(|prefix| name.starts_with(prefix))
    };
    for name in read.iter().filter(|name| !foreign(name)) {
        assert!(
            words.contains(name.as_str()),
            "'{name}' is not in ENVIRONMENT"
        );
    }
    let given = manual.entries("ENVIRONMENT");
    assert!(given.contains(&"FLUX_TASK"), "{given:?}");
    for name in given {
        assert!(
            sources.contains(&format!("\"{name}\"")),
            "nobody sets '{name}'"
        );
    }
}
