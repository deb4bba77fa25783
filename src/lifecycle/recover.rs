//! Settles what dead commands left: every unfinished task becomes whole or gone.

use std::fs;
use std::iter;

use anyhow::{Context as _, Result, bail};

use super::archive::delete::tidy_up;
use super::archive::{self, Archived};
use super::cleanup::scratch;
use super::elsewhere;
use super::fate::{Worktree, is_registered};
use super::owner::other_owner;
use super::pane::{close, find_shell, find_target};
use super::teardown::Teardown;
use crate::context::Flux;
use crate::failure;
use crate::git::marks::FLUX_REFS;
use crate::git::{Lock, Transaction, refs};
use crate::sanitize;
use crate::store::{self, Store, Stored, task_ref};
use crate::task::{Phase, Task, TaskId};
use crate::tmux::pane;
use crate::ui::quoted;

/// Settles every task whose last command died, and says so. Returns whether
/// anything changed. A task that cannot be settled is a warning, never in the
/// way of the command itself.
///
/// # Errors
/// On interruption.
pub(crate) fn recover(flux: &Flux, store: &Store) -> Result<bool> {
    let mut changed = false;
    for Stored { id, task, .. } in &store.tasks {
        let Ok(task) = task else { continue };
        if !is_unsettled(flux, task) {
            continue;
        }
        // A live command would be holding the lock, or one of its children would.
        let Some(lock) = flux.try_lock_task(id).transpose() else {
            continue;
        };
        match lock.and_then(|lock| settle(flux, task, &lock)) {
            Ok(said) => {
                changed = true;
                said.into_iter().for_each(|said| flux.ui.status(said));
            }
            Err(error) => {
                let what = format!("could not settle the interrupted task '{id}': {error:#}");
                warn(flux, what, failure::hints(&error));
            }
        }
    }
    clear_orphans(flux, store);
    for class in ["tasks", "base"] {
        if let Err(error) = sweep_marks(flux, class, |name| store.has_ref(name)) {
            warn(flux, format!("{error:#}"), failure::hints(&error));
        }
    }
    Ok(changed)
}

fn warn(flux: &Flux, what: String, hints: impl Iterator<Item = String>) {
    flux.ui.warning(what);
    hints.for_each(|hint| flux.ui.hint(hint));
}

/// Returns whether a command may have died at work on a task of ours.
fn is_unsettled(flux: &Flux, task: &Task) -> bool {
    let is_merging = || flux.run_dir(&task.id).scratch().exists();
    // What runs elsewhere is not this repository's.
    elsewhere::original(flux, task).is_none()
        && (task.phase != Phase::Active || is_merging() || is_unnoted(flux, task))
        && flux.owner(task).is_none()
}

/// Removes the marks of a class whose refs are gone: a command that died before the first, or
/// after the last transaction has left them.
///
/// # Errors
/// When they cannot be listed, or the locks not be tried.
pub(super) fn sweep_marks(flux: &Flux, class: &str, has: impl Fn(&str) -> bool) -> Result<()> {
    let marks = flux.repo.marks();
    for owner in marks.list(class)? {
        let name = [FLUX_REFS, &owner].concat();
        let (_, id) = owner.rsplit_once('/').unwrap_or_default();
        let (id, _) = id.split_once('.').unwrap_or((id, ""));
        let Some(id) = id.parse().ok().filter(|_| !has(&name)) else {
            continue;
        };
        // A command that is about to make the ref holds the lock; it may be another user's.
        let Ok(Some(_lock)) = flux.try_lock_task(&id) else {
            continue;
        };
        if refs::list(flux.repo.home(), &[&name])?.is_empty() {
            marks.remove(&owner)?;
        }
        flux.tidy_run(&id)?;
    }
    Ok(())
}

/// Removes the run files of tasks that are gone: a command that died after the
/// last, or before the first transaction has left them. What stays is in nobody's way.
fn clear_orphans(flux: &Flux, store: &Store) {
    let entries = fs::read_dir(flux.repo.runs_dir());
    for entry in entries.into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if other_owner(&path).is_some() {
            continue;
        }
        // Renamed to be removed, by a command that was killed then.
        if name.as_encoded_bytes().starts_with(b".") {
            drop(fs::remove_dir_all(path));
            continue;
        }
        let id = name.to_str().and_then(|name| name.parse::<TaskId>().ok());
        let is_known = |id: &TaskId| store.tasks.iter().any(|stored| stored.id == *id);
        if let Some(id) = id.filter(|id| !is_known(id))
            && let Err(error) = clear_orphan(flux, &id)
        {
            let what = format!("could not clear away '{}': {error:#}", path.display());
            warn(flux, what, iter::once(format!("rm -rf {}", quoted(&path))));
        }
    }
}

fn clear_orphan(flux: &Flux, id: &TaskId) -> Result<()> {
    let Some(_lock) = flux.try_lock_task(id)? else {
        return Ok(());
    };
    // A task that is about to start makes its directory before its record.
    if refs::list(flux.repo.home(), &[&task_ref(id)])?.is_empty() {
        scratch::clear(flux, id, None)?;
        flux.run_dir(id).remove()?;
    }
    Ok(())
}

/// Settles one task, and returns what is to be said of it.
///
/// # Errors
/// When a step fails; the next command tries again.
pub(super) fn settle(flux: &Flux, seen: &Task, lock: &Lock) -> Result<Option<String>> {
    let repo = &flux.repo;
    let record = task_ref(&seen.id);
    let mut found = refs::list(repo.home(), &[&record, &seen.branch_ref()])?;
    let Some(oid) = found.remove(&record) else {
        // Gone since it was listed; the lock's file is what we made just now.
        flux.run_dir(&seen.id).remove()?;
        return Ok(None);
    };
    let task = Task::from_json(&repo.read_file(&oid, store::RECORD)?)?;
    if !store::is_ours(&repo.marks(), &flux.settings, &seen.id, &oid, Some(&task)) {
        bail!("its record is foreign by now");
    }
    let tip = found.remove(&task.branch_ref());
    let interrupted = Teardown {
        flux,
        task: &task,
        oid: &oid,
        tip: tip.as_ref(),
        lock,
    };
    match task.phase {
        Phase::Active => interrupted.note_pane().map(|()| None),
        Phase::Starting => interrupted.settle_start().map(Some),
        Phase::Removing => interrupted.settle_removal().map(Some),
    }
}

/// A task whose last command died, as its lock proves: it goes the way down, unless it is made whole.
impl Teardown<'_> {
    fn advance(&self, task: &Task, also: Transaction) -> Result<()> {
        store::advance(&self.flux.repo, self.oid, task, also, self.lock).map(drop)
    }

    /// Notes a pane that the command has opened for the task, and removes where it merged.
    fn note_pane(&self) -> Result<()> {
        let (flux, task) = (self.flux, self.task);
        scratch::clear(flux, &task.id, Some(task))?;
        if is_unnoted(flux, task)
            && let Some(target) = find_target(flux, task)?
        {
            self.advance(&task.running_in(Some(target)), Transaction::default())?;
        }
        Ok(())
    }

    /// Completes a removal whose worktree has gone. Else it is as if it had not begun: what was
    /// agreed to before the crash does not cover what came after it.
    fn settle_removal(&self) -> Result<String> {
        let (flux, task, id) = (self.flux, self.task, &self.task.id);
        let begun = format!("the removal of '{id}' was interrupted");
        let link = task.worktree.join(".git");
        if fs::exists(link).context("could not look at the worktree")? {
            self.advance(&task.in_phase(Phase::Active), Transaction::default())?;
            return Ok(format!(
                "{begun}; the task is whole again: git flux cleanup {id}"
            ));
        }
        if let Some(target) = &task.target
            && !pane::is_ours(target)
        {
            close(target, &flux.run_dir(id))?;
        }
        let how = match flux.moved_to(task)? {
            Some(place) => Worktree::Moved(place),
            None if is_registered(flux, task)? => Worktree::Keep,
            None => Worktree::Foreign,
        };
        self.run(&how)?;
        Ok(format!("{begun}; it is complete now, {}", of_branch(task)))
    }

    /// Completes a start whose agent had started, and undoes another.
    fn settle_start(&self) -> Result<String> {
        let (flux, task) = (self.flux, self.task);
        let never_ran = flux.run_dir(&task.id).withdraw()?;
        let mut from = None;
        if let Some(name) = &task.restored {
            let mut archived = archive::list_all(flux)?.archived.into_iter();
            from = archived.find(|one| one.name == *name);
        }
        let start = from.as_ref().map_or(task.start(), |from| &from.tip);
        let has_moved = self.tip.is_some_and(|tip| tip != start);
        if !never_ran || has_moved {
            return self.complete_start(from.as_ref());
        }
        self.undo_start(from.as_ref())
    }

    /// The agent had started, and may have worked for hours since: goes forward.
    fn complete_start(&self, from: Option<&Archived>) -> Result<String> {
        let (flux, task) = (self.flux, self.task);
        let target = match find_target(flux, task)? {
            None if task.restored.is_some() => find_shell(flux, task)?,
            found => found,
        };
        let mut also = Transaction::default();
        if let Some(from) = from {
            also = from.forget(also);
            tidy_up(flux, from);
        }
        self.advance(&task.running_in(target), also)?;
        let running = flux.run_dir(&task.id).running()?;
        let when = if running.is_some_and(|running| running.setup.step.is_some()) {
            "while it was set up"
        } else {
            "after its agent had started"
        };
        let id = &task.id;
        Ok(format!(
            "the start of '{id}' was interrupted {when}; the task is whole now"
        ))
    }

    fn undo_start(&self, from: Option<&Archived>) -> Result<String> {
        let (flux, task, id) = (self.flux, self.task, &self.task.id);
        let how = match &task.restored {
            Some(name) => Worktree::unrestored(flux, task, name, from)?,
            None => Worktree::unstarted(flux, task)?,
        };
        let kept = self.run(&how)?.worktree;
        let kept = kept.map_or_else(String::new, |path| {
            format!("; what was in its worktree is in '{}'", path.display())
        });
        Ok(match from {
            Some(_) => format!("restoring '{id}' was interrupted; it can be restored still{kept}"),
            None => format!(
                "the start of '{id}' was interrupted; it is removed again, {}{kept}",
                of_branch(task)
            ),
        })
    }
}

/// Returns what a removal means for the branch.
fn of_branch(task: &Task) -> String {
    let branch = sanitize::line(&task.branch);
    if task.keeps_branch() {
        format!("but for its branch '{branch}', which stays")
    } else {
        format!("with its branch '{branch}'")
    }
}

/// Returns whether a launcher runs for a task that is not the one its record names.
fn is_unnoted(flux: &Flux, task: &Task) -> bool {
    let noted = task.target.as_ref().map(|target| target.pane_pid);
    let run = flux.run_dir(&task.id);
    let Ok(Some(running)) = run.running() else {
        return false;
    };
    // Where the system proves nothing, its pane may.
    let is_alive = || run.is_alive().unwrap_or_default();
    noted != Some(running.launcher) && run.is_launcher(running.launcher).unwrap_or_else(is_alive)
}
