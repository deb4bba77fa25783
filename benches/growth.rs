//! What becomes of the commands one waits for while typing, as tasks become more.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use crate::measure::{Side, in_turns};
use crate::repository::{packed, with_tasks};
use crate::table::{self, Bar, growth};
use crate::world::World;

/// How many tasks there are: as they are stored one by one, and at last as `git gc` leaves them, which
/// git does by itself long before there are a thousand. One by one, reading the refs alone takes git
/// half of the time that a list of so many may take.
const STEPS: [(&str, usize); 5] = [
    ("1 task", 1),
    ("50 tasks", 50),
    ("100 tasks", 100),
    ("1000 tasks", 1000),
    ("1000, gc", 1000),
];

/// What follows the program where a shell asks what may come after `git flux cleanup `.
const QUESTION: [&str; 4] = ["--", "git-flux", "cleanup", ""];

/// Asks that, as `completions/git-flux` does.
pub(crate) fn asking(mut program: Command, repo: &Path) -> Command {
    program
        .args(QUESTION)
        .current_dir(repo)
        .env("COMPLETE", "bash")
        .env("_CLAP_IFS", "\u{b}")
        .env("_CLAP_COMPLETE_INDEX", "2")
        .env("_CLAP_COMPLETE_COMP_TYPE", "9")
        .env("_CLAP_COMPLETE_SPACE", "true");
    program
}

/// The repositories with so many tasks.
pub(crate) fn repositories(world: &World) -> Result<Vec<PathBuf>> {
    let [loose @ .., _] = STEPS;
    let made = loose.map(|(_, count)| with_tasks(world, count));
    let mut all: Vec<PathBuf> = made.into_iter().collect::<Result<_>>()?;
    let largest = all.last().expect("there is one");
    all.push(packed(world, largest)?);
    Ok(all)
}

/// The list of tasks that have no worktree, completion, and start-up.
pub(crate) fn measure(world: &World, repetitions: usize, repos: &[PathBuf]) -> Result<()> {
    for (repo, (_, count)) in repos.iter().zip(STEPS) {
        let offered = world.output(asking(world.git(["flux"]), repo))?;
        let offered = offered
            .split('\u{b}')
            .filter(|word| word.starts_with("change-the-parts-of-"));
        let found = offered.count();
        ensure!(found == count, "of {count} tasks {found} are offered");
    }
    let within = |program: &'static str, args: &'static [&'static str], repo: &Path| {
        let mut command = world.command(program, args);
        command.current_dir(repo);
        command
    };
    type Make<'a> = Box<dyn Fn(&Path) -> Command + 'a>;
    let kinds: [(&str, Make<'_>, [Option<f64>; STEPS.len()]); 4] = [
        (
            "list",
            Box::new(|repo| within("git-flux", &["list"], repo)),
            [None, None, None, None, Some(50.0)],
        ),
        (
            "completion",
            Box::new(|repo| asking(world.git(["flux"]), repo)),
            [None, Some(10.0), None, Some(30.0), Some(30.0)],
        ),
        (
            "git-flux --version",
            Box::new(|repo| within("git-flux", &["--version"], repo)),
            [None; STEPS.len()],
        ),
        (
            "git --version",
            Box::new(|repo| within("git", &["--version"], repo)),
            [None; STEPS.len()],
        ),
    ];
    let sides: Vec<Side<'_>> = kinds
        .iter()
        .flat_map(|(_, make, _)| repos.iter().map(move |repo| (make, repo)))
        .map(|(make, repo)| -> Side<'_> { Box::new(move |_| world.time([make(repo)])) })
        .collect();
    let [a, b, c, d, e] = STEPS.map(|(words, _)| words);
    table::head(&["", a, b, c, d, e, "bar"]);
    // These are short.
    let mut times = in_turns(repetitions * 3, |_| Ok(()), sides)?.into_iter();
    for (what, _, bars) in &kinds {
        let bars = bars.iter().map(|bar| bar.map(Bar));
        let steps: Vec<_> = times.by_ref().take(STEPS.len()).zip(bars).collect();
        growth(what, &steps);
    }
    Ok(())
}
