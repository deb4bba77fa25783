//! A worktree without a branch, which is reset to one commit after the other. No hooks run in it, and it
//! is not sparse, whatever the configuration says.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::admin;
use crate::git::changes::assume_unchanged::HiddenFiles;
use crate::git::checkout::NO_HOOKS;
use crate::git::checkout::distrust::read_small;
use crate::git::checkout::gitfile::linked_dir;
use crate::git::{Checkout, Git, Lock, ObjectId, Repo};
use crate::system::none_if_missing;

const NO_SPARSE: &str = "core.sparseCheckout=false";

/// The condition of a detached worktree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WorktreeCondition {
    Missing,
    /// It was never checked out completely, or its directory is gone.
    Incomplete,
    Ready,
    /// Something else is at its path.
    Foreign,
}

/// Returns whether the detached worktree at `path` is missing, incomplete (its directory is gone,
/// or was never checked out completely) or ready. `Foreign` if something else is there, or if git
/// has a worktree there that is not locked with `reason`.
pub(crate) fn inspect(repo: &Repo, path: &Path, reason: &str) -> Result<WorktreeCondition> {
    use WorktreeCondition::{Foreign, Incomplete, Missing, Ready};
    let common_dir = repo.common_dir();
    let is_free = is_free(path)?;
    let Some(admin) = admin::find_dir(common_dir, path)? else {
        return Ok(if is_free { Missing } else { Foreign });
    };
    let locked = read_small(&admin.join("locked"))?.unwrap_or_default();
    if locked.trim_ascii_end() != reason.as_bytes() {
        return Ok(Foreign);
    }
    // git writes the index at the end of the first checkout.
    if !is_free && admin.join("index").exists() && admin::is_ours(common_dir, path)? {
        return Ok(Ready);
    }
    let named = linked_dir(path);
    let is_named = named.is_some_and(|named| named.file_name() == admin.file_name());
    Ok(if is_free || is_named {
        Incomplete
    } else {
        Foreign
    })
}

/// Returns whether nothing, or an empty directory, is at `path`.
fn is_free(path: &Path) -> Result<bool> {
    let found = none_if_missing(path.symlink_metadata()).and_then(|found| match found {
        None => Ok(true),
        Some(found) => Ok(found.is_dir() && fs::read_dir(path)?.next().is_none()),
    });
    found.with_context(|| format!("could not access '{}'", path.display()))
}

/// Adds a worktree at `path` without files and without a branch, and locks it with `reason`: `git
/// worktree add --no-checkout --detach --lock --reason=<reason> <path> <commit>`. The caller holds
/// the repository's lock.
pub(crate) fn register(
    home: &Path,
    (path, commit): (&Path, &ObjectId),
    reason: &str,
    lock: &Lock,
) -> Result<()> {
    let add = Git::new(home).words("worktree").config(NO_HOOKS);
    let add = add.config(NO_SPARSE);
    let add = add.words("add --quiet --no-checkout --detach --lock --reason");
    add.arg(reason).arg(path).arg(commit).holding(lock)?.run()
}

/// Makes the files of a detached worktree those of a commit, and deletes all others except ignored
/// ones: `git checkout --force --detach <commit>`, then `git clean -ffd`. Moves no branch, should one
/// be checked out there. First deletes `index.lock` and
/// `HEAD.lock`, which a killed git may have left, and an index with assume-unchanged or
/// skip-worktree files, which git would leave as they are. The caller holds `lock`, without which
/// git flux runs no git there.
pub(crate) fn reset(checkout: &Checkout, commit: &ObjectId, lock: &Lock) -> Result<()> {
    for name in ["index.lock", "HEAD.lock"] {
        let file = checkout.git_dir().join(name);
        let removed = none_if_missing(fs::remove_file(&file));
        removed.with_context(|| format!("could not remove '{}'", file.display()))?;
    }
    if !HiddenFiles::list_all(checkout)?.is_empty() {
        let removed = none_if_missing(fs::remove_file(checkout.index()));
        removed.context("could not remove the index")?;
    }
    let git = || checkout.git().config(NO_HOOKS).config(NO_SPARSE);
    let reset = git().words("checkout --quiet --force --detach --no-recurse-submodules");
    reset.arg(commit).arg("--").holding(lock)?.run()?;
    // Twice: a nested repository is no work of the user's here.
    git().words("clean --quiet -ffd").holding(lock)?.run()
}
