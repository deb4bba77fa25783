//! Whether the names and places that a task needs are free.

use std::fs;
use std::path::{self, Path, PathBuf};

use anyhow::{Context as _, Result};

use super::claim::branch_exists;
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{Worktree, in_use};
use crate::settings::table;
use crate::store::Store;
use crate::system::optional;
use crate::task::check::is_branch_name;
use crate::task::{BranchName, TaskId};
use crate::ui::{shown, word};

/// Fails if a branch has no name for one.
pub(crate) fn ensure_name(flux: &Flux, branch: &BranchName) -> Result<()> {
    if is_branch_name(branch) {
        return Ok(());
    }
    let prefix = flux.settings.branch_prefix();
    let whence = flux.settings.whence(&table::BRANCH_PREFIX, "", prefix);
    let failure = Failure::new(format!("'{branch}' is not a name for a branch"));
    let failure = whence.into_iter().fold(failure, Failure::hint);
    Err(failure.hint("git config flux.branchPrefix feature/").into())
}

/// Fails if a branch cannot be made.
pub(super) fn ensure_free(flux: &Flux, store: &Store, branch: &BranchName) -> Result<()> {
    if store.tip(branch).is_some() {
        return Err(branch_exists(branch).into());
    }
    ensure_not_stored(flux, branch)?;
    let Some(failure) = cannot_be_beside(store, branch) else {
        return Ok(());
    };
    Err(failure.hint(PREFIX).into())
}

const PREFIX: &str = "git config flux.branchPrefix <another prefix>";

/// Returns the refusal where another branch is in the way of this one.
pub(super) fn cannot_be_beside(store: &Store, branch: &BranchName) -> Option<Failure> {
    let other = store.in_the_way(branch)?;
    let what = format!("the branch '{branch}' cannot be made beside the branch '{other}'");
    Some(Failure::new(what).hint(format!("git branch -m {} <another name>", word(other))))
}

/// Fails if a branch that git does not list has a file all the same: a symbolic ref that leads nowhere
/// would be overwritten, and another spelling of a name would be the same branch.
///
/// # Errors
/// Also when it cannot be told.
pub(super) fn ensure_not_stored(flux: &Flux, branch: &BranchName) -> Result<()> {
    let Some(name) = in_use::stored_name(flux.repo.common_dir(), branch)? else {
        return Ok(());
    };
    if name != *branch {
        let what = format!("this file system takes '{branch}' and '{name}' for the same branch");
        let failure = Failure::new(what).hint("choose another id with --name");
        return Err(failure.hint(PREFIX).into());
    }
    let file = format!("refs/heads/{branch}");
    let what = format!("'{file}' is a symbolic ref that leads nowhere");
    let hint = format!("git symbolic-ref --delete {}", word(&file));
    Err(Failure::new(what).hint(hint).into())
}

/// Fails if something is at a path. An existing directory is left alone unless it is empty; anything
/// else is never touched.
pub(super) fn ensure_no_files(path: &Path, worktrees: &[Worktree]) -> Result<()> {
    let shown = shown(path);
    if worktrees.iter().any(|entry| entry.path == path) {
        let failure = Failure::new(format!("'{shown}' is registered as a worktree already"));
        return Err(failure.hint("git worktree list").into());
    }
    let is_free = optional(path.symlink_metadata()).and_then(|found| match found {
        None => Ok(true),
        Some(found) => Ok(found.is_dir() && fs::read_dir(path)?.next().is_none()),
    });
    if is_free.with_context(|| format!("could not look at '{shown}'"))? {
        return Ok(());
    }
    Err(Failure::new(format!("'{shown}' exists already"))
        .hint("choose another id with --name, or another place with: git config flux.worktreeDir <directory>")
        .into())
}

/// Returns the place that a task has for its worktree.
///
/// # Errors
/// When there is no such directory.
pub(crate) fn worktree_of(flux: &Flux, id: &TaskId) -> Result<PathBuf> {
    let mut name = flux.repo.project();
    name.push(format!("-{id}"));
    let dir = flux
        .settings
        .worktree_dir(flux.repo.home(), flux.repo.beside());
    let real = real(&dir).with_context(|| {
        Failure::new(format!("there is no directory '{}'", shown(&dir)))
            .hint("git config flux.worktreeDir <directory>")
    })?;
    Ok(real.join(name))
}

/// Returns the path without `..` and links, also if only its beginning exists.
pub(crate) fn real(path: &Path) -> Option<PathBuf> {
    let path = path::absolute(path).ok()?;
    let real = path.canonicalize().ok();
    real.or_else(|| Some(self::real(path.parent()?)?.join(path.file_name()?)))
}
