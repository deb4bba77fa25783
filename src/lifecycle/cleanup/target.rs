//! Finds the target that a task is merged into.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Error, Result, bail};

use super::called_command::{CalledCommand, into_option};
use super::options::{Branch, Options};
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{
    GitKilled, Integrated, MergePlan, ObjectId, Repo, Style, Unrelated, Worktree, admin, identity,
};
use crate::lifecycle::branch_uses::BranchUses;
use crate::settings::table;
use crate::store::Store;
use crate::task::{BranchName, RefName, Task};
use crate::ui::{quoted, shown, word};

/// The destination of a task's commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    Merge(MergeTarget),
    /// They are in this commit already.
    MergedIn {
        /// The name of the commit: a branch, a remote branch or an object name.
        name: String,
        commit: ObjectId,
        how: Integrated,
    },
    /// They are dropped with the branch.
    Dropped,
}

impl Destination {
    /// Returns the purposes of `--commit` and of `--discard` in hints about uncommitted files.
    pub(super) fn purposes(&self) -> [&'static str; 2] {
        match self {
            Self::Dropped => [
                "to commit them first",
                "to discard them (they can be restored)",
            ],
            Self::Merge(_) | Self::MergedIn { .. } => {
                ["to commit and merge", "to merge only what is committed"]
            }
        }
    }
}

/// The branch that a task is merged into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MergeTarget {
    pub(crate) branch: BranchName,
    pub(crate) tip: ObjectId,
    /// The worktree that has it checked out.
    pub(crate) worktree: Option<PathBuf>,
    pub(crate) style: Style,
    pub(crate) merge: MergePlan,
}

impl MergeTarget {
    pub(crate) fn branch_ref(&self) -> RefName {
        self.branch.full()
    }

    /// Plans the merge of the task's commits, up to `tip`, into this branch, without changing
    /// anything. If the histories are unrelated or git is killed, the error has the command of a
    /// manual merge.
    pub(super) fn plan(
        &self,
        flux: &Flux,
        (task, command): (&Task, &CalledCommand),
        tip: &ObjectId,
    ) -> Result<MergePlan> {
        MergePlan::make(&flux.repo, &self.tip, tip, self.style)
            .map_err(|error| explain_unmergeable(error, command, task, &self.branch))
    }
}

/// The search for the destination of a task's commits.
pub(super) struct TargetSearch<'a> {
    pub(super) flux: &'a Flux,
    pub(super) store: &'a Store,
    pub(super) task: &'a Task,
    pub(super) tip: &'a ObjectId,
    pub(super) options: &'a Options,
    pub(super) worktrees: &'a [Worktree],
}

impl TargetSearch<'_> {
    /// Finds the destination of the task's commits, with a description (`None` if they are
    /// dropped). Fails if the target branch is missing or cannot be moved, or if the commit of
    /// `--merged=<commit>` lacks commits of the task.
    pub(super) fn find(&self) -> Result<(Destination, Option<String>)> {
        let (flux, task) = (self.flux, self.task);
        Ok(match &self.options.branch {
            Branch::Discard => (Destination::Dropped, None),
            Branch::Merge { style, .. } => {
                let into = self.find_branch(*style)?;
                let place = match &into.worktree {
                    Some(path) => format!("checked out in '{}'", shown(path)),
                    None => "checked out nowhere".to_owned(),
                };
                let why = format!("'{}', {place}", into.branch);
                (Destination::Merge(into), Some(why))
            }
            Branch::MergedIn { name, commit } => {
                let plan = MergePlan::make(&flux.repo, commit, self.tip, Style::Merge)?;
                let MergePlan::UpToDate(how) = plan else {
                    let what = format!("'{name}' lacks commits of '{}'", task.branch);
                    let into = task.into.as_deref().map(into_option);
                    let into = into.unwrap_or("--into <branch>".to_owned());
                    let hint = format!("to merge it now: {}", self.command(&into));
                    bail!(Failure::new(what).hint(hint));
                };
                let (name, commit) = (name.clone(), commit.clone());
                let why = format!("'{name}' contains its commits");
                (Destination::MergedIn { name, commit, how }, Some(why))
            }
        })
    }

    /// Finds the branch of `--into`, or else the task's target, and plans the merge. Fails if that
    /// branch does not exist, is the task's own, would have to move but cannot, or if its worktree
    /// is gone or has an operation in progress.
    fn find_branch(&self, style: Style) -> Result<MergeTarget> {
        let (flux, store, task) = (self.flux, self.store, self.task);
        let id = &task.id;
        let hint = format!("to name its target: {}", self.command("--into <branch>"));
        let Some(named) = self.named().or(task.into.as_ref()) else {
            let what = format!("'{id}' did not start from a branch");
            bail!(Failure::new(what).hint(hint));
        };
        let branch = store.resolve_symbolic(named)?;
        let tip = store
            .tip(&branch)
            .with_context(|| self.missing_branch(&branch))?;
        if identity::is_same_ref(flux.repo.common_dir(), &branch.full(), &task.branch_ref()) {
            bail!(Failure::new(format!("'{branch}' cannot be merged into itself")).hint(hint));
        }
        let uses = BranchUses::find(flux, store, self.worktrees, &branch)?;
        let worktree = uses.worktree().map(ToOwned::to_owned);
        if let Some(path) = &worktree {
            self.ensure_ready(&branch, path)?;
        }
        let merge = MergePlan::make(&flux.repo, tip, self.tip, style)
            .map_err(|error| explain_unmergeable(error, &self.options.command, task, &branch))?;
        if !matches!(merge, MergePlan::UpToDate(_)) {
            uses.ensure_movable(&task.branch)?;
        }
        let tip = tip.to_owned();
        Ok(MergeTarget {
            branch,
            tip,
            worktree,
            style,
            merge,
        })
    }

    /// Returns the branch of `--into`; `None` without this option.
    fn named(&self) -> Option<&BranchName> {
        match &self.options.branch {
            Branch::Merge { into, .. } => into.as_ref(),
            Branch::MergedIn { .. } | Branch::Discard => None,
        }
    }

    fn missing_branch(&self, branch: &BranchName) -> Failure {
        let id = &self.task.id;
        let what = format!("there is no branch '{branch}' to merge '{id}' into");
        let mut settings = [&table::BRANCH_INTO, &table::INTO].into_iter();
        let origin_hint = |s| self.flux.settings.origin_hint(s, &self.task.branch, branch);
        let origin_hint = settings
            .find_map(origin_hint)
            .filter(|_| self.named().is_none());
        let failure = origin_hint
            .into_iter()
            .fold(Failure::new(what), Failure::hint);
        failure
            .hint(format!(
                "to merge it elsewhere: {}",
                self.command("--into <branch>")
            ))
            .hint(format!(
                "to remove it without a merge: {}",
                self.options.command.cleanup_with(id, "--discard-branch")
            ))
    }

    /// Fails if the worktree at `path`, which has `branch` checked out, is gone, or has an
    /// operation such as a merge or rebase in progress.
    fn ensure_ready(&self, branch: &BranchName, path: &Path) -> Result<()> {
        let (repo, place) = (&self.flux.repo, shown(path));
        if !fs::exists(path).context("could not read a worktree")? {
            let mut what = format!("the worktree of '{branch}' is gone: there is no '{place}'");
            let repair = match admin::find_moved_beside(repo.common_dir(), path) {
                Some(moved) => {
                    what += &format!("; it was moved to '{}'", shown(&moved));
                    format!(
                        "to tell git where it is: git worktree repair {}",
                        quoted(&moved)
                    )
                }
                None => "to remove it from the list of worktrees: git worktree prune".to_owned(),
            };
            let then = format!("then: {}", self.command(""));
            bail!(Failure::new(what).hint(repair).hint(then));
        }
        if let Some(operation) = Repo::operation(&repo.checkout(path)?)? {
            let what = format!("a {operation} is in progress on '{branch}' in '{place}'");
            let hint = format!(
                "to see how to finish or abort it: git -C {} status",
                quoted(path)
            );
            bail!(Failure::new(what).hint(hint));
        }
        Ok(())
    }

    /// Returns the command that the user has called, with these options.
    fn command(&self, options: &str) -> String {
        self.options.command.with(&self.task.id, options)
    }
}

/// Adds the command of a manual merge in the task's worktree to the error of a merge, if the
/// histories are unrelated or git was killed; returns any other error unchanged.
fn explain_unmergeable(
    error: Error,
    command: &CalledCommand,
    task: &Task,
    into: &BranchName,
) -> Error {
    let (branch, path) = (&task.branch, quoted(&task.worktree));
    let by_hand = |options: &str| {
        let into = word(into);
        format!("merge it in the task's worktree: git -C {path} {options} {into}")
    };
    let into_other = |into: &str| command.with(&task.id, &into_option(into));
    let failure = if error.is::<Unrelated>() {
        let failure = Failure::new(format!("'{branch}' cannot be merged into '{into}'"));
        let other = task.into.as_ref().filter(|other| *other != into);
        let other = other.map(|other| into_other(other));
        let failure = other.into_iter().fold(failure, Failure::hint);
        failure.hint(by_hand("merge --allow-unrelated-histories"))
    } else if error.is::<GitKilled>() {
        // git is known to die of directory renames.
        Failure::new(format!("git was killed merging '{branch}' into '{into}'"))
            .hint(by_hand("-c merge.directoryRenames=false merge"))
    } else {
        return error;
    };
    error.context(failure.hint(format!("then: {}", into_other(into))))
}
