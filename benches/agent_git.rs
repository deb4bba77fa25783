//! What the git of a task's own costs an agent: processor time, children included.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::commands::{run_ending, worktree};
use crate::measure::{Side, in_turns, processor_time};
use crate::table::{self, ratio};
use crate::world::World;

/// How often a command is run for one time.
const CALLS: u32 = 100;

/// Calls of git and commits in a task's worktree, with its own git first on PATH and without.
pub(crate) fn measure(world: &World, repetitions: usize) -> Result<()> {
    world.run(&mut run_ending(world, "agent"))?;
    let run = world.repo().join(".git/flux/run/agent");
    world.wait("end of the agent", || Ok(run.join("exit").exists()))?;
    table::head(&[
        "processor time of one",
        "its own git",
        "plain git",
        "ratio",
        "",
    ]);
    for (what, script) in [
        ("git rev-parse HEAD", "git rev-parse HEAD"),
        ("git status", "git status --short"),
        ("git commit", "git commit --quiet --allow-empty --message=x"),
        ("git stash list", "git stash list"),
    ] {
        let own = || with_own_git(looped(world, script), &run);
        let plain = || looped(world, script);
        let side = |command: &dyn Fn() -> Command| Ok(processor_time(world, command())? / CALLS);
        let sides: Vec<Side<'_>> = vec![Box::new(|_| side(&own)), Box::new(|_| side(&plain))];
        let times = in_turns(repetitions, |_| Ok(()), sides)?;
        ratio(what, &times[0], &times[1], None);
    }
    Ok(())
}

/// A shell that runs a command many times in the task's worktree.
fn looped(world: &World, script: &str) -> Command {
    let many = format!("for n in $(seq {CALLS}); do {script}; done");
    let mut shell = world.command("sh", ["-c", &many]);
    shell.current_dir(worktree(world, "agent"));
    shell
}

/// The command with the environment in which the task's agent calls git.
fn with_own_git(mut command: Command, run: &Path) -> Command {
    let path = command.get_envs().find(|(name, _)| *name == "PATH");
    let path = path.and_then(|(_, value)| value).unwrap_or_default();
    let path = format!("{}:{}", run.join("bin").display(), path.display());
    command.env("PATH", path).env("FLUX_RUN", run);
    command
}
