//! Whether a branch has the work of another already, under whatever name.

use anyhow::Result;

use crate::git::merge::merge_tree::Merged;
use crate::git::merge::rebase::{self, Compare};
use crate::git::{ObjectId, Repo};

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
const LIMIT: usize = 1000;

/// Whether `target` has what `tip` brings. `sides` are the numbers of commits
/// that each has and the other has not, and `merged` is what they come to.
///
/// A target that has not moved, or not in the same files, costs no process.
///
/// # Errors
/// When git fails: then it is not known.
pub(in crate::git) fn find(
    repo: &Repo,
    target: &ObjectId,
    tip: &ObjectId,
    sides: (usize, usize),
    merged: &Merged,
) -> Result<Option<Integrated>> {
    let base = match sides {
        (_, 0) => Some(target.to_owned()),
        _ => repo.merge_base(target, tip)?,
    };
    let Some(base) = base else { return Ok(None) };
    if matches!(merged, Merged::Tree(tree) if *tree == repo.tree_of(target)?) {
        let cancelled = repo.tree_of(tip)? == repo.tree_of(&base)?;
        return Ok(Some(match cancelled {
            true => Integrated::Cancelled,
            false => Integrated::Contained,
        }));
    }
    match sides {
        (_, 0) => Ok(None),
        (ours, theirs) if ours.max(theirs) > LIMIT => Ok(None),
        // Trees that a partial clone has left out say nothing: what is not known to be there is not.
        _ if !repo.meet(&base, tip, target).unwrap_or(false) => Ok(None),
        _ => by_patch(repo, target, tip, &base),
    }
}

/// Compares patches: those of the commits, and that of a commit of them all.
fn by_patch(
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
