//! Settles what dead commands left: every unfinished task becomes whole or gone.

use std::fs;

use anyhow::{Context as _, Result, bail};

use super::archive::delete::tidy_up;
use super::archive::{self, Archived, Kept};
use super::cleanup::scratch;
use super::elsewhere;
use super::fate::{Worktree, is_registered};
use super::owner::other_owner;
use super::pane::{close, find_shell, find_target};
use super::teardown::Teardown;
use crate::context::Flux;
use crate::failure;
use crate::git::marks::FLUX;
use crate::git::{Lock, ObjectId, Transaction, refs};
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
        // What runs there is not this repository's.
        if elsewhere::original(flux, task).is_some() {
            continue;
        }
        let scratch = flux.run_dir(id).scratch().exists();
        if task.phase == Phase::Active && !scratch && !is_unnoted(flux, task) {
            continue;
        }
        if flux.owner(task).is_some() {
            continue;
        }
        // A live command would be holding the lock, or one of its children would.
        let settled = match flux.try_lock_task(id) {
            Ok(None) => continue,
            Ok(Some(lock)) => settle(flux, task, &lock),
            Err(error) => Err(error),
        };
        match settled {
            Ok(said) => {
                changed = true;
                if let Some(said) = said {
                    flux.ui.status(said);
                }
            }
            Err(error) => {
                flux.ui.warning(format_args!(
                    "could not settle the interrupted task '{id}': {error:#}"
                ));
                failure::hints(&error).for_each(|hint| flux.ui.hint(hint));
            }
        }
    }
    clear_orphans(flux, store);
    for class in ["tasks", "base"] {
        if let Err(error) = sweep_marks(flux, class, |name| store.has_ref(name)) {
            flux.ui.warning(format_args!("{error:#}"));
            failure::hints(&error).for_each(|hint| flux.ui.hint(hint));
        }
    }
    Ok(changed)
}

/// Removes the marks of a class whose refs are gone: a command that died before the first, or
/// after the last transaction has left them.
///
/// # Errors
/// When they cannot be listed, or the locks not be tried.
pub(super) fn sweep_marks(flux: &Flux, class: &str, has: impl Fn(&str) -> bool) -> Result<()> {
    let marks = flux.repo.marks();
    for owner in marks.list(class)? {
        let name = [FLUX, &owner].concat();
        let id = owner
            .rsplit('/')
            .next()
            .and_then(|name| name.split('.').next());
        let Some(id) = id.and_then(|id| id.parse::<TaskId>().ok()) else {
            continue;
        };
        if has(&name) {
            continue;
        }
        // A command that is about to make the ref holds the lock; it may be another user's.
        let Ok(Some(lock)) = flux.try_lock_task(&id) else {
            continue;
        };
        if refs::list(flux.repo.home(), &[&name])?.is_empty() {
            marks.sweep(&owner)?;
        }
        flux.tidy_run(&id)?;
        drop(lock);
    }
    Ok(())
}

/// Removes the run files of tasks that are gone: a command that died after the
/// last, or before the first transaction has left them. What stays is in nobody's way.
fn clear_orphans(flux: &Flux, store: &Store) {
    let Ok(entries) = fs::read_dir(flux.repo.flux_dir().join("run")) else {
        return;
    };
    for entry in entries.flatten() {
        if other_owner(&entry.path()).is_some() {
            continue;
        }
        let name = entry.file_name();
        // Renamed to be removed, by a command that was killed then.
        if name.as_encoded_bytes().starts_with(b".") {
            drop(fs::remove_dir_all(entry.path()));
            continue;
        }
        let Some(id) = name.to_str().and_then(|name| name.parse::<TaskId>().ok()) else {
            continue;
        };
        if store.tasks.iter().any(|stored| stored.id == id) {
            continue;
        }
        if let Err(error) = clear_orphan(flux, &id) {
            let path = entry.path();
            flux.ui.warning(format_args!(
                "could not clear away '{}': {error:#}",
                path.display()
            ));
            flux.ui.hint(format_args!("rm -rf {}", quoted(&path)));
        }
    }
}

fn clear_orphan(flux: &Flux, id: &TaskId) -> Result<()> {
    let run = flux.run_dir(id);
    let Some(_lock) = flux.try_lock_task(id)? else {
        return Ok(());
    };
    // A task that is about to start makes its directory before its record.
    if refs::list(flux.repo.home(), &[&task_ref(id)])?.is_empty() {
        scratch::clear(flux, id, None)?;
        run.remove()?;
    }
    Ok(())
}

/// A task whose last command died, as its lock proves.
struct Interrupted<'a> {
    flux: &'a Flux,
    task: Task,
    /// Its record.
    oid: ObjectId,
    /// The tip of its branch, if that is there.
    tip: Option<ObjectId>,
    lock: &'a Lock,
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
    let interrupted = Interrupted {
        flux,
        task,
        oid,
        tip,
        lock,
    };
    match interrupted.task.phase {
        Phase::Active => {
            scratch::clear(flux, &seen.id, Some(&interrupted.task))?;
            interrupted.note_pane()?;
            Ok(None)
        }
        Phase::Starting => interrupted.settle_start().map(Some),
        Phase::Removing => interrupted.settle_removal().map(Some),
    }
}

impl Interrupted<'_> {
    fn advance(&self, task: &Task, also: Transaction) -> Result<()> {
        store::advance(&self.flux.repo, &self.oid, task, also, self.lock).map(drop)
    }

    fn descend(&self, how: &Worktree) -> Result<Kept> {
        let teardown = Teardown {
            flux: self.flux,
            task: &self.task,
            oid: &self.oid,
            tip: self.tip.as_ref(),
            lock: self.lock,
        };
        teardown.run(how)
    }

    /// Notes a pane that the command has opened for the task.
    fn note_pane(&self) -> Result<()> {
        if is_unnoted(self.flux, &self.task)
            && let Some(target) = find_target(self.flux, &self.task)?
        {
            let task = self.task.running_in(Some(target));
            self.advance(&task, Transaction::default())?;
        }
        Ok(())
    }

    /// Completes a removal whose worktree has gone. Else it is as if it had not begun: what was
    /// agreed to before the crash does not cover what came after it.
    fn settle_removal(&self) -> Result<String> {
        let (flux, task, id) = (self.flux, &self.task, &self.task.id);
        let link = task.worktree.join(".git");
        if fs::exists(link).context("could not look at the worktree")? {
            self.advance(&task.in_phase(Phase::Active), Transaction::default())?;
            return Ok(format!(
                "the removal of '{id}' was interrupted; the task is whole again: git flux cleanup {id}"
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
        self.descend(&how)?;
        Ok(format!(
            "the removal of '{id}' was interrupted; it is complete now, {}",
            of_branch(task)
        ))
    }

    /// Completes a start whose agent had started, and undoes another.
    fn settle_start(&self) -> Result<String> {
        let (flux, task) = (self.flux, &self.task);
        let never_ran = flux.run_dir(&task.id).withdraw()?;
        let from = match &task.restored {
            Some(name) => archive::list_all(flux)?
                .archived
                .into_iter()
                .find(|one| one.name == *name),
            None => None,
        };
        let start = from.as_ref().map_or(task.start(), |from| &from.tip);
        let has_moved = self.tip.as_ref().is_some_and(|tip| tip != start);
        if !never_ran || has_moved {
            return self.complete_start(from.as_ref());
        }
        self.undo_start(from.as_ref())
    }

    /// The agent had started, and may have worked for hours since: goes forward.
    fn complete_start(&self, from: Option<&Archived>) -> Result<String> {
        let (flux, task) = (self.flux, &self.task);
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
        Ok(format!(
            "the start of '{}' was interrupted {when}; the task is whole now",
            task.id
        ))
    }

    fn undo_start(&self, from: Option<&Archived>) -> Result<String> {
        let (flux, task, id) = (self.flux, &self.task, &self.task.id);
        let how = match &task.restored {
            Some(name) => Worktree::unrestored(flux, task, name, from)?,
            None => Worktree::unstarted(flux, task)?,
        };
        let kept = self.descend(&how)?.worktree;
        let kept = kept
            .map(|path| format!("; what was in its worktree is in '{}'", path.display()))
            .unwrap_or_default();
        Ok(match from {
            Some(_) => format!("restoring '{id}' was interrupted; it can be restored still{kept}"),
            None => format!(
                "the start of '{id}' was interrupted; it is removed again, {}{kept}",
                of_branch(task)
            ),
        })
    }
}

/// What a removal means for the branch.
fn of_branch(task: &Task) -> String {
    let branch = sanitize::line(&task.branch);
    if task.keeps_branch() {
        format!("but for its branch '{branch}', which stays")
    } else {
        format!("with its branch '{branch}'")
    }
}

/// Whether a launcher runs for a task that is not the one its record names.
fn is_unnoted(flux: &Flux, task: &Task) -> bool {
    let noted = task.target.as_ref().map(|target| target.pane_pid);
    let run = flux.run_dir(&task.id);
    let running = run.running().ok().flatten();
    let launcher = running.map(|running| running.launcher);
    // Where the system proves nothing, its pane may.
    launcher.is_some_and(|launcher| {
        noted != Some(launcher)
            && run
                .is_launcher(launcher)
                .unwrap_or_else(|| run.is_alive().unwrap_or_default())
    })
}
