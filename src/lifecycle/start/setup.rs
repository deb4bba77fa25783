//! What is to happen in a new worktree before its agent works there.

use std::ffi::OsString;
use std::iter;
use std::path::Path;

use anyhow::Result;

use crate::context::Flux;
use crate::failure::Failure;
use crate::run::launch::{Ready, Step};
use crate::settings::{Settings, table};
use crate::system::program::which;
use crate::task::Bytes;

/// Returns what is configured for every new worktree.
///
/// # Errors
/// When it means nothing, or the wrapper is not installed.
pub(crate) fn configured(flux: &Flux) -> Result<Ready> {
    let commands = flux.settings.setup();
    let steps = commands.iter().map(|command| Step::of_shell(command));
    Ok(Ready {
        steps: steps.collect(),
        ..wrapped(flux)?
    })
}

/// Returns what goes before the agent in a worktree that is ready.
///
/// # Errors
/// As [`configured`].
pub(crate) fn wrapped(flux: &Flux) -> Result<Ready> {
    // It is needed later, when it is late to say what is wrong with it.
    flux.settings.notify()?;
    Ok(Ready {
        wrapper: wrapper(&flux.settings)?,
        steps: Vec::new(),
        required: flux.settings.setup_required()?,
    })
}

/// Returns the words of `flux.wrapper`, the first of them found on PATH.
fn wrapper(settings: &Settings) -> Result<Vec<Bytes>> {
    let words = settings.wrapper()?;
    let Some((program, args)) = words.split_first() else {
        return Ok(Vec::new());
    };
    let Some(program) = which(Path::new(program)) else {
        let what = format!("there is no '{program}' on PATH, to start agents by");
        let whence = settings.whence(&table::WRAPPER, "", settings.wrapper_as_written());
        let failure = whence.into_iter().fold(Failure::new(what), Failure::hint);
        return Err(failure.hint("git config --unset flux.wrapper").into());
    };
    let args = args.iter().map(OsString::from);
    Ok(iter::once(program.into()).chain(args).map(Bytes).collect())
}
