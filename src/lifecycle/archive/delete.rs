//! Deletes removed tasks for good.

use std::fs;

use anyhow::{Context as _, Result};

use super::{Archived, is_ours, reflog_ref, trash, tree};
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{Lock, Transaction, refs};
use crate::store::{self, task_ref};

/// Deletes a removed task for good: the refs of its archive entry and, unless it was fetched, its
/// worktree in the trash and its kept reflog commits. Fails, with nothing deleted, if the entry has
/// changed since it was listed, or if a command has begun to restore it. Waits for the task's lock.
pub(crate) fn delete_archived(flux: &Flux, one: &Archived) -> Result<()> {
    flux.ensure_directories()?;
    let lock = flux.lock_task(&one.task.id)?;
    let done = delete(flux, one, &lock);
    flux.remove_stale_run_dir(&one.task.id)?;
    done
}

fn delete(flux: &Flux, one: &Archived, lock: &Lock) -> Result<()> {
    one.ensure_unchanged(flux)?;
    ensure_not_restored(flux, one)?;
    let mut refs = Transaction::default();
    let mut dir = None;
    // A worktree in the trash under the name of a foreign entry belongs to another task.
    if !one.foreign {
        // Under another name, remains of it are not taken for a worktree.
        dir = trash::mark_for_deletion(&flux.trash().join(&one.name))?;
        let logs = refs::list(flux.repo.home(), &[&reflog_ref(&one.task.id, "")])?;
        let own = logs.iter().filter(|(name, oid)| is_ours(flux, name, oid));
        refs = own.fold(refs, |all, (name, oid)| all.delete(name, oid));
    }
    let message = format!("flux restore: drop {}", one.name);
    let deleted = one.forget(refs).commit(&flux.repo, &message, lock);
    let Some(dir) = dir else { return deleted };
    if deleted.is_err() {
        fs::rename(&dir, flux.trash().join(&one.name))
            .context("could not move a worktree back in the trash")?;
        return deleted;
    }
    trash::delete_marked(&dir)
        .with_context(|| format!("'{}' is deleted, but not all of its files", one.name))
}

/// Fails if a command, perhaps a killed one, has begun to restore a removed task, or if that cannot be
/// found out. The caller holds the task's lock.
fn ensure_not_restored(flux: &Flux, one: &Archived) -> Result<()> {
    let id = &one.task.id;
    let record = refs::list(flux.repo.home(), &[&task_ref(id)])?;
    let task = record.values().next();
    let task = task.map(|oid| store::parse_record(&flux.repo, oid));
    let Some(task) = task.transpose()? else {
        return Ok(());
    };
    if !task.is_being_restored_from(&one.name) {
        return Ok(());
    }
    let failure = Failure::new(format!("'{}' is being restored", one.name));
    Err(failure
        .hint(format!(
            "to see the state of the task: git flux status {id}"
        ))
        .into())
}

/// Deletes a restored task's directory in the trash, unless the worktree is still in it or the task
/// was fetched. Only warns if that fails.
pub(in crate::lifecycle) fn remove_trash_leftovers(flux: &Flux, one: &Archived) {
    let place = flux.trash().join(&one.name);
    if one.foreign || place.join("worktree").exists() {
        return;
    }
    if let Err(error) = tree::delete(&place) {
        flux.ui.warning(format_args!("{error:#}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::archive;
    use crate::lifecycle::start::world::{World, git};
    use crate::store::ARCHIVE;
    use crate::task::{RefName, Task};

    #[test]
    fn delete_archived_refuses_a_task_whose_restore_has_begun() {
        let world = World::new();
        let (flux, home) = (&world.flux, world.home());
        let lock = flux.lock_task(&world.task().id).unwrap();
        let task = world.task();
        let record = store::create_task(&flux.repo, &task, b"fix", &task.base, &lock).unwrap();
        let mut entry = Transaction::default();
        for (part, oid) in [("task", &record), ("tip", &task.base), ("base", &task.base)] {
            entry = entry.create(&RefName::new(format!("{ARCHIVE}fix/{part}")), oid);
        }
        entry.commit(&flux.repo, "archive it", &lock).unwrap();
        drop(lock);
        let listed = archive::list(flux).unwrap();
        let [one] = &listed[..] else {
            panic!("{listed:?}")
        };
        // Another task that has its id does not count, but the one that is being restored.
        let restored = Task {
            restored_from: Some("fix".to_owned()),
            ..task
        };
        let lock = flux.lock_task(&restored.id).unwrap();
        let none = Transaction::default();
        store::update(&flux.repo, &record, &restored, &[], none, &lock).unwrap();
        drop(lock);
        let before = world.facts();
        let error = delete_archived(flux, one).unwrap_err();
        assert_eq!(error.to_string(), "'fix' is being restored");
        assert_eq!(world.facts(), before);
        git(home, ["update-ref", "refs/flux/tasks/fix", &record]);
        delete_archived(flux, one).unwrap();
        assert!(archive::list(flux).unwrap().is_empty());
    }
}
