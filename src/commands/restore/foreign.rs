//! A removed task that came from elsewhere, with refs that were fetched.

use anyhow::Result;

use crate::failure::Failure;
use crate::lifecycle::Flux;
use crate::lifecycle::archive::Archived;
use crate::lifecycle::start::free::{ensure_name, worktree_of};
use crate::sanitize;
use crate::store::Store;
use crate::task::{Removal, Task};
use crate::ui::shown;

/// Returns the entry as it may be restored: in a worktree where this repository has them, and
/// without arguments for an agent, ports, configuration and refs of its own.
///
/// # Errors
/// When its branch has no name for one.
pub(super) fn harmless(flux: &Flux, store: &Store, one: &Archived) -> Result<Archived> {
    let task = &one.task;
    ensure_name(flux, &task.branch)?;
    let removal = task.removal.as_ref().map(|removal| Removal {
        at: removal.at,
        snapshot: one.part("snapshot").map(str::to_owned),
        into: removal.into.clone(),
        ..Removal::default()
    });
    let into = task.into.clone().filter(|into| store.tip(into).is_some());
    let task = Task {
        worktree: worktree_of(flux, &task.id)?,
        agent_args: Vec::new(),
        port: None,
        target: None,
        existing: None,
        carried: None,
        removal,
        into,
        ..task.clone()
    };
    let mut one = one.clone();
    one.task = task;
    Ok(one)
}

/// Shows what would be restored and asks for it.
///
/// # Errors
/// When it is declined, or there is no terminal.
pub(super) fn agree(flux: &Flux, one: &Archived) -> Result<()> {
    let (name, task) = (&one.name, &one.task);
    let rows = [
        ("Branch", sanitize::line(&task.branch)),
        ("Worktree", shown(&task.worktree)),
        ("Agent", sanitize::line(&task.agent)),
    ];
    let about = format!("'{name}' is foreign: this repository has not removed it");
    if !flux.ui.can_ask() {
        return Err(Failure::new(about)
            .hint(format!("git flux restore {name} --foreign"))
            .into());
    }
    flux.ui.status(about);
    for (what, value) in rows {
        flux.ui.status(format_args!("  {what}: {value}"));
    }
    match flux.ui.confirm("Restore it?", false)? {
        true => Ok(()),
        false => Err(Failure::declined("nothing was changed").into()),
    }
}
