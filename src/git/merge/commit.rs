//! Commits, made from a tree or from a worktree.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::git::changes::{Head, Ignored};
use crate::git::command::AUTHOR_ENV;
use crate::git::worktree::admin;
use crate::git::{Checkout, Git, Lock, ObjectId, Repo, hooks};

/// The author of a commit, as in git's environment variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Author {
    pub(crate) name: OsString,
    pub(crate) email: OsString,
    pub(crate) date: OsString,
}

/// A commit to make.
pub(crate) struct Draft<'a> {
    pub(crate) tree: &'a ObjectId,
    pub(crate) parents: Vec<&'a ObjectId>,
    pub(crate) message: &'a [u8],
    /// The author, if it is not the committer.
    pub(crate) author: Option<&'a Author>,
    /// The time of the commit, as in git's environment variable, if it is not now.
    pub(crate) committed: Option<&'a OsStr>,
    pub(crate) sign: bool,
}

impl Draft<'_> {
    /// Writes the commit, without a ref, and returns its name: `git commit-tree [-S] -p <parent> …
    /// <tree>`. The committer is the one configured for `checkout`, or, if that is `None`, for the
    /// main worktree or bare repository.
    pub(crate) fn make(&self, repo: &Repo, checkout: Option<&Checkout>) -> Result<ObjectId> {
        let git = match checkout {
            Some(checkout) => checkout.git(),
            None => Git::new(repo.home()),
        };
        let git = git.words("commit-tree").input(self.message);
        let mut git = git.config("i18n.commitEncoding=UTF-8");
        // commit-tree alone ignores commit.gpgSign.
        if self.sign {
            git = git.arg("-S");
        }
        for parent in &self.parents {
            git = git.args(["-p", parent]);
        }
        if let Some(Author { name, email, date }) = self.author {
            git = git.envs(AUTHOR_ENV.into_iter().zip([name, email, date]));
        }
        if let Some(date) = self.committed {
            git = git.env("GIT_COMMITTER_DATE", date);
        }
        git.arg(self.tree).object()
    }
}

/// Returns whether `git commit` signs in this worktree:
/// `git config --type=bool --get commit.gpgSign`
pub(crate) fn has_signing(checkout: &Checkout) -> Result<bool> {
    let git = checkout.with_user_config();
    let git = git.words("config --type=bool --get commit.gpgSign");
    Ok(git.answer()?.as_deref() == Some("true"))
}

/// A commit of all changes of a worktree.
pub(crate) struct CommitAll<'a> {
    /// The current commit of the branch.
    pub(crate) tip: &'a ObjectId,
    pub(crate) message: &'a str,
    /// Runs the hooks that may refuse the commit.
    pub(crate) verify: bool,
    /// The directory of the hooks, if not git's default.
    pub(crate) hooks: Option<&'a Path>,
}

impl CommitAll<'_> {
    /// Stages all files that are not ignored and commits them, with the user's hooks and signing:
    /// `git add --all --sparse`, `git commit -m <message>`. Without `verify`, skips `pre-commit`
    /// and `commit-msg`. Returns `false` without a commit if nothing, or only line ends or times,
    /// had changed.
    ///
    /// # Errors
    /// If git or a hook refuses; the index is restored unless something else was staged meanwhile
    /// or the commit was made. Also if changes are left after the commit.
    pub(crate) fn make(&self, checkout: &Checkout, lock: &Lock) -> Result<bool> {
        // `git add` enters nested repositories.
        checkout.verify_nested()?;
        let before = checkout.index().with_file_name("index.before-flux");
        admin::copy_with_time(&checkout.index(), &before).context("could not save the index")?;
        let mut added = None;
        let Err(error) = self.attempt(checkout, lock, &mut added) else {
            remove(&before)?;
            if !crate::git::changes(checkout, Ignored::LeftOut)?.is_empty() {
                let place = checkout.path().display();
                bail!("`git commit` left changes in '{place}'");
            }
            return Ok(true);
        };
        let (head, changes) = Head::status(checkout, Ignored::LeftOut)?;
        // Only line ends or times had changed.
        if head.oid == *self.tip && changes.is_empty() {
            remove(&before)?;
            return Ok(false);
        }
        let is_as_added =
            || added.is_none_or(|added| tree_of_index(checkout).is_ok_and(|now| now == added));
        // If the commit was made before the failure, its index is right.
        if head.oid == *self.tip && is_as_added() {
            fs::rename(&before, checkout.index()).context("could not restore the index")?;
        } else {
            remove(&before)?;
        }
        Err(error)
    }

    /// Runs `git add --all --sparse`, then `git commit --quiet -m <message>` with hooks. Sets
    /// `added` to the output of `git write-tree` in between, also if the commit fails.
    fn attempt(&self, checkout: &Checkout, lock: &Lock, added: &mut Option<Vec<u8>>) -> Result<()> {
        let add = checkout.git().words("add --all --sparse");
        add.holding(lock)?.run()?;
        *added = Some(tree_of_index(checkout)?);
        let mut commit = checkout.with_hooks().words("commit");
        if let Some(hooks) = self.hooks {
            commit = commit.config(hooks::hooks_path_setting(hooks));
        }
        let verify = match self.verify {
            true => "--verify",
            false => "--no-verify",
        };
        let commit = commit.args(["--quiet", verify, "-m", self.message]);
        commit.holding(lock)?.inherit_stderr().run()
    }
}

fn remove(copy: &Path) -> Result<()> {
    fs::remove_file(copy).context("could not remove a copy of the index")
}

/// Writes the index of a worktree as a tree and returns what git prints, the tree's name and a
/// newline: `git write-tree`
fn tree_of_index(checkout: &Checkout) -> Result<Vec<u8>> {
    checkout.reading().words("write-tree").output()
}
