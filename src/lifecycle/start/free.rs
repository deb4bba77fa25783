//! Whether the names and places that a task needs are free.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::claim::branch_exists;
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{Worktree, in_use};
use crate::settings::table;
use crate::store::Store;
use crate::task::TaskId;
use crate::task::check::is_branch_name;
use crate::ui::{shown, word};

pub(crate) fn ensure_name(flux: &Flux, branch: &str) -> Result<()> {
    if is_branch_name(branch) {
        return Ok(());
    }
    let prefix = flux.settings.branch_prefix();
    let whence = flux.settings.whence(&table::BRANCH_PREFIX, "", prefix);
    let failure = Failure::new(format!("'{branch}' is not a name for a branch"));
    let failure = whence.into_iter().fold(failure, Failure::hint);
    Err(failure.hint("git config flux.branchPrefix feature/").into())
}

pub(crate) fn ensure_free(flux: &Flux, store: &Store, branch: &str) -> Result<()> {
    if store.tip(branch).is_some() {
        return Err(branch_exists(branch).into());
    }
    ensure_not_stored(flux, branch)?;
    match cannot_be_beside(store, branch) {
        Some(failure) => Err(failure
            .hint("git config flux.branchPrefix <another prefix>")
            .into()),
        None => Ok(()),
    }
}

/// The refusal where another branch is in the way of this one.
pub(super) fn cannot_be_beside(store: &Store, branch: &str) -> Option<Failure> {
    let other = store.in_the_way(branch)?;
    let failure = Failure::new(format!(
        "the branch '{branch}' cannot be made beside the branch '{other}'"
    ));
    Some(failure.hint(format!("git branch -m {} <another name>", word(other))))
}

/// Fails if a branch that git does not list has a file all the same: a symbolic ref that leads nowhere
/// would be overwritten, and another spelling of a name would be the same branch.
///
/// # Errors
/// Also when it cannot be told.
pub(crate) fn ensure_not_stored(flux: &Flux, branch: &str) -> Result<()> {
    let Some(name) = in_use::stored_name(flux.repo.common_dir(), branch)? else {
        return Ok(());
    };
    if name != branch {
        let what = format!("this file system takes '{branch}' and '{name}' for the same branch");
        return Err(Failure::new(what)
            .hint("choose another id with --name")
            .hint("git config flux.branchPrefix <another prefix>")
            .into());
    }
    let file = format!("refs/heads/{branch}");
    let what = format!("'{file}' is a symbolic ref that leads nowhere");
    let hint = format!("git symbolic-ref --delete {}", word(&file));
    Err(Failure::new(what).hint(hint).into())
}

/// An existing directory is left alone unless it is empty; anything else is never touched.
pub(super) fn ensure_no_files(path: &Path, worktrees: &[Worktree]) -> Result<()> {
    if worktrees.iter().any(|entry| entry.path == path) {
        return Err(Failure::new(format!(
            "'{}' is registered as a worktree already",
            shown(path)
        ))
        .hint("git worktree list")
        .into());
    }
    let taken = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => {
            return Err(error).with_context(|| format!("could not look at '{}'", shown(path)));
        }
        Ok(found) if found.is_dir() => fs::read_dir(path)
            .with_context(|| format!("could not look into '{}'", shown(path)))?
            .next()
            .is_some(),
        Ok(_) => true,
    };
    if taken {
        return Err(Failure::new(format!("'{}' exists already", shown(path)))
            .hint("choose another id with --name, or another place with: git config flux.worktreeDir <directory>")
            .into());
    }
    Ok(())
}

/// The place that a task has for its worktree.
///
/// # Errors
/// When there is no such directory.
pub(crate) fn worktree_of(flux: &Flux, id: &TaskId) -> Result<PathBuf> {
    let (home, beside) = (flux.repo.home(), flux.repo.beside());
    let mut name = flux.repo.project();
    name.push(format!("-{id}"));
    Ok(absolute(&flux.settings.worktree_dir(home, beside))?.join(name))
}

/// The directory without `..` and links, also if only its beginning exists.
fn absolute(dir: &Path) -> Result<PathBuf> {
    let mut missing = Vec::new();
    let mut at = dir;
    loop {
        if let Ok(real) = at.canonicalize() {
            return Ok(missing
                .iter()
                .rev()
                .fold(real, |path, name| path.join(name)));
        }
        let (Some(parent), Some(name)) = (at.parent(), at.file_name()) else {
            return Err(
                Failure::new(format!("there is no directory '{}'", shown(dir)))
                    .hint("git config flux.worktreeDir <directory>")
                    .into(),
            );
        };
        missing.push(name.to_owned());
        at = parent;
    }
}
