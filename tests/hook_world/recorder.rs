//! Installs a hook for each name that git knows, which records what it sees.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::world::*;

/// Every hook of githooks(5) but those of p4 and those that answer a protocol.
const NAMES: [&str; 22] = [
    "applypatch-msg",
    "commit-msg",
    "post-applypatch",
    "post-checkout",
    "post-commit",
    "post-merge",
    "post-receive",
    "post-rewrite",
    "post-update",
    "pre-applypatch",
    "pre-auto-gc",
    "pre-commit",
    "pre-merge-commit",
    "pre-push",
    "pre-rebase",
    "pre-receive",
    "prepare-commit-msg",
    "push-to-checkout",
    "sendemail-validate",
    "update",
    "post-index-change",
    "reference-transaction",
];

/// Those that git runs at almost everything, git flux's own work included.
const FREQUENT: usize = 2;

/// Variables that a shell sets: between git and the hook there may be one more.
const SHELL: [&str; 4] = ["OLDPWD", "PWD", "SHLVL", "_"];

/// Puts the recorder into the directory `hooks`, with the frequent hooks or without them.
pub(super) fn install(world: &World, hooks: &Path, frequent: bool) {
    fs::create_dir_all(calls_dir(world)).unwrap();
    let calls = format!("'{}'", calls_dir(world).display());
    let recorder = include_str!("recorder.sh").replace("@CALLS@", &calls);
    world.install("hook-recorder", &recorder);
    for name in names(frequent) {
        // The same bytes in every world, since a hook may be committed.
        install_at(&hooks.join(name), "#!/bin/sh\n. hook-recorder\n");
    }
}

/// Puts the recorder into the configuration, for each hook by a name of its own.
pub(super) fn configure(world: &World, frequent: bool) {
    let dir = world.tools().join("hooks");
    install(world, &dir, frequent);
    for name in names(frequent) {
        let command = format!("'{}'", dir.join(name).display());
        world.git(["config", &format!("hook.note-{name}.event"), name]);
        world.git(["config", &format!("hook.note-{name}.command"), &command]);
    }
}

fn names(frequent: bool) -> &'static [&'static str] {
    let count = NAMES.len() - if frequent { 0 } else { FREQUENT };
    &NAMES[..count]
}

fn calls_dir(world: &World) -> PathBuf {
    world.tools().join("hook calls")
}

/// Forgets the calls so far.
pub(super) fn clear(world: &World) {
    fs::remove_dir_all(calls_dir(world)).unwrap();
    fs::create_dir(calls_dir(world)).unwrap();
}

/// Returns the calls so far, in order.
#[track_caller]
pub(super) fn calls(world: &World) -> Vec<Call> {
    let dir = calls_dir(world);
    let last = fs::read_to_string(dir.join("last")).unwrap_or_default();
    let count: usize = last.trim().parse().unwrap_or_default();
    let read = |n: usize| Call::read(world, &dir.join(n.to_string()));
    (1..=count).map(read).collect()
}

/// A call of a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) name: String,
    /// The top of the worktree, as it was called.
    pub(super) top: PathBuf,
    /// It is in no worktree of the repository.
    pub(super) in_scratch: bool,
    /// Each thing that it saw: a fact's name and its text, in which `<top>` stands for the top
    /// of the worktree and `<root>` for the directory that this is in.
    pub(super) facts: BTreeMap<String, String>,
}

impl Call {
    #[track_caller]
    fn read(world: &World, dir: &Path) -> Self {
        let mut files = BTreeMap::new();
        collect(dir, dir, &mut files);
        let name = files.remove("name").expect("a call has a name");
        let directory = files["directory"].clone();
        let places = files.remove("places").unwrap_or_default();
        let top = places.lines().next().unwrap_or(directory.trim_end());
        let top = PathBuf::from(top);
        let normal = |text: &str| {
            let text = text.replace(top.to_str().unwrap(), "<top>");
            let text = text.replace(world.root().to_str().unwrap(), "<root>");
            text.replace(world.tools().to_str().unwrap(), "<tools>")
        };
        let environ = files.remove("environ").unwrap_or_default();
        let mut facts = environment(&environ, normal);
        let keys = [
            "--show-toplevel",
            "--git-dir",
            "--git-common-dir",
            "--absolute-git-dir",
            "--is-inside-work-tree",
            "--show-prefix",
        ];
        for (key, line) in keys.iter().zip(places.lines()) {
            facts.insert(format!("rev-parse {key}"), normal(line));
        }
        for (fact, text) in files {
            let text = match text.strip_prefix("pipe:") {
                Some(_) if fact == "stdin" => "pipe".to_owned(),
                _ => normal(text.trim_end_matches('\n')),
            };
            let text = match fact.as_str() {
                "ignored" => sorted(&text),
                _ => text,
            };
            facts.insert(fact, text);
        }
        let name = name.trim_end().to_owned();
        let worktrees = ["myapp", "other", "myapp-fix", "myapp-new"];
        Self {
            name,
            in_scratch: !worktrees.map(|dir| world.root().join(dir)).contains(&top),
            top,
            facts,
        }
    }

    pub(super) fn fact(&self, name: &str) -> &str {
        self.facts.get(name).map_or("", String::as_str)
    }
}

/// git's variables with their values, the names of all others.
fn environment(environ: &str, normal: impl Fn(&str) -> String) -> BTreeMap<String, String> {
    let variables = environ.split('\0').filter_map(|line| line.split_once('='));
    let mut facts = BTreeMap::new();
    let mut others = Vec::new();
    for (name, value) in variables {
        match name {
            _ if name.starts_with("GIT") => {
                facts.insert(format!("${name}"), normal(value));
            }
            _ if SHELL.contains(&name) => {}
            _ => others.push(name),
        }
    }
    others.sort_unstable();
    facts.insert("other variables".to_owned(), others.join(" "));
    let path = variables_value(environ, "PATH");
    facts.insert(
        "first of PATH".to_owned(),
        normal(path.split(':').next().unwrap()),
    );
    facts
}

fn variables_value<'a>(environ: &'a str, name: &str) -> &'a str {
    let variables = environ.split('\0').filter_map(|line| line.split_once('='));
    let mut values = variables.filter(|(found, _)| *found == name);
    values.next().map_or("", |(_, value)| value)
}

fn sorted(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

fn collect(root: &Path, dir: &Path, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            let text = fs::read(&path).unwrap();
            files.insert(name.to_owned(), String::from_utf8_lossy(&text).into_owned());
        }
    }
}
