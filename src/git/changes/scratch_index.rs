//! An index of our own for a worktree, whose own index and files stay as they are.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::git::checkout::NO_HOOKS;
use crate::git::worktree::admin;
use crate::git::{Checkout, Git};

/// An index beside that of a worktree.
pub(in crate::git) struct ScratchIndex<'a> {
    pub(in crate::git) checkout: &'a Checkout,
    file: PathBuf,
    /// The directory that it is in, if it goes with this value.
    _dir: Option<TempDir>,
}

impl<'a> ScratchIndex<'a> {
    /// Makes one without entries.
    ///
    /// # Errors
    /// When no temporary directory can be made.
    pub(in crate::git) fn empty(checkout: &'a Checkout) -> Result<Self> {
        let dir = tempfile::tempdir().context("could not make a temporary directory")?;
        Ok(Self {
            checkout,
            file: dir.path().join("index"),
            _dir: Some(dir),
        })
    }

    /// Copies that of the worktree.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(in crate::git) fn copy_of(checkout: &'a Checkout) -> Result<Self> {
        let index = Self::empty(checkout)?;
        admin::copy_with_time(&checkout.index(), &index.file)
            .context("could not read the index")?;
        Ok(index)
    }

    /// Takes the one in `file`, which stays there.
    pub(in crate::git) fn at(checkout: &'a Checkout, file: PathBuf) -> Self {
        Self {
            checkout,
            file,
            _dir: None,
        }
    }

    /// `git <subcommand>` on it, which runs no hook and writes no part of it to another file.
    pub(in crate::git) fn git(&self, subcommand: &str) -> Git {
        let git = self.checkout.reading(subcommand).config(NO_HOOKS);
        self.used_by(git.config("core.splitIndex=false"))
    }

    /// Has `git` use it.
    pub(in crate::git) fn used_by(&self, git: Git) -> Git {
        git.env("GIT_INDEX_FILE", &self.file)
    }
}
