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
use self::gitfile::{lstat, parse_gitfile};
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
    /// The directory that git writes objects to, if not the repository's own.
    objects: Option<PathBuf>,
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
    /// Returns the main worktree with the top directory `path`, whose files and configuration are
    /// trusted.
    pub(super) fn main(common_dir: &Path, path: &Path, oid_bytes: usize) -> Self {
        Self {
            oid_bytes,
            kind: CheckoutKind::Main,
            ..Self::unverified(path, common_dir, common_dir)
        }
    }

    /// Returns the linked worktree with the top directory `path`, after verifying its `.git` file,
    /// administrative directory and `config.worktree`.
    ///
    /// # Errors
    /// With a [`Distrust`] if one of these is wrong, or if `config.worktree` may name a program and
    /// is no copy of the main worktree's.
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

    /// Returns the repository at `path` inside a worktree, such as a submodule, after verifying its
    /// configuration. `None` if `path` is a link or has no `.git`.
    ///
    /// # Errors
    /// With a [`Distrust`] if the configuration may name a program, the `.git` file is wrong, or
    /// `path` is a linked worktree.
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
        let git_dir = parse_gitfile(path, &text.unwrap_or_default()).ok_or_else(error)?;
        Self::stored(&git_dir, path).map(Some)
    }

    /// Returns the repository with the git directory `git_dir` and its files at `path`, after
    /// verifying its configuration. Fails with a [`Distrust`] if that may name a program, or if the
    /// repository is a linked worktree.
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

    /// Returns a work tree without checking that its files lead to this git directory: only for git
    /// commands that write nothing.
    pub(super) fn unverified(path: &Path, git_dir: &Path, common_dir: &Path) -> Self {
        Self {
            path: path.to_owned(),
            git_dir: git_dir.to_owned(),
            common_dir: common_dir.to_owned(),
            oid_bytes: 20,
            kind: CheckoutKind::Nested,
            objects: None,
        }
    }

    /// Returns a copy of the checkout for which [`Checkout::reading`] and
    /// [`Checkout::with_user_config`] write objects to `dir` (`GIT_OBJECT_DIRECTORY`). The
    /// alternate of `dir` has to be the repository's object directory.
    pub(super) fn with_objects_in(&self, dir: &Path) -> Self {
        Self {
            objects: Some(dir.to_owned()),
            ..self.clone()
        }
    }

    /// Returns the top directory of the worktree's files.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the worktree's own git directory, with `HEAD` and the index, as `git rev-parse
    /// --git-dir` does, without starting git.
    pub(crate) fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    /// Returns the git directory that all worktrees of the repository share, as `git rev-parse
    /// --git-common-dir` does, without starting git.
    pub(super) fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    pub(super) fn index(&self) -> PathBuf {
        self.git_dir.join("index")
    }

    /// Reads from the worktree's index, without git, whether there are assume-unchanged or
    /// skip-worktree entries, and whether there are gitlinks (submodules). `None` if the index is
    /// missing, split or in a format only git knows.
    pub(super) fn read_index(&self) -> Option<IndexSummary> {
        IndexSummary::read(&self.index(), self.oid_bytes)
    }

    /// Builds a command of git in the worktree that runs the user's hooks. git finds the
    /// repository itself, from files that are not verified again, so that hooks see the same
    /// environment as without git flux.
    pub(super) fn with_hooks(&self) -> Git {
        Git::new(&self.path).with_hooks()
    }

    /// Builds a command of git that may change the worktree and runs the user's hooks; unless this
    /// is the main worktree, without a file system monitor. git finds the repository itself.
    pub(super) fn git(&self) -> Git {
        self.with_settings(&[NO_MONITOR], Git::new(&self.path))
    }

    /// Builds a command of git that takes no optional locks. Unless this is the main worktree, it
    /// runs no hooks or file system monitor, fetches nothing, fails after 60 seconds, and gets
    /// `GIT_DIR`, `GIT_COMMON_DIR` and `GIT_WORK_TREE`, since an agent may have changed `.git`
    /// after its verification.
    pub(crate) fn reading(&self) -> Git {
        self.with_settings(&[NO_MONITOR, NO_HOOKS], self.with_user_config())
    }

    /// Adds `-c <setting>` to `git` for each of `settings`. Adds nothing if this checkout is the
    /// main worktree, where the user's configuration applies.
    fn with_settings(&self, settings: &[&str], git: Git) -> Git {
        match self.kind {
            CheckoutKind::Main => git,
            CheckoutKind::Linked | CheckoutKind::Nested => settings.iter().fold(git, Git::config),
        }
    }

    /// Builds a command of git as [`Checkout::reading`] does, but with the configured hooks and
    /// file system monitor, for subcommands that run neither.
    pub(super) fn with_user_config(&self) -> Git {
        let mut git = Git::reading(&self.path);
        if let Some(objects) = &self.objects {
            git = git.env("GIT_OBJECT_DIRECTORY", objects);
        }
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

    /// Verifies the configuration of all repositories that git would enter by gitlinks in the
    /// index, at any depth, and returns whether there are any. For the main worktree, verifies
    /// nothing and returns `true`.
    ///
    /// # Errors
    /// With a [`Distrust`] if one of these configurations may name a program.
    pub(crate) fn verify_nested(&self) -> Result<bool> {
        self.verify_nested_in(self.read_index())
    }

    /// Verifies the configuration of nested repositories as [`Self::verify_nested`] does, with
    /// `index` as [`Self::read_index`] has just returned it.
    pub(super) fn verify_nested_in(&self, index: Option<IndexSummary>) -> Result<bool> {
        if self.kind == CheckoutKind::Main {
            return Ok(true);
        }
        let mut seen = BTreeSet::new();
        self.look_inside(index, &mut seen)?;
        Ok(!seen.is_empty())
    }

    fn look_inside(&self, index: Option<IndexSummary>, seen: &mut BTreeSet<PathBuf>) -> Result<()> {
        for link in self.list_gitlinks_in(index)? {
            let path = self.path.join(link);
            let Some(inner) = Self::nested(&path)? else {
                continue;
            };
            let git_dir = inner.git_dir.canonicalize();
            let what = || format!("could not access '{}'", path.display());
            if seen.insert(git_dir.with_context(what)?) {
                inner.look_inside(inner.read_index(), seen)?;
            }
        }
        Ok(())
    }

    /// Lists the paths of the gitlinks (submodules) in the worktree's index, none without an index:
    /// `git ls-files --stage -z`
    pub(super) fn list_gitlinks(&self) -> Result<Vec<PathBuf>> {
        self.list_gitlinks_in(self.read_index())
    }

    fn list_gitlinks_in(&self, index: Option<IndexSummary>) -> Result<Vec<PathBuf>> {
        let has_none = index.is_some_and(|index| !index.has_gitlinks);
        let index = self.index();
        let what = || format!("could not access '{}'", index.display());
        if has_none || !fs::exists(&index).with_context(what)? {
            return Ok(Vec::new());
        }
        list_gitlinks(self.reading().words("ls-files --stage -z"))
    }
}

/// Runs the given `git ls-files --stage -z` command and returns the paths of the gitlinks
/// (submodules) that it prints.
pub(super) fn list_gitlinks(list: Git) -> Result<Vec<PathBuf>> {
    let out = list.output()?;
    let mut links = Vec::new();
    for record in records(&out)? {
        let parts = record.split_once_str("\t");
        let (facts, path) = parts.context("`git ls-files` printed an incomplete record")?;
        if facts.starts_with(b"160000 ") {
            links.push(path.to_path_lossy().into_owned());
        }
    }
    Ok(links)
}
