//! The tasks that are compared.

use std::cell::OnceCell;

use anyhow::Result;

use super::cache::Landing;
use crate::git::conflicts::merge_batch::{ConflictFile, TrialMerge};
use crate::git::conflicts::quarantine::Quarantine;
use crate::git::conflicts::touched::Touched;
use crate::git::{ObjectId, Repo};
use crate::lifecycle::observe::{ObservedTask, WorktreeState};
use crate::lifecycle::work::Work;
use crate::task::TaskId;

/// A task to compare with others.
pub(super) struct Side {
    pub(super) id: TaskId,
    pub(super) work: Work,
    /// The merge into the target, once it is known.
    pub(super) landing: Option<Landing>,
    /// The files that an unfinished merge in its worktree has left unmerged: whatever git makes of
    /// the work, these are conflicts.
    pub(super) unmerged: Vec<ConflictFile>,
    own: OnceCell<Option<Touched>>,
}

impl Side {
    pub(super) fn new(observed: &ObservedTask, work: Work) -> Self {
        let files = match &observed.work {
            WorktreeState::Read { files, .. } => &files[..],
            WorktreeState::Missing | WorktreeState::Unreadable => &[],
        };
        let unmerged = files.iter().filter(|file| file.is_conflicted());
        let unmerged = unmerged.map(|file| ConflictFile {
            path: file.path.clone(),
            kind: "unmerged".to_owned(),
            function: None,
        });
        Self {
            id: observed.status.task.id.clone(),
            work,
            landing: None,
            unmerged: unmerged.collect(),
            own: OnceCell::new(),
        }
    }

    /// Writes a commit of all work of the task, with its uncommitted files, to `quarantine`, a
    /// temporary repository. Returns that or, if everything is committed, the tip of the task's
    /// branch.
    pub(super) fn commit(&self, quarantine: &Quarantine) -> Result<ObjectId> {
        match &self.work.uncommitted {
            Some(tree) => quarantine.objects().write_commit(tree, &[&self.work.tip]),
            None => Ok(self.work.tip.clone()),
        }
    }

    /// Returns the trial merge of all work of the task, also uncommitted files, into its target.
    /// Does not run it, but may write a commit of that work to `quarantine`.
    pub(super) fn landing_merge(&self, quarantine: &Quarantine) -> Result<TrialMerge> {
        Ok(TrialMerge {
            ours: self.work.target.clone(),
            theirs: self.commit(quarantine)?,
        })
    }

    /// Writes a commit on top of the target, with the tree of [`Self::merged_tree`], to
    /// `quarantine`, a temporary repository. Returns `None` if there is no such tree.
    pub(super) fn merged_commit(&self, quarantine: &Quarantine) -> Result<Option<ObjectId>> {
        let Some(tree) = self.merged_tree() else {
            return Ok(None);
        };
        let commit = quarantine
            .objects()
            .write_commit(tree, &[&self.work.target])?;
        Ok(Some(commit))
    }

    /// Returns the target's tree with all work merged; files that conflict with the target have
    /// markers in it.
    pub(super) fn merged_tree(&self) -> Option<&ObjectId> {
        let landing = self.landing.as_ref()?;
        landing.merged.as_ref().ok().map(|merged| &merged.tree)
    }

    /// Returns the paths that the task itself has changed since its last common commit with the
    /// target; `None` without a common commit, or if objects cannot be read. `history` is the
    /// repository, `objects` has the task's objects, also those of uncommitted files.
    pub(super) fn own(&self, history: &Repo, objects: &Repo) -> Option<&Touched> {
        let own = self.own.get_or_init(|| {
            let base = history
                .merge_base(&self.work.tip, &self.work.target)
                .ok()??;
            let base = objects.tree_of(&base).ok()?;
            objects.touched(&base, &self.work.tree(objects).ok()?).ok()
        });
        own.as_ref()
    }
}
