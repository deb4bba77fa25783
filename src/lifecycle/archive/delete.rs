//! Deletes removed tasks for good.

use std::fs;

use anyhow::{Context as _, Result};

use super::{Archived, is_ours, reflog_ref, trash, tree};
use crate::context::Flux;
use crate::git::{Lock, Transaction, refs};

/// Deletes a removed task for good: the refs of its archive entry and, unless it was fetched, its
/// worktree in the trash and its kept reflog commits. Fails, with nothing deleted, if the entry has
/// changed since it was listed. Waits for the task's lock.
pub(crate) fn delete_archived(flux: &Flux, one: &Archived) -> Result<()> {
    flux.ensure_directories()?;
    let lock = flux.lock_task(&one.task.id)?;
    let done = delete(flux, one, &lock);
    flux.remove_stale_run_dir(&one.task.id)?;
    done
}

fn delete(flux: &Flux, one: &Archived, lock: &Lock) -> Result<()> {
    one.ensure_unchanged(flux)?;
    let mut refs = Transaction::default();
    let mut dir = None;
    // A worktree in the trash under the name of a foreign entry belongs to another task.
    if !one.foreign {
        // Under another name, remains of it are not taken for a worktree.
        dir = trash::mark_for_deletion(&flux.trash().join(&one.name))?;
        let logs = refs::list(flux.repo.home(), &[&reflog_ref(&one.task.id, "")])?;
        let own = logs.iter().filter(|(name, oid)| is_ours(flux, name, oid));
        refs = own.fold(refs, |all, (name, oid)| all.delete(name, oid));
    }
    let message = format!("flux restore: drop {}", one.name);
    let deleted = one.forget(refs).commit(&flux.repo, &message, lock);
    let Some(dir) = dir else { return deleted };
    if deleted.is_err() {
        fs::rename(&dir, flux.trash().join(&one.name))
            .context("could not move a worktree back in the trash")?;
        return deleted;
    }
    trash::delete_marked(&dir)
        .with_context(|| format!("'{}' is deleted, but not all of its files", one.name))
}

/// Deletes a restored task's directory in the trash, unless the worktree is still in it or the task
/// was fetched. Only warns if that fails.
pub(in crate::lifecycle) fn remove_trash_leftovers(flux: &Flux, one: &Archived) {
    let place = flux.trash().join(&one.name);
    if one.foreign || place.join("worktree").exists() {
        return;
    }
    if let Err(error) = tree::delete(&place) {
        flux.ui.warning(format_args!("{error:#}"));
    }
}
