//! Worktrees in which git may run although an agent can write there.
//!
//! git trusts the files of a worktree: `.git` names the administrative directory, which names the
//! repository, and the configuration of both, and of each submodule, may name programs. An agent
//! can write all of them. So git runs in a worktree only through a [`Checkout`], which verifies
//! these files first and then passes all locations explicitly.

pub(in crate::git) mod distrust;
pub(in crate::git) mod gitfile;
pub(in crate::git) mod index;
pub(in crate::git) mod safe_config;

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use bstr::ByteSlice as _;

use self::distrust::{Distrust, read_small, refused};
use self::gitfile::{lstat, parse_link};
use self::index::IndexSummary;
use self::safe_config::Scope;
use super::Git;
use super::command::records::records;
use super::worktree::admin;

/// A verified worktree of this repository, or a repository nested in one.
#[derive(Clone, Debug)]
pub(crate) struct Checkout {
    path: PathBuf,
    git_dir: PathBuf,
    common_dir: PathBuf,
    /// The length of an object name in bytes.
    oid_bytes: usize,
    kind: CheckoutKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CheckoutKind {
    /// The main worktree, where the user's configuration applies.
    Main,
    Linked,
    /// A separate repository inside a worktree.
    Nested,
}

/// Settings that keep git from running a file system monitor or hooks.
pub(super) const NO_MONITOR: &str = "core.fsmonitor=false";
pub(super) const NO_HOOKS: &str = "core.hooksPath=/dev/null";

/// The time limit for reading an agent's worktree, in which each file may be a pipe.
const WORKTREE_TIMEOUT: Duration = Duration::from_secs(60);

impl Checkout {
    /// Returns the main worktree.
    pub(super) fn main(common_dir: &Path, path: &Path, oid_bytes: usize) -> Self {
        Self {
            oid_bytes,
            kind: CheckoutKind::Main,
            ..Self::unverified(path, common_dir, common_dir)
        }
    }

    /// Verifies and returns the linked worktree at `path`.
    ///
    /// # Errors
    /// With a [`Distrust`] if it belongs to another repository, or `config.worktree` may name a program.
    pub(super) fn linked(common_dir: &Path, path: &Path, oid_bytes: usize) -> Result<Self> {
        let git_dir = admin::verified_dir(common_dir, path).and_then(|git_dir| {
            let own = git_dir.join("config.worktree");
            // git copies the main worktree's configuration into a new worktree.
            let copied = read_small(&own)?;
            if copied.is_none() || copied != read_small(&common_dir.join("config.worktree"))? {
                safe_config::read(&own, Scope::Worktree)?;
            }
            Ok(git_dir)
        });
        let git_dir = git_dir.map_err(|error| refused(error, path))?;
        Ok(Self {
            oid_bytes,
            kind: CheckoutKind::Linked,
            ..Self::unverified(path, &git_dir, common_dir)
        })
    }

    /// Verifies and returns the repository nested at `path` in a worktree, if there is one.
    ///
    /// # Errors
    /// With a [`Distrust`] if its configuration may name a program.
    pub(super) fn nested(path: &Path) -> Result<Option<Self>> {
        let link = path.join(".git");
        // git does not follow a symbolic link.
        let dir = lstat(path)?.filter(Metadata::is_dir);
        let (Some(_), Some(found)) = (dir, lstat(&link)?) else {
            return Ok(None);
        };
        if found.is_dir() {
            return Self::stored(&link, path).map(Some);
        }
        let text = read_small(&link).map_err(|error| refused(error, path))?;
        let error = || refused(Distrust::FileType(link).into(), path);
        let git_dir = parse_link(path, &text.unwrap_or_default()).ok_or_else(error)?;
        Self::stored(&git_dir, path).map(Some)
    }

    /// Verifies and returns the repository at `git_dir` with its files at `path`.
    pub(super) fn stored(git_dir: &Path, path: &Path) -> Result<Self> {
        let config = || {
            let common = git_dir.join("commondir");
            if common.symlink_metadata().is_ok() {
                return Err(Distrust::FileType(common).into());
            }
            safe_config::read(&git_dir.join("config.worktree"), Scope::Repository)?;
            safe_config::read(&git_dir.join("config"), Scope::Repository)
        };
        let config = config().map_err(|error| refused(error, path))?;
        let format = config.get("extensions.objectformat");
        let is_sha256 = format.is_some_and(|format| format == "sha256");
        Ok(Self {
            oid_bytes: if is_sha256 { 32 } else { 20 },
            ..Self::unverified(path, git_dir, git_dir)
        })
    }

    /// Returns a work tree of any repository without verifying it, for read-only commands.
    pub(super) fn unverified(path: &Path, git_dir: &Path, common_dir: &Path) -> Self {
        Self {
            path: path.to_owned(),
            git_dir: git_dir.to_owned(),
            common_dir: common_dir.to_owned(),
            oid_bytes: 20,
            kind: CheckoutKind::Nested,
        }
    }

    /// Returns the top directory of the files.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the directory of `HEAD` and the index.
    pub(crate) fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    /// Returns the directory that all worktrees of the repository share.
    pub(super) fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    pub(super) fn index(&self) -> PathBuf {
        self.git_dir.join("index")
    }

    /// Reads the index without a process; returns `None` if only git can read it.
    pub(super) fn read_index(&self) -> Option<IndexSummary> {
        IndexSummary::read(&self.index(), self.oid_bytes)
    }

    /// Builds a command of git that runs the user's hooks. git finds the repository itself, so that
    /// hooks see the same environment as without git flux.
    pub(super) fn with_hooks(&self) -> Git {
        Git::new(&self.path).with_hooks()
    }

    /// Builds a command of git that changes the worktree.
    pub(super) fn git(&self) -> Git {
        self.without(&[NO_MONITOR], Git::new(&self.path))
    }

    /// Builds a read-only command of git: it takes no locks, runs no hooks and gets all locations
    /// passed, in case the files have changed since they were verified.
    pub(crate) fn reading(&self) -> Git {
        self.without(&[NO_MONITOR, NO_HOOKS], self.with_user_config())
    }

    /// Adds `settings` to `git`, except in the main worktree.
    fn without(&self, settings: &[&str], git: Git) -> Git {
        match self.kind {
            CheckoutKind::Main => git,
            CheckoutKind::Linked | CheckoutKind::Nested => settings.iter().fold(git, Git::config),
        }
    }

    /// Builds a read-only command of git that respects the configuration of hooks and monitor, for
    /// subcommands that run neither.
    pub(super) fn with_user_config(&self) -> Git {
        let git = Git::reading(&self.path);
        if self.kind == CheckoutKind::Main {
            return git;
        }
        // A lazy fetch would run programs that the remotes name.
        let git = git
            .with_timeout(WORKTREE_TIMEOUT)
            .env("GIT_NO_LAZY_FETCH", "1");
        git.envs([
            ("GIT_DIR", &self.git_dir),
            ("GIT_COMMON_DIR", &self.common_dir),
            ("GIT_WORK_TREE", &self.path),
        ])
    }

    /// Returns whether the index has gitlinks to repositories that git would enter.
    ///
    /// # Errors
    /// With a [`Distrust`] if the configuration of one of them may name a program.
    pub(crate) fn has_nested(&self) -> Result<bool> {
        if self.kind == CheckoutKind::Main {
            return Ok(true);
        }
        let mut seen = BTreeSet::new();
        self.look_inside(&mut seen)?;
        Ok(!seen.is_empty())
    }

    fn look_inside(&self, seen: &mut BTreeSet<PathBuf>) -> Result<()> {
        for link in self.links()? {
            let path = self.path.join(link);
            let Some(inner) = Self::nested(&path)? else {
                continue;
            };
            let git_dir = inner.git_dir.canonicalize();
            let what = || format!("could not look at '{}'", path.display());
            if seen.insert(git_dir.with_context(what)?) {
                inner.look_inside(seen)?;
            }
        }
        Ok(())
    }

    /// Lists the paths of the gitlinks in the index.
    pub(super) fn links(&self) -> Result<Vec<PathBuf>> {
        let has_none = self.read_index().is_some_and(|index| !index.has_gitlinks);
        if has_none || !fs::exists(self.index()).context("could not look for an index")? {
            return Ok(Vec::new());
        }
        links(self.reading().words("ls-files --stage -z"))
    }
}

/// Lists the paths of the gitlinks in the output of `git ls-files --stage -z`.
pub(super) fn links(list: Git) -> Result<Vec<PathBuf>> {
    let out = list.output()?;
    let mut links = Vec::new();
    for record in records(&out)? {
        let parts = record.split_once_str("\t");
        let (facts, path) = parts.context("`git ls-files` printed a short record")?;
        if facts.starts_with(b"160000 ") {
            links.push(path.to_path_lossy().into_owned());
        }
    }
    Ok(links)
}
