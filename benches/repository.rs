//! The repositories: one of 20 000 files and 5 000 commits, and copies of one with many tasks.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use serde_json::json;

use crate::world::World;

pub(crate) const FILES: usize = 20_000;
pub(crate) const COMMITS: usize = 5_000;
const FILES_IN_A_DIRECTORY: usize = 100;

/// A moment in 2026, when the first commit was made; one follows each minute.
const BEGINNING: usize = 1_770_000_000;

/// From how many of the last commits tasks start.
const BASES: usize = 50;

/// Builds the repository, with everything checked out.
///
/// # Errors
/// When git fails.
pub(crate) fn build(world: &World) -> Result<()> {
    fs::create_dir(world.repo())?;
    world.run(&mut world.git(["init", "-q"]))?;
    let mut history = String::new();
    for commit in 0..COMMITS {
        begin_commit(&mut history, "refs/heads/main", commit, "Work")?;
        let changed = if commit == 0 {
            0..FILES
        } else {
            commit..commit + 1
        };
        for file in changed {
            let path = format!("d{}/f{file}", file / FILES_IN_A_DIRECTORY);
            let text = format!("line {commit} of file {file}\n").repeat(20 + file % 80);
            add_file(&mut history, &path, &text)?;
        }
    }
    world.feed(world.git(["fast-import", "--quiet"]), &history)?;
    world.run(&mut world.git(["reset", "-q", "--hard"]))?;
    world.let_age(&[world.repo()])
}

/// A copy of the repository that has so many tasks.
///
/// # Errors
/// As [`add_tasks`].
pub(crate) fn with_tasks(world: &World, count: usize) -> Result<PathBuf> {
    let copy = copy_of(world, &world.repo(), count)?;
    let last = BASES.to_string();
    let mut bases = world.git(["rev-list", "--max-count", &last, "main"]);
    bases.current_dir(&copy);
    let bases = world.output(bases)?;
    add_tasks(world, &copy, count, &bases.lines().collect::<Vec<_>>())?;
    Ok(copy)
}

/// A copy of a repository for so many tasks, with nothing checked out.
///
/// # Errors
/// When git fails.
pub(crate) fn copy_of(world: &World, repo: &Path, count: usize) -> Result<PathBuf> {
    let mut copy = repo.to_owned().into_os_string();
    copy.push(format!("-with-{count}"));
    let mut clone = world.git(["clone", "-q", "--no-checkout"]);
    world.run(clone.arg(repo).arg(&copy))?;
    Ok(copy.into())
}

/// Adds so many tasks, each from another base: what the program stores of a task, and a commit on
/// its branch.
///
/// # Errors
/// When git fails, or git flux does not find these tasks.
pub(crate) fn add_tasks(world: &World, repo: &Path, count: usize, bases: &[&str]) -> Result<()> {
    let git = |args: &[&str]| {
        let mut git = world.command("git", args);
        git.current_dir(repo);
        git
    };
    let (mut history, mut refs, mut config) = (String::new(), String::new(), String::new());
    for task in 0..count {
        let (id, base) = (id(task), bases[task % bases.len()]);
        begin_commit(
            &mut history,
            &format!("refs/heads/feature/{id}"),
            COMMITS,
            &id,
        )?;
        writeln!(history, "from {base}")?;
        add_file(&mut history, &format!("new-{id}"), &id)?;
        // Its tree is the record.
        begin_commit(&mut history, &format!("refs/records/{id}"), COMMITS, &id)?;
        add_file(&mut history, "task.json", &record(repo, task, base)?)?;
        add_file(&mut history, "prompt.md", &title(task))?;
        writeln!(refs, "create refs/flux/base/{id} {base}")?;
        let title = title(task);
        writeln!(
            config,
            "[branch \"feature/{id}\"]\n\tdescription = {title}\n\tfluxTask = {id}"
        )?;
    }
    import(world, repo, &history)?;
    let format = "--format=create refs/flux/tasks/%(refname:lstrip=2) %(tree)%0adelete %(refname)";
    refs += &world.output(git(&["for-each-ref", format, "refs/records/"]))?;
    world.feed(git(&["update-ref", "--stdin"]), &refs)?;
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(repo.join(".git/config"))?;
    file.write_all(config.as_bytes())?;
    let mut list = world.flux(["list", "--porcelain"]);
    list.current_dir(repo);
    let found = world
        .output(list)?
        .lines()
        .filter(|l| l.contains("change-the-parts"))
        .count();
    ensure!(
        found >= count,
        "of {count} tasks, `git flux list` has {found} lines"
    );
    Ok(())
}

/// Adds commits, with one file for each object, as where they come to be one by one.
///
/// # Errors
/// When git fails.
pub(crate) fn import(world: &World, repo: &Path, history: &str) -> Result<()> {
    let loose = ["-c", "fastimport.unpackLimit=1000000"];
    let words = [&loose[..], &["fast-import", "--quiet", "--force"]].concat();
    let mut import = world.command("git", words);
    import.current_dir(repo);
    world.feed(import, history)
}

/// The same, as `git gc` leaves it.
///
/// # Errors
/// When git fails.
pub(crate) fn packed(world: &World, repo: &Path) -> Result<PathBuf> {
    let copy = world.at("app-packed");
    world.run(world.command("cp", ["-R"]).arg(repo).arg(&copy))?;
    world.run(world.git(["gc", "-q"]).current_dir(&copy))?;
    Ok(copy)
}

/// An id such as the program makes.
pub(crate) fn id(task: usize) -> String {
    format!("change-the-parts-of-{task:04}-{:06x}", task * 7919)
}

fn title(task: usize) -> String {
    format!("Change the parts of {task:04} that nobody wants any more")
}

/// As `src/task/record.rs` has it.
fn record(repo: &Path, task: usize, base: &str) -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let id = id(task);
    let record = json!({
        "version": 1,
        "id": id,
        "title": title(task),
        "phase": "active",
        "agent": "stays",
        "branch": format!("feature/{id}"),
        "base": base,
        "into": "main",
        "worktree": format!("{}-{id}", repo.display()),
        "created": now - 60 * task as u64,
        "target": null,
    });
    Ok(serde_json::to_string_pretty(&record)? + "\n")
}

pub(crate) fn begin_commit(
    history: &mut String,
    name: &str,
    at: usize,
    message: &str,
) -> Result<()> {
    let time = BEGINNING + 60 * at;
    writeln!(
        history,
        "commit {name}\ncommitter Bench <bench@example.com> {time} +0000"
    )?;
    Ok(writeln!(history, "data {}\n{message}", message.len())?)
}

pub(crate) fn add_file(history: &mut String, path: &str, text: &str) -> Result<()> {
    Ok(writeln!(
        history,
        "M 100644 inline {path}\ndata {}\n{text}",
        text.len()
    )?)
}
