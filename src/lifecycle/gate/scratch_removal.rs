//! Removes the scratch worktree, in which gates run.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::scratch::{end_left, gate_dir, inspect, scratch_path};
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::detached::WorktreeCondition;
use crate::git::{Lock, worktree};
use crate::ui::shown;

/// Returns the path of the scratch worktree; `None` if there is none. Fails if something else is at
/// its path, or while a gate or a landing runs.
pub(crate) fn find_unused(flux: &Flux) -> Result<Option<PathBuf>> {
    let path = scratch_path(&flux.repo);
    let is_used = Lock::is_held(&flux.landing_lock()) || Lock::is_held(&flux.scratch_lock());
    // Before it is inspected: it may just be made.
    if is_used && path.symlink_metadata().is_ok() {
        return Err(in_use(&path).into());
    }
    let is_missing = inspect(&flux.repo, &path)? == WorktreeCondition::Missing;
    Ok((!is_missing).then_some(path))
}

/// Removes the scratch worktree with all its files, also ignored ones, and returns its path; `None`
/// if there is none. Ends the processes that a killed git flux has left in it. Fails if something
/// else is at its path, or while a gate or a landing runs.
pub(crate) fn remove_unused(flux: &Flux) -> Result<Option<PathBuf>> {
    let Some(path) = find_unused(flux)? else {
        return Ok(None);
    };
    let locks = (flux.try_lock_land()?, flux.try_lock_scratch()?);
    let (Some(_landing), Some(_lock)) = locks else {
        return Err(in_use(&path).into());
    };
    // Another command may have replaced it meanwhile.
    if inspect(&flux.repo, &path)? == WorktreeCondition::Missing {
        return Ok(None);
    }
    end_left(&path, &gate_dir(&flux.repo))?;
    worktree::remove(&flux.repo, &path, &flux.lock_repo()?)?;
    Ok(Some(path))
}

fn in_use(path: &Path) -> Failure {
    Failure::new(format!("a gate or a landing uses '{}'", shown(path)))
}
