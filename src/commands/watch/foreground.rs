//! Runs commands of git flux in the foreground, as the command line would.

use std::env;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::actions::{FluxCommand, Pause};
use crate::failure::DECLINED;
use crate::git::Git;
use crate::launcher::front::run_in_front;
use crate::system::program::current_exe;
use crate::task::Exit;

/// The time after which what a command shows counts as read.
const SHORT: Duration = Duration::from_secs(1);

/// The result of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// The user has not read what it has printed.
    Unread,
    Failed,
}

/// Runs a command in its repository, on the terminal of this process, and waits until it ends.
pub(super) fn run_command(flux: &FluxCommand) -> Result<Outcome> {
    let mut command = Command::new(current_exe()?);
    command.args(&flux.args);
    if flux.home != Path::new("") {
        command.current_dir(&flux.home);
        Git::remove_repository_env(&mut command);
    }
    // A pager that shows little would end at once.
    if env::var_os("LESS").is_none() {
        command.env("LESS", "RX");
    }
    let begun = Instant::now();
    let exit = run_in_front(&mut command)?;
    Ok(outcome(&exit, flux.pause, begun.elapsed()))
}

fn outcome(exit: &Exit, pause: Pause, took: Duration) -> Outcome {
    // The user knows that they declined.
    let is_declined = exit.status() == Some(DECLINED.into());
    match pause {
        _ if is_declined => Outcome::Done,
        _ if !exit.is_success() => Outcome::Failed,
        Pause::OnFailure => Outcome::Done,
        Pause::IfShort if took > SHORT => Outcome::Done,
        Pause::IfShort | Pause::Always => Outcome::Unread,
    }
}
