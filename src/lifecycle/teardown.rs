//! The one way down.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::archive;
use super::conclude::Conclusion;
use super::fate::{Worktree, is_registered};
use super::{scratch, start::ports};
use crate::context::Flux;
use crate::git::{Lock, hide, keep, worktree};
use crate::store;
use crate::task::Task;

/// What a descent left for whoever wants it back.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// The name below `refs/flux/archive`.
    pub(crate) archive: Option<String>,
    /// Where the worktree was moved to.
    pub(crate) worktree: Option<PathBuf>,
}

/// The one way down: worktree, configuration, then branch, base and record in
/// one transaction that keeps what they stood at below `refs/flux/archive`.
/// What is gone already is no error. The agent has ended, and `lock` is the task's.
///
/// Returns what was kept, and where.
///
/// # Errors
/// When a step fails; the record is still there then, and says so.
pub(super) fn descend(
    flux: &Flux,
    task: &Task,
    oid: &str,
    tip: Option<&str>,
    how: &Worktree,
    lock: &Lock,
) -> Result<Kept> {
    let repo = &flux.repo;
    let mut kept = None;
    scratch::clear(flux, &task.id, Some(task))?;
    {
        let guard = flux.lock_repo()?;
        match how {
            Worktree::Foreign => {}
            Worktree::Discard => worktree::forget(repo, &task.worktree, &guard)?,
            Worktree::Moved(trash) => {
                if is_registered(flux, task)? {
                    keep::forget(repo, &task.worktree, trash)?;
                }
                kept = Some(trash.clone());
            }
            Worktree::Keep | Worktree::KeepOnly => {
                let trash = flux.trash_for(task)?;
                if matches!(how, Worktree::KeepOnly) {
                    fs::write(trash.join(archive::trash::ONLY), "")
                        .context("could not mark a worktree in the trash")?;
                }
                if keep::take(repo, &task.worktree, tip, &trash, &guard)? {
                    kept = Some(trash);
                } else {
                    fs::remove_dir_all(&trash).context("could not remove an unused directory")?;
                }
            }
        }
        if let Err(error) = hide::forget(&task.worktree) {
            flux.ui.warning(format_args!("{error:#}"));
        }
        store::remove_config(repo, task, &guard)?;
    }
    let wanted = kept.as_deref().and_then(archive::name_of);
    let always = !matches!(how, Worktree::Discard | Worktree::Foreign);
    let conclusion = Conclusion {
        task,
        oid,
        tip,
        wanted: wanted.clone(),
        always,
    };
    let name = conclusion.commit(flux, lock)?;
    if let (Some(place), Some(name)) = (&kept, &name)
        && wanted.as_ref() != Some(name)
    {
        let renamed = place.with_file_name(name);
        fs::rename(place, &renamed).context("could not name a worktree in the trash")?;
        kept = Some(renamed);
    }
    let run = flux.run_dir(&task.id);
    run.remove()?;
    ports::release(task, &run);
    Ok(Kept {
        archive: name,
        worktree: kept,
    })
}
