//! `cargo bench`: git flux beside the same done by hand, in one run, as ratios.
//!
//! What is slower than it ought to be is marked `over`; it fails nothing, since a busy machine proves nothing.
//! Times depend on the machine, ratios hardly: what is compared is done in turns.

mod agent_git;
mod changes;
mod commands;
mod conflicts;
mod gate;
mod growth;
mod land;
mod measure;
mod others;
mod repository;
mod table;
mod weight;
mod world;

use std::process::ExitCode;
use std::thread;

use anyhow::Result;
use clap::{Parser, ValueEnum};

use crate::repository::{COMMITS, FILES};
use crate::world::{Interrupted, World};

#[derive(Parser)]
struct Args {
    /// What to measure; everything if left out
    parts: Vec<Part>,
    /// How often
    #[arg(short = 'n', long, default_value_t = 9, value_parser = clap::value_parser!(u16).range(1..))]
    repetitions: u16,
    /// Said by cargo bench
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Part {
    /// One run, and eight at once
    Run,
    /// A list of changed worktrees
    List,
    Cleanup,
    /// What the git of a task's own costs an agent
    AgentGit,
    /// A known verdict among many
    Gate,
    /// Eight tasks with a gate
    Land,
    /// Tasks that change the same lines
    Conflicts,
    /// List, completion and start-up with many tasks
    Growth,
    /// Processes and memory
    Weight,
}

fn main() -> ExitCode {
    let args = Args::parse();
    // `cargo test --all-targets` starts it too.
    if !args.bench {
        eprintln!("nothing is measured but by `cargo bench`");
        return ExitCode::SUCCESS;
    }
    match measure(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Interrupted>() => ExitCode::from(130),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &Args) -> Result<()> {
    let wanted = |part| args.parts.is_empty() || args.parts.contains(&part);
    let repetitions = usize::from(args.repetitions);
    let world = World::new()?;
    let others = others::installed(&world)?;
    let about = |program, option| world.output(world.command(program, [option]));
    let [flux, git, tmux] = [
        about("git-flux", "--version")?,
        about("git", "--version")?,
        about("tmux", "-V")?,
    ];
    let [flux, git, tmux] = [&flux, &git, &tmux].map(|version| version.trim_end());
    println!(
        "{flux}, {git}, {tmux}, {} processors",
        thread::available_parallelism()?
    );
    println!("{FILES} files and {COMMITS} commits, {}", world.place);
    println!(
        "{repetitions} repetitions in turns after one to warm up; median (minimum), in milliseconds"
    );
    println!("{}", others::words(&others));
    let progress = |what: &str| eprintln!("… {what}");

    progress("the repository");
    repository::build(&world)?;
    if [Part::Run, Part::Cleanup, Part::List]
        .into_iter()
        .any(wanted)
    {
        table::head(&["", "git flux", "by hand", "ratio", "bar"]);
    }
    if wanted(Part::Run) {
        progress("run");
        commands::starts(&world, repetitions, &others)?;
    }
    if wanted(Part::Cleanup) {
        progress("cleanup");
        commands::cleanup(&world, repetitions, &others)?;
    }
    if wanted(Part::AgentGit) {
        progress("the agent's git");
        agent_git::measure(&world, repetitions)?;
    }
    if wanted(Part::Gate) {
        progress("gate");
        gate::measure(&world, repetitions)?;
    }
    if wanted(Part::Land) {
        progress("land");
        land::measure(&world, repetitions)?;
    }
    if wanted(Part::List) || wanted(Part::Weight) {
        progress("list");
        let worktrees = commands::changed(&world)?;
        if wanted(Part::List) {
            commands::list(&world, repetitions, &worktrees, &others)?;
        }
    }
    if wanted(Part::Conflicts) {
        progress("conflicts");
        conflicts::measure(&world, repetitions)?;
    }
    if wanted(Part::Growth) || wanted(Part::Weight) {
        progress("many tasks");
        let repositories = growth::repositories(&world)?;
        if wanted(Part::Growth) {
            growth::measure(&world, repetitions, &repositories)?;
        }
        if let (true, [.., largest, _]) = (wanted(Part::Weight), &repositories[..]) {
            progress("processes and memory");
            weight::measure(&world, largest)?;
        }
    }
    Ok(())
}
