//! The files to test.

use anyhow::Result;

use crate::context::Flux;
use crate::git::{Change, Ignored, ObjectId, full_status, snapshot};
use crate::task::Task;
use crate::ui::shown;

/// The files to test: a tree, and a commit of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) commit: ObjectId,
    pub(crate) tree: ObjectId,
}

/// The files of a task.
pub(crate) enum Subject {
    Candidate(Candidate),
    /// There is nothing to test, for this reason.
    Untestable(String),
}

impl Candidate {
    /// Returns what to test for a commit: the commit and its tree.
    pub(crate) fn of(flux: &Flux, commit: ObjectId) -> Result<Self> {
        let tree = flux.repo.tree_of(&commit)?;
        Ok(Self { commit, tree })
    }
}

impl Subject {
    /// Finds the files of a task as they are now: the commit in its worktree, or a snapshot of its
    /// uncommitted files, also those that `git status` hides, which no ref points to. Changes
    /// neither index nor files.
    pub(crate) fn of_task(flux: &Flux, task: &Task) -> Result<Self> {
        let checkout = flux.repo.checkout(&task.worktree)?;
        let (head, changes) = full_status(&checkout, Ignored::LeftOut)?;
        let untestable = |why: String| Ok(Self::Untestable(why));
        if head.branch != *task.branch {
            return untestable(format!("'{}' is not checked out", task.branch));
        }
        let Some(tip) = ObjectId::parse(head.oid.as_bytes()) else {
            return untestable(format!("there is no commit on '{}'", task.branch));
        };
        let name = |change: &Change| shown(&change.path);
        if let Some(conflict) = changes.iter().find(|change| change.is_conflicted()) {
            return untestable(format!("'{}' has conflicts", name(conflict)));
        }
        if let Some(nested) = changes.iter().find(|change| change.is_repository()) {
            return untestable(format!("'{}' is a repository", name(nested)));
        }
        let commit = match changes.is_empty() {
            true => tip,
            false => snapshot::preview_commit_with_hidden(&checkout, &tip)?,
        };
        Candidate::of(flux, commit).map(Self::Candidate)
    }
}
