//! A repository for one merge, in which git itself makes the commit and runs the hooks of the user.
//!
//! It has the objects of the user's repository by `objects/info/alternates`, the refs as they are
//! now, `HEAD` on the branch, the user's configuration by `include`, and the ignored files of the
//! checkout as links. So a hook sees what it sees in a merge by hand; what it does to refs, index,
//! configuration, stash and files stays in here. The commit is fetched from it, and it is removed.

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

pub(crate) use self::ignored::LeftOut;
pub(crate) use self::repository::Original;
use self::repository::make_link;
use super::checkout::{NO_HOOKS, NO_MONITOR};
use super::hooks::setting;
use super::merge::merge_tree::Conflict;
use super::{Git, Lock, ObjectId, Repo};
use crate::task::BranchName;

/// The repository, with the files of the branch that its `HEAD` names.
pub(crate) struct Scratch<'a> {
    /// The top of its worktree, which is called like the original.
    path: &'a Path,
    /// Whether the hooks run that `--no-verify` leaves out.
    verify: bool,
    /// `core.hooksPath`, if it has to be said because the caller said another by `git -c`.
    hooks_path: Option<OsString>,
    /// A tag is called like one of the branches.
    has_tag: bool,
    /// Ignored things that hooks do not see.
    pub(crate) left_out: Vec<LeftOut>,
    lock: &'a Lock,
}

impl<'a> Scratch<'a> {
    /// Makes it at `path`, which is not there: its git directory by hand, its files by `git read-tree --reset -u HEAD`, then the links.
    ///
    /// # Errors
    /// When something cannot be written or git fails: what is there by then is for the caller to remove.
    pub(crate) fn open(original: &Original<'_>, path: &'a Path, lock: &'a Lock) -> Result<Self> {
        let has_tag = repository::make(original, path)?;
        let hooks = settings::write(original, path)?;
        let mut scratch = Self {
            path,
            verify: original.verify,
            hooks_path: hooks_path(path)?,
            has_tag,
            left_out: Vec::new(),
            lock,
        };
        let read = scratch.quietly("read-tree")?.args(["--reset", "-u"]);
        read.args(["--no-recurse-submodules", "HEAD"]).run()?;
        if let Some(checkout) = original.checkout {
            let commits = original.branches.map(|(_, commit)| commit);
            scratch.left_out = ignored::link(checkout, path, commits)?;
        }
        link_siblings(original.top(), path)?;
        wrappers::write(&hooks, original.top(), path)?;
        Ok(scratch)
    }

    /// `git <subcommand>` in it, as the user would start it, but for [`Scratch::hooks_path`].
    fn git(&self, subcommand: &str) -> Result<Git> {
        let git = Git::new(self.path, subcommand).holding(self.lock)?;
        let git = self.hooks_path.iter().fold(git, Git::config);
        Ok(git.with_hooks().inherit_stderr())
    }

    /// git without hooks.
    fn quietly(&self, subcommand: &str) -> Result<Git> {
        let git = Git::new(self.path, subcommand).config(NO_HOOKS);
        git.holding(self.lock)
    }

    /// Returns the option that leaves hooks out, if they are to be.
    fn no_verify(&self) -> Option<&'static str> {
        (!self.verify).then_some("--no-verify")
    }

    /// `git merge --no-ff --no-squash --commit --no-edit --no-log --cleanup=whitespace -F <message> <branch>`
    ///
    /// # Errors
    /// When a hook refuses or the merge fails.
    pub(crate) fn merge(&self, branch: &BranchName, message: &Path) -> Result<ObjectId> {
        let git = self.git("merge")?.args(["--quiet", "--no-ff"]);
        let git = git.args(["--no-squash", "--commit", "--no-edit", "--no-log"]);
        let git = git.arg("--cleanup=whitespace");
        let git = git.args(self.no_verify()).arg("-F").arg(message);
        git.arg(self.named(branch)).run()?;
        self.head()
    }

    /// `git merge --ff --squash --no-commit <branch>`, which runs no hook but `post-merge`, and
    /// `git commit --cleanup=whitespace -F <message>`.
    ///
    /// # Errors
    /// When a hook refuses or the commit fails.
    pub(crate) fn squash(&self, branch: &BranchName, message: &Path) -> Result<ObjectId> {
        let merge = self.quietly("merge")?.args(["--quiet", "--ff", "--squash"]);
        merge.arg("--no-commit").arg(self.named(branch)).run()?;
        let git = self.git("commit")?.arg("--quiet");
        let git = git.arg("--cleanup=whitespace");
        git.args(self.no_verify()).arg("-F").arg(message).run()?;
        self.head()
    }

    /// `git rebase <target>` of the branch that is checked out, without what configuration adds.
    ///
    /// # Errors
    /// When a hook refuses or the rebase fails.
    pub(crate) fn rebase(&self, target: &BranchName) -> Result<ObjectId> {
        let git = self.git("rebase")?.arg("--no-autostash");
        let git = git.args(["--no-rebase-merges", "--no-fork-point", "--no-update-refs"]);
        git.args(self.no_verify()).arg(self.named(target)).run()?;
        self.head()
    }

    /// Returns a branch by the name that people use, unless that may be a tag.
    fn named(&self, branch: &BranchName) -> String {
        match self.has_tag {
            true => branch.full().into(),
            false => branch.to_string(),
        }
    }

    /// Returns the commit that is checked out by now: `git rev-parse --verify HEAD^{commit}`
    fn head(&self) -> Result<ObjectId> {
        let git = Git::reading(self.path, "rev-parse").args(["--verify", "HEAD^{commit}"]);
        git.line().map(ObjectId::from)
    }

    /// Returns the files about which the merge could not decide: `git diff-files --name-only --diff-filter=U -z`
    ///
    /// # Errors
    /// When git fails.
    pub(crate) fn conflicts(&self) -> Result<Vec<Conflict>> {
        let git = Git::reading(self.path, "diff-files").config(NO_MONITOR);
        let git = git.args(["--name-only", "--diff-filter=U", "-z"]);
        let conflict = |path| Conflict {
            path,
            kind: String::new(),
        };
        Ok(git.paths()?.into_iter().map(conflict).collect())
    }

    /// Returns whether files in it are other than what is staged: what a hook has mended and not added.
    /// `git diff-files --quiet`
    pub(crate) fn has_changes(&self) -> bool {
        let git = Git::reading(self.path, "diff-files").config(NO_MONITOR);
        let asked = git.arg("--quiet").outcome();
        asked.is_ok_and(|(code, _)| code == 1)
    }

    /// Brings a commit into the repository, where no ref leads to it yet: `git fetch <path>
    /// <commit>`, without any of what fetch does besides.
    ///
    /// # Errors
    /// When git fails.
    pub(crate) fn deliver(&self, repo: &Repo, commit: &ObjectId) -> Result<()> {
        let git = Git::new(repo.home(), "fetch").config(NO_HOOKS);
        let git = git.config("protocol.file.allow=always");
        let git = git.config("fetch.fsckObjects=false");
        let git = git.config("transfer.fsckObjects=false");
        let git = git.args(["--quiet", "--no-write-fetch-head", "--no-tags"]);
        let git = git.args(["--no-auto-maintenance", "--no-recurse-submodules"]);
        git.arg(self.path).arg(commit).holding(self.lock)?.run()
    }
}

/// Returns what has to be said for the hooks of the worktree at `path` to be those that run, if the
/// caller said another `core.hooksPath` by `git -c`: `git rev-parse --git-path hooks`.
fn hooks_path(path: &Path) -> Result<Option<OsString>> {
    let own = path.join(".git/hooks");
    let ask = Git::reading(path, "rev-parse").args(["--git-path", "hooks"]);
    let mut found = ask.output()?;
    found.pop_if(|last| *last == b'\n');
    let found = path.join(OsString::from_vec(found));
    Ok((found.canonicalize().ok() != own.canonicalize().ok()).then(|| setting(&own)))
}

/// Links what lies beside the original to where it is beside the worktree at `path`: a driver, a hook or
/// the address of a remote may be `../<name>`.
fn link_siblings(top: &Path, path: &Path) -> Result<()> {
    let (Some(from), Some(to)) = (top.parent(), path.parent()) else {
        return Ok(());
    };
    // One that may be entered and not be listed shows nothing.
    for entry in fs::read_dir(from).into_iter().flatten().flatten() {
        let link = to.join(entry.file_name());
        if link.symlink_metadata().is_err() && entry.path() != to {
            make_link(&entry.path(), &link)?;
        }
    }
    Ok(())
}
