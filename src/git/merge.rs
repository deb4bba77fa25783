//! Merges, built off-tree: a conflict touches nothing.

pub(crate) mod commit;
pub(crate) mod drivers;
pub(crate) mod fast_forward;
pub(crate) mod merge_tree;
pub(crate) mod rebase;

use std::error::Error;
use std::fmt;

use anyhow::Result;
use strum::{EnumString, IntoStaticStr, VariantNames};

use self::merge_tree::{Conflict, MergeResult};
use self::rebase::{Compare, Pick};
use super::command::exit_error;
use super::{Checkout, Lock, ObjectId, Repo};
use crate::task::BranchName;

/// How the commits of a branch come into another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoStaticStr, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase", const_into_str)]
pub(crate) enum Style {
    /// With a commit of both, also where one would do without.
    #[default]
    Merge,
    /// As one commit.
    Squash,
    /// Each again, on top of what is there.
    Rebase,
    /// As they are, or not at all.
    #[strum(serialize = "ff-only")]
    FastForward,
}

/// How a target has everything of a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Integrated {
    /// It has the very commits.
    Ancestor,
    /// The commits change nothing, all in all: there is nothing to have.
    Cancelled,
    /// Merging them would change nothing.
    Contained,
    /// For each of them it has one with the same patch.
    Picked,
    /// It has one with the patch of them all.
    Squashed,
}

/// How many commits of either side are compared by their patches, which takes
/// some 0.1 ms each.
const MAX_COMPARED_COMMITS: usize = 1000;

/// What merging a task's tip into its target would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MergePlan {
    /// The target has everything of the task.
    UpToDate(Integrated),
    /// The target goes to the tip itself.
    FastForward { commits: usize },
    /// One commit of this tree comes on top, a merge or a squash.
    Commit { commits: usize, tree: ObjectId },
    /// These come on top of `onto`, which is the target, or those of the branch
    /// that can stay as they are.
    Rebase {
        commits: usize,
        onto: ObjectId,
        picks: Vec<Pick>,
    },
    /// Merge drivers of the user's decide about files: what it comes to is known once it is made.
    Drivers {
        commits: usize,
        files: Vec<Conflict>,
    },
    /// The target has this many commits that the task has not, and must not have.
    Moved { by: usize },
    /// Both have changed the same.
    Conflicts { files: Vec<Conflict> },
}

/// The error for commits that have none in common: git does not merge them unasked.
#[derive(Debug)]
pub(crate) struct Unrelated;

impl fmt::Display for Unrelated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("they have no commit in common")
    }
}

impl Error for Unrelated {}

impl MergePlan {
    /// Compares histories, and if both moved, what they come to.
    ///
    /// # Errors
    /// With [`Unrelated`] when they have no commit in common; when one of the commits is missing
    /// or git fails.
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
            // The target has not moved: nothing can conflict, the tree is the task's own.
            0 => MergeResult::Tree(repo.tree_of(tip)?),
            _ => match MergeResult::compute(repo, target, tip) {
                // git refuses, and says so to people alone.
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

    /// Foresees `git rebase <target>`: merges are left out, and so is what the target
    /// has, or what changes nothing any more. What stands where it would go stays as it is.
    fn rebase(repo: &Repo, target: &ObjectId, tip: &ObjectId) -> Result<Self> {
        let all = rebase::list(repo, target, &[tip], Compare::Patches)?;
        let number = all.len();
        let (mut onto, mut tree) = (target.to_owned(), repo.tree_of(target)?);
        let (mut kept, mut picks) = (0, Vec::new());
        for commit in all.into_iter().filter(|commit| !commit.is_merge()) {
            let before = commit.parent_tree(repo)?;
            let is_empty = before == commit.tree;
            if commit.same && !is_empty {
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
            // One that was empty from the start was meant to be.
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

    /// The plan for one merge of so many commits.
    fn from_result(merged: MergeResult, commits: usize) -> Self {
        match merged {
            MergeResult::Tree(tree) => Self::Commit { commits, tree },
            MergeResult::Conflicts(files) => Self::Conflicts { files },
            MergeResult::Drivers(files) => Self::Drivers { commits, files },
        }
    }

    /// How many commits of the task come into the target.
    pub(crate) fn commits(&self) -> usize {
        match self {
            Self::FastForward { commits }
            | Self::Commit { commits, .. }
            | Self::Drivers { commits, .. }
            | Self::Rebase { commits, .. } => *commits,
            _ => 0,
        }
    }

    /// The tree that the target will have; none if it stays as it is, or nobody knows yet.
    ///
    /// # Errors
    /// When a commit is missing.
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

/// Starts merging `theirs` in the worktree `place`, where it is known to conflict:
/// `git merge --no-ff --no-commit <theirs>`, which stops there.
///
/// # Errors
/// When git refuses, or merges it after all: that is for the caller to look at again.
pub(crate) fn start(place: &Checkout, theirs: &BranchName, lock: &Lock) -> Result<()> {
    let git = place.git("merge --no-ff --no-commit --no-squash");
    let git = git.arg(theirs).env("GIT_EDITOR", ":");
    let (code, output) = git.holding(lock)?.outcome()?;
    if Repo::operation(place)? == Some("merge") {
        return Ok(());
    }
    Err(exit_error("git merge", code, &output.stderr))
}

/// Whether `target` has what `tip` brings. `sides` are the numbers of commits
/// that each has and the other has not, and `merged` is what they come to.
///
/// A target that has not moved, or not in the same files, costs no process.
///
/// # Errors
/// When git fails: then it is not known.
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
        (ours, theirs) if ours.max(theirs) > MAX_COMPARED_COMMITS => Ok(None),
        // Trees that a partial clone has left out say nothing: what is not known to be there is not.
        _ if !repo.overlaps(&base, tip, target).unwrap_or(false) => Ok(None),
        _ => compare_patches(repo, target, tip, &base),
    }
}

/// Compares patches: those of the commits, and that of a commit of them all.
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
        // A merge has no patch: what was resolved in it may be nowhere else.
        picked &= !commit.is_merge() && (commit.same || commit.is_empty(repo)?);
    }
    if picked {
        return Ok(Some(Integrated::Picked));
    }
    let squashed = squashes.iter().any(|commit| commit.same);
    Ok(squashed.then_some(Integrated::Squashed))
}
