//! Where a task's work goes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Error, Result};

use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{
    Died, Integrated, MergePlan, ObjectId, Repo, Style, Unrelated, Worktree, admin, refs, same,
};
use crate::lifecycle::checked_out::BranchUses;
use crate::settings::table;
use crate::store::Store;
use crate::task::{BranchName, RefName, Task};
use crate::ui::{quoted, shown, word};

/// Where a task's work goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MergeTarget {
    pub(crate) branch: BranchName,
    pub(crate) tip: ObjectId,
    /// The worktree that has it checked out.
    pub(crate) worktree: Option<PathBuf>,
    pub(crate) style: Style,
    pub(crate) merge: MergePlan,
}

/// A commit that has the work of a task, wherever it was merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MergedIn {
    /// What the commit was called: a branch, also of a remote, or its object name.
    pub(crate) name: String,
    pub(crate) commit: ObjectId,
    pub(crate) how: Integrated,
}

impl MergedIn {
    /// Finds out whether a commit has everything that the branch of a task has at `tip`.
    ///
    /// # Errors
    /// When it has not, or that cannot be told.
    pub(super) fn find(
        flux: &Flux,
        task: &Task,
        tip: &ObjectId,
        (name, commit): (&str, &ObjectId),
    ) -> Result<Self> {
        match MergePlan::make(&flux.repo, commit, tip, Style::Merge)? {
            MergePlan::UpToDate(how) => Ok(Self {
                name: name.to_owned(),
                commit: commit.to_owned(),
                how,
            }),
            _ => Err(
                Failure::new(format!("'{name}' has not all of '{}'", task.branch))
                    .hint(format!("git flux cleanup {}", task.id))
                    .into(),
            ),
        }
    }
}

impl MergeTarget {
    /// `refs/heads/<branch>`
    pub(crate) fn branch_ref(&self) -> RefName {
        self.branch.full()
    }

    /// The branch and where it is checked out, for people.
    pub(super) fn place(&self) -> String {
        match &self.worktree {
            Some(worktree) => format!("'{}', checked out in '{}'", self.branch, shown(worktree)),
            None => format!("'{}', checked out nowhere", self.branch),
        }
    }

    /// Plans the merge of a task with this tip.
    ///
    /// # Errors
    /// When they cannot be merged at all, or git fails.
    pub(super) fn plan(&self, flux: &Flux, task: &Task, tip: &ObjectId) -> Result<MergePlan> {
        MergePlan::make(&flux.repo, &self.tip, tip, self.style)
            .map_err(|error| explain(error, task, &self.branch))
    }
}

/// The search for the branch that a task is merged into.
pub(super) struct TargetSearch<'a> {
    pub(super) flux: &'a Flux,
    pub(super) store: &'a Store,
    pub(super) task: &'a Task,
    pub(super) tip: &'a ObjectId,
    /// The branch that was named on the command line.
    pub(super) typed: Option<&'a str>,
    pub(super) worktrees: &'a [Worktree],
}

impl TargetSearch<'_> {
    /// Finds the branch and how the task can be merged into it.
    ///
    /// # Errors
    /// When there is none, or it cannot be merged into.
    pub(super) fn find(&self, style: Style) -> Result<MergeTarget> {
        let (flux, store, task) = (self.flux, self.store, self.task);
        let id = &task.id;
        let typed = self.typed.map(refs::short);
        let named = typed.or(task.into.as_deref()).with_context(|| {
            Failure::new(format!("'{id}' did not start from a branch"))
                .hint(format!("git flux cleanup {id} --into <branch>"))
        })?;
        let branch = store.resolve(named)?;
        let tip = store.tip(branch).with_context(|| self.no_branch(branch))?;
        let name = format!("refs/heads/{branch}");
        if same::is_same_ref(flux.repo.common_dir(), &name, &task.branch_ref()) {
            return Err(
                Failure::new(format!("'{branch}' cannot be merged into itself"))
                    .hint(format!("git flux cleanup {id} --into <branch>"))
                    .into(),
            );
        }
        let uses = BranchUses::find(flux, store, self.worktrees, branch)?;
        let worktree = uses.worktree().map(ToOwned::to_owned);
        if let Some(path) = &worktree {
            self.ensure_ready(branch, path)?;
        }
        let merge = MergePlan::make(&flux.repo, tip, self.tip, style)
            .map_err(|error| explain(error, task, branch))?;
        if !matches!(merge, MergePlan::UpToDate(_)) {
            uses.ensure_movable(&task.branch)?;
        }
        Ok(MergeTarget {
            branch: BranchName::new(branch),
            tip: tip.to_owned(),
            worktree,
            style,
            merge,
        })
    }

    fn no_branch(&self, branch: &str) -> Failure {
        let id = &self.task.id;
        let failure = Failure::new(format!(
            "there is no branch '{branch}' to merge '{id}' into"
        ));
        let mut settings = [&table::BRANCH_INTO, &table::INTO].into_iter();
        let whence = |s| self.flux.settings.whence(s, &self.task.branch, branch);
        let whence = settings.find_map(whence).filter(|_| self.typed.is_none());
        let failure = whence.into_iter().fold(failure, Failure::hint);
        failure
            .hint(format!("git flux cleanup {id} --into <branch>"))
            .hint(format!("git flux cleanup {id} --discard-branch"))
    }

    /// Fails if the worktree at `path`, which has `branch` checked out, is gone, or an operation
    /// is in progress in it.
    fn ensure_ready(&self, branch: &str, path: &Path) -> Result<()> {
        let repo = &self.flux.repo;
        if !fs::exists(path).context("could not look at a worktree")? {
            let again = match admin::moved_beside(repo.common_dir(), path) {
                Some(moved) => format!("git worktree repair {}", quoted(&moved)),
                None => "git worktree prune".to_owned(),
            };
            let typed = self.typed.map(refs::short);
            let named = typed.map(|typed| format!(" --into {}", word(typed)));
            let then = format!(
                "git flux cleanup {}{}",
                self.task.id,
                named.unwrap_or_default()
            );
            let path = shown(path);
            return Err(
                Failure::new(format!("the worktree of '{branch}' is gone: '{path}'"))
                    .hint(again)
                    .hint(format!("then: {then}"))
                    .into(),
            );
        }
        let Some(operation) = Repo::operation(&repo.checkout(path)?)? else {
            return Ok(());
        };
        Err(Failure::new(format!(
            "a {operation} is in progress on '{branch}' in '{}'",
            shown(path)
        ))
        .hint(format!(
            "finish or abort it: git -C {} status",
            quoted(path)
        ))
        .into())
    }
}

/// Adds to an error why a task and the branch `into` cannot be merged at all, with a merge by hand:
/// once that is done, nothing of the branch is missing in the task.
fn explain(error: Error, task: &Task, into: &str) -> Error {
    let (id, branch) = (&task.id, &task.branch);
    let merge = |options: &str| {
        let (path, into) = (quoted(&task.worktree), word(into));
        format!("merge it in the task's worktree: git -C {path} {options} {into}")
    };
    let then = format!("then: git flux cleanup {id} --into {}", word(into));
    if error.is::<Unrelated>() {
        let failure = Failure::new(format!("'{branch}' cannot be merged into '{into}'"));
        let other = task.into.as_ref().filter(|other| *other != into);
        let other = other.map(|other| format!("git flux cleanup {id} --into {}", word(other)));
        let failure = other.into_iter().fold(failure, Failure::hint);
        let failure = failure.hint(merge("merge --allow-unrelated-histories"));
        return error.context(failure.hint(then));
    }
    if error.is::<Died>() {
        let failure = Failure::new(format!("git cannot merge '{branch}' into '{into}'"));
        // Where it dies, it is for the renames of directories.
        let failure = failure.hint(merge("-c merge.directoryRenames=false merge"));
        return error.context(failure.hint(then));
    }
    error
}
