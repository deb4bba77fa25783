//! Commits: made of a tree without a worktree, or of what is in one.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::rebase::Author;
use super::{Checkout, Git, Lock, Repo, admin, hooks};

/// A commit that is to be made.
pub(crate) struct Draft<'a> {
    pub(crate) tree: &'a str,
    pub(crate) parents: Vec<&'a str>,
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
    pub(crate) fn make(&self, repo: &Repo, checkout: Option<&Checkout>) -> Result<String> {
        let mut args = vec!["-c", "i18n.commitEncoding=UTF-8", "commit-tree"];
        // commit-tree alone ignores commit.gpgSign.
        if self.sign {
            args.push("-S");
        }
        args.extend(self.parents.iter().flat_map(|parent| ["-p", parent]));
        args.push(self.tree);
        let git = match checkout {
            Some(checkout) => checkout.git(args),
            None => Git::new(repo.home(), args),
        };
        let mut git = git.input(self.message);
        if let Some(author) = self.author {
            git = git
                .env("GIT_AUTHOR_NAME", &author.name)
                .env("GIT_AUTHOR_EMAIL", &author.email)
                .env("GIT_AUTHOR_DATE", &author.date);
        }
        git.line()
    }
}

/// Whether commits are signed in a worktree: `git config --type=bool --get commit.gpgSign`
///
/// # Errors
/// When it is not a boolean.
pub(crate) fn signs(checkout: &Checkout) -> Result<bool> {
    let args = ["config", "--type=bool", "--get", "commit.gpgSign"];
    Ok(checkout.asking(args).answer()?.as_deref() == Some("true"))
}

/// Commits everything in a worktree whose branch stands at `tip`, with hooks and signing as usual:
/// `git add --all --sparse`, `git commit [--no-verify] -m <message>`. Returns whether there was
/// anything. `hooks` is where they are if not where git would look there.
///
/// # Errors
/// When git or a hook refuses: then the index is what it was, unless somebody has
/// staged something meanwhile.
pub(crate) fn commit_all(
    checkout: &Checkout,
    tip: &str,
    message: &str,
    (verify, hooks): (bool, Option<&Path>),
    lock: &Lock,
) -> Result<bool> {
    // git looks into them to add what has changed.
    checkout.has_nested()?;
    let index = checkout.index();
    let before = index.with_file_name("index.before-flux");
    admin::copy(&index, &before).context("could not keep the index")?;
    let verify = if verify { "--verify" } else { "--no-verify" };
    let hooks = hooks.map(hooks::setting);
    let hooks = hooks.iter().flat_map(|said| [OsStr::new("-c"), said]);
    let commit = ["commit", "--quiet", verify, "-m", message].map(OsStr::new);
    let commit: Vec<&OsStr> = hooks.chain(commit).collect();
    let mut added = None;
    let mut attempt = || {
        let add = checkout.git(["add", "--all", "--sparse"]);
        add.holding(lock)?.run()?;
        added = Some(tree_of_index(checkout)?);
        checkout.with_hooks(&commit).holding(lock)?.loud().run()
    };
    if let Err(error) = attempt() {
        let (head, changes) = super::changes::Head::and_changes(checkout, false)?;
        // What looked changed was none: line ends, or a time.
        let nothing = head.oid == tip && changes.is_empty();
        // And a commit that was made and then failed has an index of its own.
        if head.oid != tip || nothing {
            fs::remove_file(&before).context("could not remove a copy of the index")?;
            return if nothing { Ok(false) } else { Err(error) };
        }
        if added.is_none_or(|added| tree_of_index(checkout).is_ok_and(|now| now == added)) {
            fs::rename(&before, &index).context("could not put the index back")?;
        } else {
            fs::remove_file(&before).context("could not remove a copy of the index")?;
        }
        return Err(error);
    }
    fs::remove_file(&before).context("could not remove a copy of the index")?;
    if !super::changes(checkout, false)?.is_empty() {
        bail!(
            "there are changes in '{}' that `git commit` left behind",
            checkout.path().display()
        );
    }
    Ok(true)
}

/// What is staged, as a tree: `git write-tree`
fn tree_of_index(checkout: &Checkout) -> Result<Vec<u8>> {
    checkout.reading(["write-tree"]).output()
}
