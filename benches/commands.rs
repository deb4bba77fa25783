//! The commands beside the same done by hand.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::Result;

use crate::measure::{Side, Times, in_turns};
use crate::others::Other;
use crate::table::{Bar, ratio};
use crate::world::World;

/// How many tasks are started at once.
const AT_ONCE: usize = 8;

/// How many removed worktrees git flux keeps.
const KEPT: usize = 3;

/// How many tasks are listed.
pub(crate) const LISTED: usize = 20;

/// `git flux run`
pub(crate) fn run(world: &World, name: &str) -> Command {
    world.flux([
        "run",
        "-q",
        "--name",
        name,
        "Change the parts nobody wants any more",
    ])
}

/// The same by hand.
pub(crate) fn run_by_hand(world: &World, name: &str) -> [Command; 2] {
    let dir = format!("../{name}");
    [
        world.git(["worktree", "add", "-q", "--no-track", "-b", name, &dir]),
        world.open_session(name, &dir),
    ]
}

/// Takes away what `run` made.
fn undo(world: &World, name: &str) -> Vec<Command> {
    vec![world.flux(["cleanup", "--yes", name])]
}

fn undo_by_hand(world: &World, name: &str) -> Vec<Command> {
    vec![
        world.tmux(["kill-session", "-t", &format!("={name}")]),
        world.git(["worktree", "remove", "--force", &format!("../{name}")]),
        world.git(["branch", "-q", "-D", name]),
    ]
}

/// Waits until what a cleanup left for later is done, so that it does not meet the next measurement.
pub(crate) fn settle(world: &World) -> Result<()> {
    let trash = world.repo().join(".git/flux/trash");
    // What was removed within the hour is kept: as if it had passed.
    let past = SystemTime::now() - Duration::from_secs(2 * 60 * 60);
    for entry in fs::read_dir(&trash).into_iter().flatten() {
        // It may be on its way already.
        if let Ok(kept) = File::open(entry?.path()) {
            kept.set_modified(past)?;
        }
    }
    world.wait("end of deleting", || {
        // One that comes while another is at it does nothing, and the other may have looked before.
        world.run(&mut world.flux(["__expire"]))?;
        let entries = fs::read_dir(&trash).into_iter().flatten().flatten();
        let names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
        let going = |name: &OsString| name.as_bytes().starts_with(b".going");
        Ok(names.len() <= KEPT && !names.iter().any(going))
    })
}

/// The rows of other programs.
fn beside(what: &str, others: &[Other], times: &[Times], by_hand: &Times) {
    for (other, times) in others.iter().zip(times) {
        ratio(&format!("  {} {what}", other.name), times, by_hand, None);
    }
}

/// Starting one task, and eight at once.
pub(crate) fn starts(world: &World, repetitions: usize, others: &[Other]) -> Result<()> {
    let nothing = |_| Ok(());
    let flux: Side<'_> = Box::new(|n| {
        let name = format!("one-{n}");
        let time = world.time([run(world, &name)])?;
        world.at_once(1, vec![undo(world, &name)])?;
        settle(world)?;
        Ok(time)
    });
    let hand: Side<'_> = Box::new(|n| {
        let name = format!("hand-{n}");
        let time = world.time(run_by_hand(world, &name))?;
        world.at_once(1, vec![undo_by_hand(world, &name)])?;
        Ok(time)
    });
    let mut sides = vec![flux, hand];
    sides.extend(others.iter().map(|other| other.starts(world)));
    let times = in_turns(repetitions, nothing, sides)?;
    ratio("run", &times[0], &times[1], Some(Bar(1.1)));
    beside("start", others, &times[2..], &times[1]);

    let names = |kind: &str, n: usize| -> Vec<String> {
        (0..AT_ONCE).map(|at| format!("{kind}-{n}-{at}")).collect()
    };
    let flux: Side<'_> = Box::new(|n| {
        let names = names("many", n);
        let jobs = names.iter().map(|name| vec![run(world, name)]);
        let time = world.at_once(AT_ONCE, jobs.collect())?;
        world.at_once(1, names.iter().map(|name| undo(world, name)).collect())?;
        settle(world)?;
        Ok(time)
    });
    let hand: Side<'_> = Box::new(|n| {
        let names = names("hands", n);
        let jobs = names.iter().map(|name| run_by_hand(world, name).into());
        let time = world.at_once(AT_ONCE, jobs.collect())?;
        world.at_once(
            1,
            names.iter().map(|name| undo_by_hand(world, name)).collect(),
        )?;
        Ok(time)
    });
    let times = in_turns(repetitions, nothing, vec![flux, hand])?;
    let what = format!("{AT_ONCE} runs at once");
    ratio(&what, &times[0], &times[1], Some(Bar(1.2)));
    Ok(())
}

/// Starts the tasks that are listed, each with changes and a commit.
///
/// # Errors
/// When one cannot be started.
pub(crate) fn changed(world: &World) -> Result<Vec<PathBuf>> {
    let names: Vec<String> = (0..LISTED).map(|n| format!("changed-{n}")).collect();
    world.at_once(4, names.iter().map(|name| vec![run(world, name)]).collect())?;
    let mut worktrees = Vec::new();
    for name in &names {
        let worktree = worktree(world, name);
        commit(world, &worktree)?;
        for file in 0..5 {
            fs::write(
                worktree.join(format!("d{file}/f{}", file * 100)),
                "changed\n",
            )?;
        }
        fs::write(worktree.join("d0/unknown"), "new\n")?;
        worktrees.push(worktree);
    }
    world.let_age(&worktrees)?;
    Ok(worktrees)
}

/// A list of tasks against as many `git status`, as many at once as there are processors.
pub(crate) fn list(
    world: &World,
    repetitions: usize,
    worktrees: &[PathBuf],
    others: &[Other],
) -> Result<()> {
    let workers = thread::available_parallelism()?.get();
    let flux: Side<'_> = Box::new(|_| world.time([world.flux(["list"])]));
    let hand: Side<'_> = Box::new(|_| {
        let status = |worktree| {
            let mut status = world.git(["status", "--porcelain"]);
            status.current_dir(worktree);
            vec![status]
        };
        world.at_once(workers, worktrees.iter().map(status).collect())
    });
    let mut sides = vec![flux, hand];
    sides.extend(others.iter().map(|other| other.lists(world)));
    let times = in_turns(repetitions, |_| Ok(()), sides)?;
    let what = format!("list of {LISTED} changed worktrees");
    ratio(&what, &times[0], &times[1], Some(Bar(1.2)));
    beside("list", others, &times[2..], &times[1]);
    Ok(())
}

pub(crate) fn worktree(world: &World, name: &str) -> PathBuf {
    world.at(&format!("app-{name}"))
}

/// Makes a commit in a worktree.
pub(crate) fn commit(world: &World, worktree: &PathBuf) -> Result<()> {
    let name = worktree.file_name().unwrap_or_default().to_string_lossy();
    fs::write(worktree.join(format!("new-{name}")), "new\n")?;
    world.run(world.git(["add", "."]).current_dir(worktree))?;
    world.run(
        world
            .git(["commit", "-q", "-m", "Work"])
            .current_dir(worktree),
    )
}

/// Removing a clean task that is merged already, whose agent has ended, or runs.
pub(crate) fn cleanup(world: &World, repetitions: usize, others: &[Other]) -> Result<()> {
    let prepare = |n: usize| {
        let started = [
            run_ending(world, &format!("ended-{n}")),
            run(world, &format!("running-{n}")),
        ];
        for mut command in started {
            world.run(&mut command)?;
        }
        world.run(&mut run_by_hand(world, &format!("hand-{n}"))[0])?;
        let mut worktrees = vec![
            worktree(world, &format!("ended-{n}")),
            worktree(world, &format!("running-{n}")),
            world.at(&format!("hand-{n}")),
        ];
        for other in others {
            worktrees.push(other.start_to_remove(world, n)?);
        }
        for worktree in &worktrees {
            commit(world, worktree)?;
            let tip = world.output({
                let mut git = world.git(["rev-parse", "HEAD"]);
                git.current_dir(worktree);
                git
            })?;
            world.run(&mut world.git(["merge", "-q", "-m", "Merge", tip.trim_end()]))?;
        }
        world.let_age(&worktrees)?;
        let exit = world.repo().join(format!(".git/flux/run/ended-{n}/exit"));
        world.wait("end of the agent", || Ok(exit.exists()))
    };
    let removed = |name: String| {
        let time = world.time([world.flux(["cleanup", "--yes", &name])])?;
        settle(world)?;
        Ok(time)
    };
    let ended: Side<'_> = Box::new(|n| removed(format!("ended-{n}")));
    let running: Side<'_> = Box::new(|n| removed(format!("running-{n}")));
    let hand: Side<'_> = Box::new(|n| {
        let name = format!("hand-{n}");
        world.time([
            world.git(["worktree", "remove", &format!("../{name}")]),
            world.git(["branch", "-q", "-d", &name]),
        ])
    });
    let mut sides = vec![hand, ended, running];
    sides.extend(others.iter().map(|other| other.removes(world)));
    let times = in_turns(repetitions, prepare, sides)?;
    ratio(
        "cleanup, the agent has ended",
        &times[1],
        &times[0],
        Some(Bar(0.3)),
    );
    // It is stopped, and what it left is looked at again, as nobody does by hand.
    ratio("cleanup, the agent runs", &times[2], &times[0], None);
    beside("remove", others, &times[3..], &times[0]);
    Ok(())
}

/// `git flux run` with an agent that ends by itself.
pub(crate) fn run_ending(world: &World, name: &str) -> Command {
    let mut run = run(world, name);
    run.args(["--agent", "ends"]);
    run
}
