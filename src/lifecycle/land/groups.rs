//! Groups tasks by the branch that they land on, in the order in which the groups have to land.

use std::collections::BTreeSet;

use anyhow::Result;

use super::chain::LandTask;
use crate::context::Flux;
use crate::interrupt;
use crate::lifecycle::cleanup::options::Branch;
use crate::lifecycle::conflicts::{Scope, find_conflicts};
use crate::lifecycle::{archive, observe};
use crate::store::Store;
use crate::task::{BranchName, Task};

/// The tasks that land on one branch.
#[derive(Debug)]
pub(crate) struct LandGroup {
    pub(crate) branch: BranchName,
    pub(crate) tasks: Vec<LandTask>,
}

/// A task that lands on another branch than its target, since that has landed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Redirect {
    pub(crate) gone: BranchName,
    pub(crate) to: BranchName,
}

/// Returns the branch that a task lands on if its target is gone, because that was the branch of
/// another task: the branch that the other task has landed on. `None` if the target exists, or if
/// no such branch is known.
pub(crate) fn find_redirect(flux: &Flux, store: &Store, task: &Task) -> Result<Option<Redirect>> {
    let Some(gone) = &task.into else {
        return Ok(None);
    };
    if store.tip(gone).is_some() {
        return Ok(None);
    }
    let (mut branch, mut seen) = (gone.clone(), BTreeSet::new());
    let archived = archive::list(flux)?;
    while store.tip(&branch).is_none() && seen.insert(branch.clone()) {
        // The latest is the first.
        let removed = archived.iter().find(|one| one.task.branch == branch);
        let merged = removed.and_then(|one| one.merged());
        let Some(merged) = merged else {
            return Ok(None);
        };
        branch = BranchName::typed(&merged.branch);
    }
    let is_there = store.tip(&branch).is_some();
    Ok(is_there.then(|| Redirect {
        gone: gone.clone(),
        to: branch,
    }))
}

/// Returns the branch that `task` lands on: that of `--into`, or else the task's own target.
pub(crate) fn target(store: &Store, task: &LandTask) -> Option<BranchName> {
    if let Branch::Merge {
        into: Some(into), ..
    } = &task.options.branch
    {
        return Some(
            store
                .resolve_symbolic(into)
                .unwrap_or_else(|_| into.clone()),
        );
    }
    let mut tasks = store.readable();
    tasks.find(|one| one.id == task.id)?.into.clone()
}

/// Puts the tasks, which are sorted by age, in the order in which they conflict least with each
/// other. Keeps the order by age, with a warning, if their work cannot be compared.
pub(crate) fn order(flux: &Flux, store: &Store, tasks: Vec<LandTask>) -> Result<Vec<LandTask>> {
    let is_in = |task: &&Task| tasks.iter().any(|one| one.id == task.id);
    let readable: Vec<&Task> = store.readable().filter(is_in).collect();
    if readable.len() < 2 {
        return Ok(tasks);
    }
    let _spinner = flux.ui.spinner("comparing the tasks");
    let compare = || {
        let observed = observe::observe_tasks(flux, store, &readable)?;
        find_conflicts(flux, store, &observed, Scope::All, None)
    };
    let order = match compare() {
        Ok(report) => report.order.tasks,
        Err(error) => {
            interrupt::check()?;
            let what = "the tasks could not be compared; the oldest lands first";
            flux.ui.warning(format_args!("{what}: {error:#}"));
            return Ok(tasks);
        }
    };
    let mut tasks = tasks;
    let position = |task: &LandTask| order.iter().position(|id| *id == task.id);
    // One without changes lands nothing.
    tasks.sort_by_key(|task| position(task).unwrap_or(usize::MAX));
    Ok(tasks)
}

/// Groups the tasks by their targets, in their order. A group that lands on the branch of another
/// task comes before the group of that task. Tasks without a target come last, in a group of their
/// own, whose branch has no name.
pub(crate) fn group(store: &Store, tasks: Vec<LandTask>) -> Vec<LandGroup> {
    let mut groups: Vec<LandGroup> = Vec::new();
    for task in tasks {
        let branch = target(store, &task).unwrap_or_else(|| BranchName::typed(""));
        match groups.iter_mut().find(|group| group.branch == branch) {
            Some(group) => group.tasks.push(task),
            None => groups.push(LandGroup {
                branch,
                tasks: vec![task],
            }),
        }
    }
    let branches = |group: &LandGroup| -> Vec<BranchName> {
        let is_in = |task: &&Task| group.tasks.iter().any(|one| one.id == task.id);
        store
            .readable()
            .filter(is_in)
            .map(|task| task.branch.clone())
            .collect()
    };
    let mut sorted = Vec::new();
    while !groups.is_empty() {
        let is_free = |group: &LandGroup| {
            let own = branches(group);
            groups.iter().all(|other| !own.contains(&other.branch))
        };
        // Tasks that are each other's targets have no order.
        let next = groups.iter().position(is_free).unwrap_or_default();
        sorted.push(groups.remove(next));
    }
    sorted
}
