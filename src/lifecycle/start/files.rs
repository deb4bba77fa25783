//! The files of a worktree that was just registered.

use anyhow::Result;

use super::plan::{Origin, Start};
use crate::context::Flux;
use crate::git::{Lock, keep, tool_files, worktree};
use crate::interrupt;
use crate::lifecycle::archive::Archived;
use crate::lifecycle::hook_effects;

/// Puts back what was kept of a worktree in the trash, or checks its files out: then with what was
/// uncommitted, and what of the user's goes along.
///
/// # Errors
/// When git fails, or the user interrupts.
pub(super) fn fill(flux: &Flux, start: &Start, lock: &Lock) -> Result<()> {
    let task = &start.task;
    let from = start.archived();
    let trash = from.and_then(|from| from.trash.as_ref());
    if let Some(trash) = trash {
        keep::put_back(flux.repo.common_dir(), &task.worktree, trash)?;
    }
    // It may have brought some of its own.
    tool_files::link_keys(flux.repo.common_dir(), &task.worktree)?;
    if trash.is_some() {
        return Ok(());
    }
    let checkout = flux.repo.checkout(&task.worktree)?;
    {
        let _spinner = flux.ui.spinner("checking out the files");
        worktree::fill(&checkout, lock)?;
    }
    interrupt::check()?;
    // Before the hook, whose files would be in the way.
    if let Some(snapshot) = from.and_then(Archived::snapshot) {
        worktree::apply(&checkout, snapshot, lock)?;
        interrupt::check()?;
    }
    if let Origin::New {
        carried: Some(carried),
        ..
    } = &start.origin
    {
        carried.put(&checkout, lock)?;
        interrupt::check()?;
    }
    hook_effects::post_checkout(flux, task, &checkout, start.tip())
}
