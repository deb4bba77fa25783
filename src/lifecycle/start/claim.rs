//! The claim on a task's id, and the refusal of one that is taken.

use anyhow::{Error, Result};

use super::plan::{Origin, Start};
use super::ports::{self, Claim};
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{Lock, ObjectId, refs};
use crate::lifecycle::recover::settle;
use crate::store::{self, Store, task_ref};
use crate::system::disk::disk_full;
use crate::task::{Phase, Task, TaskId};
use crate::ui::word;

/// Claims the id of a task with its record, before anything else of it exists, and ports for its
/// programs. Returns the record's object.
///
/// # Errors
/// When it is taken, or git fails: then nothing has changed.
pub(super) fn claim(flux: &Flux, start: &mut Start, lock: &Lock) -> Result<ObjectId> {
    let run = flux.run_dir(&start.task.id);
    let ports = match start.origin {
        Origin::New { .. } | Origin::Archive(_) => ports::claim(flux, &run, start.task.port),
        Origin::Worktree | Origin::Task(_) => None,
    };
    start.task.port = ports.as_ref().map(Claim::port);
    let (task, tip) = (&start.task, start.tip());
    let created = store::create(&flux.repo, task, &start.description, tip, lock);
    created.or_else(|error| {
        // The claim may be on another task of this id.
        ports.inspect(|ports| ports.give_back(&run));
        Err(refusal(flux, start, lock, error)?)
    })
}

/// Why the id could not be claimed. What another task of that id has stays untouched.
fn refusal(flux: &Flux, start: &Start, lock: &Lock, error: Error) -> Result<Error> {
    let task = &start.task;
    let (record, branch) = (task_ref(&task.id), task.branch_ref());
    let existing = refs::list(flux.repo.home(), &[&record, &branch])?;
    if let Some(oid) = existing.get(&record) {
        // It may have been fetched just now.
        let store = Store::load(&flux.repo, &flux.settings)?;
        store.ensure_not_foreign(&flux.repo, &task.id)?;
        let found = Task::from_json(&flux.repo.read_file(oid, store::RECORD)?)?;
        if found.phase != Phase::Starting {
            return Ok(exists(&task.id).into());
        }
        // The transaction failed half way, as it can on a full disk: the lock is
        // ours, so nobody else is at work on it.
        settle(flux, &found, lock)?;
    } else {
        flux.run_dir(&task.id).remove()?;
        if existing.contains_key(&branch) && !task.keeps_branch() {
            return Ok(branch_exists(&task.branch).into());
        }
    }
    let full = disk_full(&error, &[flux.repo.common_dir()]);
    let failure = start.refusal();
    Ok(error.context(full.into_iter().fold(failure, Failure::hint)))
}

/// The refusal of an id that is taken.
pub(crate) fn exists(id: &TaskId) -> Failure {
    Failure::new(format!("the task '{id}' exists already"))
        .hint(format!("git flux attach {id}"))
        .hint(format!("git flux cleanup {id}"))
}

/// The refusal of a branch that is taken.
pub(crate) fn branch_exists(branch: &str) -> Failure {
    Failure::new(format!("the branch '{branch}' exists already"))
        .hint("choose another id with --name")
        .hint(format!("git branch -d {}", word(branch)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::start::under_lock;
    use crate::lifecycle::start::world::{World, git, id};
    use crate::task::{BranchName, Existing, Rest};

    /// The adoption of a branch, which sets no ports aside.
    fn adoption(world: &World, branch: &str) -> Start {
        let mut start = world.start(Origin::Worktree);
        start.task.branch = BranchName::new(branch);
        start.task.existing = Some(Existing {
            tip: start.task.base.clone(),
            made: false,
            adopted: true,
            rest: Rest::default(),
        });
        start
    }

    fn claim_it(world: &World, start: &mut Start) -> Result<ObjectId> {
        let lock = world.flux.lock_task(&id()).unwrap();
        claim(&world.flux, start, &lock)
    }

    #[test]
    fn an_id_that_a_task_has_is_refused() {
        let world = World::new();
        git(world.home(), ["branch", "topic"]);
        let mut start = adoption(&world, "topic");
        let lock = world.flux.lock_task(&id()).unwrap();
        under_lock(&world.flux, &mut start, lock).map(drop).unwrap();
        let before = world.facts();
        let error = claim_it(&world, &mut start).unwrap_err();
        assert_eq!(error.to_string(), "the task 'fix' exists already");
        assert_eq!(world.facts(), before);
    }

    #[test]
    fn a_start_that_died_is_undone_by_the_next_one_of_its_id() {
        let world = World::new();
        git(world.home(), ["branch", "topic"]);
        let before = world.facts();
        let mut start = adoption(&world, "topic");
        claim_it(&world, &mut start).unwrap();
        let error = claim_it(&world, &mut start).unwrap_err();
        let said = "could not adopt 'fix'; nothing was changed";
        assert_eq!(error.to_string(), said);
        assert_eq!(world.facts(), before);
    }

    #[test]
    fn a_branch_that_is_not_there_leaves_no_task() {
        let world = World::new();
        let before = world.facts();
        claim_it(&world, &mut adoption(&world, "topic")).unwrap_err();
        assert_eq!(world.facts(), before);
    }
}
