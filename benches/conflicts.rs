//! How long it takes to find the tasks that change the same lines: processor time, children included.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use serde_json::Value;

use crate::changes::{build, edit_again, with_changes};
use crate::measure::{Side, in_turns, processor_time as time};
use crate::repository::{add_file, id, import};
use crate::table::{self, Bar, growth};
use crate::world::World;

const STEPS: [(&str, usize); 3] = [("10 tasks", 10), ("50 tasks", 50), ("200 tasks", 200)];

/// What is measured, and its bar with 50 tasks.
const ROWS: [(&str, Option<f64>); 5] = [
    ("conflicts, nothing known", Some(250.0)),
    ("conflicts, all known", None),
    ("conflicts, one changed", Some(30.0)),
    ("list, all known", None),
    ("conflicts, all files of one changed", None),
];

const CACHE: &str = ".git/flux/cache";

/// Starts a command that may find conflicts, which is exit code 3.
fn flux(world: &World, repo: &Path, command: &'static str) -> Command {
    let script = r#"git-flux "$0" --json >/dev/null || test $? -eq 3"#;
    let mut flux = world.command("sh", ["-c", script, command]);
    flux.current_dir(repo);
    flux
}

/// What the first task changes.
#[derive(Clone, Copy)]
enum Edit {
    /// A file that no other task has.
    One,
    /// All files that it has changed before, so that no answer about it is known.
    All,
}

/// Moves the branch of the first task to another commit with the same changes and one more.
fn change_one(world: &World, repo: &Path, edit: Edit, turn: usize) -> Result<()> {
    let branch = format!("refs/heads/feature/{}", id(0));
    let mut history =
        format!("commit {branch}\ncommitter B <b@c> 1800000001 +0000\ndata 0\nfrom {branch}^0\n");
    match edit {
        Edit::One => add_file(&mut history, "turn", &format!("{turn}\n"))?,
        Edit::All => edit_again(&mut history, 0, turn)?,
    }
    import(world, repo, &history)
}

fn forget(repo: &Path) -> Result<()> {
    let cache = repo.join(CACHE);
    if cache.exists() {
        fs::remove_dir_all(cache)?;
    }
    Ok(())
}

/// Prints of how many pairs git is asked, and how many of them conflict.
fn describe(world: &World, repo: &Path, count: usize) -> Result<()> {
    world.run(&mut flux(world, repo, "conflicts"))?;
    let known: Value = serde_json::from_slice(&fs::read(repo.join(CACHE).join("conflicts.json"))?)?;
    let pairs = known["pairs"].as_object().into_iter().flatten();
    let files = pairs.map(|(_, answer)| answer["Ok"]["files"].as_array().map_or(0, Vec::len));
    let files: Vec<usize> = files.collect();
    let conflicting = files.iter().filter(|files| **files > 0).count();
    println!(
        "{count} tasks: {} pairs, {} of them touch a path, {conflicting} conflict",
        count * (count - 1) / 2,
        files.len()
    );
    Ok(())
}

/// All pairs with nothing known, with everything known, after one task has changed; and a list, which
/// looks them up.
pub(crate) fn measure(world: &World, repetitions: usize) -> Result<()> {
    let origin = build(world)?;
    let repos = STEPS.map(|(_, count)| with_changes(world, &origin, count));
    let repos: Vec<PathBuf> = repos.into_iter().collect::<Result<_>>()?;
    println!();
    for (repo, (_, count)) in repos.iter().zip(STEPS) {
        describe(world, repo, count)?;
    }
    let [a, b, c] = STEPS.map(|(words, _)| words);
    table::head(&["processor time", a, b, c, "bar"]);
    let mut sides: Vec<Side<'_>> = Vec::new();
    for repo in &repos {
        sides.push(Box::new(|_| {
            forget(repo)?;
            time(world, flux(world, repo, "conflicts"))
        }));
        sides.push(Box::new(|_| time(world, flux(world, repo, "conflicts"))));
        sides.push(Box::new(|turn| {
            change_one(world, repo, Edit::One, turn)?;
            time(world, flux(world, repo, "conflicts"))
        }));
        sides.push(Box::new(|_| time(world, flux(world, repo, "list"))));
        sides.push(Box::new(|turn| {
            change_one(world, repo, Edit::All, turn)?;
            time(world, flux(world, repo, "conflicts"))
        }));
    }
    let times = in_turns(repetitions, |_| Ok(()), sides)?;
    let bar = |at: usize, bar: f64| (STEPS[at].1 == 50).then_some(Bar(bar));
    for (row, (what, limit)) in ROWS.into_iter().enumerate() {
        let steps = times.chunks(ROWS.len()).enumerate();
        let steps = steps.map(|(at, times)| (times[row].clone(), limit.and_then(|l| bar(at, l))));
        growth(what, &steps.collect::<Vec<_>>());
    }
    let above = times.chunks(ROWS.len()).enumerate();
    let above = above.map(|(at, times)| (times[1].above(&times[3]), bar(at, 10.0)));
    growth("all known, above list", &above.collect::<Vec<_>>());
    let above = times.chunks(ROWS.len()).enumerate();
    let above = above.map(|(at, times)| (times[2].above(&times[3]), bar(at, 30.0)));
    growth("one changed, above list", &above.collect::<Vec<_>>());
    Ok(())
}
