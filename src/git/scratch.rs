//! A temporary worktree for a merge, where there are hooks that want to see one.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::rebase::Pick;
use super::{Git, Lock, Repo, admin, worktree};

/// Keeps hooks off where they must not run.
const NO_HOOKS: [&str; 2] = ["-c", "core.hooksPath=/dev/null"];

/// A worktree of our own, in which hooks run as they would in the user's.
/// `post-checkout` and `post-merge` are for the user's worktree, not for this one.
pub(crate) struct Scratch<'a> {
    path: &'a Path,
    /// Where git keeps what belongs to it.
    admin: PathBuf,
    /// Whether the hooks run that `--no-verify` leaves out.
    verify: bool,
    lock: &'a Lock,
}

impl<'a> Scratch<'a> {
    /// Makes it at `path`, without a branch: `git worktree add --detach <path> <target>`.
    /// The caller holds the repository's lock.
    ///
    /// # Errors
    /// When git fails.
    pub(crate) fn open(
        repo: &Repo,
        path: &'a Path,
        target: &str,
        verify: bool,
        lock: &'a Lock,
    ) -> Result<Self> {
        if path.exists() {
            worktree::clear(repo, path)?;
        }
        let add = NO_HOOKS
            .into_iter()
            .chain(["worktree", "add", "--quiet", "--detach"])
            .map(OsStr::new);
        let add = add.chain([path.as_os_str(), OsStr::new(target)]);
        Git::new(repo.home(), add).holding(lock)?.run()?;
        let admin = admin::dir_of(repo.common_dir(), path)?;
        Ok(Self {
            path,
            admin: admin.context("a worktree of ours is not there")?,
            verify,
            lock,
        })
    }

    fn git(&self, args: &[&OsStr]) -> Result<Git> {
        Git::new(self.path, args)
            .env("GIT_EDITOR", ":")
            .holding(self.lock)
    }

    /// git without the user's hooks.
    fn quietly(&self, args: &[&str]) -> Result<()> {
        let args: Vec<&OsStr> = NO_HOOKS.iter().chain(args).map(OsStr::new).collect();
        self.git(&args)?.run()
    }

    /// `git hook run --ignore-missing <name> -- <args>`
    fn hook(&self, name: &str, args: &[&OsStr]) -> Result<()> {
        let hook = ["hook", "run", "--ignore-missing", name, "--"].map(OsStr::new);
        self.git(&[&hook, args].concat())?.loud().run()
    }

    /// Makes the merge commit as `git merge --no-ff <tip>` would: the same with `--no-commit`, then
    /// `pre-merge-commit`, `prepare-commit-msg` and `commit-msg`, then `git commit`.
    ///
    /// # Errors
    /// When a hook refuses or the merge fails.
    pub(crate) fn merge(&self, tip: &str, message: &[u8]) -> Result<String> {
        self.quietly(&["merge", "--quiet", "--no-ff", "--no-commit", tip])?;
        self.commit("pre-merge-commit", "MERGE_MSG", "merge", message)
    }

    /// Makes one commit of `tree` as `git merge --squash && git commit` would: `git read-tree --reset -u <tree>`,
    /// then `pre-commit`, `prepare-commit-msg` and `commit-msg`, then `git commit`.
    ///
    /// # Errors
    /// When a hook refuses or the commit fails.
    pub(crate) fn squash(&self, tree: &str, message: &[u8]) -> Result<String> {
        self.quietly(&["read-tree", "--reset", "-u", tree])?;
        self.commit("pre-commit", "COMMIT_EDITMSG", "squash", message)
    }

    fn commit(&self, first: &str, file: &str, kind: &str, message: &[u8]) -> Result<String> {
        let file = self.admin.join(file);
        fs::write(&file, message).context("could not write the message of the merge")?;
        if self.verify {
            self.hook(first, &[])?;
        }
        self.hook("prepare-commit-msg", &[file.as_os_str(), OsStr::new(kind)])?;
        if self.verify {
            self.hook("commit-msg", &[file.as_os_str()])?;
        }
        let commit = ["commit", "--quiet", "--cleanup=whitespace", "-F"];
        let commit = NO_HOOKS.into_iter().chain(commit).map(OsStr::new);
        let commit: Vec<&OsStr> = commit.chain([file.as_os_str()]).collect();
        self.git(&commit)?.run()?;
        Git::reading(self.path, ["rev-parse", "--verify", "HEAD^{commit}"]).line()
    }

    /// Whether the branch may be rebased: `pre-rebase <target> <branch>`.
    ///
    /// # Errors
    /// When the hook refuses.
    pub(crate) fn may_rebase(&self, target: &str, branch: &str) -> Result<()> {
        if self.verify {
            self.hook("pre-rebase", &[OsStr::new(target), OsStr::new(branch)])?;
        }
        Ok(())
    }

    /// Makes a commit anew as `git rebase` would, with `prepare-commit-msg`: `git update-ref --no-deref HEAD <parent>`
    /// and `git read-tree --reset -u <tree>`, so that the hook sees what is to be committed.
    ///
    /// # Errors
    /// When a hook refuses or the commit fails.
    pub(crate) fn pick(&self, pick: &Pick, parent: &str, sign: bool) -> Result<String> {
        self.quietly(&["update-ref", "--no-deref", "HEAD", parent])?;
        self.quietly(&["read-tree", "--reset", "-u", &pick.tree])?;
        let file = self.admin.join("COMMIT_EDITMSG");
        fs::write(&file, &pick.commit.message).context("could not write a message")?;
        let args = [file.as_os_str(), OsStr::new("message")];
        self.hook("prepare-commit-msg", &args)?;
        let message = fs::read(&file).context("could not read a message")?;
        pick.draft(parent, &message, sign).make(self.path)
    }
}
