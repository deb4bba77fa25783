//! Where a task's work goes.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::failure::Failure;
use crate::git::{Integrated, MergePlan, Repo, Style, Worktree, admin, refs, same};
use crate::lifecycle::Flux;
use crate::lifecycle::checked_out::BranchUses;
use crate::settings::table;
use crate::store::Store;
use crate::task::Task;
use crate::ui::{quoted, shown, word};

/// Where a task's work goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Into {
    pub(crate) branch: String,
    pub(crate) tip: String,
    /// The worktree that has it checked out.
    pub(crate) worktree: Option<PathBuf>,
    pub(crate) style: Style,
    pub(crate) merge: MergePlan,
}

/// What becomes of a task's commits, as it was asked for.
#[derive(Clone, Debug)]
pub(crate) enum Wanted<'a> {
    /// They are dropped.
    Nothing,
    /// They come into this branch, or the one that the task belongs to.
    Merge { into: Option<&'a str>, style: Style },
    /// They are in this commit, which has a name, already.
    In { name: String, commit: String },
}

/// A commit that has the work of a task, wherever it was merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MergedIn {
    /// What the commit was called: a branch, also of a remote, or its object name.
    pub(crate) name: String,
    pub(crate) commit: String,
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
        tip: &str,
        (name, commit): (String, String),
    ) -> Result<Self> {
        match MergePlan::make(&flux.repo, &commit, tip, Style::Merge)? {
            MergePlan::UpToDate(how) => Ok(Self { name, commit, how }),
            _ => Err(
                Failure::new(format!("'{name}' has not all of '{}'", task.branch))
                    .hint(format!("git flux cleanup {}", task.id))
                    .into(),
            ),
        }
    }
}

impl Into {
    /// `refs/heads/<branch>`
    pub(crate) fn branch_ref(&self) -> String {
        format!("refs/heads/{}", self.branch)
    }

    /// The branch and where it is checked out, for people.
    pub(super) fn place(&self) -> String {
        match &self.worktree {
            Some(worktree) => format!("'{}', checked out in '{}'", self.branch, shown(worktree)),
            None => format!("'{}', checked out nowhere", self.branch),
        }
    }

    /// Finds the branch and how the task can be merged into it.
    ///
    /// # Errors
    /// When there is none, or it cannot be merged into.
    pub(super) fn find(
        flux: &Flux,
        store: &Store,
        task: &Task,
        tip: &str,
        (into, style): (Option<&str>, Style),
        worktrees: &[Worktree],
    ) -> Result<Self> {
        let id = &task.id;
        let typed = into.map(refs::short);
        let named = typed.or(task.into.as_deref()).with_context(|| {
            Failure::new(format!("'{id}' did not start from a branch"))
                .hint(format!("git flux cleanup {id} --into <branch>"))
        })?;
        let branch = store.resolve(named)?;
        let target = store.tip(branch).with_context(|| {
            let failure = Failure::new(format!(
                "there is no branch '{branch}' to merge '{id}' into"
            ));
            let settings = [&table::BRANCH_INTO, &table::INTO].into_iter();
            let whence = settings
                .filter_map(|s| flux.settings.whence(s, &task.branch, branch))
                .next()
                .filter(|_| typed.is_none());
            let failure = whence.into_iter().fold(failure, Failure::hint);
            failure
                .hint(format!("git flux cleanup {id} --into <branch>"))
                .hint(format!("git flux cleanup {id} --discard-branch"))
        })?;
        let name = format!("refs/heads/{branch}");
        if same::is_same_ref(flux.repo.common_dir(), &name, &task.branch_ref()) {
            return Err(
                Failure::new(format!("'{branch}' cannot be merged into itself"))
                    .hint(format!("git flux cleanup {id} --into <branch>"))
                    .into(),
            );
        }
        let uses = BranchUses::find(flux, store, worktrees, branch)?;
        let worktree = uses.worktree().map(ToOwned::to_owned);
        if let Some(path) = &worktree
            && !fs::exists(path).context("could not look at a worktree")?
        {
            let again = match admin::moved_beside(flux.repo.common_dir(), path) {
                Some(moved) => format!("git worktree repair {}", quoted(&moved)),
                None => "git worktree prune".to_owned(),
            };
            let path = shown(path);
            let named = typed.map(|typed| format!(" --into {}", word(typed)));
            let named = named.unwrap_or_default();
            return Err(
                Failure::new(format!("the worktree of '{branch}' is gone: '{path}'"))
                    .hint(again)
                    .hint(format!("then: git flux cleanup {id}{named}"))
                    .into(),
            );
        }
        if let Some(path) = &worktree
            && let Some(operation) = Repo::operation(&flux.repo.checkout(path)?)?
        {
            return Err(Failure::new(format!(
                "a {operation} is in progress on '{branch}' in '{}'",
                shown(path)
            ))
            .hint(format!(
                "finish or abort it: git -C {} status",
                quoted(path)
            ))
            .into());
        }
        let merge = MergePlan::make(&flux.repo, target, tip, style)?;
        if !matches!(merge, MergePlan::UpToDate(_)) {
            uses.ensure_movable(&task.branch)?;
        }
        Ok(Self {
            branch: branch.to_owned(),
            tip: target.to_owned(),
            worktree,
            style,
            merge,
        })
    }
}
