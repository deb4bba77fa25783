//! Worktrees in which nothing was done yet.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use anyhow::{Context as _, Result};

use crate::git::changes::scratch_index::ScratchIndex;
use crate::git::command::records::records;
use crate::git::{Checkout, ObjectId, Repo};
use crate::system::regular_file::read_file;

/// Whether a worktree holds nothing but files of `commit`, also
/// when its index was never written: `git read-tree` and `git status` on an index of our own.
/// A submodule that is checked out is more than that.
///
/// # Errors
/// When it cannot be told.
pub(crate) fn is_untouched(checkout: &Checkout, commit: &ObjectId) -> Result<bool> {
    for link in Repo::links(checkout, commit)? {
        if Checkout::nested(&checkout.path().join(link))?.is_some() {
            return Ok(false);
        }
    }
    let index = ScratchIndex::empty(checkout)?;
    index.git("read-tree").arg(commit).run()?;
    let status = index.git("status --porcelain -z --untracked-files=all");
    let status = status.words("--ignored=traditional --ignore-submodules=dirty --no-renames");
    let out = status.output()?;
    for record in records(&out)? {
        let (code, file) = record.split_at(record.len().min(3));
        let untouched = match code {
            // What a checkout that was cut off has not written yet is missing …
            [_, b'D', _] | [b'D', ..] => true,
            // … or not whole.
            b" M " => is_beginning(checkout, commit, OsStr::from_bytes(file))?,
            _ => false,
        };
        if !untouched {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a file is the beginning of what the commit has there, and no more:
/// `git cat-file --filters <commit>:<file>`.
fn is_beginning(checkout: &Checkout, commit: &ObjectId, file: &OsStr) -> Result<bool> {
    let found = checkout.path().join(file);
    if !found.symlink_metadata().is_ok_and(|found| found.is_file()) {
        return Ok(false);
    }
    let mut object = OsString::from(format!("{commit}:"));
    object.push(file);
    let whole = checkout.reading("cat-file --filters").arg(object);
    let whole = whole.output()?;
    let found = read_file(&found).context("could not read a file of the worktree")?;
    Ok(whole.starts_with(&found))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use crate::git::{Git, Repo};

    use super::*;

    fn git(dir: &Path, subcommand: &str, args: &[&str]) {
        let git = Git::new(dir, subcommand).config("user.name=a");
        git.config("user.email=a@b").args(args).run().unwrap();
    }

    #[test]
    fn a_worktree_is_touched_by_any_file_that_is_not_of_the_commit() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().canonicalize().unwrap();
        let (main, linked) = (dir.join("main"), dir.join("linked"));
        git(&dir, "init", &["--quiet", "main"]);
        fs::write(main.join("file"), "one\ntwo\n").unwrap();
        fs::write(main.join("other"), "other\n").unwrap();
        fs::write(main.join(".gitignore"), "*.log\n").unwrap();
        git(&main, "add", &["."]);
        git(&main, "commit", &["--quiet", "-m", "one"]);
        git(&main, "worktree", &["add", "--quiet", "../linked"]);
        let repo = Repo::open_at(&main.join(".git")).unwrap();
        let head = Git::reading(&main, "rev-parse").arg("HEAD");
        let commit = ObjectId::from(head.line().unwrap());
        let checkout = repo.checkout(&linked).unwrap();
        let untouched = || is_untouched(&checkout, &commit).unwrap();
        assert!(untouched());
        // As a checkout that was cut off leaves them.
        fs::remove_file(linked.join("other")).unwrap();
        fs::write(linked.join("file"), "one\n").unwrap();
        assert!(untouched());
        for name in ["untracked", "ignored.log"] {
            fs::write(linked.join(name), "").unwrap();
            assert!(!untouched(), "{name}");
            fs::remove_file(linked.join(name)).unwrap();
        }
        fs::write(linked.join("file"), "one\nthree\n").unwrap();
        assert!(!untouched(), "a change");
    }
}
