//! Uncommitted changes, applied in another worktree.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::git::changes::snapshot;
use crate::git::checkout::gitfile::lstat;
use crate::git::merge::merge_tree::MergeResult;
use crate::git::{Change, Checkout, Git, Lock, ObjectId, Repo, worktree};

/// Changes to apply in a clean worktree.
#[derive(Clone, Debug)]
pub(crate) struct Stash {
    /// A snapshot whose parent is the commit checked out there.
    pub(crate) snapshot: ObjectId,
    /// The files added with `git add --intent-to-add`.
    intent_to_add: Vec<PathBuf>,
}

/// The result of moving changes to another commit.
pub(crate) enum Transplant {
    Fits(Stash),
    /// The conflicting files.
    Conflicts(Vec<PathBuf>),
}

/// A worktree with uncommitted changes.
pub(crate) struct DirtyWorktree<'a> {
    pub(crate) checkout: &'a Checkout,
    pub(crate) head: &'a ObjectId,
    pub(crate) changes: &'a [Change],
}

impl DirtyWorktree<'_> {
    /// Writes a snapshot commit of the staged, unstaged and untracked changes, moved from
    /// `self.head` onto `onto`; returns the conflicting files instead if there are any. Files that
    /// need a merge driver conflict. Leaves the worktree and its index unchanged.
    pub(crate) fn transplant(&self, repo: &Repo, onto: &ObjectId) -> Result<Transplant> {
        let snapshot = snapshot::create(self.checkout, self.head)?;
        if self.head == onto {
            return Ok(Transplant::Fits(self.stash(snapshot)));
        }
        let parents = repo.parents_of(&snapshot)?;
        let index = parents
            .get(1)
            .context("internal error: a snapshot has no index")?;
        let merger = TreeMerger {
            repo,
            before: repo.tree_of(self.head)?,
            ours: repo.tree_of(onto)?,
        };
        let mut conflicts = BTreeSet::new();
        let staged = merger.merge(repo.tree_of(index)?, &mut conflicts)?;
        let tracked = merger.merge(repo.tree_of(&snapshot)?, &mut conflicts)?;
        let others = parents.get(2);
        if let Some(others) = others {
            conflicts.extend(find_collisions(repo, &repo.tree_of(others)?, &tracked)?);
        }
        if !conflicts.is_empty() {
            return Ok(Transplant::Conflicts(conflicts.into_iter().collect()));
        }
        let index = repo.write_commit(&staged, &[onto])?;
        let mut parents = vec![onto, &index];
        parents.extend(others);
        let snapshot = repo.write_commit(&tracked, &parents)?;
        Ok(Transplant::Fits(self.stash(snapshot)))
    }

    fn stash(&self, snapshot: ObjectId) -> Stash {
        let added = self
            .changes
            .iter()
            .filter(|change| change.is_intent_to_add());
        let intent_to_add = added.map(|change| change.path.clone()).collect();
        Stash {
            snapshot,
            intent_to_add,
        }
    }
}

/// A three-way merge of trees without its third side; `before` is the base.
struct TreeMerger<'a> {
    repo: &'a Repo,
    before: ObjectId,
    ours: ObjectId,
}

impl TreeMerger<'_> {
    /// Merges the tree `theirs` into `ours` with the base `before` and returns the resulting tree.
    /// If files conflict or need a merge driver, adds them to `conflicts` and returns `ours`.
    fn merge(&self, theirs: ObjectId, conflicts: &mut BTreeSet<PathBuf>) -> Result<ObjectId> {
        if self.before == theirs {
            return Ok(self.ours.clone());
        }
        if self.before == self.ours {
            return Ok(theirs);
        }
        let root = self.repo.write_commit(&self.before, &[])?;
        let ours = self.repo.write_commit(&self.ours, &[&root])?;
        let theirs = self.repo.write_commit(&theirs, &[&root])?;
        match MergeResult::compute(self.repo, &ours, &theirs)? {
            MergeResult::Tree(tree) => Ok(tree),
            // Merge drivers need files, so their files count as conflicts here.
            MergeResult::Conflicts(files) | MergeResult::Drivers(files) => {
                conflicts.extend(files.into_iter().map(|file| file.path));
                Ok(self.ours.clone())
            }
        }
    }
}

/// Lists the files of the tree `others` whose path is that of a file or directory in the tree
/// `tracked`, or is below a file in `tracked`.
fn find_collisions(repo: &Repo, others: &ObjectId, tracked: &ObjectId) -> Result<Vec<PathBuf>> {
    let list = |tree: &ObjectId| {
        let git = Git::reading(repo.home()).words("ls-tree -r -z --name-only --full-tree");
        git.arg(tree).paths()
    };
    let tracked = list(tracked)?;
    // All files and directories.
    let all: BTreeSet<&Path> = tracked.iter().flat_map(|path| path.ancestors()).collect();
    let tracked: BTreeSet<&Path> = tracked.iter().map(PathBuf::as_path).collect();
    let mut others = list(others)?;
    others.retain(|other| {
        all.contains(&**other) || other.ancestors().any(|path| tracked.contains(path))
    });
    Ok(others)
}

impl Stash {
    /// Applies the changes in a clean worktree that has the parent of the snapshot checked out:
    /// `git stash apply --index <snapshot>`. Files that were staged without their content, and
    /// exist now, are staged so again: `git add --intent-to-add --force --sparse`
    pub(crate) fn apply(&self, checkout: &Checkout, lock: &Lock) -> Result<()> {
        worktree::apply_snapshot(checkout, &self.snapshot, lock)?;
        if self.intent_to_add.is_empty() {
            return Ok(());
        }
        let is_there = |file: &&PathBuf| !matches!(lstat(&checkout.path().join(file)), Ok(None));
        let add = checkout.git().words("add --intent-to-add --force --sparse");
        let add = add.with_paths(self.intent_to_add.iter().filter(is_there));
        add.holding(lock)?.run()
    }
}
