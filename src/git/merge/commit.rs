//! Commits: made of a tree without a worktree, or of what is in one.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::git::changes::{Head, Ignored};
use crate::git::command::AUTHOR_ENV;
use crate::git::worktree::admin;
use crate::git::{Checkout, Git, Lock, ObjectId, Repo, hooks};

/// Who wrote a commit, and when, as git takes it from the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Author {
    pub(crate) name: OsString,
    pub(crate) email: OsString,
    pub(crate) date: OsString,
}

/// A commit that is to be made.
pub(crate) struct Draft<'a> {
    pub(crate) tree: &'a ObjectId,
    pub(crate) parents: Vec<&'a ObjectId>,
    /// As it is, byte for byte.
    pub(crate) message: &'a [u8],
    /// Who wrote it, if that is not who commits it.
    pub(crate) author: Option<&'a Author>,
    pub(crate) sign: bool,
}

impl Draft<'_> {
    /// Makes the commit, which nothing refers to yet, with the identity that is configured for
    /// `checkout`: `git commit-tree [-S] -p <parent> … <tree>`.
    ///
    /// # Errors
    /// When git fails, for want of an identity or a signature.
    pub(crate) fn make(&self, repo: &Repo, checkout: Option<&Checkout>) -> Result<ObjectId> {
        let git = match checkout {
            Some(checkout) => checkout.git("commit-tree"),
            None => Git::new(repo.home(), "commit-tree"),
        };
        let mut git = git.config("i18n.commitEncoding=UTF-8").input(self.message);
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
        git.arg(self.tree).object()
    }
}

/// Whether commits are signed in a worktree: `git config --type=bool --get commit.gpgSign`
///
/// # Errors
/// When it is not a boolean.
pub(crate) fn is_signing_enabled(checkout: &Checkout) -> Result<bool> {
    let git = checkout.with_user_config("config --type=bool --get commit.gpgSign");
    Ok(git.answer()?.as_deref() == Some("true"))
}

/// How a worktree is committed.
pub(crate) struct CommitAll<'a> {
    /// Where its branch stands.
    pub(crate) tip: &'a ObjectId,
    pub(crate) message: &'a str,
    /// Whether the hooks run that may refuse it.
    pub(crate) verify: bool,
    /// Where the hooks are, if not where git would look there.
    pub(crate) hooks: Option<&'a Path>,
}

impl CommitAll<'_> {
    /// Commits everything in a worktree, with hooks and signing as usual: `git add --all --sparse`,
    /// `git commit [--no-verify] -m <message>`. Returns whether there was anything.
    ///
    /// # Errors
    /// When git or a hook refuses: then the index is what it was, unless somebody has
    /// staged something meanwhile.
    pub(crate) fn make(&self, checkout: &Checkout, lock: &Lock) -> Result<bool> {
        // git looks into them to add what has changed.
        checkout.has_nested()?;
        let before = checkout.index().with_file_name("index.before-flux");
        admin::copy_with_time(&checkout.index(), &before).context("could not keep the index")?;
        let mut added = None;
        let Err(error) = self.attempt(checkout, lock, &mut added) else {
            remove(&before)?;
            if !crate::git::changes(checkout, Ignored::LeftOut)?.is_empty() {
                let place = checkout.path().display();
                bail!("there are changes in '{place}' that `git commit` left behind");
            }
            return Ok(true);
        };
        let (head, changes) = Head::status(checkout, Ignored::LeftOut)?;
        // What looked changed was none: line ends, or a time.
        if head.oid == *self.tip && changes.is_empty() {
            remove(&before)?;
            return Ok(false);
        }
        let is_as_added =
            || added.is_none_or(|added| tree_of_index(checkout).is_ok_and(|now| now == added));
        // A commit that was made and then failed has an index of its own.
        if head.oid == *self.tip && is_as_added() {
            fs::rename(&before, checkout.index()).context("could not put the index back")?;
        } else {
            remove(&before)?;
        }
        Err(error)
    }

    /// Stages and commits; what is staged is in `added` then, also where the commit fails.
    fn attempt(&self, checkout: &Checkout, lock: &Lock, added: &mut Option<Vec<u8>>) -> Result<()> {
        let add = checkout.git("add --all --sparse");
        add.holding(lock)?.run()?;
        *added = Some(tree_of_index(checkout)?);
        let mut commit = checkout.with_hooks("commit");
        if let Some(hooks) = self.hooks {
            commit = commit.config(hooks::setting(hooks));
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

/// What is staged, as a tree: `git write-tree`
fn tree_of_index(checkout: &Checkout) -> Result<Vec<u8>> {
    checkout.reading("write-tree").output()
}
