//! Merges, computed without a worktree, so that conflicts change nothing.

pub(crate) mod commit;
pub(crate) mod drivers;
pub(crate) mod fast_forward;
pub(crate) mod merge_tree;
pub(crate) mod rebase;
pub(crate) mod space;

use std::error::Error;
use std::fmt;

use anyhow::Result;
use strum::{EnumString, IntoStaticStr, VariantNames};

use self::merge_tree::{Conflict, MergeResult};
use self::rebase::{Compare, Pick};
use super::command::exit_error;
use super::{Checkout, Lock, ObjectId, Repo};
use crate::task::BranchName;

/// The way to merge a branch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoStaticStr, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase", const_into_str)]
pub(crate) enum Style {
    /// A merge commit, even if a fast-forward is possible.
    #[default]
    Merge,
    /// One commit.
    Squash,
    /// The commits, rebased.
    Rebase,
    /// A fast-forward only.
    #[strum(serialize = "ff-only")]
    FastForward,
}

/// The reason why a target already contains a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Integrated {
    /// It has the commits themselves.
    Ancestor,
    /// The commits change nothing in total.
    Cancelled,
    /// Merging them would change nothing.
    Contained,
    /// It has a commit with the same patch for each commit.
    Picked,
    /// It has one commit with the patch of all commits.
    Squashed,
}

/// The maximum number of commits on a side to compare by patch, at 0.1 ms each.
const MAX_COMPARED: usize = 1000;

/// The effect of merging a task's tip into its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MergePlan {
    /// The target contains the task.
    UpToDate(Integrated),
    /// The target moves to the tip.
    FastForward { commits: usize },
    /// One commit with this tree is added, a merge or a squash.
    Commit { commits: usize, tree: ObjectId },
    /// Commits are added on top of `onto`: the target, or the last commit of the branch that is
    /// already on top of it.
    Rebase {
        commits: usize,
        onto: ObjectId,
        picks: Vec<Pick>,
    },
    /// Merge drivers resolve files, so the result is known only after the merge.
    Drivers {
        commits: usize,
        files: Vec<Conflict>,
    },
    /// A fast-forward is impossible: the target has this many commits that the task lacks.
    Moved { by: usize },
    /// Both changed the same files.
    Conflicts { files: Vec<Conflict> },
}

/// The error for commits without a common ancestor, which git does not merge by default.
#[derive(Debug)]
pub(crate) struct Unrelated;

impl fmt::Display for Unrelated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("they have no commit in common")
    }
}

impl Error for Unrelated {}

impl MergePlan {
    /// Plans the merge of `tip` into `target`, without changing a ref or file or running a merge
    /// driver: from the histories and, if both have new commits, a trial merge or rebase.
    ///
    /// # Errors
    /// With [`Unrelated`] if they have no common ancestor.
    pub(crate) fn make(
        repo: &Repo,
        target: &ObjectId,
        tip: &ObjectId,
        style: Style,
    ) -> Result<Self> {
        let (commits, behind) = repo.ahead_behind(tip, target)?;
        if commits == 0 {
            return Ok(Self::UpToDate(Integrated::Ancestor));
        }
        let merged = match behind {
            // The target has not moved, so the result is the task's tree.
            0 => MergeResult::Tree(repo.tree_of(tip)?),
            _ => match MergeResult::compute(repo, target, tip) {
                // git refuses with an error message that is not for programs.
                Err(_) if repo.merge_base(target, tip)?.is_none() => return Err(Unrelated.into()),
                merged => merged?,
            },
        };
        if let Some(how) = find_integration(repo, target, tip, (commits, behind), &merged)? {
            return Ok(Self::UpToDate(how));
        }
        Ok(match (style, merged) {
            (Style::Rebase, _) => return Self::rebase(repo, target, tip),
            (Style::FastForward, _) if behind == 0 => Self::FastForward { commits },
            (Style::FastForward, _) => Self::Moved { by: behind },
            (_, merged) => Self::from_result(merged, commits),
        })
    }

    /// Plans what `git rebase <target>` would make of `tip`, without starting it. Drops merges,
    /// commits whose patch the target has and commits that become empty. Keeps commits that are
    /// already on top of the target, or were empty before.
    fn rebase(repo: &Repo, target: &ObjectId, tip: &ObjectId) -> Result<Self> {
        let all = rebase::list(repo, target, &[tip], Compare::Patches)?;
        let number = all.len();
        let (mut onto, mut tree) = (target.to_owned(), repo.tree_of(target)?);
        let (mut kept, mut picks) = (0, Vec::new());
        for commit in all.into_iter().filter(|commit| !commit.is_merge()) {
            let before = commit.parent_tree(repo)?;
            let is_empty = before == commit.tree;
            if commit.is_duplicate && !is_empty {
                continue;
            }
            if picks.is_empty() && commit.parents.first() == Some(&onto) {
                (onto, tree) = (commit.oid, commit.tree);
                kept += 1;
                continue;
            }
            let merged = match rebase::pick(repo, &tree, &before, &commit)? {
                MergeResult::Tree(merged) => merged,
                undecided => return Ok(Self::from_result(undecided, number)),
            };
            // A commit that was empty before is kept, as in git.
            if merged != tree || is_empty {
                tree.clone_from(&merged);
                let tree = merged;
                picks.push(Pick { commit, tree });
            }
        }
        let commits = kept + picks.len();
        Ok(match picks.len() {
            0 if kept == 0 => Self::UpToDate(Integrated::Picked),
            0 if onto == *tip => Self::FastForward { commits },
            _ => Self::Rebase {
                commits,
                onto,
                picks,
            },
        })
    }

    /// Returns the plan of a merge or squash for the result of its trial merge; `commits` is the
    /// number of commits that the target lacks.
    fn from_result(merged: MergeResult, commits: usize) -> Self {
        match merged {
            MergeResult::Tree(tree) => Self::Commit { commits, tree },
            MergeResult::Conflicts(files) => Self::Conflicts { files },
            MergeResult::Drivers(files) => Self::Drivers { commits, files },
        }
    }

    /// Returns the number of commits of the task that the plan merges; 0 if it merges none, because
    /// of conflicts for example. A squash counts the commits that it joins.
    pub(crate) fn commits(&self) -> usize {
        match self {
            Self::FastForward { commits }
            | Self::Commit { commits, .. }
            | Self::Drivers { commits, .. }
            | Self::Rebase { commits, .. } => *commits,
            _ => 0,
        }
    }

    /// Returns the tree that the target has after the plan; `None` if the target does not change,
    /// or if merge drivers decide the result.
    pub(crate) fn tree(&self, repo: &Repo, tip: &ObjectId) -> Result<Option<ObjectId>> {
        match self {
            Self::FastForward { .. } => repo.tree_of(tip).map(Some),
            Self::Commit { tree, .. } => Ok(Some(tree.clone())),
            Self::Rebase { onto, picks, .. } => match picks.last() {
                Some(pick) => Ok(Some(pick.tree.clone())),
                None => repo.tree_of(onto).map(Some),
            },
            _ => Ok(None),
        }
    }
}

/// Starts a merge of `theirs` in the worktree `place`, and leaves it unfinished: `git merge --no-ff
/// --no-commit --no-squash <theirs>`. Returns whether git stopped at conflicts that it could not
/// resolve.
///
/// # Errors
/// If git refuses to merge, or no merge is in progress afterwards.
pub(crate) fn start(place: &Checkout, theirs: &BranchName, lock: &Lock) -> Result<bool> {
    let git = place.git().words("merge --no-ff --no-commit --no-squash");
    let git = git.arg(theirs).env("GIT_EDITOR", ":");
    let (code, output) = git.holding(lock)?.outcome()?;
    match (code, Repo::operation(place)?) {
        (0 | 1, Some("merge")) => Ok(code == 1),
        _ => Err(exit_error("git merge", code, &output.stderr)),
    }
}

/// Returns in which way `target` already contains the changes of `tip`; `None` if it does not, or
/// if only a comparison of patches can tell and one side has more than 1000 commits. `sides` are
/// two numbers of commits: those that only `tip` has, and those that only `target` has. `merged` is
/// the trial merge of the two.
fn find_integration(
    repo: &Repo,
    target: &ObjectId,
    tip: &ObjectId,
    sides: (usize, usize),
    merged: &MergeResult,
) -> Result<Option<Integrated>> {
    let base = match sides {
        (_, 0) => Some(target.to_owned()),
        _ => repo.merge_base(target, tip)?,
    };
    let Some(base) = base else { return Ok(None) };
    if matches!(merged, MergeResult::Tree(tree) if *tree == repo.tree_of(target)?) {
        let cancelled = repo.tree_of(tip)? == repo.tree_of(&base)?;
        return Ok(Some(match cancelled {
            true => Integrated::Cancelled,
            false => Integrated::Contained,
        }));
    }
    match sides {
        (_, 0) => Ok(None),
        (ours, theirs) if ours.max(theirs) > MAX_COMPARED => Ok(None),
        // Trees missing in a partial clone count as different.
        _ if !repo.overlaps(&base, tip, target).unwrap_or(false) => Ok(None),
        _ => compare_patches(repo, target, tip, &base),
    }
}

/// Returns [`Integrated::Picked`] if `target` has the patch of every commit of `tip` that is not
/// empty and there is no merge among these, [`Integrated::Squashed`] if `target` has one commit
/// with the patch of all, otherwise `None`.
fn compare_patches(
    repo: &Repo,
    target: &ObjectId,
    tip: &ObjectId,
    base: &ObjectId,
) -> Result<Option<Integrated>> {
    let squash = repo.write_commit(&repo.tree_of(tip)?, &[base])?;
    let all = rebase::list(repo, target, &[tip, &squash], Compare::Patches)?;
    let (squashes, commits): (Vec<_>, Vec<_>) = all.into_iter().partition(|c| c.oid == squash);
    let mut picked = true;
    for commit in &commits {
        // A merge may contain resolutions that are nowhere else.
        picked &= !commit.is_merge() && (commit.is_duplicate || commit.is_empty(repo)?);
    }
    if picked {
        return Ok(Some(Integrated::Picked));
    }
    let squashed = squashes.iter().any(|commit| commit.is_duplicate);
    Ok(squashed.then_some(Integrated::Squashed))
}
