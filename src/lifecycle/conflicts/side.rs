//! The work of a task, as objects.

use std::cell::OnceCell;

use anyhow::{Result, bail};

use super::cache::Landing;
use crate::context::Flux;
use crate::git::conflicts::merge_batch::TrialMerge;
use crate::git::conflicts::quarantine::Quarantine;
use crate::git::conflicts::touched::Touched;
use crate::git::{ObjectId, Repo};
use crate::lifecycle::observe::{ObservedTask, WorktreeState};
use crate::store::Store;
use crate::task::{BranchName, Phase, State, TaskId};

/// The work of a task: the commits of its branch, and what is uncommitted or untracked in its
/// worktree.
pub(super) struct Side {
    pub(super) id: TaskId,
    pub(super) tip: ObjectId,
    /// The tree of all its work, if not all is committed.
    pub(super) uncommitted: Option<ObjectId>,
    /// The branch that it will be merged into, if that exists.
    pub(super) into: Option<BranchName>,
    /// The tip of that branch, or else the task's base.
    pub(super) target: ObjectId,
    /// The merge into the target, once it is known.
    pub(super) landing: Option<Landing>,
    own: OnceCell<Option<Touched>>,
}

/// The quarantine, made on first use.
pub(super) struct LazyQuarantine<'a> {
    repo: &'a Repo,
    made: OnceCell<Quarantine>,
}

impl<'a> LazyQuarantine<'a> {
    pub(super) fn new(repo: &'a Repo) -> Self {
        let made = OnceCell::new();
        Self { repo, made }
    }

    pub(super) fn get(&self) -> Result<&Quarantine> {
        if let Some(made) = self.made.get() {
            return Ok(made);
        }
        let made = Quarantine::make(self.repo)?;
        Ok(self.made.get_or_init(|| made))
    }

    pub(super) fn into_inner(self) -> Option<Quarantine> {
        self.made.into_inner()
    }
}

impl Side {
    /// Returns the work of an observed task; `None` if a command just starts or removes it, or if
    /// its worktree belongs to another repository.
    ///
    /// # Errors
    /// If it is not known: its branch is gone, its worktree cannot be read, or is on another
    /// commit.
    pub(super) fn of(
        flux: &Flux,
        store: &Store,
        observed: &ObservedTask,
        quarantine: &LazyQuarantine,
    ) -> Result<Option<Self>> {
        let (status, task) = (&observed.status, &observed.status.task);
        if task.phase != Phase::Active || status.state == State::Elsewhere {
            return Ok(None);
        }
        let Some(tip) = store.tip(&task.branch) else {
            bail!("its branch is gone");
        };
        let uncommitted = match &observed.work {
            WorktreeState::Missing => None,
            WorktreeState::Unreadable => bail!("its worktree cannot be read"),
            WorktreeState::Read { head, .. } if *tip != head.oid.as_str() => {
                bail!("its worktree has another commit checked out")
            }
            WorktreeState::Read { files, .. } if files.is_empty() => None,
            WorktreeState::Read { files, .. } => {
                let checkout = flux.repo.checkout(&task.worktree)?;
                Some(quarantine.get()?.write_work(&checkout, tip, files)?)
            }
        };
        let into = task.into.clone().filter(|into| store.tip(into).is_some());
        let target = into.as_ref().and_then(|into| store.tip(into));
        Ok(Some(Self {
            id: task.id.clone(),
            tip: tip.clone(),
            uncommitted,
            target: target.unwrap_or(&task.base).clone(),
            into,
            landing: None,
            own: OnceCell::new(),
        }))
    }

    /// Returns the tree of all work. `objects` is the quarantine, or the repository if everything is
    /// committed.
    pub(super) fn tree(&self, objects: &Repo) -> Result<ObjectId> {
        match &self.uncommitted {
            Some(tree) => Ok(tree.clone()),
            None => objects.tree_of(&self.tip),
        }
    }

    /// Writes a commit of all work to the quarantine, or returns the tip if everything is
    /// committed.
    pub(super) fn commit(&self, quarantine: &Quarantine) -> Result<ObjectId> {
        match &self.uncommitted {
            Some(tree) => quarantine.objects().write_commit(tree, &[&self.tip]),
            None => Ok(self.tip.clone()),
        }
    }

    /// Returns the merge of all work into the target.
    pub(super) fn landing_merge(&self, quarantine: &Quarantine) -> Result<TrialMerge> {
        Ok(TrialMerge {
            ours: self.target.clone(),
            theirs: self.commit(quarantine)?,
        })
    }

    /// Writes a commit on top of the target with all work merged, or returns `None` if that merge
    /// has no result.
    pub(super) fn merged_commit(&self, quarantine: &Quarantine) -> Result<Option<ObjectId>> {
        let Some(tree) = self.merged_tree() else {
            return Ok(None);
        };
        let commit = quarantine.objects().write_commit(tree, &[&self.target])?;
        Ok(Some(commit))
    }

    /// Returns the target's tree with all work merged; files that conflict with the target have
    /// markers in it.
    pub(super) fn merged_tree(&self) -> Option<&ObjectId> {
        let landing = self.landing.as_ref()?;
        landing.merged.as_ref().ok().map(|merged| &merged.tree)
    }

    /// Returns the paths that the task itself has changed since it left the target; `None` if it
    /// has no commit in common with the target, or if they cannot be read. `history` is
    /// the repository, `objects` may be the quarantine.
    pub(super) fn own(&self, history: &Repo, objects: &Repo) -> Option<&Touched> {
        let own = self.own.get_or_init(|| {
            let base = history.merge_base(&self.tip, &self.target).ok()??;
            let base = objects.tree_of(&base).ok()?;
            objects.touched(&base, &self.tree(objects).ok()?).ok()
        });
        own.as_ref()
    }
}
