//! Takes parts out of an output.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use console::measure_text_width;
use serde_json::Value;

use crate::world::archive::done;
use crate::world::documents::document;
use crate::world::limits::full_disk;
use crate::world::limits::{old_git, old_tmux};
use crate::world::*;

/// Prepares the question of a shell for the candidates of the last of `words`.
pub(crate) fn ask<'a>(world: &'a World, shell: &str, words: &[&str]) -> Flux<'a> {
    let args = ["--", "git-flux"].iter().chain(words);
    world
        .flux(args)
        .env("COMPLETE", shell)
        .env("_CLAP_COMPLETE_INDEX", words.len().to_string())
        .env("_CLAP_IFS", "\n")
}

/// Returns the names of the commands, as `-h` lists them.
pub(crate) fn commands(world: &World) -> Vec<String> {
    let help = world.flux(["-h"]).in_dir(world.root()).ok();
    let (groups, _) = help.split_once("\nOptions:\n").expect("options");
    let lines = groups.lines().filter_map(|line| line.strip_prefix("   "));
    let names = lines.map(|line| line.split_whitespace().next().unwrap());
    // Only the manual lists it.
    names.chain(["completions"]).map(str::to_owned).collect()
}

pub(crate) fn ids(list: &Value) -> Vec<&str> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|task| task["id"].as_str().unwrap())
        .collect()
}

/// Returns the row of a task in a table, split into its columns.
#[track_caller]
pub(crate) fn row(table: &str, id: &str) -> Vec<String> {
    let line = table.lines().find(|line| line.starts_with(id));
    let line = line.unwrap_or_else(|| panic!("no row of {id} in\n{table}"));
    line.split("  ")
        .map(str::trim)
        .filter(|cell| !cell.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Makes the tasks that README's list shows, and the work of their agents.
pub(crate) fn make_readme_tasks(world: &World) -> [String; 3] {
    let titles = [
        "Add OAuth authentication",
        "Fix the login redirect",
        "Speed up the parser",
    ];
    let tasks = world.flux(["list", "--json"]).run().json();
    let ids = titles.map(|title| {
        let mut tasks = tasks.as_array().unwrap().iter();
        match tasks.find(|task| task["title"] == title) {
            Some(task) => task["id"].as_str().unwrap().to_owned(),
            None => world.start(title),
        }
    });
    let [oauth, login, parser] = &ids;
    for n in ["One", "Two", "Three"] {
        world.agent(oauth).tell(&format!("commit {n}"));
    }
    // In a file of its own, so that nothing conflicts.
    world
        .agent(login)
        .tell("sh echo fix >fix.txt && git add fix.txt && git commit -q -m Fix");
    world.agent(login).tell("exit 0");
    wait_until("the end of the agent to be recorded", || {
        world.flux(["status", "--json", login]).run().json()["state"] == "exited"
    });
    world.agent(parser).wait_started();
    let changes = [
        (oauth, ["login.html", "oauth.rs"]),
        (parser, ["parser.rs", "bench.rs"]),
    ];
    for (id, files) in changes {
        for file in files {
            world.write(world.worktree(id).join(file), "work");
        }
    }
    ids
}
