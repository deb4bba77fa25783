//! A temporary repository for one merge, in which git makes the commit and runs the user's hooks.
//!
//! It gets the objects of the user's repository by `objects/info/alternates`, copies of the refs,
//! the user's configuration by `include`, and the ignored files of the checkout as links. A hook
//! sees the same as in a merge by hand, but its changes to refs, index, configuration, stash and
//! files stay in here. The user's repository fetches the commit, then this one is removed.

mod checkout_paths;
mod ignored;
mod repository;
mod settings;
mod wrappers;

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

use anyhow::Result;

pub(crate) use self::ignored::Skipped;
pub(crate) use self::repository::Original;
use self::repository::make_link;
use super::checkout::{NO_HOOKS, NO_MONITOR};
use super::hooks::hooks_path_setting;
use super::merge::merge_tree::Conflict;
use super::{Git, Lock, ObjectId, Repo};
use crate::task::BranchName;

/// A scratch repository with a worktree.
pub(crate) struct Scratch<'a> {
    /// The top of the worktree; it has the same name as the original.
    path: &'a Path,
    /// `false` for `--no-verify`.
    verify: bool,
    /// An argument for `-c` that sets `core.hooksPath`, if the caller's environment sets another.
    hooks_path: Option<OsString>,
    /// A tag has the name of one of the branches.
    has_tag: bool,
    /// Ignored files that hooks do not see.
    pub(crate) skipped: Vec<Skipped>,
    lock: &'a Lock,
}

impl<'a> Scratch<'a> {
    /// Makes the scratch repository with its worktree at `path`. Writes the git directory itself,
    /// and the files by `git read-tree --reset -u HEAD`; then links the ignored files of the
    /// original worktree and what is beside that, and adds the hooks.
    ///
    /// # Errors
    /// On failure, the caller has to remove `path`.
    pub(crate) fn make(original: &Original<'_>, path: &'a Path, lock: &'a Lock) -> Result<Self> {
        let has_tag = repository::make_git_dir(original, path)?;
        let hooks = settings::write(original, path)?;
        let mut scratch = Self {
            path,
            verify: original.verify,
            hooks_path: hooks_config(path)?,
            has_tag,
            skipped: Vec::new(),
            lock,
        };
        let read = scratch.plain_git()?.words("read-tree --reset -u");
        read.words("--no-recurse-submodules HEAD").run()?;
        if let Some(checkout) = original.checkout {
            let commits = original.branches.map(|(_, commit)| commit);
            scratch.skipped = ignored::link(checkout, path, commits)?;
        }
        link_siblings(original.top(), path)?;
        wrappers::write(&hooks, original.top(), path)?;
        Ok(scratch)
    }

    /// Builds a command of git in the scratch worktree, with the user's environment, hooks and
    /// terminal.
    fn git(&self) -> Result<Git> {
        let git = Git::new(self.path).holding(self.lock)?;
        let git = self.hooks_path.iter().fold(git, Git::config);
        Ok(git.with_hooks().inherit_stderr())
    }

    fn plain_git(&self) -> Result<Git> {
        let git = Git::new(self.path).config(NO_HOOKS);
        git.holding(self.lock)
    }

    fn no_verify(&self) -> Option<&'static str> {
        (!self.verify).then_some("--no-verify")
    }

    /// Merges `branch` in the scratch repository, with the user's hooks that run before a commit,
    /// and returns the new commit: `git merge --no-ff --no-squash --commit --no-edit --no-log
    /// --cleanup=whitespace [--no-verify] -F <message> <branch>`. Fails at conflicts.
    pub(crate) fn merge(&self, branch: &BranchName, message: &Path) -> Result<ObjectId> {
        let git = self.git()?.words("merge --quiet --no-ff");
        let git = git.words("--no-squash --commit --no-edit --no-log --cleanup=whitespace");
        let git = git.args(self.no_verify()).arg("-F").arg(message);
        git.arg(self.name_of(branch)).run()?;
        self.head()
    }

    /// Squashes `branch` in the scratch repository and returns the new commit: `git merge --ff
    /// --squash --no-commit <branch>` without hooks, then `git commit --cleanup=whitespace
    /// [--no-verify] -F <message>` with the user's hooks that run before a commit. Fails at
    /// conflicts.
    pub(crate) fn squash(&self, branch: &BranchName, message: &Path) -> Result<ObjectId> {
        let merge = self.plain_git()?.words("merge --quiet");
        let merge = merge.words("--ff --squash --no-commit");
        merge.arg(self.name_of(branch)).run()?;
        let git = self.git()?.words("commit --quiet --cleanup=whitespace");
        git.args(self.no_verify()).arg("-F").arg(message).run()?;
        self.head()
    }

    /// Rebases the checked out branch of the scratch repository onto `target`, with the user's
    /// hooks that run before a commit, and returns the new tip: `git rebase --no-autostash
    /// --no-rebase-merges --no-fork-point --no-update-refs [--no-verify] <target>`. Fails at
    /// conflicts.
    pub(crate) fn rebase(&self, target: &BranchName) -> Result<ObjectId> {
        let git = self.git()?.words("rebase --no-autostash");
        let git = git.words("--no-rebase-merges --no-fork-point --no-update-refs");
        git.args(self.no_verify()).arg(self.name_of(target)).run()?;
        self.head()
    }

    /// Returns the short name of a branch (`main`), or the full one (`refs/heads/main`) if a tag
    /// has the name of one of the merged branches.
    fn name_of(&self, branch: &BranchName) -> String {
        match self.has_tag {
            true => branch.full().into(),
            false => branch.to_string(),
        }
    }

    /// Returns the commit that is checked out in the scratch worktree:
    /// `git rev-parse --verify HEAD^{commit}`
    fn head(&self) -> Result<ObjectId> {
        let git = Git::reading(self.path).words("rev-parse --verify HEAD^{commit}");
        git.line().map(ObjectId::from)
    }

    /// Lists the unmerged files of the scratch worktree, without the kinds of their conflicts:
    /// `git diff-files --name-only --diff-filter=U -z`
    pub(crate) fn conflicts(&self) -> Result<Vec<Conflict>> {
        let git = Git::reading(self.path).config(NO_MONITOR);
        let git = git.words("diff-files --name-only --diff-filter=U -z");
        let conflict = |path| Conflict {
            path,
            kind: String::new(),
        };
        Ok(git.paths()?.into_iter().map(conflict).collect())
    }

    /// Returns whether tracked files of the scratch worktree have unstaged changes, such as the
    /// fixes of a hook: `git diff-files --quiet`. `false` also if git fails.
    pub(crate) fn has_changes(&self) -> bool {
        let git = Git::reading(self.path).config(NO_MONITOR);
        let outcome = git.words("diff-files --quiet").outcome();
        outcome.is_ok_and(|(code, _)| code == 1)
    }

    /// Fetches a commit with its history from the scratch repository into the user's, without a ref
    /// or hooks: `git fetch <path> <commit>`
    pub(crate) fn send_commit(&self, repo: &Repo, commit: &ObjectId) -> Result<()> {
        let git = Git::new(repo.home()).words("fetch").config(NO_HOOKS);
        let git = git.config("protocol.file.allow=always");
        let git = git.config("fetch.fsckObjects=false");
        let git = git.config("transfer.fsckObjects=false");
        let git = git.words("--quiet --no-write-fetch-head --no-tags");
        let git = git.words("--no-auto-maintenance --no-recurse-submodules");
        git.arg(self.path).arg(commit).holding(self.lock)?.run()
    }
}

/// Returns the setting `core.hooksPath=<path>/.git/hooks` for `git -c` if the caller's environment
/// sets another directory for the worktree at `path`, otherwise `None`:
/// `git rev-parse --git-path hooks`
fn hooks_config(path: &Path) -> Result<Option<OsString>> {
    let hooks = path.join(".git/hooks");
    let ask = Git::reading(path).words("rev-parse --git-path hooks");
    let mut found = ask.output()?;
    found.pop_if(|last| *last == b'\n');
    let found = path.join(OsString::from_vec(found));
    Ok(
        (found.canonicalize().ok() != hooks.canonicalize().ok())
            .then(|| hooks_path_setting(&hooks)),
    )
}

/// Links everything beside the original worktree `top` to beside the worktree at `path`, except
/// names that exist: a driver, a hook or the URL of a remote may be `../<name>`.
fn link_siblings(top: &Path, path: &Path) -> Result<()> {
    let (Some(from), Some(to)) = (top.parent(), path.parent()) else {
        return Ok(());
    };
    // A directory without read permission has no entries.
    for entry in fs::read_dir(from).into_iter().flatten().flatten() {
        let link = to.join(entry.file_name());
        if link.symlink_metadata().is_err() && entry.path() != to {
            make_link(&entry.path(), &link)?;
        }
    }
    Ok(())
}
