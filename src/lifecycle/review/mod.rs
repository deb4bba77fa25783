//! The changes of a task that the user has not looked at.
//!
//! `refs/flux/seen/<id>` is a commit with the files that the user has looked at, uncommitted and
//! untracked ones included; its parent is the commit that the branch was at. What the target has
//! brought into the task since, by a merge or a rebase, is carried into that tree; everything else
//! that differs from it now is unseen. Without such a commit, all that the task has changed is.

pub(in crate::lifecycle) mod counts;
mod seen;
mod unseen;

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;

pub(crate) use self::counts::UnseenCounts;
pub(crate) use self::seen::is_used;
use self::unseen::{LookedAt, Unseen};
use crate::context::Flux;
use crate::git::{ObjectId, Repo};
use crate::lifecycle::work::{LazyQuarantine, Work};
use crate::store::Store;
use crate::task::{Task, TaskId};

/// The part of a task's changes to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Unseen,
    /// All since it left the target.
    All,
}

/// The changes of a task to look at, as they are at one moment.
pub(crate) struct TaskReview<'a> {
    pub(crate) flux: &'a Flux,
    pub(crate) id: TaskId,
    work: Work,
    /// The object of `refs/flux/seen/<id>`, also if it was fetched.
    before: Option<ObjectId>,
    unseen: Unseen,
    quarantine: LazyQuarantine<'a>,
}

impl<'a> TaskReview<'a> {
    /// Reads the files of a task, and finds the changes to look at: those that the user has not
    /// seen or, with [`Scope::All`], all. Writes nothing in the repository.
    ///
    /// # Errors
    /// If its branch is gone, or its worktree cannot be read or is on another commit.
    pub(crate) fn find(flux: &'a Flux, store: &Store, task: &Task, scope: Scope) -> Result<Self> {
        let quarantine = LazyQuarantine::new(&flux.repo);
        let work = Work::read(flux, store, task, &quarantine)?;
        let seen = match scope {
            Scope::Unseen => store.seen(&flux.repo, &task.id),
            Scope::All => None,
        };
        let base = &task.base;
        let looked_at = LookedAt { seen, base };
        let unseen = Unseen::find(flux, &looked_at, &work, &quarantine)?;
        Ok(Self {
            flux,
            id: task.id.clone(),
            work,
            before: store.seen_object(&task.id).cloned(),
            unseen,
            quarantine,
        })
    }

    /// Returns the trees to compare: that of the files as the user has seen them or, if they are
    /// all to be shown, as the task started, and that of the present files.
    pub(crate) fn trees(&self) -> [&ObjectId; 2] {
        [&self.unseen.seen, &self.unseen.present]
    }

    /// Counts the files to look at; a renamed file counts once.
    pub(crate) fn count(&self) -> Result<usize> {
        self.unseen.count(self.objects()?)
    }

    /// Returns the files in which changes of the target conflict with what the user has seen: in
    /// these, all changes of the task are shown again.
    pub(crate) fn conflicts(&self) -> &[PathBuf] {
        &self.unseen.conflicts
    }

    /// Returns a repository that has the objects of both trees: a temporary one, whose alternate is
    /// this repository.
    pub(crate) fn objects(&self) -> Result<&Repo> {
        Ok(self.quarantine.get()?.objects())
    }

    /// Shows what is to be looked at, and returns git's exit code: `git diff <seen> <present>
    /// <args>`. Uses git's pager on a terminal.
    pub(crate) fn show(&self, args: &[OsString]) -> Result<i32> {
        self.quarantine.get()?.show_diff(self.trees(), args)
    }
}

/// Counts the files of a task that the user has not seen; `None` if that fails, or if [`is_used`]
/// is false, since nothing is reviewed in this repository.
pub(crate) fn count_unseen(flux: &Flux, store: &Store, task: &Task) -> Option<usize> {
    if !is_used(flux, store) {
        return None;
    }
    let quarantine = LazyQuarantine::new(&flux.repo);
    let work = Work::read(flux, store, task, &quarantine).ok()?;
    let mut counts = UnseenCounts::load(flux, store, &quarantine);
    let count = counts.count(task, &work);
    counts.save();
    count
}
