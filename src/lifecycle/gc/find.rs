//! Finds what is no longer needed.

use std::path::Path;

use anyhow::Result;

use super::garbage::Garbage;
use crate::context::Flux;
use crate::lifecycle::archive::{Archived, trash_name};
use crate::lifecycle::conflicts::cache;
use crate::lifecycle::gate::{log, verdicts};
use crate::lifecycle::land::chain_refs;
use crate::lifecycle::recover;
use crate::lifecycle::review::counts;
use crate::store::Store;
use crate::system::temporary_dir;

/// Lists what is no longer needed, in the order in which it is deleted. Changes nothing. Fails if a
/// setting is invalid.
pub(crate) fn find(flux: &Flux, store: &Store) -> Result<Vec<Garbage>> {
    let mut tasks = flux.expired_tasks()?;
    let is_restored = |one: &Archived| {
        let mut tasks = store.readable();
        tasks.any(|task| task.is_being_restored_from(&one.name))
    };
    tasks.retain(|one| !is_restored(one));
    let mut worktrees = flux.expired_worktrees()?;
    worktrees.retain(|place| !is_of_one(&tasks, place));
    let orphans = recover::list_orphans(flux, store).into_iter();
    let mut found: Vec<Garbage> = orphans.map(Garbage::RunDir).collect();
    found.extend(chain_refs::are_left(flux)?.then_some(Garbage::ChainRefs));
    found.extend(tasks.into_iter().map(|one| Garbage::Task(Box::new(one))));
    found.extend(worktrees.into_iter().map(Garbage::Worktree));
    found.extend(flux.list_marked()?.into_iter().map(Garbage::Rest));
    found.push(Garbage::Verdicts(verdicts::list_expired(&flux.repo)?));
    found.push(Garbage::Logs(log::list_expired(&flux.repo)?));
    found.push(Garbage::Answers(cache::count_outdated(flux, store)));
    found.push(Garbage::UnseenCounts(counts::count_outdated(flux, store)));
    let left = temporary_dir::list_left().into_iter();
    found.extend(left.map(Garbage::TemporaryDir));
    found.retain(|one| !one.is_nothing());
    Ok(found)
}

/// Returns whether the worktree `place` in the trash belongs to one of these removed tasks: it is
/// deleted with the task.
fn is_of_one(tasks: &[Archived], place: &Path) -> bool {
    let name = trash_name(place);
    tasks.iter().any(|one| Some(&one.name) == name.as_ref())
}
