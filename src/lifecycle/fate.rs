//! What becomes of the worktree of a task that goes: whose is it?

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::archive::Archived;
use super::checked_out::BranchUses;
use super::damage::Damage;
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{ObjectId, Worktree as Entry, admin, keep, snapshot, worktree};
use crate::task::Task;
use crate::ui::{quoted, shown};

/// What the descent does with the worktree.
pub(super) enum Worktree {
    /// Moves it to the trash, whole.
    Keep,
    /// Moves it to the trash, where it stays until the task is deleted: no snapshot has what is in it.
    KeepOnly,
    /// It was moved here by a command that was killed: git forgets it.
    Moved(PathBuf),
    /// Deletes it: nothing but a checkout of our own was ever in it.
    Discard,
    /// What is at its path, if anything, is somebody else's.
    Foreign,
}

impl Worktree {
    /// What becomes of the worktree of a task that did not start: what others
    /// put there, or may have put there, is kept.
    ///
    /// # Errors
    /// When it cannot be told whose it is.
    pub(super) fn unstarted(flux: &Flux, task: &Task) -> Result<Self> {
        let adopted = task.existing.as_ref().is_some_and(|found| found.adopted);
        if adopted || !is_registered(flux, task)? {
            return Ok(Self::Foreign);
        }
        let (common, path) = (flux.repo.common_dir(), &task.worktree);
        if !exists(path)? {
            return Ok(Self::Discard);
        }
        if admin::has_moved(common, path, task.start())? {
            return Ok(Self::Keep);
        }
        // What went along is the user's, who has it still.
        let (commit, carried) = (task.start(), task.carried.as_ref());
        Ok(Self::unless_more_than(flux, task, commit, carried))
    }

    /// Keeps a worktree that has more than a commit or a snapshot.
    fn unless_more_than(
        flux: &Flux,
        task: &Task,
        commit: &ObjectId,
        snapshot: Option<&ObjectId>,
    ) -> Self {
        let is_held = flux.repo.checkout(&task.worktree).is_ok_and(|checkout| {
            let holds = |snapshot| snapshot::holds(&checkout, snapshot).unwrap_or(false);
            worktree::is_untouched(&checkout, commit).unwrap_or(false)
                || snapshot.is_some_and(holds)
        });
        if is_held { Self::Discard } else { Self::Keep }
    }

    /// What becomes of the worktree of a task that was not restored: it goes back
    /// to where it came from. One that was made from the archive alone is kept if it
    /// has files that the archive has not, since nobody can tell whose.
    ///
    /// # Errors
    /// When it cannot be told whose it is, or not be moved.
    pub(super) fn unrestored(
        flux: &Flux,
        task: &Task,
        name: &str,
        from: Option<&Archived>,
    ) -> Result<Self> {
        if !is_registered(flux, task)? {
            return Ok(Self::Foreign);
        }
        // What is in the trash under the name of a foreign one is not its worktree.
        let foreign = from.is_some_and(|from| from.foreign);
        let place = flux.trash().join(if foreign { ".foreign" } else { name });
        let common = flux.repo.common_dir();
        let waits = exists(&place.join("worktree"))?;
        if waits {
            // They come back before the files do, and git would delete them.
            keep::take_back(common, &task.worktree, &place)?;
        }
        if !exists(&task.worktree)? {
            return Ok(Self::Discard);
        }
        if waits {
            // git does not remove one that has lost its `.git`, as it may have by now.
            if fs::remove_dir(&task.worktree).is_ok() {
                return Ok(Self::Discard);
            }
            // Registered, and no more: nothing but git's own file is in it.
            let mut entries =
                fs::read_dir(&task.worktree).context("could not look at the worktree")?;
            let empty = entries.all(|entry| entry.is_ok_and(|entry| entry.file_name() == ".git"));
            return Ok(if empty { Self::Discard } else { Self::Keep });
        }
        if exists(&place)? {
            fs::rename(&task.worktree, place.join("worktree"))
                .context("could not move the worktree back to the trash")?;
            keep::take_back(common, &task.worktree, &place)?;
            return Ok(Self::Discard);
        }
        Ok(match from {
            Some(from) => Self::unless_more_than(flux, task, &from.tip, from.snapshot()),
            None => Self::Keep,
        })
    }
}

fn exists(path: &Path) -> Result<bool> {
    fs::exists(path).context("could not look at the worktree")
}

/// Whether the worktree that was just made for a task is not as it was made any more: another
/// branch is checked out there, or none, or something else stands at its place. Only who did
/// that can tell what is to become of it.
///
/// # Errors
/// When it cannot be told.
pub(super) fn has_strayed(flux: &Flux, task: &Task) -> Result<bool> {
    let entries = worktree::list(flux.repo.home())?;
    let Some(entry) = entries.iter().find(|entry| entry.path == task.worktree) else {
        return Ok(false);
    };
    let is_ours = || admin::is_ours(flux.repo.common_dir(), &task.worktree);
    Ok(!entry.is_of(&task.branch_ref()) || (exists(&task.worktree)? && !is_ours()?))
}

/// Whether git has a worktree at the task's path, with the task's branch.
///
/// # Errors
/// When the branch is checked out at another place: it must not be deleted then.
pub(super) fn is_registered(flux: &Flux, task: &Task) -> Result<bool> {
    let entries = worktree::list(flux.repo.home())?;
    if !task.keeps_branch() {
        ensure_not_elsewhere(flux, &entries, task)?;
    }
    let (path, branch) = (&task.worktree, task.branch_ref());
    Ok(entries
        .iter()
        .any(|entry| entry.path == *path && entry.is_of(&branch)))
}

/// # Errors
/// When the task's branch is checked out or in use in another worktree than the task's.
pub(crate) fn ensure_not_elsewhere(flux: &Flux, entries: &[Entry], task: &Task) -> Result<()> {
    let uses = BranchUses::of_git(flux, entries, &task.branch)?.except(&task.worktree);
    let Some(elsewhere) = uses.worktree() else {
        return uses.ensure_none();
    };
    // It may be the task's own entry, which names another place now: that can be mended.
    if let Some(altered) = Damage::altered(flux, task) {
        bail!(altered.failure());
    }
    let (branch, place, pasted) = (&task.branch, shown(elsewhere), quoted(elsewhere));
    bail!(
        Failure::new(format!("the branch '{branch}' is checked out in '{place}'"))
            .hint(format!("if that is the task's: git flux adopt {pasted}"))
            .hint(format!("if it is yours: git -C {pasted} switch --detach"))
    )
}
