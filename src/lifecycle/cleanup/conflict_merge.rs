//! Starts the merge of a task and its target that stops at their conflicts.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::facts::Facts;
use super::unchanged::{TargetChange, are_refs_at, find_grown_tip};
use crate::context::Flux;
use crate::git::{Change, Ignored, full_status, merge};
use crate::system::Lock;
use crate::task::BranchName;

/// The worktree in which conflicts are resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConflictSite {
    /// In the task's worktree, by its agent or by the user.
    Task,
    /// In the worktree of the target.
    Target,
}

/// A merge to start.
pub(crate) struct ConflictMerge<'a> {
    facts: &'a Facts,
    site: ConflictSite,
    /// The worktree.
    pub(crate) path: &'a Path,
    /// The branch to merge there.
    pub(crate) theirs: &'a BranchName,
}

impl<'a> ConflictMerge<'a> {
    /// Plans to merge the target branch into the task's worktree or, if the target has one, the
    /// task's branch into the target's worktree. Does nothing yet.
    pub(crate) fn plan(facts: &'a Facts, site: ConflictSite) -> Result<Self> {
        let into = facts.merge_target().context("internal error: no target")?;
        let task = &facts.task;
        let (site, path, theirs) = match (site, &into.worktree) {
            (ConflictSite::Target, Some(worktree)) => (site, worktree, &task.branch),
            _ => (ConflictSite::Task, &task.worktree, &into.branch),
        };
        Ok(Self {
            facts,
            site,
            path,
            theirs,
        })
    }

    /// Starts the merge and leaves it uncommitted. Returns whether it has stopped at conflicts;
    /// `None`, without a merge, if [`Self::is_in_place`] finds that the branches have moved.
    ///
    /// # Errors
    /// If the merge would overwrite files in the worktree, or git refuses.
    pub(crate) fn start(&self, flux: &Flux, lock: &Lock) -> Result<Option<bool>> {
        if !self.is_in_place(flux)? {
            return Ok(None);
        }
        merge::start(&flux.repo.checkout(self.path)?, self.theirs, lock).map(Some)
    }

    /// Returns whether the task's branch has not moved since it was observed, the target has lost no
    /// commits, and the branch to merge into is still checked out in its worktree. Fails if the
    /// merge would overwrite files.
    fn is_in_place(&self, flux: &Flux) -> Result<bool> {
        let (facts, task) = (self.facts, &self.facts.task);
        if self.site == ConflictSite::Target {
            let is_there = are_refs_at(flux, &[(task.branch_ref(), &facts.tip)])?
                && TargetChange::find(flux, facts)? != TargetChange::Other;
            if is_there {
                facts.ensure_startable(flux)?;
            }
            return Ok(is_there);
        }
        let into = facts.merge_target().context("internal error: no target")?;
        let Some(tip) = find_grown_tip(flux, into)? else {
            return Ok(false);
        };
        let checkout = flux.repo.checkout(&task.worktree)?;
        let (head, changes) = full_status(&checkout, Ignored::Included)?;
        if head.oid != facts.tip || head.branch != task.branch {
            return Ok(false);
        }
        let (ignored, uncommitted) = changes.into_iter().partition(Change::is_ignored);
        let now = Facts {
            ignored,
            uncommitted,
            ..facts.clone()
        };
        now.ensure_updatable(flux, &tip).map(|()| true)
    }
}
