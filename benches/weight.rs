//! What commands cost besides time: the processes they start, and their memory.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;
#[cfg(target_os = "linux")]
use anyhow::bail;

use crate::commands::{self, LISTED, commit, run, run_ending, worktree};
use crate::growth::asking;
use crate::table::{self, Bar, weight};
use crate::world::World;

/// What stands for git and tmux and notes each call. git finds its own programs elsewhere: what it starts does not count.
const SHIM: &str = "#!/bin/sh\necho @PROGRAM@ >>'@CALLS@'\nexec '@REAL@' \"$@\"\n";

/// Makes a command, and what it needs before, by a name of its own.
type Make<'a> = Box<dyn Fn(&str) -> Result<Command> + 'a>;

struct Subject<'a> {
    what: String,
    by_hand: &'static str,
    make: Make<'a>,
}

/// Prints a table. The tasks that are listed must be there, and a repository that has a thousand.
pub(crate) fn measure(world: &World, with_many: &Path) -> Result<()> {
    shim(world)?;
    let in_many = |mut command: Command| {
        command.current_dir(with_many);
        Ok(command)
    };
    let task = |kind: &str, ends: bool| {
        let name = format!("weighed-{kind}");
        let mut start = if ends {
            run_ending(world, &name)
        } else {
            run(world, &name)
        };
        world.run(&mut start)?;
        let worktree = worktree(world, &name);
        commit(world, &worktree)?;
        world.run(&mut world.git(["merge", "-q", "-m", "Merge", &format!("feature/{name}")]))?;
        if ends {
            let exit = world.repo().join(format!(".git/flux/run/{name}/exit"));
            world.wait("end of the agent", || Ok(exit.exists()))?;
        }
        Ok(world.flux(["cleanup", "--yes", &name]))
    };
    let subjects = [
        Subject {
            what: format!("list of {LISTED} changed worktrees"),
            by_hand: "20 + 0",
            make: Box::new(|_| Ok(world.flux(["list"]))),
        },
        Subject {
            what: "list of 1000 tasks without".to_owned(),
            by_hand: "",
            make: Box::new(|_| in_many(world.flux(["list"]))),
        },
        Subject {
            what: "completion with 1000 tasks".to_owned(),
            by_hand: "",
            make: Box::new(|_| Ok(asking(world.flux([]), with_many))),
        },
        // After the list, which it would make longer.
        Subject {
            what: "run".to_owned(),
            by_hand: "1 + 1",
            make: Box::new(|kind| Ok(run(world, &format!("run-{kind}")))),
        },
        Subject {
            what: "cleanup, the agent has ended".to_owned(),
            by_hand: "2 + 0",
            make: Box::new(|kind| task(&format!("ended-{kind}"), true)),
        },
        Subject {
            what: "cleanup, the agent runs".to_owned(),
            by_hand: "2 + 0",
            make: Box::new(|kind| task(&format!("running-{kind}"), false)),
        },
    ];
    table::head(&["", "git", "tmux", "by hand", "peak MB", "bar"]);
    for subject in &subjects {
        let calls = count(world, (subject.make)("counted")?)?;
        commands::settle(world)?;
        let memory = peak((subject.make)("measured")?)?;
        commands::settle(world)?;
        weight(&subject.what, calls, subject.by_hand, memory, Bar(30.0));
    }
    Ok(())
}

fn shim(world: &World) -> Result<()> {
    for program in ["git", "tmux"] {
        let real = real(world, program)?;
        let text = SHIM
            .replace("@PROGRAM@", program)
            .replace("@CALLS@", &world.at("calls").display().to_string())
            .replace("@REAL@", &real);
        world.script(&format!("shim/{program}"), &text)?;
    }
    Ok(())
}

/// Where a program is on PATH.
fn real(world: &World, program: &str) -> Result<String> {
    let found = world.output(world.command("sh", ["-c", "command -v \"$0\"", program]))?;
    Ok(found.trim_end().to_owned())
}

/// How many processes of git and tmux a command starts.
fn count(world: &World, mut command: Command) -> Result<[usize; 2]> {
    let calls = world.at("calls");
    fs::write(&calls, "")?;
    world.run(command.env("PATH", world.shimmed()?))?;
    let calls = fs::read_to_string(calls)?;
    Ok(["git", "tmux"].map(|program| calls.lines().filter(|line| *line == program).count()))
}

/// The most memory that a command has at once in its own process, in kilobytes, seen as it
/// exits; none where that cannot be told.
#[cfg(target_os = "linux")]
fn peak(mut command: Command) -> Result<Option<u64>> {
    use nix::sys::ptrace::{self, Event, Options};
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::Pid;

    let child = command.stderr(Stdio::null()).spawn()?;
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    // A container may not allow it.
    let traced = ptrace::seize(pid, Options::PTRACE_O_TRACEEXIT).is_ok();
    let mut peak = None;
    loop {
        match waitpid(pid, None)? {
            WaitStatus::PtraceEvent(_, _, event) if event == Event::PTRACE_EVENT_EXIT as i32 => {
                peak = high_water(pid.as_raw())?;
                ptrace::cont(pid, None)?;
            }
            WaitStatus::PtraceEvent(..) => ptrace::cont(pid, None)?,
            WaitStatus::Stopped(_, signal) => ptrace::cont(pid, signal)?,
            WaitStatus::Exited(_, 0) => return Ok(peak.filter(|_| traced)),
            other => bail!("{command:?} failed: {other:?}"),
        }
    }
}

#[cfg(target_os = "linux")]
fn high_water(pid: i32) -> Result<Option<u64>> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let words = line.and_then(|line| line.split_whitespace().next());
    Ok(words.map(str::parse).transpose()?)
}

#[cfg(not(target_os = "linux"))]
fn peak(mut command: Command) -> Result<Option<u64>> {
    let status = command.stderr(Stdio::null()).status()?;
    anyhow::ensure!(status.success(), "{command:?} failed: {status}");
    Ok(None)
}
