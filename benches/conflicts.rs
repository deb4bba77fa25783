//! How long it takes to find the tasks that change the same lines: processor time, children included.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::measure::{Side, in_turns, processor_time as time};
use crate::repository::{id, with_tasks};
use crate::table::{self, Bar, growth};
use crate::world::World;

const STEPS: [(&str, usize); 3] = [("10 tasks", 10), ("50 tasks", 50), ("200 tasks", 200)];

/// Of how many files a task changes ten.
const CHANGED: usize = 1_500;

/// Starts a command that may find conflicts, which is exit code 3.
fn flux(world: &World, repo: &Path, command: &'static str) -> Command {
    let script = r#"git-flux "$0" --json >/dev/null || test $? -eq 3"#;
    let mut flux = world.command("sh", ["-c", script, command]);
    flux.current_dir(repo);
    flux
}

/// Changes ten files in each task, and renames one of them.
fn with_changes(world: &World, count: usize) -> Result<PathBuf> {
    let repo = with_tasks(world, count)?;
    let mut history = String::new();
    for task in 0..count {
        let branch = format!("refs/heads/feature/{}", id(task));
        writeln!(
            history,
            "commit {branch}\ncommitter B <b@c> 1800000000 +0000\ndata 0"
        )?;
        writeln!(history, "from {branch}^0")?;
        for change in 0..10 {
            let file = (task * 37 + change * 149 + task * change) % CHANGED;
            let path = format!("d{}/f{file}", file / 100);
            if change == 9 {
                writeln!(history, "R {path} {path}-{task}")?;
                continue;
            }
            let text =
                format!("line 0 of file {file}\n").repeat(19 + file % 80) + &format!("{task}\n");
            writeln!(
                history,
                "M 100644 inline {path}\ndata {}\n{text}",
                text.len()
            )?;
        }
    }
    let mut import = world.git(["fast-import", "--quiet", "--force"]);
    import.current_dir(&repo);
    world.feed(import, &history)?;
    Ok(repo)
}

/// Moves the branch of the first task to another commit with the same changes and one more.
fn change_one(world: &World, repo: &Path, turn: usize) -> Result<()> {
    let branch = format!("refs/heads/feature/{}", id(0));
    let text = format!("{turn}\n");
    let history = format!(
        "commit {branch}\ncommitter B <b@c> 1800000001 +0000\ndata 0\nfrom {branch}^0\n\
         M 100644 inline turn\ndata {}\n{text}\n",
        text.len()
    );
    let mut import = world.git(["fast-import", "--quiet", "--force"]);
    import.current_dir(repo);
    world.feed(import, &history)
}

fn forget(repo: &Path) -> Result<()> {
    let cache = repo.join(".git/flux/cache");
    if cache.exists() {
        fs::remove_dir_all(cache)?;
    }
    Ok(())
}

/// All pairs with nothing known, with everything known, after one task has changed; and a list beside one of tasks
/// without changes in common.
pub(crate) fn measure(world: &World, repetitions: usize) -> Result<()> {
    let repos = STEPS.map(|(_, count)| with_changes(world, count));
    let repos: Vec<PathBuf> = repos.into_iter().collect::<Result<_>>()?;
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
            change_one(world, repo, turn)?;
            time(world, flux(world, repo, "conflicts"))
        }));
        sides.push(Box::new(|_| time(world, flux(world, repo, "list"))));
    }
    let rows = [
        "conflicts, nothing known",
        "conflicts, all known",
        "conflicts, one changed",
        "list, all known",
    ];
    let bars = [Some(250.0), None, None, None];
    let times = in_turns(repetitions, |_| Ok(()), sides)?;
    let mut by_row: Vec<Vec<_>> = rows.iter().map(|_| Vec::new()).collect();
    for (at, times) in times.into_iter().enumerate() {
        let (step, row) = (at / rows.len(), at % rows.len());
        by_row[row].push((times, bars[row].filter(|_| step == 1).map(Bar)));
    }
    for (what, steps) in rows.iter().zip(&by_row) {
        growth(what, steps);
    }
    Ok(())
}
