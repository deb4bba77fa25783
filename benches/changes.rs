//! A repository for tasks that change the same files: 20 000 files, 520 commits, 20 of them since
//! the tasks began.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::repository::{FILES, add_file, add_tasks, begin_commit, copy_of, id, import};
use crate::world::World;

const COMMITS: usize = 520;

/// The number of commits of the target since the tasks began.
const SINCE: usize = 20;

/// The number of files that tasks and the target change.
const BUSY: usize = 1_500;

/// The number of paths that a task changes, more or less.
const PATHS: usize = 10;

/// Builds the repository without tasks.
pub(crate) fn build(world: &World) -> Result<PathBuf> {
    let repo = world.at("changes");
    fs::create_dir(&repo)?;
    world.run(world.git(["init", "-q"]).current_dir(&repo))?;
    let mut history = String::new();
    for commit in 0..COMMITS {
        begin_commit(&mut history, "refs/heads/main", commit, "Work")?;
        match commit {
            0 => (0..FILES).try_for_each(|file| edit(&mut history, file, None))?,
            // Files that no task changes, but for the last commits.
            _ if commit < COMMITS - SINCE => edit(&mut history, BUSY + commit, Some((0, 0)))?,
            _ => edit_any(&mut history, commit, 0)?,
        }
    }
    let mut import = world.git(["fast-import", "--quiet"]);
    import.current_dir(&repo);
    world.feed(import, &history)?;
    Ok(repo)
}

/// Makes a copy of `repo` with so many tasks, each with some ten changed paths.
pub(crate) fn with_changes(world: &World, repo: &Path, count: usize) -> Result<PathBuf> {
    let copy = copy_of(world, repo, count)?;
    let mut base = world.git(["rev-parse", &format!("main~{SINCE}")]);
    base.current_dir(&copy);
    let base = world.output(base)?;
    add_tasks(world, &copy, count, &[base.trim_end()])?;
    let mut history = String::new();
    for task in 0..count {
        change(&mut history, task)?;
    }
    import(world, &copy, &history)?;
    Ok(copy)
}

/// Commits edits of files, in some tasks with the renaming of a file or directory, or a new file.
fn change(history: &mut String, task: usize) -> Result<()> {
    let branch = format!("refs/heads/feature/{}", id(task));
    begin_commit(history, &branch, COMMITS, "Change")?;
    writeln!(history, "from {branch}^0")?;
    let any = any(task, PATHS, BUSY);
    let edits = match task % 10 {
        1 | 4 | 7 => {
            writeln!(history, "R {} {}-{task}", path(any), path(any))?;
            PATHS - 2
        }
        2 => {
            writeln!(history, "R {} {}-{task}", directory(any), directory(any))?;
            0
        }
        5 => {
            add_file(history, &format!("{}/new-{task}", directory(any)), "new\n")?;
            PATHS - 1
        }
        _ => PATHS,
    };
    (0..edits).try_for_each(|at| edit_any(history, task, at))
}

/// Edits the files that a task has changed where it has, with other lines each turn.
pub(crate) fn edit_again(history: &mut String, task: usize, turn: usize) -> Result<()> {
    (0..PATHS).try_for_each(|at| {
        let file = any(task, at, BUSY);
        let by = COMMITS + turn;
        edit(history, file, Some((any(task, at + 1, lines(file)), by)))
    })
}

fn edit_any(history: &mut String, by: usize, at: usize) -> Result<()> {
    let file = any(by, at, BUSY);
    edit(history, file, Some((any(by, at + 1, lines(file)), by)))
}

/// Writes a file, with a line replaced by one of someone's.
fn edit(history: &mut String, file: usize, replaced: Option<(usize, usize)>) -> Result<()> {
    let mut text = String::new();
    for line in 0..lines(file) {
        match replaced.filter(|(at, _)| *at == line) {
            Some((_, by)) => writeln!(text, "line {line} by {by}")?,
            None => writeln!(text, "line {line} of file {file}")?,
        }
    }
    add_file(history, &path(file), &text)
}

fn lines(file: usize) -> usize {
    20 + file % 80
}

fn path(file: usize) -> String {
    format!("{}/f{file}", directory(file))
}

/// Returns the directory of ten files.
fn directory(file: usize) -> String {
    format!("d{}/e{}", file / 100, file / 10)
}

/// Returns a number below `below`, the same each time.
fn any(one: usize, two: usize, below: usize) -> usize {
    let mixed = (one as u64 * 1_000 + two as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed >> 33) as usize % below
}
