//! Tests that README, the manual, the settings page and CI agree with the help and the settings of the program.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use crate::world::documents::*;
use crate::world::*;

/// Returns the options at the beginnings of the lines of `--help`.
fn options_of_help(help: &str) -> Options {
    let (_, options) = help.split_once("\nOptions:\n").expect("options");
    let heads = options
        .lines()
        .map(str::trim_start)
        .filter(|l| l.starts_with('-'));
    // The explanation follows after two spaces; a value, in brackets, is not an option.
    let names = heads.flat_map(|head| head.split("  ").next().unwrap().split([' ', ',', '[', '=']));
    names
        .filter(|name| name.starts_with('-'))
        .map(str::to_owned)
        .collect()
}

/// Returns the commands of `git flux --help`.
fn commands_of_help(help: &str) -> Vec<String> {
    let (groups, _) = help.split_once("\nOptions:\n").expect("options");
    let lines = groups.lines().filter_map(|line| line.strip_prefix("   "));
    let names = lines.map(|line| line.split_whitespace().next().unwrap());
    // Only the manual lists it.
    names.chain(["completions"]).map(str::to_owned).collect()
}

/// Returns the keys that the table of settings explains.
fn keys_of_the_page() -> BTreeSet<String> {
    let page = document("docs/settings.md");
    let rows = page
        .lines()
        .take_while(|line| !line.starts_with("## "))
        .filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| row.split('`').next().unwrap().to_owned())
        .collect()
}

/// Returns the keys that the program knows, as it spells them.
fn keys_of_program() -> BTreeSet<String> {
    let world = World::new();
    let shown = world.flux(["config", "--json"]).run().success().json();
    let keys = shown.as_array().unwrap().iter();
    keys.map(|one| match one["key"].as_str().unwrap() {
        // Each agent has its own.
        key if key.starts_with("flux.") && key.split('.').count() == 3 => {
            format!("flux.<agent>.{}", key.rsplit('.').next().unwrap())
        }
        key => key.to_owned(),
    })
    .collect()
}

#[test]
fn manual_explains_exactly_the_commands_and_options_of_the_program() {
    let world = World::without_repository("w");
    let help = |args: &[&str]| world.flux(args).in_dir(world.root()).ok();
    let top = help(&["--help"]);
    let mut program: BTreeMap<String, Options> = BTreeMap::new();
    for command in commands_of_help(&top) {
        let mut options = options_of_help(&help(&[&command, "--help"]));
        // Every command has it: explained once.
        assert!(
            options.remove("--help") && options.remove("-h"),
            "{command}"
        );
        program.insert(command, options);
    }
    assert!(program.len() >= 6 && program["run"].contains("--agent"));
    let manual = Manual::read().commands().into_iter();
    let manual: BTreeMap<_, Options> = manual
        .map(|(name, options)| (name, options.into_iter().flatten().collect()))
        .collect();
    assert_eq!(manual, program, "manual, program");

    let explained: Options = Manual::read()
        .entries("OPTIONS")
        .into_iter()
        .flat_map(tags)
        .collect();
    assert_eq!(explained, options_of_help(&top), "manual, program");
}

#[test]
fn manual_names_every_command_and_option_in_its_synopsis() {
    let manual = Manual::read();
    let synopsis = manual.section("SYNOPSIS").join("\n");
    for (command, options) in manual.commands() {
        let mut uses = synopsis.split("git flux ");
        let usage = uses.find(|usage| usage.split([' ', '\n']).next() == Some(&command));
        let usage = usage.unwrap_or_else(|| panic!("no use of '{command}'"));
        let words: Vec<&str> = usage.split([' ', '[', ']', '=', '\n']).collect();
        for names in options {
            let named = names.iter().any(|name| words.contains(&name.as_str()));
            assert!(named, "'{command}' has {names:?}, its synopsis not");
        }
    }
}

#[test]
fn manual_and_settings_page_explain_exactly_the_settings_of_the_program() {
    let program = keys_of_program();
    assert!(
        program.contains("flux.agent") && program.len() >= 14,
        "{program:?}"
    );
    let manual = Manual::read();
    let manual = manual.entries("CONFIGURATION").into_iter();
    let manual: BTreeSet<String> = manual.map(str::to_owned).collect();
    assert_eq!(manual, program, "manual, program");
    assert_eq!(keys_of_the_page(), program, "docs/settings.md, program");
}

#[test]
fn settings_are_named_only_in_the_table() {
    let mut files = Vec::new();
    collect(&root().join("src"), &mut files);
    let mut asked = 0;
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let keys = code.split('"').skip(1).step_by(2).filter(|literal| {
            let of_branch = literal.starts_with("branch.") || literal.starts_with("flux");
            of_branch && literal.contains(".flux") || is_key(literal)
        });
        let keys: Vec<&str> = keys.collect();
        if file.ends_with("settings/table.rs") {
            asked += keys.len();
        } else {
            assert_eq!(keys, Vec::<&str>::new(), "{}", file.display());
        }
    }
    assert!(asked >= 12, "{asked} keys in the table");
}

/// `flux.agent`
fn is_key(text: &str) -> bool {
    let name = text.strip_prefix("flux.").unwrap_or_default();
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || "<>.".contains(c))
}

fn collect(dir: &std::path::Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}

#[test]
fn manual_headings_repeat_the_usage_of_help() {
    let world = World::without_repository("w");
    let help = |args: &[&str]| world.flux(args).in_dir(world.root()).ok();
    let manual = Manual::read();
    let headings = manual.section("COMMANDS").iter();
    let headings: BTreeSet<String> = headings
        .filter_map(|line| line.strip_prefix(".SS \""))
        .map(|line| line.trim_end_matches('"').to_owned())
        .collect();
    let usage = |command: &String| {
        let help = help(&[command, "-h"]);
        let usage = help.lines().next().unwrap().strip_prefix("usage: ");
        usage.expect("the usage comes first").to_owned()
    };
    let usages = commands_of_help(&help(&["-h"])).iter().map(usage).collect();
    assert_eq!(headings, usages, "manual, program");
}

#[test]
fn manual_passes_mandoc_lint() {
    let output = std::process::Command::new(require("mandoc"))
        .args(["-Tlint", "-W", "style"])
        .arg(root().join("man/git-flux.1"))
        .output()
        .unwrap();
    let found = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && found.is_empty(), "{found}");
}

/// What git and man say when git flux is not there to say anything.
const OF_OTHERS: [&str; 2] = [
    "git: 'flux' is not a git command",
    "No manual entry for git-flux",
];

#[test]
fn readme_lists_only_messages_of_the_program() {
    let readme = document("README.md");
    let (_, section) = readme.split_once("\n## When something is wrong\n").unwrap();
    let rows = section.lines().skip_while(|line| *line != "|---|---|");
    let rows = rows.skip(1).take_while(|line| line.starts_with('|'));
    let seen = rows.flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2));
    let mut said = document("tests/screens/errors.txt");
    let mut files = Vec::new();
    collect(&root().join("src"), &mut files);
    for file in files {
        said += &fs::read_to_string(file).unwrap();
    }
    let messages: Vec<&str> = seen.filter(|text| !text.starts_with("git flux")).collect();
    assert!(messages.len() >= 8, "{messages:?}");
    for message in messages {
        // What differs from time to time: `…`, and the number of `exited(1)`.
        let fixed = |part: &&str| !said.contains(part.trim_end_matches("1)").trim());
        let unsaid = message.split('…').find(fixed);
        let known = unsaid.is_none() || OF_OTHERS.contains(&message);
        assert!(known, "the program does not say '{message}'");
    }
}

#[test]
fn readme_has_at_most_1900_words() {
    let words = document("README.md").split_whitespace().count();
    assert!(words <= 1900, "{words} words");
}

#[test]
fn readme_names_the_test_command_of_ci() {
    let command = block(&document("README.md"), "## Tests");
    let ci = document(".ci/run");
    let last = ci.lines().rfind(|line| !line.trim().is_empty());
    assert_eq!(last, Some(command.as_str()));
}

#[test]
fn tests_main_declares_every_test_file() {
    let main = document("tests/main.rs");
    let declared = |name: &str| main.lines().any(|line| line == format!("mod {name};"));
    let mut files = 0;
    for entry in fs::read_dir(root().join("tests")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let code = path.is_dir() || path.extension().is_some_and(|e| e == "rs");
        if code && name != "main" {
            assert!(declared(name), "tests/main.rs does not have 'mod {name};'");
            files += 1;
        }
    }
    assert!(files >= 3);
}

#[test]
fn manual_and_settings_page_name_every_known_agent() {
    let world = World::new();
    let shown = world.flux(["config", "--json"]).run().success().json();
    let keys = shown.as_array().unwrap().iter();
    let keys = keys.map(|one| one["key"].as_str().unwrap().to_owned());
    let agents: Vec<String> = keys
        .filter_map(|key| {
            Some(
                key.strip_prefix("flux.")?
                    .strip_suffix(".command")?
                    .to_owned(),
            )
        })
        .collect();
    assert!(agents.len() >= 8, "{agents:?}");
    let manual: String = document("man/git-flux.1").lines().map(plain).collect();
    let settings = document("docs/settings.md");
    for agent in agents {
        for (page, text) in [("man/git-flux.1", &manual), ("docs/settings.md", &settings)] {
            assert!(text.contains(&agent), "{page} does not name '{agent}'");
        }
    }
}
