//! Commits of a dirty worktree, made without touching its index or its files.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use bstr::ByteSlice as _;

use crate::git::changes::assume_unchanged::HiddenFiles;
use crate::git::changes::ls_files;
use crate::git::changes::scratch_index::ScratchIndex;
use crate::git::records::{join_records, records};
use crate::git::{Checkout, Git, ObjectId};

/// What keeps files from LFS, whose prune does not know our refs and deletes what it was given.
const NO_LFS: [&str; 3] = [
    "filter.lfs.clean=cat",
    "filter.lfs.process=",
    "filter.lfs.required=false",
];

/// The identity of commits that are nobody's work, so that none has to be configured.
const FLUX_IDENTITY: [(&str, &str); 4] = [
    ("GIT_AUTHOR_NAME", "git flux"),
    ("GIT_AUTHOR_EMAIL", "git-flux@localhost"),
    ("GIT_COMMITTER_NAME", "git flux"),
    ("GIT_COMMITTER_EMAIL", "git-flux@localhost"),
];

/// What `git add --all && git commit` would make of a worktree on top of `parent`. Nothing refers to the commit.
///
/// # Errors
/// When git fails.
pub(crate) fn preview_commit(checkout: &Checkout, parent: &ObjectId) -> Result<ObjectId> {
    let index = copy_index(checkout)?;
    without_lfs(index.git("add --all --sparse")).run()?;
    commit(checkout, &index.tree()?, &[parent], "snapshot")
}

/// A commit of everything uncommitted in a worktree on top of `tip`,
/// in the layout of `git stash --include-untracked`, for `git stash apply --index`:
/// its tree is that of the tracked files, its parents are the tip, the index, and
/// the untracked files if there are any. Nothing refers to the commit.
///
/// Ignored files, and what is in repositories of their own, are not in it, nor is what git was
/// told to overlook.
///
/// # Errors
/// When git fails.
pub(crate) fn create(checkout: &Checkout, tip: &ObjectId) -> Result<ObjectId> {
    copy_index(checkout)?.snapshot(tip, &HiddenFiles::default())
}

/// As [`take`], with what git was told to overlook.
///
/// # Errors
/// When git fails.
pub(crate) fn create_with_hidden(checkout: &Checkout, tip: &ObjectId) -> Result<ObjectId> {
    copy_index(checkout)?.snapshot(tip, &HiddenFiles::of(checkout)?)
}

/// Returns whether git can read these files of the worktree, through their filters:
/// `git hash-object --stdin-paths`.
pub(crate) fn can_hash(checkout: &Checkout, files: &mut dyn Iterator<Item = &PathBuf>) -> bool {
    let mut names = Vec::new();
    for file in files {
        let found = checkout.path().join(file).symlink_metadata();
        let name = file.as_os_str().as_bytes();
        // It has no form for names with a newline in them.
        if found.is_ok_and(|found| found.is_file()) && !name.contains(&b'\n') {
            names.extend([name, b"\n"].concat());
        }
    }
    let git = without_lfs(checkout.reading("hash-object"));
    git.arg("--stdin-paths").input(names).run().is_ok()
}

/// Whether all that is in a worktree is in `snapshot`, and nothing is ignored.
///
/// # Errors
/// When git fails.
pub(crate) fn is_complete(checkout: &Checkout, snapshot: &ObjectId) -> Result<bool> {
    if !ls_files::list_ignored(checkout)?.is_empty() {
        return Ok(false);
    }
    let again = create_with_hidden(checkout, &ObjectId::from(format!("{snapshot}^1")))?;
    let trees = |commit: &str| {
        let log = checkout.reading("log --no-walk=unsorted --format=%T");
        log.args([commit, &format!("{commit}^@")]).output()
    };
    Ok(trees(snapshot)? == trees(&again)?)
}

/// `<mode> <oid> <stage>\t<path>` as entries for `update-index`, each below its stage.
///
/// # Errors
/// When it is something else.
fn parse_unmerged(unmerged: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for entry in records(unmerged)? {
        let odd = "`git ls-files` printed a short record";
        let (head, path) = entry.split_once_str("\t").context(odd)?;
        let [blob @ .., b' ', stage] = head else {
            bail!(odd);
        };
        out.extend([blob, b" 0\t", &[*stage], b"/", path, b"\0"].concat());
    }
    Ok(out)
}

fn without_lfs(git: Git) -> Git {
    NO_LFS.iter().fold(git, Git::config)
}

/// The tree of `entries`, given to `git update-index -z --add <form>`.
fn tree_of(checkout: &Checkout, entries: &[u8], form: impl AsRef<OsStr>) -> Result<ObjectId> {
    let index = ScratchIndex::empty(checkout)?;
    let add = without_lfs(index.git("update-index"))
        .words("-z --add")
        .arg(form);
    add.input(entries).run()?;
    index.tree()
}

/// `git commit-tree -m <message> -p <parent> … <tree>`
fn commit(
    checkout: &Checkout,
    tree: &ObjectId,
    parents: &[&ObjectId],
    message: impl AsRef<OsStr>,
) -> Result<ObjectId> {
    let mut git = checkout.reading("commit-tree").arg("-m").arg(message);
    for parent in parents {
        git = git.args(["-p", parent]);
    }
    git.envs(FLUX_IDENTITY).arg(tree).object()
}

/// Copies the index of a worktree for a snapshot.
fn copy_index(checkout: &Checkout) -> Result<ScratchIndex<'_>> {
    // git looks into them to add what has changed.
    checkout.has_nested()?;
    ScratchIndex::copy_of(checkout)
}

impl ScratchIndex<'_> {
    fn tree(&self) -> Result<ObjectId> {
        without_lfs(self.git("write-tree")).object()
    }

    fn snapshot(&self, tip: &ObjectId, hidden: &HiddenFiles) -> Result<ObjectId> {
        let staged = self.staged()?;
        hidden.reveal(self)?;
        // What lies outside of a sparse checkout is otherwise left out without a word.
        without_lfs(self.git("add --update --sparse")).run()?;
        let tracked = self.tree()?;
        let index = match &staged {
            Staged::Tree(tree) => commit(self.checkout, tree, &[tip], "index")?,
            Staged::Unmerged(sides) => commit(self.checkout, &tracked, &[tip, sides], "index")?,
        };
        let untracked = self.untracked()?;
        let mut parents = vec![tip, &index];
        parents.extend(&untracked);
        commit(self.checkout, &tracked, &parents, "uncommitted changes")
    }

    fn staged(&self) -> Result<Staged> {
        let unmerged = self.git("ls-files --stage --unmerged -z").output()?;
        if unmerged.is_empty() {
            return self.tree().map(Staged::Tree);
        }
        let tree = tree_of(self.checkout, &parse_unmerged(&unmerged)?, "--index-info")?;
        commit(self.checkout, &tree, &[], "sides of conflicts").map(Staged::Unmerged)
    }

    /// A commit of the untracked files, if there are any.
    fn untracked(&self) -> Result<Option<ObjectId>> {
        let others = self.git("ls-files --others --exclude-standard -z");
        let mut files = others.paths()?;
        // What ends in a slash is a repository of its own.
        files.retain(|path| !path.as_os_str().as_bytes().ends_with(b"/"));
        if files.is_empty() {
            return Ok(None);
        }
        let tree = tree_of(self.checkout, &join_records(files), "--stdin")?;
        commit(self.checkout, &tree, &[], "untracked files").map(Some)
    }
}

/// What is in an index.
enum Staged {
    Tree(ObjectId),
    /// A commit of what no tree can hold: every side is kept, under its stage and path.
    Unmerged(ObjectId),
}
