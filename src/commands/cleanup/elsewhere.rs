//! A task of a copied repository, which can be dropped from the copy alone.

use anyhow::Result;

use super::Cleanup;
use crate::context::Flux;
use crate::lifecycle::elsewhere::{drop_from_copy, original};
use crate::store::{Store, Stored};
use crate::ui::shown;

impl Cleanup {
    /// Drops a task that is elsewhere, if that is asked for. Returns whether it was one.
    ///
    /// # Errors
    /// When it is declined, or a step fails.
    pub(super) fn drop_elsewhere(
        &self,
        flux: &Flux,
        store: &Store,
        stored: &Stored,
    ) -> Result<bool> {
        let task = stored.readable()?;
        let original = self.discard_branch.then(|| original(flux, task)).flatten();
        let Some(original) = original else {
            return Ok(false);
        };
        let (id, branch, place) = (&task.id, &task.branch, shown(&original));
        let what = format!("'{id}' and its branch '{branch}' from this repository alone");
        if self.dry_run {
            flux.ui.data(format_args!("would drop {what}"))?;
            flux.ui.status("Nothing was done.");
            return Ok(true);
        }
        if flux.ui.can_ask() && !self.yes {
            flux.ui.status(format_args!(
                "The worktree and the agent of '{id}' stay as they are: they are those of '{place}'."
            ));
            flux.ui.ensure_agreed(format_args!("Drop {what}?"))?;
        }
        let lock = flux.lock_task(id)?;
        let kept = drop_from_copy(flux, stored, store.tip(branch), &lock)?;
        flux.ui.status(format_args!("dropped {what}"));
        if let Some(name) = &kept.archive {
            flux.ui
                .hint(format_args!("to bring it back: git flux restore {name}"));
        }
        Ok(true)
    }
}
