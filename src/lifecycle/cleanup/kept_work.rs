//! Prepares what the archive will keep of a task.

use anyhow::{Context as _, Result, anyhow};

use super::facts::Facts;
use crate::context::Flux;
use crate::git::{Checkout, ObjectId, snapshot, worktree_refs};
use crate::interrupt;
use crate::lifecycle::disposal::Disposal;
use crate::settings::Settings;
use crate::task::Removal;

/// Returns what the archive will keep of a task (a snapshot of uncommitted files, the configuration
/// of its branch, per-worktree refs), and what to do with its worktree. Creates only the snapshot,
/// a commit without a ref.
pub(in crate::lifecycle) fn prepare_archive(
    flux: &Flux,
    facts: &Facts,
) -> Result<(Removal, Disposal)> {
    let task = &facts.task;
    let (snapshot, disposal) = take_snapshot(flux, facts)?;
    let own = worktree_refs::find(&flux.repo, &task.worktree, &task.branch, &facts.tip)
        .context("could not read the worktree's own refs; nothing was changed")?;
    // The configuration may have changed while a question was open.
    let config = match flux.ui.can_ask() {
        true => Settings::load(flux.repo.home())?.branch_section(&task.branch),
        false => flux.settings.branch_section(&task.branch),
    };
    let removal = Removal {
        snapshot,
        config,
        worktree_refs: own,
        stash: flux.own_stash_entries(&task.id)?,
        shared_stash: flux.settled_removed_entries(&task.id)?,
        ..Removal::default()
    };
    Ok((removal, disposal))
}

/// Creates a snapshot of the uncommitted files; `None` if there are none or the worktree is
/// missing. If git cannot read some files, warns, and the worktree must stay in the trash as the
/// sole copy; fails if the trash is on another file system.
fn take_snapshot(flux: &Flux, facts: &Facts) -> Result<(Option<ObjectId>, Disposal)> {
    let is_clean = facts.uncommitted.is_empty() && facts.read_error.is_none();
    if is_clean || facts.missing {
        return Ok((None, Disposal::Trash));
    }
    let task = &facts.task;
    let checkout = flux.repo.checkout(&task.worktree);
    let taken = match &checkout {
        Ok(checkout) => snapshot::create_with_hidden(checkout, &facts.tip),
        Err(error) => Err(anyhow!("{error:#}")),
    };
    match taken {
        Ok(snapshot) => Ok((Some(snapshot), Disposal::Trash)),
        Err(error) if facts.other_fs || checkout.is_ok_and(|it| can_archive(facts, &it)) => {
            Err(error.context("could not archive the uncommitted files; nothing was changed"))
        }
        Err(error) => {
            interrupt::check()?;
            let what = format!("could not archive the uncommitted files of '{}'", task.id);
            let what = format!("{what}; only its worktree has them: {error:#}");
            flux.ui.warning(what);
            Ok((None, Disposal::TrashSoleCopy))
        }
    }
}

/// Returns whether git can read all uncommitted files: `git hash-object`. `false` if they could not
/// be listed, a filter is missing or a file is unreadable.
fn can_archive(facts: &Facts, checkout: &Checkout) -> bool {
    let mut files = facts.uncommitted.iter().map(|change| &change.path);
    facts.read_error.is_none() && snapshot::can_hash(checkout, &mut files)
}
