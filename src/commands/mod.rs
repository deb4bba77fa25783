//! One file per command: its arguments at the head, then ask, tell the story, print.

mod adopt;
mod attach;
mod begin;
mod candidates;
mod cleanup;
mod complete;
mod completions;
mod config;
mod diff;
mod early;
mod explain;
mod faults;
pub(crate) mod help;
mod install;
mod layout;
mod list;
mod log;
mod object;
mod porcelain;
mod removed;
mod restore;
mod resume;
mod run;
mod send;
mod status;
mod stop;
mod table;
mod text;
mod typed;
mod wait;

pub(crate) use complete::complete;
use faults::Faults;

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Error, Result};
use clap::{Parser, Subcommand};

use crate::agent::launcher;
use crate::failure::{Failure, USAGE};
use crate::lifecycle::recover::recover;
use crate::lifecycle::{Flux, archive, observe};
use crate::store::{Store, Stored};
use crate::ui::Ui;

/// Run coding agents in parallel on one repository
///
/// Each task gets a branch, a worktree and a tmux pane or session of its own,
/// in which an agent works on it. When the work is done, 'git flux cleanup'
/// merges it back and removes everything.
#[derive(Debug, Parser)]
#[command(name = "git-flux", bin_name = "git flux", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Run),
    List(list::List),
    Status(status::StatusOf),
    Attach(attach::Attach),
    Send(send::Send),
    Wait(wait::Wait),
    Log(log::Log),
    Diff(diff::Diff),
    Cleanup(cleanup::Cleanup),
    Restore(restore::Restore),
    Stop(stop::Stop),
    Resume(resume::Resume),
    Adopt(adopt::Adopt),
    Install(install::Install),
    Config(config::Config),
    Completions(completions::Completions),
    Help(help::Help),
    /// Start the agent of a task in its pane
    #[command(name = "__run", hide = true)]
    Launcher {
        /// The launch file
        file: PathBuf,
    },
    /// Delete what has been kept long enough
    #[command(name = "__expire", hide = true)]
    Expire,
    /// Be a shell in a task's worktree
    #[command(name = "__shell", hide = true)]
    Shell {
        /// The worktree
        worktree: PathBuf,
    },
    /// Be another program, without this terminal
    #[command(name = "__alone", hide = true)]
    Alone {
        /// The program and its arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// Whatever it could not do.
    pub(crate) fn run(self) -> Result<()> {
        match self.command {
            None => begin::run(),
            Some(Command::Run(args)) => args.run(),
            Some(Command::List(args)) => args.run(),
            Some(Command::Status(args)) => args.run(),
            Some(Command::Attach(args)) => args.run(),
            Some(Command::Send(args)) => args.run(),
            Some(Command::Wait(args)) => args.run(),
            Some(Command::Log(args)) => args.run(),
            Some(Command::Diff(args)) => args.run(),
            Some(Command::Cleanup(args)) => args.run(),
            Some(Command::Restore(args)) => args.run(),
            Some(Command::Stop(args)) => args.run(),
            Some(Command::Resume(args)) => args.run(),
            Some(Command::Adopt(args)) => args.run(),
            Some(Command::Install(args)) => args.run(),
            Some(Command::Config(args)) => args.run(),
            Some(Command::Completions(args)) => args.run(),
            Some(Command::Help(args)) => args.run(),
            Some(Command::Expire) => Flux::leniently(Ui { quiet: true })?.expire(),
            Some(Command::Launcher { file }) => launcher::run(&file),
            Some(Command::Shell { worktree }) => launcher::shell(&worktree),
            Some(Command::Alone { words }) => install::alone(&words),
        }
    }
}

/// The tasks, after those have been settled whose last command died.
fn settled(flux: &Flux) -> Result<Store> {
    let store = Store::load(&flux.repo, &flux.settings)?;
    if recover(flux, &store)? {
        Store::load(&flux.repo, &flux.settings)
    } else {
        Ok(store)
    }
}

/// The task that is meant: the one named, else the one whose worktree we stand
/// in, else the one that is picked.
fn choose<'a>(flux: &Flux, store: &'a Store, name: Option<&str>, verb: &str) -> Result<&'a Stored> {
    if let Some(name) = name {
        return store
            .meant(&flux.repo, name, verb)
            .map_err(|error| removed(flux, name, error));
    }
    let here = flux.repo.current();
    let stands_in = |stored: &&Stored| {
        stored
            .task
            .as_ref()
            .is_ok_and(|task| Some(task.worktree.as_path()) == here)
    };
    if let Some(stored) = store.tasks.iter().find(stands_in) {
        return Ok(stored);
    }
    if store.tasks.is_empty() {
        return Err(Failure::new("there are no tasks")
            .hint("git flux run \"<what is to be done>\"")
            .into());
    }
    if !flux.ui.can_ask() {
        return Err(Failure::new(
            "which task? this is not the worktree of one, and nobody can be asked",
        )
        .hint(format!("git flux {verb} <task>"))
        .hint("git flux list")
        .code(USAGE)
        .into());
    }
    let states = observe::states(flux, store)?;
    let row = |(stored, state): (&Stored, &str)| {
        let title = match &stored.task {
            Ok(task) => task.title.as_str(),
            Err(_) => "(its record cannot be read)",
        };
        [stored.id.to_string(), state.to_owned(), title.to_owned()]
    };
    let states = states.iter().map(String::as_str);
    // In the order of the list.
    let mut tasks: Vec<_> = store.tasks.iter().zip(states).collect();
    tasks.sort_by_key(|(stored, _)| stored.created());
    let rows: Vec<_> = tasks
        .iter()
        .map(|(stored, state)| row((stored, state)))
        .collect();
    let question = format!("Which task? ({verb})");
    Ok(tasks[flux.ui.pick(question, &rows)?].0)
}

/// Returns the task that is meant as [`choose`] does, for a command that acts on it.
///
/// # Errors
/// When it is another user's.
fn choose_own<'a>(
    flux: &Flux,
    store: &'a Store,
    name: Option<&str>,
    verb: &str,
) -> Result<&'a Stored> {
    let stored = choose(flux, store, name, verb)?;
    let task = stored.task.as_ref();
    task.map_or(Ok(()), |task| flux.ensure_own(task))?;
    Ok(stored)
}

/// Adds how a task comes back that there was, and is not any more.
fn removed(flux: &Flux, name: &str, error: Error) -> Error {
    let archived = archive::list(flux).unwrap_or_default();
    match error.downcast::<Failure>() {
        Ok(failure) if archived.iter().any(|one| one.name == name) => {
            failure.hint(format!("git flux restore {name}")).into()
        }
        Ok(failure) => failure.into(),
        Err(error) => error,
    }
}

#[cfg(test)]
mod tests {

    #[test]
    fn the_command_line_is_consistent() {
        super::help::command().debug_assert();
    }
}
