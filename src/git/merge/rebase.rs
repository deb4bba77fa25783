//! Trial rebases without a worktree.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use anyhow::{Context as _, Result, bail};

use crate::git::merge::commit::{Author, Draft};
use crate::git::merge::merge_tree::MergeResult;
use crate::git::{Git, ObjectId, Repo};

/// A commit of a branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BranchCommit {
    pub(crate) oid: ObjectId,
    pub(crate) tree: ObjectId,
    pub(crate) parents: Vec<ObjectId>,
    /// The other side has a commit with the same patch.
    pub(crate) is_duplicate: bool,
    pub(crate) author: Author,
    /// The time of the commit, as in git's environment variable.
    pub(crate) committed: OsString,
    pub(crate) message: Vec<u8>,
}

impl BranchCommit {
    /// Returns the tree of the commit's first parent, the empty tree for a root commit.
    pub(super) fn parent_tree(&self, repo: &Repo) -> Result<ObjectId> {
        match self.parents.first() {
            Some(parent) => repo.tree_of(parent),
            None => repo.empty_tree(),
        }
    }

    /// Returns whether the commit has the same tree as its first parent, or, if it is a root
    /// commit, the empty tree.
    pub(crate) fn is_empty(&self, repo: &Repo) -> Result<bool> {
        Ok(self.parent_tree(repo)? == self.tree)
    }

    pub(crate) fn is_merge(&self) -> bool {
        self.parents.len() > 1
    }

    /// Returns the first line of the commit's message that is not blank, without white space around
    /// it; empty if there is none.
    pub(crate) fn subject(&self) -> String {
        let message = String::from_utf8_lossy(&self.message);
        let line = message.trim_start().lines().next().unwrap_or_default();
        line.trim_end().to_owned()
    }
}

/// The NUL-terminated fields of a commit; authors and messages contain no NUL.
const FORMAT: &str = "--format=%m%x00%H%x00%T%x00%P%x00%an%x00%ae%x00%ad%x00%cd%x00%B%x00";
const FIELDS: usize = 9;

/// The comparison of commits with those of the other side; patches take time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compare {
    Nothing,
    Patches,
}

/// Lists the commits that one of `tips` reaches and `target` does not, oldest first:
/// `git rev-list --reverse --topo-order --right-only [--cherry-mark] <target>...<tip> …`. With
/// [`Compare::Patches`], marks those whose patch `target` has.
pub(crate) fn list(
    repo: &Repo,
    target: &ObjectId,
    tips: &[&ObjectId],
    compare: Compare,
) -> Result<Vec<BranchCommit>> {
    let git = Git::reading(repo.home()).words("rev-list --reverse --topo-order --right-only");
    let mut git = git.words("--no-commit-header --encoding=UTF-8 --date=raw");
    if compare == Compare::Patches {
        git = git.arg("--cherry-mark");
    }
    let ranges = tips.iter().map(|tip| format!("{target}...{tip}"));
    let out = git.arg(FORMAT).args(ranges).output()?;
    let fields: Vec<&[u8]> = out.split(|&b| b == 0).collect();
    let commits = fields.chunks_exact(FIELDS);
    // A newline follows the last commit.
    if !matches!(commits.remainder(), [b"\n" | b""]) {
        bail!("`git rev-list` printed an incomplete commit");
    }
    commits.map(parse).collect()
}

fn parse(fields: &[&[u8]]) -> Result<BranchCommit> {
    let [
        mark,
        oid,
        tree,
        parents,
        name,
        email,
        date,
        committed,
        message,
    ] = fields
    else {
        unreachable!("chunks of {FIELDS}");
    };
    let object = |hex: &[u8]| ObjectId::parse(hex).context("not an object name");
    let os = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    let parents = parents.split(|&b| b == b' ').filter(|hex| !hex.is_empty());
    Ok(BranchCommit {
        oid: object(oid)?,
        tree: object(tree)?,
        parents: parents.map(object).collect::<Result<_>>()?,
        // The mark follows the newline of the previous commit.
        is_duplicate: mark.ends_with(b"="),
        author: Author {
            name: os(name),
            email: os(email),
            // Without `@`, git parses a small number as a date.
            date: os(&[b"@", *date].concat()),
        },
        committed: os(&[b"@", *committed].concat()),
        message: message.to_vec(),
    })
}

/// A commit to rebase, with its new tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pick {
    pub(crate) commit: BranchCommit,
    pub(crate) tree: ObjectId,
}

impl Pick {
    /// Returns the commit to make for this pick on top of `parent`, with the picked author and
    /// author date; makes nothing yet.
    pub(crate) fn draft<'a>(
        &'a self,
        parent: &'a ObjectId,
        message: &'a [u8],
        sign: bool,
    ) -> Draft<'a> {
        Draft {
            tree: &self.tree,
            parents: vec![parent],
            message,
            author: Some(&self.commit.author),
            committed: None,
            sign,
        }
    }
}

/// Cherry-picks `commit`, whose first parent has the tree `before`, onto `tree`, without files or
/// refs: as `git merge-tree --merge-base=<parent> <tree> <commit>`, but with helper commits, which
/// git before 2.45 needs for trees.
pub(super) fn pick(
    repo: &Repo,
    tree: &ObjectId,
    before: &ObjectId,
    commit: &BranchCommit,
) -> Result<MergeResult> {
    if before == tree {
        return Ok(MergeResult::Tree(commit.tree.clone()));
    }
    if *before == commit.tree {
        return Ok(MergeResult::Tree(tree.to_owned()));
    }
    if let Some(parent) = commit.parents.first() {
        let ours = repo.write_commit(tree, &[parent])?;
        return MergeResult::compute(repo, &ours, &commit.oid);
    }
    let root = repo.write_commit(before, &[])?;
    let ours = repo.write_commit(tree, &[&root])?;
    let theirs = repo.write_commit(&commit.tree, &[&root])?;
    MergeResult::compute(repo, &ours, &theirs)
}
