//! Looks at a task and its target again, just before they are changed.

use anyhow::Result;

use super::facts::Facts;
use super::target::MergeTarget;
use crate::context::Flux;
use crate::git::{Ignored, ObjectId, full_status, refs, worktree};
use crate::lifecycle::shared_config::compare;
use crate::system::Lock;
use crate::task::RefName;
use crate::ui::{quoted, shown, word};

/// The cases in which tasks are looked at again under the lock of merges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecondLook {
    Always,
    /// Only if another process held the lock.
    AfterWait,
}

/// Waits for the lock of merges, and takes it. Returns `None`, without the lock, if one of the tasks
/// has changed since it was observed ([`is_unchanged`]): the wait may have been long.
pub(crate) fn lock_merge<'a>(
    flux: &Flux,
    tasks: impl IntoIterator<Item = &'a Facts>,
    look: SecondLook,
) -> Result<Option<Lock>> {
    let free = flux.try_lock_merge()?;
    let must_look = free.is_none() || look == SecondLook::Always;
    let queue = free.map_or_else(|| flux.lock_merge(), Ok)?;
    if must_look {
        for facts in tasks {
            if !is_unchanged(flux, facts)? {
                return Ok(None);
            }
        }
    }
    Ok(Some(queue))
}

/// The change of a target since it was observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::lifecycle) enum TargetChange {
    None,
    /// It has more commits.
    Grown,
    /// It has lost commits, or is checked out elsewhere.
    Other,
}

impl TargetChange {
    /// Returns how a task's target branch, its tip and where it is checked out, has changed since
    /// it was observed. [`Self::None`] also without a target.
    pub(in crate::lifecycle) fn find(flux: &Flux, facts: &Facts) -> Result<Self> {
        let Some(into) = facts.merge_target() else {
            return Ok(Self::None);
        };
        let branch = into.branch_ref();
        let tip = find_grown_tip(flux, into)?;
        let is_there = match &into.worktree {
            Some(path) => worktree::head(&flux.repo.checkout(path)?)?.as_ref() == Some(&branch),
            None => {
                let entries = worktree::list(flux.repo.home())?;
                !entries
                    .iter()
                    .any(|entry| entry.branch.as_ref() == Some(&branch))
            }
        };
        Ok(match tip.filter(|_| is_there) {
            Some(tip) if tip == into.tip => Self::None,
            Some(_) => Self::Grown,
            None => Self::Other,
        })
    }
}

/// Returns the present tip of a target; `None` if the branch is gone, or has lost commits since it
/// was observed.
pub(super) fn find_grown_tip(flux: &Flux, into: &MergeTarget) -> Result<Option<ObjectId>> {
    let branch = into.branch_ref();
    let Some(tip) = refs::list(flux.repo.home(), &[&branch])?.remove(&branch) else {
        return Ok(None);
    };
    let is_grown = tip == into.tip || flux.repo.ahead_behind(&into.tip, &tip)?.0 == 0;
    Ok(is_grown.then_some(tip))
}

/// Warns if another branch has got the merge `commit`, since it was checked out in the target's
/// worktree in the last moment before git moved what is checked out there. Reads only.
pub(in crate::lifecycle) fn warn_of_stray_merge(
    flux: &Flux,
    facts: &Facts,
    commit: &ObjectId,
) -> Result<()> {
    let Some((into, path)) = facts
        .merge_target()
        .and_then(|into| Some((into, into.worktree.as_ref()?)))
    else {
        return Ok(());
    };
    let head = worktree::head(&flux.repo.checkout(path)?)?;
    if let Some(branch) = head
        .filter(|head| *head != into.branch_ref())
        .and_then(|it| it.branch())
        && are_refs_at(flux, &[(branch.full(), commit)])?
    {
        let place = shown(path);
        let what = format!("'{branch}' was checked out in '{place}' in the last moment");
        flux.ui
            .warning(format_args!("{what}: it has the merge, too"));
        let reset = format!(
            "git -C {} reset --keep {}",
            quoted(path),
            word(&format!("{branch}@{{1}}"))
        );
        flux.ui.hint(format_args!("to take it back there: {reset}"));
    }
    Ok(())
}

/// Returns whether all refs point to the expected objects; `false` if one does not exist.
pub(in crate::lifecycle) fn are_refs_at(
    flux: &Flux,
    expected: &[(RefName, &ObjectId)],
) -> Result<bool> {
    let names: Vec<&str> = expected.iter().map(|(name, _)| &**name).collect();
    let found = refs::list(flux.repo.home(), &names)?;
    let mut expected = expected.iter();
    Ok(expected.all(|(name, oid)| found.get(name) == Some(oid)))
}

/// Returns whether HEAD, uncommitted files and stash of the task are as observed, and the shared
/// configuration has no further change. Does not compare ignored files or the target. Without a
/// worktree, compares only the configuration; if it is unreadable, also its branch.
pub(crate) fn is_unchanged(flux: &Flux, facts: &Facts) -> Result<bool> {
    if compare(flux, &facts.task.id).is_new_since(&facts.configuration) {
        return Ok(false);
    }
    if facts.missing {
        return Ok(true);
    }
    if facts.read_error.is_some() {
        // The position of its branch is verified when the task is removed.
        let (path, branch) = (&facts.task.worktree, facts.task.branch_ref());
        let entries = worktree::list(flux.repo.home())?;
        let is_there =
            |entry: &worktree::Worktree| entry.path == *path && entry.has_branch(&branch);
        return Ok(facts.branch_gone || entries.iter().any(is_there));
    }
    if flux.own_stash_entries(&facts.task.id)? != facts.stash.own {
        return Ok(false);
    }
    let checkout = flux.repo.checkout(&facts.task.worktree)?;
    let (head, changes) = full_status(&checkout, Ignored::LeftOut)?;
    let is_there = || head.oid == facts.tip && head.branch == facts.task.branch;
    Ok(changes == facts.uncommitted && (facts.branch_gone || is_there()))
}
