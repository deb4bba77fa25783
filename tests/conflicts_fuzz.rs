//! Random changes: every pair that git cannot merge is reported, and no other; also after some tasks have changed more,
//! when much is known. `CONFLICTS_FUZZ=<rounds>` is the number
//! of rounds of 2 * 780 pairs; a failure names the seed of its round, and `CONFLICTS_SEED=<seed>` begins with it.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::world::*;

const TASKS: usize = 40;

/// The files of a commit, by their path.
type Files = BTreeMap<String, Vec<String>>;

/// The conflicting pairs of tasks, each with the conflicting paths; empty if git dies of it.
type Pairs = BTreeMap<(usize, usize), BTreeSet<String>>;

const DIRS: [&str; 7] = ["a", "a/x", "a/x/p", "b", "b/y", "c", "d"];
const NAMES: [&str; 6] = ["f", "g", "h", "x", "y", "p"];

/// Returns a path that is neither a directory of `files` nor below a file.
fn free_path(files: &Files, random: &mut StdRng) -> Option<String> {
    let dir = DIRS[random.random_range(0..DIRS.len())];
    let path = format!("{dir}/{}", NAMES[random.random_range(0..NAMES.len())]);
    can_have(files, &path).then_some(path)
}

fn can_have(files: &Files, path: &str) -> bool {
    let below = format!("{path}/");
    let is_above = |file: &String| path.starts_with(&format!("{file}/"));
    !files.contains_key(path)
        && !files
            .keys()
            .any(|file| file.starts_with(&below) || is_above(file))
}

fn base(random: &mut StdRng) -> Files {
    let mut files = Files::new();
    while files.len() < 14 {
        if let Some(path) = free_path(&files, random) {
            let number = files.len();
            let lines = (0..random.random_range(12..24)).map(|line| format!("{number} {line}"));
            files.insert(path, lines.collect());
        }
    }
    files
}

/// Makes one change, and returns whether it has renamed a directory.
fn change(files: &mut Files, task: usize, random: &mut StdRng) -> bool {
    let Some(path) = files
        .keys()
        .nth(random.random_range(0..files.len()))
        .cloned()
    else {
        return false;
    };
    match random.random_range(0..20) {
        0..9 => {
            let lines = files.get_mut(&path).unwrap();
            let at = random.random_range(0..lines.len());
            lines[at] = format!("changed by {task}");
        }
        9..11 => drop(files.remove(&path)),
        11..14 => {
            if let Some(new) = free_path(files, random) {
                let lines = (0..random.random_range(1..9)).map(|line| format!("{task} {line}"));
                files.insert(new, lines.collect());
            }
        }
        14..17 => {
            if let Some(new) = free_path(files, random) {
                let lines = files.remove(&path).unwrap();
                files.insert(new, lines);
            }
        }
        17..19 => {
            let dir = format!("{}/", DIRS[random.random_range(0..DIRS.len())]);
            let new = format!("{}n{}/", &dir[..dir.len() - 1], random.random_range(0..2));
            return rename_directory(files, &dir, &new);
        }
        _ => {
            // A directory in the place of a file.
            let lines = files.remove(&path).unwrap();
            files.insert(format!("{path}/in"), lines);
        }
    }
    false
}

fn rename_directory(files: &mut Files, dir: &str, new: &str) -> bool {
    let old: Vec<String> = files
        .keys()
        .filter(|file| file.starts_with(dir))
        .cloned()
        .collect();
    let renamed = |file: &String| format!("{new}{}", &file[dir.len()..]);
    if old.is_empty() || !old.iter().all(|file| can_have(files, &renamed(file))) {
        return false;
    }
    for file in &old {
        let lines = files.remove(file).unwrap();
        files.insert(renamed(file), lines);
    }
    true
}

/// Appends a commit with `files` for `git fast-import`: the base, or that of a task.
fn commit(stream: &mut String, task: Option<usize>, files: &Files) {
    let (name, mark) = match task {
        Some(task) => (branch(task), ""),
        None => ("fuzz".to_owned(), "mark :1\n"),
    };
    writeln!(
        stream,
        "commit refs/heads/{name}\n{mark}committer A <a@b> 1 +0000\ndata 0"
    )
    .unwrap();
    if task.is_some() {
        stream.push_str("from :1\n");
    }
    stream.push_str("deleteall\n");
    for (path, lines) in files {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        write!(
            stream,
            "M 100644 inline {path}\ndata {}\n{text}\n",
            text.len()
        )
        .unwrap();
    }
}

fn branch(task: usize) -> String {
    format!("feature/t{task:02}")
}

/// The files of all tasks, and which of them have renamed a directory.
struct Tasks {
    base: Files,
    files: Vec<Files>,
    renamers: BTreeSet<usize>,
}

impl Tasks {
    fn new(random: &mut StdRng) -> Self {
        let base = base(random);
        let mut tasks = Self {
            files: vec![base.clone(); TASKS],
            base,
            renamers: BTreeSet::new(),
        };
        for task in 0..TASKS {
            for _ in 0..random.random_range(2..9) {
                tasks.change(task, random);
            }
        }
        tasks
    }

    fn change(&mut self, task: usize, random: &mut StdRng) {
        if change(&mut self.files[task], task, random) {
            self.renamers.insert(task);
        }
    }

    /// Makes one more change in a quarter of the tasks.
    fn change_some(&mut self, random: &mut StdRng) {
        for _ in 0..TASKS / 4 {
            self.change(random.random_range(0..TASKS), random);
        }
    }
}

/// Makes the commits of the base and of all tasks.
fn import(world: &World, tasks: &Tasks) {
    let mut stream = String::new();
    commit(&mut stream, None, &tasks.base);
    for (task, files) in tasks.files.iter().enumerate() {
        commit(&mut stream, Some(task), files);
    }
    let mut import = world.command(require("git"));
    let import = import.args(["fast-import", "--quiet", "--force"]);
    let mut import = import
        .current_dir(world.repo())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    import
        .stdin
        .take()
        .unwrap()
        .write_all(stream.as_bytes())
        .unwrap();
    assert!(import.wait().unwrap().success());
}

/// The conflicting paths of two tasks, `None` without any; empty if git dies of it.
type Answer = Option<BTreeSet<String>>;

const MERGE_TREE: &str = "merge-tree --write-tree --name-only -z --no-messages";

/// Asks git about one task and all younger ones: in one process, or alone about each if git dies.
fn ask_git(world: &World, one: usize) -> Vec<Answer> {
    let others = one + 1..TASKS;
    let pairs = others
        .clone()
        .map(|two| format!("{} {}\n", branch(one), branch(two)));
    let pairs: String = pairs.collect();
    let mut all = git(world, &["--stdin"]);
    let mut all = all
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    all.stdin
        .take()
        .unwrap()
        .write_all(pairs.as_bytes())
        .unwrap();
    let output = all.wait_with_output().unwrap();
    if !output.status.success() {
        return others.map(|two| ask_git_alone(world, one, two)).collect();
    }
    let out = String::from_utf8(output.stdout).unwrap();
    let answers = out.split_terminator("\0\0").map(|answer| {
        let mut fields = answer.split('\0');
        // With --stdin, 0 means conflicts.
        let has_conflicts = fields.next() == Some("0");
        has_conflicts.then(|| fields.skip(1).map(without_commit).collect())
    });
    answers.collect()
}

fn ask_git_alone(world: &World, one: usize, two: usize) -> Answer {
    let output = git(world, &[&branch(one), &branch(two)]).output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    match output.status.code() {
        Some(0) => None,
        Some(1) => Some(
            out.split_terminator('\0')
                .skip(1)
                .map(without_commit)
                .collect(),
        ),
        // It has died.
        _ => Some(BTreeSet::new()),
    }
}

fn git(world: &World, args: &[&str]) -> Command {
    let mut git = world.command(require("git"));
    git.args(MERGE_TREE.split(' '))
        .args(args)
        .current_dir(world.repo());
    git
}

fn without_commit(path: &str) -> String {
    path.split('~').next().unwrap().to_owned()
}

/// Returns what git flux reports.
fn ask_flux(world: &World) -> Pairs {
    let output = world.flux(["conflicts", "--json"]).run();
    let json = output.json();
    let number = |value: &serde_json::Value| value.as_str().unwrap()[1..].parse().unwrap();
    let mut pairs = Pairs::new();
    for conflict in json["conflicts"].as_array().unwrap() {
        assert!(conflict["target"].is_null(), "{conflict}");
        if conflict["same"] == true {
            continue;
        }
        let files = conflict["files"].as_array();
        let is_vague = conflict["approximate"] == true || files.is_none();
        let paths = files.into_iter().flatten().filter(|_| !is_vague);
        let paths = paths.map(|file| {
            let path = file["path"].as_str().unwrap();
            without_commit(path)
        });
        let pair = (number(&conflict["task"]), number(&conflict["with"]));
        pairs.insert(pair, paths.collect());
    }
    pairs
}

/// Counts of all rounds.
#[derive(Debug, Default)]
struct Counts {
    pairs: usize,
    conflicts: usize,
    renamed: usize,
    died: usize,
}

fn check_round(world: &World, seed: u64, counts: &mut Counts) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut tasks = Tasks::new(&mut random);
    check(world, &tasks, seed, counts);
    tasks.change_some(&mut random);
    check(world, &tasks, seed, counts);
}

fn check(world: &World, tasks: &Tasks, seed: u64, counts: &mut Counts) {
    import(world, tasks);
    let renamers = &tasks.renamers;
    let found = ask_flux(world);
    for one in 0..TASKS {
        let answers = ask_git(world, one);
        assert_eq!(answers.len(), TASKS - one - 1);
        for (expected, two) in answers.into_iter().zip(one + 1..) {
            let pair = (one, two);
            let found = found.get(&pair);
            counts.pairs += 1;
            counts.conflicts += usize::from(expected.is_some());
            counts.renamed += usize::from(renamers.contains(&one) || renamers.contains(&two));
            let has_died = expected.as_ref().is_some_and(BTreeSet::is_empty);
            counts.died += usize::from(has_died);
            // What git says without renamed directories is its own matter.
            let is_right = has_died || expected.as_ref() == found;
            assert!(
                is_right,
                "CONFLICTS_SEED={seed} {pair:?}: {found:?}, not {expected:?}"
            );
        }
    }
}

/// Makes tasks that have only commits.
fn world() -> World {
    let world = World::new();
    world.git(["branch", "fuzz"]);
    world.git(["config", "flux.into", "fuzz"]);
    world.behaviour("exit 0");
    for task in 0..TASKS {
        let id = format!("t{task:02}");
        world
            .flux(["run", "-q", "--name", &id, "Fuzz"])
            .run()
            .success();
        world.wait_ended(&id);
        let worktree = world.worktree(&id);
        let remove = ["worktree", "remove", "--force", "--force"];
        world.git(remove.iter().chain(&[worktree.to_str().unwrap()]));
    }
    world
}

#[test]
fn conflicts_reports_each_pair_that_git_cannot_merge() {
    let number = |name: &str| {
        env::var(name)
            .ok()
            .map(|value| value.parse::<u64>().unwrap())
    };
    let rounds = number("CONFLICTS_FUZZ").unwrap_or(4);
    let first = number("CONFLICTS_SEED").unwrap_or(1);
    let world = world();
    let mut counts = Counts::default();
    for seed in first..first + rounds {
        check_round(&world, seed, &mut counts);
    }
    eprintln!("{counts:?}");
    let share = |number: usize| 100 * number / counts.pairs;
    assert!(share(counts.conflicts) >= 40, "{counts:?}");
    assert!(share(counts.renamed) >= 10, "{counts:?}");
}
