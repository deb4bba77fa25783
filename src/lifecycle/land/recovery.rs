//! Settles a task whose landing was killed.

use anyhow::Result;

use crate::context::Flux;
use crate::git::{Ignored, full_status, refs};
use crate::task::{BranchName, ObjectId, Task};

/// Returns whether a task that was marked for a landing has landed, so that its removal can be
/// completed: its target contains its commits, and since then, neither its branch, which is at
/// `tip`, nor its files have changed, and no agent runs. Waits for a merge that still runs.
pub(in crate::lifecycle) fn has_landed(
    flux: &Flux,
    task: &Task,
    tip: Option<&ObjectId>,
) -> Result<bool> {
    let removal = task.removal.as_ref();
    let landing = removal.and_then(|it| Some((it.landing.as_ref()?, it.into.as_ref()?)));
    let Some((landed, into)) = landing else {
        return Ok(false);
    };
    // git may outlive the command that was killed.
    let _queue = flux.lock_merge()?;
    let target = BranchName::typed(&into.branch).full();
    let target = refs::list(flux.repo.home(), &[&target])?.remove(&target);
    let Some(target) = target.filter(|_| tip == Some(landed)) else {
        return Ok(false);
    };
    if flux.repo.ahead_behind(&into.to, &target)?.0 > 0 || flux.run_dir(&task.id).is_alive()? {
        return Ok(false);
    }
    let checkout = flux.repo.checkout(&task.worktree)?;
    let (head, changes) = full_status(&checkout, Ignored::LeftOut)?;
    Ok(head.oid == *landed && changes.is_empty())
}
