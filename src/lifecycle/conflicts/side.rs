//! The tasks that are compared.

use std::cell::OnceCell;

use anyhow::{Context as _, Result};

use super::cache::Landing;
use crate::failure;
use crate::git::conflicts::merge_batch::{ConflictFile, TrialMerge};
use crate::git::conflicts::quarantine::Quarantine;
use crate::git::conflicts::touched::Touched;
use crate::git::{ObjectId, Repo};
use crate::lifecycle::observe::{ObservedTask, WorktreeState};
use crate::lifecycle::work::Work;
use crate::task::TaskId;

/// What a task itself has changed.
pub(super) struct OwnChange {
    /// Its last common commit with the target.
    pub(super) base: ObjectId,
    pub(super) touched: Touched,
}

/// A task to compare with others.
pub(super) struct Side {
    pub(super) id: TaskId,
    pub(super) work: Work,
    /// The merge into the target, once it is known.
    pub(super) landing: Option<Landing>,
    /// The files that an unfinished merge in its worktree has left unmerged: whatever git makes of
    /// the work, these are conflicts.
    pub(super) unmerged: Vec<ConflictFile>,
    own: OnceCell<Result<OwnChange, String>>,
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

    /// Returns what the task itself has changed since its last common commit with the target, or in
    /// words why that is unknown: there is no common commit, or objects cannot be read. `history`
    /// is the repository, `objects` has the task's objects, also those of uncommitted files.
    pub(super) fn own(&self, history: &Repo, objects: &Repo) -> Result<&OwnChange, &str> {
        let find = || {
            let base = history.merge_base(&self.work.tip, &self.work.target)?;
            let base = base.with_context(|| {
                let id = &self.id;
                format!("'{id}' has no commit in common with its target")
            })?;
            let tree = objects.tree_of(&base)?;
            let touched = objects.touched(&tree, &self.work.tree(objects)?)?;
            anyhow::Ok(OwnChange { base, touched })
        };
        let own = self
            .own
            .get_or_init(|| find().map_err(|error| failure::reason(&error)));
        own.as_ref().map_err(String::as_str)
    }
}
