//! Coding agents in parallel on one repository: a branch, a worktree and a tmux pane each.
//!
//! Read `lifecycle/mod.rs` first.

mod agent;
mod commands;
mod context;
mod embedded;
mod failure;
mod git;
mod interrupt;
mod launcher;
mod lifecycle;
mod run;
mod sanitize;
mod settings;
mod store;
mod system;
mod task;
mod tmux;
mod ui;

use std::env;
use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = env::args_os();
    if args
        .next()
        .is_some_and(|name| name == launcher::stash::NAME)
    {
        return fail(&launcher::stash::run(args).unwrap_err());
    }
    match args.next() {
        Some(arg) if arg == "__hook" => {
            launcher::hook::run(args);
            return ExitCode::SUCCESS;
        }
        Some(arg) if arg == "__tell" => {
            launcher::notify::run();
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    // A request of a shell for candidates.
    if commands::completions::complete(commands::cli::command) {
        return ExitCode::SUCCESS;
    }
    let result = commands::cli::parse().and_then(|cli| {
        interrupt::watch()?;
        cli.run()
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // The reader has closed the pipe.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    ui::show(error);
    ExitCode::from(failure::exit_code(error))
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let mut causes = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}
