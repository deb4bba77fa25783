//! What is to happen in a new worktree before its agent works there.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::context::Flux;
use crate::failure::Failure;
use crate::run::launch::{Ready, Step};
use crate::settings::Settings;
use crate::settings::table;
use crate::system::program::which;
use crate::task::Bytes;

/// What is configured for every new worktree.
///
/// # Errors
/// When it means nothing, or the wrapper is not installed.
pub(crate) fn configured(flux: &Flux) -> Result<Ready> {
    let settings = &flux.settings;
    let steps = settings.setup();
    Ok(Ready {
        steps: steps
            .iter()
            .map(|command| Step::of_shell(command))
            .collect(),
        ..wrapped(flux)?
    })
}

/// The same for a worktree that is ready: only what goes before the agent.
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

/// The words of `flux.wrapper`, the first of them found on PATH.
fn wrapper(settings: &Settings) -> Result<Vec<Bytes>> {
    let words = settings.wrapper()?;
    let Some((program, args)) = words.split_first() else {
        return Ok(Vec::new());
    };
    let Some(program) = which(Path::new(program)) else {
        let failure = Failure::new(format!(
            "there is no '{program}' on PATH, to start agents by"
        ));
        let whence = settings.whence(&table::WRAPPER, "", settings.wrapper_as_written());
        let failure = whence.into_iter().fold(failure, Failure::hint);
        return Err(failure.hint("git config --unset flux.wrapper").into());
    };
    let words = [PathBuf::into_os_string(program)].into_iter();
    let words = words.chain(args.iter().map(Into::into));
    Ok(words.map(Bytes).collect())
}
