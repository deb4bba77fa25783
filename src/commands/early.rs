//! What is said of agents that were just started, and end as soon as they are.

use std::time::{Duration, Instant};

use anyhow::{Error, Result};

use crate::context::Flux;
use crate::failure::Failure;
use crate::lifecycle::start::plan::Started;
use crate::lifecycle::start::watch;
use crate::task::Layout;

/// How long a terminal is told of an end.
const FIRST: Duration = Duration::from_millis(500);

/// How many lines of its pane are shown of an agent that failed.
const LINES: usize = 15;

/// Fails if the program of the agent could not be executed, and shows what its pane says.
///
/// # Errors
/// So.
pub(super) fn ensure_executed(flux: &Flux, started: &Started) -> Result<()> {
    match &started.exit {
        None => Ok(()),
        Some(exit) => Err(failed(flux, started, &exit.to_string())),
    }
}

/// Says where the agent runs.
///
/// # Errors
/// When its program could not be executed.
pub(super) fn tell(flux: &Flux, started: &Started, verb: &str) -> Result<()> {
    ensure_executed(flux, started)?;
    let (task, target, ui) = (&started.task, &started.opened.target, &flux.ui);
    let id = &task.id;
    if ui.quiet {
        return ui.data(id);
    }
    let place = match target.kind {
        Layout::Pane => format!("pane {}", target.pane),
        Layout::Window => format!("window {}", target.window),
        Layout::Session => format!("session '{}'", target.session),
    };
    ui.status(format_args!("{verb} '{id}' ({}): {place}", task.agent));
    ui.hint(format_args!("git flux attach {id}"));
    Ok(())
}

/// Waits half a second for the ends of agents, if there is a terminal to say them to: it is where
/// a wrong option or a missing login shows. Says which ended well, and returns an error for each other.
///
/// # Errors
/// When it cannot be read how one of them ended.
pub(super) fn ended<'a>(
    flux: &Flux,
    started: impl IntoIterator<Item = &'a Started>,
) -> Result<Vec<Error>> {
    if !flux.ui.is_shown() {
        return Ok(Vec::new());
    }
    let mut errors = Vec::new();
    for (one, exit) in watch::early_exits(flux, started, Instant::now() + FIRST)? {
        let id = &one.task.id;
        if exit.is_success() {
            flux.ui
                .status(format_args!("The agent of '{id}' has ended already."));
        } else {
            errors.push(failed(flux, one, &format!("{exit} at once")));
        }
    }
    Ok(errors)
}

/// Fails with the first of the errors of [`ended`].
///
/// # Errors
/// So.
pub(super) fn ensure_not_ended(flux: &Flux, started: &Started) -> Result<()> {
    let first = ended(flux, [started])?.into_iter().next();
    first.map_or(Ok(()), Err)
}

fn failed(flux: &Flux, started: &Started, how: &str) -> Error {
    let id = &started.task.id;
    // The pane may have gone with its shell.
    let lines = watch::last_lines(&started.opened.target, id, LINES);
    for line in lines.unwrap_or_default() {
        flux.ui.quote(line);
    }
    Failure::new(format!("the agent of '{id}' {how}"))
        .hint(format!("git flux attach {id}"))
        .hint(format!("git flux resume {id} --over"))
        .hint(format!("git flux cleanup {id}"))
        .into()
}
