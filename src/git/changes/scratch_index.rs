//! A temporary index, which leaves the index and files of the worktree unchanged.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::git::checkout::NO_HOOKS;
use crate::git::worktree::admin;
use crate::git::{Checkout, Git};
use crate::system::temporary_dir::TemporaryDir;

/// An additional index of a worktree.
pub(in crate::git) struct ScratchIndex<'a> {
    pub(in crate::git) checkout: &'a Checkout,
    file: PathBuf,
    /// The temporary directory of the index, deleted on drop.
    _dir: Option<TemporaryDir>,
}

impl<'a> ScratchIndex<'a> {
    /// Returns a temporary index without entries for a worktree, whose own index stays unchanged.
    /// The temporary index is deleted on drop.
    pub(in crate::git) fn empty(checkout: &'a Checkout) -> Result<Self> {
        let dir = TemporaryDir::make()?;
        Ok(Self {
            checkout,
            file: dir.path().join("index"),
            _dir: Some(dir),
        })
    }

    /// Copies the index of a worktree, with its modification time, to a temporary one that is
    /// deleted on drop. Fails if the worktree has no index.
    pub(in crate::git) fn copy_of(checkout: &'a Checkout) -> Result<Self> {
        let index = Self::empty(checkout)?;
        admin::copy_with_time(&checkout.index(), &index.file)
            .context("could not read the index")?;
        Ok(index)
    }

    /// Returns the index in `file` as an additional index of a worktree; nothing is read now, and
    /// the file is not deleted on drop.
    pub(in crate::git) fn at(checkout: &'a Checkout, file: PathBuf) -> Self {
        Self {
            checkout,
            file,
            _dir: None,
        }
    }

    /// Builds a command of git that uses this index in place of the worktree's, runs no hooks and
    /// writes no split index.
    pub(in crate::git) fn git(&self) -> Git {
        let git = self.checkout.reading().config(NO_HOOKS);
        self.used_by(git.config("core.splitIndex=false"))
    }

    /// Makes the command `git` use this index in place of the worktree's (`GIT_INDEX_FILE`).
    pub(in crate::git) fn used_by(&self, git: Git) -> Git {
        git.env("GIT_INDEX_FILE", &self.file)
    }
}
