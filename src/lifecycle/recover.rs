//! Recovers tasks whose last command died: completes or rolls back each.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Error, Result, bail};

use super::archive::delete::remove_trash_leftovers;
use super::archive::{self, Archived};
use super::cleanup::scratch;
use super::copied_repository;
use super::disposal::{Disposal, is_registered};
use super::land::{chain_refs, recovery};
use super::owner::other_owner;
use super::pane::{close, find_shell, find_target};
use super::teardown::Teardown;
use crate::context::Flux;
use crate::failure::{Failure, Verb};
use crate::git::{Lock, Transaction, refs};
use crate::sanitize;
use crate::store::{self, Store, task_ref};
use crate::task::{Phase, RefName, Task, TaskId};
use crate::tmux::pane;
use crate::ui::quoted;

/// Completes or rolls back every task whose last command died, and prints how; warns if that fails.
/// Skips tasks that are locked or another user's. Also deletes run directories that removed tasks
/// left. Returns whether a task was recovered, so that `store` is outdated.
pub(crate) fn recover(flux: &Flux, store: &Store) -> Result<bool> {
    let mut changed = false;
    for task in store.readable().filter(|task| is_interrupted(flux, task)) {
        let id = &task.id;
        // A live command or one of its children holds the lock.
        let Some(lock) = flux.try_lock_task(id).transpose() else {
            continue;
        };
        match lock.and_then(|lock| finish(flux, task, &lock)) {
            Ok(message) => {
                changed = true;
                message.into_iter().for_each(|text| flux.ui.status(text));
            }
            Err(error) => {
                let what = format!("could not recover the interrupted task '{id}'");
                flux.ui.warn_of(&error.context(what));
            }
        }
    }
    clear_orphans(flux, store);
    clear_stashes(flux, store);
    for class in ["tasks", "base", "seen"] {
        if let Err(error) = clear_marks(flux, class, |name| store.has_ref(name)) {
            flux.ui.warn_of(&error);
        }
    }
    if let Err(error) = chain_refs::sweep(flux) {
        flux.ui.warn_of(&error);
    }
    Ok(changed)
}

/// Returns the tasks whose last command died, which [`recover`] completes or rolls back. Changes
/// nothing.
pub(crate) fn list_interrupted<'a>(flux: &Flux, store: &'a Store) -> Vec<&'a Task> {
    let is_locked = |task: &Task| Lock::is_held(&flux.run_dir(&task.id).lock());
    let tasks = store.readable();
    tasks
        .filter(|task| is_interrupted(flux, task) && !is_locked(task))
        .collect()
}

/// Returns whether a command may have died while it changed a task; `true` also while one still
/// runs. `false` for tasks of other users and of a copied repository's original.
fn is_interrupted(flux: &Flux, task: &Task) -> bool {
    let is_merging = || flux.run_dir(&task.id).scratch().exists();
    // The original repository recovers its own tasks.
    copied_repository::find_original(flux, task).is_none()
        && (task.phase != Phase::Active || is_merging() || has_unrecorded_pane(flux, task))
        && flux.owner(task).is_none()
}

/// Deletes the files in `<git-common-dir>/flux/marks/<class>`, each of which notes that this
/// repository made a ref, if the ref exists neither by `has_ref` nor for git. Skips tasks that
/// another process has locked.
pub(super) fn clear_marks(
    flux: &Flux,
    class: &str,
    has_ref: impl Fn(&RefName) -> bool,
) -> Result<()> {
    let marks = flux.repo.marks();
    for name in marks.list(class)? {
        let (_, id) = name.rsplit_once('/').unwrap_or_default();
        let (id, _) = id.split_once('.').unwrap_or((id, ""));
        let Some(id) = id.parse().ok().filter(|_| !has_ref(&name)) else {
            continue;
        };
        // A command that is about to create the ref holds the lock, maybe another user's.
        let Ok(Some(_lock)) = flux.try_lock_task(&id) else {
            continue;
        };
        if refs::list(flux.repo.home(), &[&name])?.is_empty() {
            marks.remove(&name)?;
        }
        flux.remove_stale_run_dir(&id)?;
    }
    Ok(())
}

/// Deletes the current user's run directories of tasks that do not exist, with the scratch
/// repositories of their merges and the refs that keep their stash entries, and all hidden run
/// directories. Skips tasks that another command has locked; warns of a directory that cannot be
/// deleted.
fn clear_orphans(flux: &Flux, store: &Store) {
    for path in own_run_dirs(flux) {
        let name = path.file_name().unwrap_or_default();
        // A killed command has renamed it to delete it.
        if name.as_encoded_bytes().starts_with(b".") {
            drop(fs::remove_dir_all(path));
        }
    }
    for id in list_orphans(flux, store) {
        if let Err(error) = clear_orphan(flux, &id) {
            flux.ui.warn_of(&error);
        }
    }
}

fn own_run_dirs(flux: &Flux) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(flux.repo.runs_dir()).into_iter().flatten();
    let paths = entries.flatten().map(|entry| entry.path());
    paths.filter(|path| other_owner(path).is_none())
}

/// Returns the ids of tasks that do not exist, but have a run directory of the current user. Skips
/// those that another command has locked.
pub(super) fn list_orphans(flux: &Flux, store: &Store) -> Vec<TaskId> {
    let id = |path: PathBuf| path.file_name()?.to_str()?.parse::<TaskId>().ok();
    let is_known = |id: &TaskId| store.tasks.iter().any(|stored| stored.id == *id);
    let is_locked = |id: &TaskId| Lock::is_held(&flux.run_dir(id).lock());
    let ids = own_run_dirs(flux).filter_map(id);
    ids.filter(|id| !is_known(id) && !is_locked(id)).collect()
}

/// Deletes the refs that keep the entries of the own stashes of tasks that do not exist, with their
/// run directories. Skips tasks that another command has locked; warns of what cannot be deleted.
fn clear_stashes(flux: &Flux, store: &Store) {
    let marked = flux.repo.marks().list("stashed").unwrap_or_default();
    for name in marked {
        let id = name
            .rsplit('/')
            .next()
            .and_then(|id| id.parse::<TaskId>().ok());
        let is_known = |id: &TaskId| store.tasks.iter().any(|stored| stored.id == *id);
        if let Some(id) = id.filter(|id| !is_known(id))
            && let Err(error) = clear_orphan(flux, &id)
        {
            flux.ui.warn_of(&error);
        }
    }
}

/// Deletes the run directory of a task that does not exist, with the scratch repository of its
/// merge and the refs that keep its stash entries. Returns `false` if there is such a task now, or
/// another command has locked it.
pub(super) fn clear_orphan(flux: &Flux, id: &TaskId) -> Result<bool> {
    let clear = || {
        let Some(lock) = flux.try_lock_task(id)? else {
            return Ok(false);
        };
        // A starting task creates its directory before its record.
        let is_orphan = refs::list(flux.repo.home(), &[&task_ref(id)])?.is_empty();
        if is_orphan {
            scratch::sweep(flux, id, None)?;
            flux.remove_run_dir(id, &lock)?;
        }
        Ok(is_orphan)
    };
    clear().map_err(|error: Error| {
        let path = flux.run_dir(id).0;
        let what = format!("could not delete '{}': {error:#}", path.display());
        let failure = Failure::new(what);
        failure.hint(format!("rm -rf {}", quoted(&path))).into()
    })
}

/// Completes or rolls back a task whose last command died, and returns a message for the user;
/// `None` if the task is active or gone. Fails if the record was fetched from another repository.
pub(super) fn finish(flux: &Flux, listed: &Task, lock: &Lock) -> Result<Option<String>> {
    let repo = &flux.repo;
    let record = task_ref(&listed.id);
    let mut found = refs::list(repo.home(), &[&record, &listed.branch_ref()])?;
    let Some(oid) = found.remove(&record) else {
        // Removed since it was listed. We have just created its lock file.
        flux.run_dir(&listed.id).remove()?;
        return Ok(None);
    };
    let task = store::parse_record(repo, &oid)?;
    if !store::is_ours(&repo.marks(), &flux.settings, &listed.id, &oid, Some(&task)) {
        bail!("its record was replaced by a fetched one");
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
        Phase::Active => interrupted.record_pane().map(|()| None),
        Phase::Starting => interrupted.finish_start().map(Some),
        Phase::Removing => interrupted.finish_removal().map(Some),
    }
}

impl Teardown<'_> {
    fn advance(&self, task: &Task, updates: Transaction) -> Result<()> {
        store::update(&self.flux.repo, self.oid, task, &[], updates, self.lock).map(drop)
    }

    /// Deletes the temporary repository of a killed merge, and records the pane that a killed
    /// command opened for an active task, if its launcher runs there.
    fn record_pane(&self) -> Result<()> {
        let (flux, task) = (self.flux, self.task);
        scratch::sweep(flux, &task.id, Some(task))?;
        if has_unrecorded_pane(flux, task)
            && let Some(target) = find_target(flux, task)?
        {
            self.advance(&task.with_target(Some(target)), Transaction::default())?;
        }
        Ok(())
    }

    /// Completes an interrupted removal if the worktree is gone or the task has landed, and closes the task's pane, unless
    /// it is the caller's own. Otherwise makes the task active again: the user's consent does not
    /// cover later changes. Returns a message for the user.
    fn finish_removal(&self) -> Result<String> {
        let (flux, task, id) = (self.flux, self.task, &self.task.id);
        let removal = task.removal.as_ref();
        let (what, verb) = match removal.is_some_and(|removal| removal.landing.is_some()) {
            true => ("landing", Verb::Land),
            false => ("removal", Verb::Cleanup),
        };
        let what = format!("the {what} of '{id}' was interrupted");
        let link = task.worktree.join(".git");
        let failure = || format!("could not access '{}'", link.display());
        let is_there = fs::exists(&link).with_context(failure)?;
        let has_landed = is_there && recovery::has_landed(flux, task, self.tip)?;
        if is_there && !has_landed {
            self.advance(&task.in_phase(Phase::Active), Transaction::default())?;
            return Ok(format!(
                "{what}; the task is still there (git flux {verb} {id})"
            ));
        }
        if let Some(target) = &task.target
            && !pane::is_own(target)
        {
            close(target, &flux.run_dir(id))?;
        }
        let how = match flux.find_moved_worktree(task)? {
            Some(place) => Disposal::InTrash(place),
            None if has_landed || is_registered(flux, task)? => Disposal::Trash,
            None => Disposal::Leave,
        };
        self.run(&how)?;
        Ok(format!("{what}; it is removed now, {}", with_branch(task)))
    }

    /// Completes an interrupted start if its launcher had begun or its branch has moved; otherwise
    /// rolls it back. Returns a message for the user.
    fn finish_start(&self) -> Result<String> {
        let (flux, task) = (self.flux, self.task);
        let never_ran = flux.run_dir(&task.id).cancel_launch()?;
        let mut from = None;
        if let Some(name) = &task.restored_from {
            let mut archived = archive::list_all(flux)?.archived.into_iter();
            from = archived.find(|entry| entry.name == *name);
        }
        let start = from.as_ref().map_or(task.start_commit(), |from| &from.tip);
        let has_moved = self.tip.is_some_and(|tip| tip != start);
        if !never_ran || has_moved {
            return self.complete_start(from.as_ref());
        }
        self.undo_start(from.as_ref())
    }

    /// Completes an interrupted start: makes the task active, records its pane, if it is found, and
    /// deletes the archive entry `from`, if the task was restored from it. Returns a message for
    /// the user.
    fn complete_start(&self, from: Option<&Archived>) -> Result<String> {
        let (flux, task) = (self.flux, self.task);
        let target = match find_target(flux, task)? {
            None if task.restored_from.is_some() => find_shell(flux, task)?,
            found => found,
        };
        let mut updates = Transaction::default();
        if let Some(from) = from {
            updates = from.give_back(flux, updates)?;
            remove_trash_leftovers(flux, from);
        }
        self.advance(&task.with_target(target), updates)?;
        let running = flux.run_dir(&task.id).running()?;
        let when = if running.is_some_and(|running| running.setup.step.is_some()) {
            "during its setup"
        } else {
            "after its agent had started"
        };
        let id = &task.id;
        Ok(format!(
            "the start of '{id}' was interrupted {when}; the task is complete now"
        ))
    }

    fn undo_start(&self, from: Option<&Archived>) -> Result<String> {
        let (flux, task, id) = (self.flux, self.task, &self.task.id);
        let how = match &task.restored_from {
            Some(name) => Disposal::of_unrestored(flux, task, name, from)?,
            None => Disposal::of_unstarted(flux, task)?,
        };
        let kept = self.run(&how)?.worktree;
        let kept = kept.map_or_else(String::new, |path| {
            format!("; its files are in '{}'", path.display())
        });
        Ok(match from {
            Some(_) => format!(
                "an earlier restore of '{id}' was interrupted; the task can still be restored{kept}"
            ),
            None => format!(
                "removed what the interrupted start of '{id}' had made, {}{kept}",
                with_branch(task)
            ),
        })
    }
}

/// Returns whether a removal deletes the task's branch, as text: `except its branch 'x'` or
/// `with its branch 'x'`.
fn with_branch(task: &Task) -> String {
    let branch = sanitize::line(&task.branch);
    if task.keeps_branch() {
        format!("except its branch '{branch}'")
    } else {
        format!("with its branch '{branch}'")
    }
}

/// Returns whether a launcher of the task runs that is not the process of the recorded pane.
/// `false` also if the file `running` cannot be read.
fn has_unrecorded_pane(flux: &Flux, task: &Task) -> bool {
    let recorded = task.target.as_ref().map(|target| target.pane_pid);
    let run = flux.run_dir(&task.id);
    let Ok(Some(running)) = run.running() else {
        return false;
    };
    // If the system cannot prove the launcher, its lock does.
    let is_alive = || run.is_alive().unwrap_or_default();
    recorded != Some(running.launcher) && run.is_launcher(running.launcher).unwrap_or_else(is_alive)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::start::world::{World, id};

    #[test]
    fn recover_deletes_only_run_directories_without_a_task() {
        let world = World::new();
        let flux = &world.flux;
        let (task, lock) = (world.task(), flux.lock_task(&id()).unwrap());
        store::create_task(&flux.repo, &task, b"fix it", &task.base, &lock).unwrap();
        drop(lock);
        let runs = flux.repo.runs_dir();
        for name in ["orphan", "locked", ".deleted", "Not an id"] {
            fs::create_dir_all(runs.join(name).join("below")).unwrap();
        }
        let _lock = flux.lock_task(&"locked".parse().unwrap()).unwrap();
        clear_orphans(flux, &Store::load(&flux.repo, &flux.settings).unwrap());
        let left = fs::read_dir(&runs).unwrap().flatten();
        let mut left: Vec<_> = left.map(|entry| entry.file_name()).collect();
        left.sort();
        assert_eq!(left, ["Not an id", "fix", "locked"]);
    }
}
