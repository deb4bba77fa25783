//! Decides about the worktree of a task that is removed or not started.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::archive::Archived;
use super::branch_uses::BranchUses;
use super::damage::Damage;
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{ObjectId, Worktree, admin, snapshot, trash, worktree};
use crate::task::Task;
use crate::ui::{quoted, shown};

/// The handling of a worktree in a teardown.
pub(super) enum Disposal {
    /// Move it to the trash.
    Trash,
    /// Move it to the trash, and keep it until the task is deleted: it has no snapshot.
    TrashSoleCopy,
    /// A killed command moved it to this directory in the trash: remove git's entry.
    InTrash(PathBuf),
    /// Delete it: it contains only our own checkout.
    Delete,
    /// Do not touch it: the directory at its path is not the task's.
    Leave,
}

impl Disposal {
    /// Chooses how to handle the worktree of a task that did not start; changes nothing. `Leave` if
    /// it was adopted, or git does not list it with the task's branch. `Delete` if it is missing,
    /// or has only files of the start commit or of the stash. Otherwise `Trash`. Fails if another
    /// worktree uses the branch.
    pub(super) fn of_unstarted(flux: &Flux, task: &Task) -> Result<Self> {
        let adopted = task.existing.as_ref().is_some_and(|found| found.adopted);
        if adopted || !is_registered(flux, task)? {
            return Ok(Self::Leave);
        }
        let (common, path) = (flux.repo.common_dir(), &task.worktree);
        if !exists(path)? {
            return Ok(Self::Delete);
        }
        if admin::has_head_moved(common, path, task.start_commit())? {
            return Ok(Self::Trash);
        }
        // Files that were carried along still exist in the user's worktree.
        let (commit, carried) = (task.start_commit(), task.stash.as_ref());
        Ok(Self::of_files(flux, task, commit, carried))
    }

    /// Returns `Delete` if the worktree has only the files of `commit` or all its files are in
    /// `snapshot`; else `Trash`, also if that cannot be checked. Changes nothing.
    fn of_files(flux: &Flux, task: &Task, commit: &ObjectId, snapshot: Option<&ObjectId>) -> Self {
        let is_held = flux.repo.checkout(&task.worktree).is_ok_and(|checkout| {
            let holds = |snapshot| snapshot::is_complete(&checkout, snapshot).unwrap_or(false);
            worktree::is_untouched(&checkout, commit).unwrap_or(false)
                || snapshot.is_some_and(holds)
        });
        if is_held { Self::Delete } else { Self::Trash }
    }

    /// Chooses how to handle the worktree of a task whose restore failed, after moving files that
    /// came from the trash back there: `Delete` if the trash or the archive then has all its files,
    /// else `Trash`. `Leave` if git does not list it with the task's branch.
    pub(super) fn of_unrestored(
        flux: &Flux,
        task: &Task,
        name: &str,
        from: Option<&Archived>,
    ) -> Result<Self> {
        if !is_registered(flux, task)? {
            return Ok(Self::Leave);
        }
        // A worktree in the trash under the name of a foreign entry belongs to another task.
        let foreign = from.is_some_and(|from| from.foreign);
        let place = flux.trash().join(if foreign { ".foreign" } else { name });
        let common = flux.repo.common_dir();
        let in_trash = exists(&place.join("worktree"))?;
        if in_trash {
            // git's files come back before the worktree's, and git would delete them.
            trash::save_admin_files(common, &task.worktree, &place)?;
        }
        if !exists(&task.worktree)? {
            return Ok(Self::Delete);
        }
        if in_trash {
            // git does not remove a worktree without its `.git`.
            if fs::remove_dir(&task.worktree).is_ok() {
                return Ok(Self::Delete);
            }
            // A worktree that was only registered contains nothing but `.git`.
            let mut entries =
                fs::read_dir(&task.worktree).context("could not read the worktree")?;
            let empty = entries.all(|entry| entry.is_ok_and(|entry| entry.file_name() == ".git"));
            return Ok(if empty { Self::Delete } else { Self::Trash });
        }
        if exists(&place)? {
            fs::rename(&task.worktree, place.join("worktree"))
                .context("could not move the worktree back to the trash")?;
            trash::save_admin_files(common, &task.worktree, &place)?;
            return Ok(Self::Delete);
        }
        Ok(match from {
            Some(from) => Self::of_files(flux, task, &from.tip, from.snapshot()),
            None => Self::Trash,
        })
    }
}

fn exists(path: &Path) -> Result<bool> {
    fs::exists(path).context("could not read the worktree")
}

/// Returns whether the worktree just created for a task has another branch or a detached HEAD, or
/// whether its directory was replaced. `false` if git lists no worktree at that path.
pub(super) fn was_switched_or_replaced(flux: &Flux, task: &Task) -> Result<bool> {
    let entries = worktree::list(flux.repo.home())?;
    let Some(entry) = entries.iter().find(|entry| entry.path == task.worktree) else {
        return Ok(false);
    };
    let is_ours = || admin::is_ours(flux.repo.common_dir(), &task.worktree);
    Ok(!entry.has_branch(&task.branch_ref()) || (exists(&task.worktree)? && !is_ours()?))
}

/// Returns whether git lists a worktree at the task's path with the task's branch checked out.
/// Fails if another worktree has or uses that branch, unless removing the task keeps it.
pub(super) fn is_registered(flux: &Flux, task: &Task) -> Result<bool> {
    let entries = worktree::list(flux.repo.home())?;
    if !task.keeps_branch() {
        ensure_unshared(flux, &entries, task)?;
    }
    let (path, branch) = (&task.worktree, task.branch_ref());
    Ok(entries
        .iter()
        .any(|entry| entry.path == *path && entry.has_branch(&branch)))
}

/// Fails if anything but the task's own worktree has the task's branch checked out, or uses it in a
/// rebase or bisect.
pub(crate) fn ensure_unshared(flux: &Flux, entries: &[Worktree], task: &Task) -> Result<()> {
    let uses = BranchUses::scan(flux, entries, &task.branch)?.except(&task.worktree);
    let Some(elsewhere) = uses.worktree() else {
        return uses.ensure_none();
    };
    // The task's own entry may name another path; that can be repaired.
    if let Some(altered) = Damage::altered(flux, task) {
        bail!(altered.failure());
    }
    let (branch, place, pasted) = (&task.branch, shown(elsewhere), quoted(elsewhere));
    let what = format!("the branch '{branch}' is checked out in '{place}'");
    let mut failure = Failure::new(what);
    // The main worktree cannot be adopted.
    if Some(elsewhere) != flux.repo.main() {
        failure = failure.hint(format!(
            "if that is the task's worktree: git flux adopt {pasted}"
        ));
    }
    bail!(failure.hint(format!(
        "to free the branch: git -C {pasted} switch --detach"
    )))
}
