//! The work of a task, as objects: its commits, and what is uncommitted or untracked in its worktree.

use std::cell::OnceCell;
use std::fs;

use anyhow::{Context as _, Result, bail};

use crate::context::Flux;
use crate::git::conflicts::quarantine::Quarantine;
use crate::git::{Ignored, ObjectId, Repo, admin, full_status};
use crate::lifecycle::observe::{ObservedTask, WorktreeState};
use crate::store::Store;
use crate::task::{BranchName, Phase, State, Task};

/// The work of a task.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub(crate) tip: ObjectId,
    /// The tree of all its work, if not all is committed.
    pub(crate) uncommitted: Option<ObjectId>,
    /// The branch that it will be merged into, if that exists.
    pub(crate) into: Option<BranchName>,
    /// The tip of that branch, or else the task's base.
    pub(crate) target: ObjectId,
}

/// The quarantine, made on first use.
pub(crate) struct LazyQuarantine<'a> {
    repo: &'a Repo,
    made: OnceCell<Quarantine>,
}

impl<'a> LazyQuarantine<'a> {
    pub(crate) fn new(repo: &'a Repo) -> Self {
        let made = OnceCell::new();
        Self { repo, made }
    }

    pub(crate) fn get(&self) -> Result<&Quarantine> {
        if let Some(made) = self.made.get() {
            return Ok(made);
        }
        let made = Quarantine::make(self.repo)?;
        Ok(self.made.get_or_init(|| made))
    }

    /// Returns the temporary repository if it was made already. Does not make it.
    pub(crate) fn made(&self) -> Option<&Quarantine> {
        self.made.get()
    }
}

impl Work {
    /// Returns the work of an observed task, its commits and uncommitted files, as objects; `None`
    /// if a command just starts or removes it, or if its worktree belongs to another repository.
    ///
    /// # Errors
    /// If its branch is gone, or its worktree cannot be read, is on another commit, or is not found
    /// although git did not remove it.
    pub(in crate::lifecycle) fn of(
        flux: &Flux,
        store: &Store,
        observed: &ObservedTask,
        quarantine: &LazyQuarantine,
    ) -> Result<Option<Self>> {
        let (status, task) = (&observed.status, &observed.status.task);
        if task.phase != Phase::Active || status.state == State::Elsewhere {
            return Ok(None);
        }
        let mut work = Self::committed(store, task)?;
        work.add_changes(flux, task, &observed.work, quarantine)?;
        Ok(Some(work))
    }

    /// Reads the work of a task, its commits and uncommitted files: `git status` in its worktree.
    /// Fails as [`Work::of`] does.
    pub(in crate::lifecycle) fn read(
        flux: &Flux,
        store: &Store,
        task: &Task,
        quarantine: &LazyQuarantine,
    ) -> Result<Self> {
        let mut work = Self::committed(store, task)?;
        let state = match task.worktree.join(".git").exists() {
            false => WorktreeState::Missing,
            true => {
                let checkout = flux.repo.checkout(&task.worktree)?;
                let (head, files) = full_status(&checkout, Ignored::LeftOut)?;
                WorktreeState::Read { head, files }
            }
        };
        work.add_changes(flux, task, &state, quarantine)?;
        Ok(work)
    }

    fn committed(store: &Store, task: &Task) -> Result<Self> {
        let Some(tip) = store.tip(&task.branch) else {
            bail!("its branch is gone");
        };
        let into = task.into.clone().filter(|into| store.tip(into).is_some());
        let target = into.as_ref().and_then(|into| store.tip(into));
        Ok(Self {
            tip: tip.clone(),
            uncommitted: None,
            target: target.unwrap_or(&task.base).clone(),
            into,
        })
    }

    fn add_changes(
        &mut self,
        flux: &Flux,
        task: &Task,
        state: &WorktreeState,
        quarantine: &LazyQuarantine,
    ) -> Result<()> {
        self.uncommitted = match state {
            WorktreeState::Missing => {
                ensure_removed(flux, task)?;
                None
            }
            WorktreeState::Unreadable => bail!("its worktree cannot be read"),
            WorktreeState::Read { head, .. } if self.tip != head.oid.as_str() => {
                bail!("its worktree is not at the tip of its branch")
            }
            WorktreeState::Read { files, .. } if files.is_empty() => None,
            WorktreeState::Read { files, .. } => {
                let checkout = flux.repo.checkout(&task.worktree)?;
                Some(quarantine.get()?.write_work(&checkout, &self.tip, files)?)
            }
        };
        Ok(())
    }

    /// Returns the tree of all files of the task, uncommitted ones included. `objects` is a
    /// repository that has the branch's tip.
    pub(crate) fn tree(&self, objects: &Repo) -> Result<ObjectId> {
        match &self.uncommitted {
            Some(tree) => Ok(tree.clone()),
            None => objects.tree_of(&self.tip),
        }
    }

    /// Returns the names that decide about every result for this work: those of the target's
    /// commit, the tip, and the tree with uncommitted files, `committed` if there are none.
    pub(in crate::lifecycle) fn key(&self) -> [&str; 3] {
        let tree = self.uncommitted.as_deref().unwrap_or("committed");
        [&self.target, &self.tip, tree]
    }
}

/// Fails if the worktree of a task, which was not found, may have uncommitted files: something else
/// is at its path, or git has not removed it, as when it was moved.
fn ensure_removed(flux: &Flux, task: &Task) -> Result<()> {
    let path = &task.worktree;
    let what = || format!("could not access '{}'", path.display());
    if fs::exists(path).with_context(what)? {
        bail!("its worktree cannot be read");
    }
    if admin::may_exist_elsewhere(flux.repo.common_dir(), path, &task.branch_ref())? {
        bail!("its worktree is gone");
    }
    Ok(())
}
