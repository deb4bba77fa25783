//! Where git may run, though others write there.
//!
//! git believes what it finds in a worktree: `.git` names the administrative directory, that names
//! the repository, and the configuration of both, and of each submodule, may name programs. An
//! agent can write all of it. So git is started in a worktree through a [`Checkout`] alone, which
//! is made by looking at these files, and is then told where everything is.

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
use self::gitfile::{metadata_at, parse_link};
use self::index::IndexSummary;
use self::safe_config::ConfigScope;
use super::Git;
use super::command::records::records;
use super::worktree::admin;

/// A worktree of this repository, or a repository inside of one.
#[derive(Clone, Debug)]
pub(crate) struct Checkout {
    path: PathBuf,
    git_dir: PathBuf,
    common_dir: PathBuf,
    /// How many bytes an object name takes there.
    oid_bytes: usize,
    kind: CheckoutKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CheckoutKind {
    /// The main worktree, where the user's own configuration counts.
    Main,
    Linked,
    /// A repository of its own, inside of a worktree.
    Nested,
}

/// What keeps git from running a file system monitor, and hooks.
pub(super) const NO_MONITOR: &str = "core.fsmonitor=false";
pub(super) const NO_HOOKS: &str = "core.hooksPath=/dev/null";

/// How long git may take to look into the worktree of an agent, in which each file may be a pipe.
const WORKTREE_TIMEOUT: Duration = Duration::from_secs(60);

impl Checkout {
    /// The main worktree.
    pub(super) fn main(common_dir: &Path, path: &Path, oid_bytes: usize) -> Self {
        Self {
            oid_bytes,
            kind: CheckoutKind::Main,
            ..Self::unverified(path, common_dir, common_dir)
        }
    }

    /// The linked worktree at `path`.
    ///
    /// # Errors
    /// With a [`Distrust`] when it is not one, leads elsewhere, or has a configuration of its own
    /// that may name a program.
    pub(super) fn linked(common_dir: &Path, path: &Path, oid_bytes: usize) -> Result<Self> {
        let git_dir = admin::verified_dir(common_dir, path).and_then(|git_dir| {
            let own = git_dir.join("config.worktree");
            // git gives a new worktree a copy of what the user has configured for the main one.
            let copied = read_small(&own)?;
            if copied.is_none() || copied != read_small(&common_dir.join("config.worktree"))? {
                safe_config::read(&own, ConfigScope::Worktree)?;
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

    /// The repository that is checked out at `path`, inside of a worktree; none if there is none.
    ///
    /// # Errors
    /// With a [`Distrust`] when its configuration may name a program.
    pub(super) fn nested(path: &Path) -> Result<Option<Self>> {
        let link = path.join(".git");
        // git does not go through a link.
        let dir = metadata_at(path)?.filter(Metadata::is_dir);
        let (Some(_), Some(found)) = (dir, metadata_at(&link)?) else {
            return Ok(None);
        };
        if found.is_dir() {
            return Self::stored(&link, path).map(Some);
        }
        let text = read_small(&link).map_err(|error| refused(error, path))?;
        let odd = || refused(Distrust::Odd(link).into(), path);
        let git_dir = parse_link(path, &text.unwrap_or_default()).ok_or_else(odd)?;
        Self::stored(&git_dir, path).map(Some)
    }

    /// The repository at `git_dir`, whose files are at `path`, if anywhere.
    ///
    /// # Errors
    /// As [`Checkout::nested`].
    pub(super) fn stored(git_dir: &Path, path: &Path) -> Result<Self> {
        let config = || {
            let common = git_dir.join("commondir");
            if common.symlink_metadata().is_ok() {
                return Err(Distrust::Odd(common).into());
            }
            safe_config::read(&git_dir.join("config.worktree"), ConfigScope::Repository)?;
            safe_config::read(&git_dir.join("config"), ConfigScope::Repository)
        };
        let config = config().map_err(|error| refused(error, path))?;
        let format = config.get("extensions.objectformat");
        let is_sha256 = format.is_some_and(|format| format == "sha256");
        Ok(Self {
            oid_bytes: if is_sha256 { 32 } else { 20 },
            ..Self::unverified(path, git_dir, git_dir)
        })
    }

    /// The work tree of any repository, in which git only looks: it may be the user's, or an agent's.
    pub(super) fn unverified(path: &Path, git_dir: &Path, common_dir: &Path) -> Self {
        Self {
            path: path.to_owned(),
            git_dir: git_dir.to_owned(),
            common_dir: common_dir.to_owned(),
            oid_bytes: 20,
            kind: CheckoutKind::Nested,
        }
    }

    /// Where its files are.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where git keeps its `HEAD` and its index.
    pub(crate) fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    /// Where git keeps what all worktrees of its repository share.
    pub(super) fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    pub(super) fn index(&self) -> PathBuf {
        self.git_dir.join("index")
    }

    /// Looks at what its index has, without a process; none if only git can read it.
    pub(super) fn read_index(&self) -> Option<IndexSummary> {
        IndexSummary::read(&self.index(), self.oid_bytes)
    }

    /// `git <subcommand>` that runs hooks of the user's: git finds its way by itself and is told
    /// nothing, so that they see what they would see without git flux.
    pub(super) fn with_hooks(&self, subcommand: &str) -> Git {
        Git::new(&self.path, subcommand).with_hooks()
    }

    /// `git <subcommand>` that changes something in it.
    pub(super) fn git(&self, subcommand: &str) -> Git {
        self.without(&[NO_MONITOR], Git::new(&self.path, subcommand))
    }

    /// `git <subcommand>` that changes nothing in it: it takes no lock of an agent's, runs no hook,
    /// and is told where everything is, whatever the files say by now.
    pub(crate) fn reading(&self, subcommand: &str) -> Git {
        self.without(&[NO_MONITOR, NO_HOOKS], self.with_user_config(subcommand))
    }

    /// Gives `git` these settings, but for the main worktree.
    fn without(&self, settings: &[&str], git: Git) -> Git {
        match self.kind {
            CheckoutKind::Main => git,
            CheckoutKind::Linked | CheckoutKind::Nested => settings.iter().fold(git, Git::config),
        }
    }

    /// `git <subcommand>` that runs nothing, and tells how git would: what is configured counts as it is.
    pub(super) fn with_user_config(&self, subcommand: &str) -> Git {
        let git = Git::reading(&self.path, subcommand);
        if self.kind == CheckoutKind::Main {
            return git;
        }
        // It would run what the remotes name.
        let git = git
            .with_timeout(WORKTREE_TIMEOUT)
            .env("GIT_NO_LAZY_FETCH", "1");
        git.envs([
            ("GIT_DIR", &self.git_dir),
            ("GIT_COMMON_DIR", &self.common_dir),
            ("GIT_WORK_TREE", &self.path),
        ])
    }

    /// Whether there are repositories inside of it that its index points to, which git would look
    /// into.
    ///
    /// # Errors
    /// With a [`Distrust`] when what is configured in one of them may name a program.
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

    /// The paths at which its index points to other repositories.
    pub(super) fn links(&self) -> Result<Vec<PathBuf>> {
        let has_none = self.read_index().is_some_and(|index| !index.has_gitlinks);
        if has_none || !fs::exists(self.index()).context("could not look for an index")? {
            return Ok(Vec::new());
        }
        links(self.reading("ls-files --stage -z"))
    }
}

/// The paths at which an index points to other repositories, as `git ls-files --stage -z` tells.
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
