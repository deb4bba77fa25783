//! Commits of uncommitted changes, made without changing the index or the files.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use bstr::ByteSlice as _;

use crate::git::changes::assume_unchanged::HiddenFiles;
use crate::git::changes::scratch_index::ScratchIndex;
use crate::git::changes::{Change, Ignored, changes, ls_files};
use crate::git::records::{join_records, records};
use crate::git::{Checkout, Git, ObjectId};

/// Settings that bypass LFS: `git lfs prune` ignores the refs of git flux and would delete content.
const NO_LFS: [&str; 3] = [
    "filter.lfs.clean=cat",
    "filter.lfs.process=",
    "filter.lfs.required=false",
];

/// The identity of internal commits, so that the user need not configure one.
const FLUX_IDENTITY: [(&str, &str); 4] = [
    ("GIT_AUTHOR_NAME", "git flux"),
    ("GIT_AUTHOR_EMAIL", "git-flux@localhost"),
    ("GIT_COMMITTER_NAME", "git flux"),
    ("GIT_COMMITTER_EMAIL", "git-flux@localhost"),
];

/// Writes a commit on `parent`, without a ref, with the tree that `git add --all --sparse` would
/// stage; files of LFS have their content in it. Runs no hooks and leaves the worktree's index
/// unchanged.
pub(crate) fn preview_commit(checkout: &Checkout, parent: &ObjectId) -> Result<ObjectId> {
    copy_index(checkout)?.preview(parent)
}

/// Writes a commit as [`preview_commit`] does, with the changes of assume-unchanged files and of
/// existing skip-worktree files.
pub(crate) fn preview_commit_with_hidden(
    checkout: &Checkout,
    parent: &ObjectId,
) -> Result<ObjectId> {
    let index = copy_index(checkout)?;
    HiddenFiles::list(checkout)?.reveal(&index)?;
    index.preview(parent)
}

/// Writes a commit of the staged, unstaged and untracked changes of a worktree on top of `tip`,
/// without a ref, laid out as by `git stash --include-untracked`. Leaves out ignored files,
/// untracked repositories, and changes of assume-unchanged and skip-worktree files.
pub(crate) fn create(checkout: &Checkout, tip: &ObjectId) -> Result<ObjectId> {
    copy_index(checkout)?.snapshot(tip, &HiddenFiles::default())
}

/// Writes a commit of the changes of a worktree as [`create`] does, with those of assume-unchanged
/// files and of existing skip-worktree files.
pub(crate) fn create_with_hidden(checkout: &Checkout, tip: &ObjectId) -> Result<ObjectId> {
    copy_index(checkout)?.snapshot(tip, &HiddenFiles::list(checkout)?)
}

/// Returns whether git can run `files` of a worktree through their filters, with LFS turned off:
/// `git hash-object --stdin-paths`. Skips links, missing files and names with a newline.
pub(crate) fn can_hash(checkout: &Checkout, files: &mut dyn Iterator<Item = &PathBuf>) -> bool {
    let mut names = Vec::new();
    for file in files {
        let found = checkout.path().join(file).symlink_metadata();
        let name = file.as_os_str().as_bytes();
        // The input format allows no newline in names.
        if found.is_ok_and(|found| found.is_file()) && !name.contains(&b'\n') {
            names.extend([name, b"\n"].concat());
        }
    }
    let git = without_lfs(checkout.reading().words("hash-object"));
    git.arg("--stdin-paths").input(names).run().is_ok()
}

/// Returns whether `snapshot` has all files and the index of a linked worktree as they are now.
/// `false` if there are ignored files, nested repositories or checked out submodules, and always
/// for the main worktree. Writes another snapshot to compare.
pub(crate) fn is_complete(checkout: &Checkout, snapshot: &ObjectId) -> Result<bool> {
    let is_left_out = |change: &Change| change.is_ignored() || change.is_repository();
    let has_repositories = checkout.verify_nested()?;
    if has_repositories
        || changes(checkout, Ignored::Included)?
            .iter()
            .any(is_left_out)
    {
        return Ok(false);
    }
    let again = create_with_hidden(checkout, &ObjectId::from(format!("{snapshot}^1")))?;
    let trees = |commit: &str| {
        let log = checkout.reading().words("log --no-walk=unsorted");
        log.args(["--format=%T", commit, &format!("{commit}^@")])
            .output()
    };
    Ok(trees(snapshot)? == trees(&again)?)
}

/// Converts the output of `git ls-files --stage --unmerged -z` to input of
/// `git update-index --index-info` that puts every side of a conflict at `<stage>/<path>`.
fn parse_unmerged(unmerged: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for entry in records(unmerged)? {
        let error = "`git ls-files` printed an incomplete record";
        let (head, path) = entry.split_once_str("\t").context(error)?;
        let [blob @ .., b' ', stage] = head else {
            bail!(error);
        };
        out.extend([blob, b" 0\t", &[*stage], b"/", path, b"\0"].concat());
    }
    Ok(out)
}

pub(in crate::git) fn without_lfs(git: Git) -> Git {
    NO_LFS.iter().fold(git, Git::config)
}

/// Writes a tree of `entries`, which have the form that the option `form` names, and returns the
/// tree's name: `git update-index -z --add <form>` on a temporary index. Bypasses LFS.
fn tree_of(checkout: &Checkout, entries: &[u8], form: impl AsRef<OsStr>) -> Result<ObjectId> {
    let index = ScratchIndex::empty(checkout)?;
    let add = without_lfs(index.git().words("update-index -z --add"));
    add.arg(form).input(entries).run()?;
    index.tree()
}

/// Writes a commit by git flux, without a ref, and returns its name:
/// `git commit-tree -m <message> -p <parent> … <tree>`
fn commit(
    checkout: &Checkout,
    tree: &ObjectId,
    parents: &[&ObjectId],
    message: impl AsRef<OsStr>,
) -> Result<ObjectId> {
    let mut git = checkout.reading().words("commit-tree -m").arg(message);
    for parent in parents {
        git = git.args(["-p", parent]);
    }
    git.envs(FLUX_IDENTITY).arg(tree).object()
}

/// Copies the index of a worktree to a temporary one. Before that, except in the main worktree,
/// fails if the configuration of a submodule, which `git add` would enter, may name a program.
fn copy_index(checkout: &Checkout) -> Result<ScratchIndex<'_>> {
    // `git add` enters nested repositories.
    checkout.verify_nested()?;
    ScratchIndex::copy_of(checkout)
}

impl ScratchIndex<'_> {
    fn preview(&self, parent: &ObjectId) -> Result<ObjectId> {
        without_lfs(self.git().words("add --all --sparse")).run()?;
        commit(self.checkout, &self.tree()?, &[parent], "snapshot")
    }

    fn tree(&self) -> Result<ObjectId> {
        without_lfs(self.git().words("write-tree")).object()
    }

    fn snapshot(&self, tip: &ObjectId, hidden: &HiddenFiles) -> Result<ObjectId> {
        let staged = self.staged()?;
        hidden.reveal(self)?;
        // Without --sparse, git silently skips files outside a sparse checkout.
        without_lfs(self.git().words("add --update --sparse")).run()?;
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
        let list = self.git().words("ls-files --stage --unmerged -z");
        let unmerged = list.output()?;
        if unmerged.is_empty() {
            return self.tree().map(Staged::Tree);
        }
        let tree = tree_of(self.checkout, &parse_unmerged(&unmerged)?, "--index-info")?;
        commit(self.checkout, &tree, &[], "sides of conflicts").map(Staged::Unmerged)
    }

    /// Writes a commit of the untracked files that are not ignored, without a ref; `None` if there
    /// are none. Leaves out nested repositories.
    fn untracked(&self) -> Result<Option<ObjectId>> {
        let list = self.git().words("ls-files --others --exclude-standard -z");
        let files = ls_files::without_repositories(list)?;
        if files.is_empty() {
            return Ok(None);
        }
        let tree = tree_of(self.checkout, &join_records(files), "--stdin")?;
        commit(self.checkout, &tree, &[], "untracked files").map(Some)
    }
}

/// The content of an index.
enum Staged {
    Tree(ObjectId),
    /// A commit of all sides of conflicts, each at `<stage>/<path>`.
    Unmerged(ObjectId),
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::git::Repo;

    fn git(dir: &Path, command: &'static str) {
        let git = Git::new(dir).words(command).config("user.name=a");
        git.config("user.email=a@b").run().unwrap();
    }

    #[test]
    fn is_complete_is_false_if_the_worktree_has_what_a_snapshot_leaves_out() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().canonicalize().unwrap();
        let (main, linked) = (dir.join("main"), dir.join("linked"));
        git(&dir, "init --quiet main");
        fs::write(main.join(".gitignore"), "*.log\n").unwrap();
        git(&main, "init --quiet sub");
        git(&main.join("sub"), "commit --quiet --allow-empty -m sub");
        git(&main, "add .");
        git(&main, "commit --quiet -m one");
        git(&main, "worktree add --quiet ../linked");
        fs::write(linked.join("new"), "").unwrap();
        let repo = Repo::open_at(&main.join(".git")).unwrap();
        let checkout = repo.checkout(&linked).unwrap();
        let snapshot = create_with_hidden(&checkout, &ObjectId::from("HEAD".to_owned())).unwrap();
        let is_complete = || is_complete(&checkout, &snapshot).unwrap();
        assert!(is_complete());
        fs::write(linked.join("ignored.log"), "").unwrap();
        assert!(!is_complete(), "an ignored file");
        fs::remove_file(linked.join("ignored.log")).unwrap();
        git(&linked, "init --quiet inner");
        git(&linked.join("inner"), "commit --quiet --allow-empty -m in");
        assert!(!is_complete(), "a nested repository");
        fs::remove_dir_all(linked.join("inner")).unwrap();
        git(&main, "clone --quiet sub ../linked/sub");
        assert!(!is_complete(), "a submodule");
    }
}
