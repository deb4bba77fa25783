//! Eight tasks with a gate, landed beside the same by hand: one merge and one run after the other.

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::measure::{Side, Times, in_turns};
use crate::table::{self, Bar, ratio};
use crate::world::World;

/// Notes each run, takes a second, and fails if a file `red` is there, or both `left` and
/// `right`.
const GATE: &str = "echo run >>../runs; sleep 1; test ! -e red && \
                    { test ! -e left || test ! -e right; }";

/// The files that tasks add: all pass, alone and together.
const GOOD: [&str; 8] = [
    "one", "two", "three", "four", "five", "six", "seven", "eight",
];

/// One fails alone, one conflicts with another, and one fails together with another.
const BAD: [&str; 8] = ["one", "two", "three", "red", "left", "six", "two", "right"];

/// Merges each branch and runs the gate, and takes back what fails.
const BY_HAND: &str = r#"
for branch in 0 1 2 3 4 5 6 7; do
    if git merge -q --no-ff --no-edit origin/feature/t$branch; then
        sh -c "$(git config flux.gate)" || git reset -q --hard HEAD^
    else
        git merge --abort
    fi
done"#;

/// Makes a repository with eight tasks whose agents have ended, each with one commit.
fn make_project(world: &World, dir: &Path, files: [&str; 8]) -> Result<()> {
    let project = dir.join("project");
    fs::create_dir_all(&project)?;
    let git = |args: &[&str], at: &Path| world.run(world.command("git", args).current_dir(at));
    git(&["init", "-q"], &project)?;
    git(&["commit", "-q", "--allow-empty", "-m", "Begin"], &project)?;
    git(&["config", "flux.gate", GATE], &project)?;
    let names: Vec<String> = (0..files.len()).map(|task| format!("t{task}")).collect();
    for name in &names {
        let mut run = world.flux(["run", "-q", "--agent", "ends", "--name", name, "Change it"]);
        world.run(run.current_dir(&project))?;
    }
    for (name, file) in names.iter().zip(files) {
        let exit = project.join(".git/flux/run").join(name).join("exit");
        world.wait("end of the agent", || Ok(exit.exists()))?;
        let worktree = dir.join(format!("project-{name}"));
        fs::write(worktree.join(file), name)?;
        git(&["add", file], &worktree)?;
        git(&["commit", "-q", "-m", file], &worktree)?;
    }
    git(&["clone", "-q", ".", "../by-hand"], &project)?;
    git(&["config", "flux.gate", GATE], &dir.join("by-hand"))
}

/// Returns how often the gate has run, and forgets it.
fn take_runs(dir: &Path) -> Result<usize> {
    let path = dir.join("runs");
    let text = fs::read_to_string(&path)?;
    fs::remove_file(path)?;
    Ok(text.lines().count())
}

/// Times a landing and the same by hand, and counts how often the gate runs in each.
fn land(world: &World, repetitions: usize, files: [&str; 8]) -> Result<(Vec<Times>, [usize; 2])> {
    let dir = world.at("landing");
    let runs = Cell::new([0; 2]);
    let time = |side: usize, script: &str, at: &str| -> Result<Duration> {
        let mut command = world.command("sh", ["-c", script]);
        command.current_dir(dir.join(at));
        let time = world.time([command])?;
        let mut all = runs.get();
        all[side] = take_runs(&dir)?;
        runs.set(all);
        Ok(time)
    };
    let prepare = |_| {
        // The sessions of what did not land.
        world.run(&mut world.tmux(["kill-session", "-a", "-t", "=keep"]))?;
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        make_project(world, &dir, files)
    };
    // Exit code 1: not every task has landed.
    let flux = "git-flux land --all || test $? -eq 1";
    let sides: Vec<Side<'_>> = vec![
        Box::new(|_| time(0, flux, "project")),
        Box::new(|_| time(1, BY_HAND, "by-hand")),
    ];
    let times = in_turns(repetitions, prepare, sides)?;
    let tree = |at: &str| {
        let mut git = world.git(["rev-parse", "main^{tree}"]);
        git.current_dir(dir.join(at));
        world.output(git)
    };
    ensure!(tree("project")? == tree("by-hand")?, "the trees differ");
    Ok((times, runs.get()))
}

/// Eight that all land, and eight of which three do not.
pub(crate) fn measure(world: &World, repetitions: usize) -> Result<()> {
    table::head(&["", "git flux land", "by hand", "ratio", "bar"]);
    // With failures, as many runs as by hand are the aim: a run of a real gate takes longer than all
    // else.
    let rows = [
        ("8 tasks", GOOD, Some(Bar(0.6))),
        ("8 tasks, 3 bad", BAD, None),
    ];
    for (what, files, bar) in rows {
        let (times, [flux, by_hand]) = land(world, repetitions, files)?;
        ensure!(
            flux <= by_hand,
            "{flux} runs of the gate, {by_hand} by hand"
        );
        let what = format!("{what} ({flux} and {by_hand} runs)");
        ratio(&what, &times[0], &times[1], bar);
    }
    Ok(())
}
