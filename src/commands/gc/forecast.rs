//! `git flux gc --dry-run`

use anyhow::Result;

use crate::commands::Faults;
use crate::commands::deletion::{NOTHING, finish, own};
use crate::commands::removed::describe_removed;
use crate::context::Flux;
use crate::lifecycle::archive::{self, Archived};
use crate::lifecycle::gc;
use crate::lifecycle::recover::list_interrupted;
use crate::sanitize;
use crate::store::Store;

/// Prints which removed tasks `--trash` would delete.
pub(super) fn forecast_trash(flux: &Flux) -> Result<()> {
    let all = archive::list_all(flux)?;
    let describe = |one: &&Archived| {
        let content = describe_removed(flux, one);
        format!("delete '{}' ({content})", sanitize::line(&one.name))
    };
    let found: Vec<String> = own(flux, &all).iter().map(describe).collect();
    report_forecast(flux, &found)?;
    finish(flux, &all, Faults::default())
}

/// Prints which tasks `git flux gc` would recover after killed commands, and what it would delete.
pub(super) fn forecast(flux: &Flux) -> Result<()> {
    let store = Store::load(&flux.repo, &flux.settings)?;
    let interrupted = list_interrupted(flux, &store).into_iter();
    let interrupted =
        interrupted.map(|task| format!("recover '{}', which a killed command has left", task.id));
    let garbage = gc::find(flux, &store)?;
    let garbage = garbage.iter().map(|one| format!("delete {one}"));
    report_forecast(flux, &interrupted.chain(garbage).collect::<Vec<_>>())
}

/// Prints each action in `found` as `would <action>`, and that nothing was done.
pub(super) fn report_forecast(flux: &Flux, found: &[String]) -> Result<()> {
    for one in found {
        flux.ui.data(format_args!("would {one}"))?;
    }
    flux.ui.status(match found {
        [] => NOTHING,
        _ => "Nothing was done.",
    });
    Ok(())
}
