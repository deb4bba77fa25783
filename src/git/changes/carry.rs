//! What is uncommitted in one worktree, taken along into another.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::git::changes::snapshot;
use crate::git::command::records::as_records;
use crate::git::command::records::paths;
use crate::git::merge::merge_tree::Merged;
use crate::git::{Change, Checkout, Git, Lock, Repo, worktree};
use crate::system::optional;

/// Changes that are to be made in a worktree with nothing of its own in it.
#[derive(Clone, Debug)]
pub(crate) struct Carried {
    /// A snapshot on top of the commit that is checked out there.
    pub(crate) snapshot: String,
    /// Files of which only the name is staged.
    intended: Vec<PathBuf>,
}

/// How changes fit on another commit than the one they were made on.
pub(crate) enum Fit {
    Fits(Carried),
    /// They do not, in these files.
    Conflicts(Vec<PathBuf>),
}

/// Takes a snapshot of the `changes` in a worktree, where `head` is checked
/// out, as they would be on top of `onto`: what is staged there, what is not, what is
/// untracked. Neither the files nor the index there are touched.
///
/// # Errors
/// When git fails.
pub(crate) fn fit(
    repo: &Repo,
    checkout: &Checkout,
    head: &str,
    onto: &str,
    changes: &[Change],
) -> Result<Fit> {
    let snapshot = snapshot::take(checkout, head)?;
    let intended = changes.iter().filter(|change| change.intended());
    let intended = intended.map(|change| change.path.clone()).collect();
    if head == onto {
        return Ok(Fit::Fits(Carried { snapshot, intended }));
    }
    let before = repo.tree_of(head)?;
    let ours = repo.tree_of(onto)?;
    let parents = repo.parents_of(&snapshot)?;
    let index = parents.get(1).context("a snapshot has no index")?;
    let theirs = [repo.tree_of(index)?, repo.tree_of(&snapshot)?];
    let mut conflicts = Vec::new();
    let mut trees = Vec::new();
    for tree in &theirs {
        match merged(repo, &before, &ours, tree)? {
            Merged::Tree(tree) => trees.push(tree),
            // Where nothing may be written, no driver decides.
            Merged::Conflicts(files) | Merged::Drivers(files) => {
                conflicts.extend(files.into_iter().map(|file| file.path));
            }
        }
    }
    let others = parents.get(2);
    if let Some(others) = others {
        let beside = trees.get(1).unwrap_or(&ours);
        conflicts.extend(in_the_way(repo, &repo.tree_of(others)?, beside)?);
    }
    if !conflicts.is_empty() {
        conflicts.sort();
        conflicts.dedup();
        return Ok(Fit::Conflicts(conflicts));
    }
    let [staged, tracked] = trees.as_slice() else {
        bail!("a merge of two came to something else");
    };
    let index = repo.write_commit(staged, &[onto])?;
    let parents = [onto, &*index].into_iter();
    let parents: Vec<&str> = parents.chain(others.map(String::as_str)).collect();
    let snapshot = repo.write_commit(tracked, &parents)?;
    Ok(Fit::Fits(Carried { snapshot, intended }))
}

/// What the step from `before` to `theirs` comes to on `ours`, three trees.
fn merged(repo: &Repo, before: &str, ours: &str, theirs: &str) -> Result<Merged> {
    if before == theirs {
        return Ok(Merged::Tree(ours.to_owned()));
    }
    if before == ours {
        return Ok(Merged::Tree(theirs.to_owned()));
    }
    let root = repo.write_commit(before, &[])?;
    let ours = repo.write_commit(ours, &[&root])?;
    let theirs = repo.write_commit(theirs, &[&root])?;
    Merged::of(repo, &ours, &theirs)
}

/// The files of one tree that cannot lie beside those of another: it has them too, or a
/// directory there, or a file where they need one.
fn in_the_way(repo: &Repo, others: &str, tracked: &str) -> Result<Vec<PathBuf>> {
    let list = |tree: &str| {
        let args = ["-r", "-z", "--name-only", "--full-tree", tree];
        paths(&Git::reading(repo.home(), "ls-tree").args(args).output()?)
    };
    let tracked = list(tracked)?;
    // Every file and every directory.
    let all: BTreeSet<&Path> = tracked.iter().flat_map(|path| path.ancestors()).collect();
    let tracked: BTreeSet<&Path> = tracked.iter().map(PathBuf::as_path).collect();
    let mut others = list(others)?;
    others.retain(|other| {
        all.contains(&**other) || other.ancestors().any(|path| tracked.contains(path))
    });
    Ok(others)
}

impl Carried {
    /// Makes the changes in a worktree which has its commit checked out.
    ///
    /// # Errors
    /// When git fails.
    pub(crate) fn put(&self, checkout: &Checkout, lock: &Lock) -> Result<()> {
        worktree::apply(checkout, &self.snapshot, lock)?;
        if self.intended.is_empty() {
            return Ok(());
        }
        let is_there = |file: &&PathBuf| {
            !matches!(
                optional(checkout.path().join(file).symlink_metadata()),
                Ok(None)
            )
        };
        let files = as_records(self.intended.iter().filter(is_there));
        checkout
            .git("add")
            .args(["--intent-to-add", "--force", "--sparse"])
            .args(["--pathspec-from-file=-", "--pathspec-file-nul"])
            .env("GIT_LITERAL_PATHSPECS", "1")
            .input(files)
            .holding(lock)?
            .run()
    }
}
