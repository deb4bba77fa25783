//! Prepares the restore of a removed task.

use anyhow::{Result, bail};

use super::archive::Archived;
use super::branch_uses::{BranchUses, ensure_main_is_known};
use super::damage::unused_path;
use super::disposal::ensure_unshared;
use super::resume::continue_command;
use super::start::agent_launch;
use super::start::branch::{ensure_valid_name, worktree_path};
use super::start::plan::{NewPane, Origin, Start};
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{Worktree, admin, worktree};
use crate::store::{self, Store};
use crate::task::{Layout, Phase, Removal, Task};
use crate::tmux::placement::{self, LayoutRequest};
use crate::ui::{quoted, shown, word};

/// Plans how to start a removed task again, and changes nothing; with a shell if its agent cannot
/// continue a session or the task was fetched. Fails if its id, branch or path is in use, or if a
/// branch that existed before the task has moved.
pub(crate) fn prepare(flux: &Flux, store: &Store, one: &Archived) -> Result<Start> {
    let task = Task {
        restored_from: Some(one.name.clone()),
        target: None,
        ..one.task.in_phase(Phase::Starting)
    };
    ensure_free(flux, store, &task, &one.name)?;
    let task = with_current_branch(store, task, one)?;
    let description = store::read_prompt(&flux.repo, &one.record)?;
    let agent = continue_command(flux, &task, &description).filter(|_| !one.foreign);
    // A worktree with its ignored files needs no setup.
    let ready = match (&one.trash, &agent) {
        (None, Some(_)) => agent_launch::load_setup(flux)?,
        _ => agent_launch::load_wrapper(flux)?,
    };
    let name = placement::session_name(&flux.repo.project(), &task.id);
    let pane = NewPane {
        place: placement::choose(LayoutRequest::Preferred(Layout::Session), name, None)?,
        agent,
        ready,
        init: None,
    };
    Ok(Start {
        task,
        description,
        origin: Origin::Archive(Box::new(one.clone())),
        pane: Some(pane),
    })
}

/// Fails if the task to restore, whose archive name is `name`, would overwrite something: another
/// task has its id, its branch is in use or exists although the task had created it, or something is
/// at its worktree's path.
fn ensure_free(flux: &Flux, store: &Store, task: &Task, name: &str) -> Result<()> {
    let id = &task.id;
    store.ensure_not_foreign(&flux.repo, id)?;
    let worktrees = worktree::list(flux.repo.home())?;
    ensure_main_is_known(flux, &worktrees)?;
    if task.existing.is_some() && store.tasks.iter().all(|stored| stored.id != *id) {
        store.ensure_not_symbolic(&task.branch)?;
        ensure_unshared(flux, &worktrees, task)?;
        let uses = BranchUses::find(flux, store, &worktrees, &task.branch)?;
        uses.except(&task.worktree).ensure_none()?;
    }
    let taken = name_conflict(store, task).or_else(|| path_conflict(flux, &worktrees, task));
    match taken {
        Some(taken) => bail!(taken.hint(format!("then: git flux restore {name}"))),
        None => Ok(()),
    }
}

/// Returns the error if another task has the id, if the branch exists and the task had created it,
/// or if git cannot have it beside another branch. `None` if all is free.
fn name_conflict(store: &Store, task: &Task) -> Option<Failure> {
    let (id, branch) = (&task.id, &task.branch);
    if store.tasks.iter().any(|stored| stored.id == *id) {
        let failure = Failure::new(format!("another task has the id '{id}'"));
        let help = "to merge and remove that one first";
        return Some(failure.hint(format!("{help}: git flux cleanup {id}")));
    }
    let rename = |branch: &str| format!("git branch -m {} <another name>", word(branch));
    if store.tip(branch).is_some() && task.existing.is_none() {
        let failure = Failure::new(format!("the branch '{branch}' exists already"));
        return Some(failure.hint(rename(branch)));
    }
    let other = store.conflicting_branch(branch)?;
    let failure = Failure::new(format!(
        "cannot create the branch '{branch}': '{other}' exists"
    ));
    Some(failure.hint(rename(other)))
}

/// Returns the error if something is at the path of the task's worktree, or git lists a worktree
/// there. `None` if the path is free.
fn path_conflict(flux: &Flux, worktrees: &[Worktree], task: &Task) -> Option<Failure> {
    let path = &task.worktree;
    let (shown, pasted) = (shown(path), quoted(path));
    if path.symlink_metadata().is_ok() {
        let away = quoted(&unused_path(path));
        let failure = Failure::new(format!("'{shown}' exists already"));
        return Some(failure.hint(format!("mv {pasted} {away}")));
    }
    worktrees.iter().find(|entry| entry.path == *path)?;
    let what = format!("git lists a worktree at '{shown}', which is missing");
    let hint = match admin::find_moved_beside(flux.repo.common_dir(), path) {
        Some(moved) => format!("git worktree repair {}", quoted(&moved)),
        None => format!("unless it is only unmounted: git worktree remove {pasted}"),
    };
    Some(Failure::new(what).hint(hint))
}

/// Returns the task to restore. If its branch existed before the task, notes whether the branch
/// must be created again, and fails if the branch has moved since the removal.
fn with_current_branch(store: &Store, mut task: Task, one: &Archived) -> Result<Task> {
    let Some(existing) = &mut task.existing else {
        return Ok(task);
    };
    let (id, branch) = (&task.id, &task.branch);
    let current = store.tip(branch);
    if let Some(tip) = current.filter(|tip| **tip != one.tip) {
        let [old, now] = [&one.tip, tip].map(|tip| tip.short());
        let moved = format!("has moved since '{id}' was removed, from {old} to {now}");
        let failure = Failure::new(format!("the branch '{branch}' {moved}"));
        let failure = failure.hint(format!("to see what has changed: git log {old}...{now}"));
        let run = format!("git flux run --branch {}", word(branch));
        bail!(failure.hint(format!("to start a new task on it: {run}")));
    }
    existing.tip = one.tip.clone();
    existing.made = current.is_none();
    existing.adopted = false;
    Ok(task)
}

/// Returns a copy of a fetched archive entry that is safe to restore: with a new branch, the
/// worktree's path as for a new task, a merge target only if it exists, and no agent arguments,
/// ports, configuration or per-worktree refs. Fails if the branch's name is invalid.
pub(crate) fn limit_foreign(flux: &Flux, store: &Store, one: &Archived) -> Result<Archived> {
    let task = &one.task;
    ensure_valid_name(flux, &task.branch)?;
    let removal = task.removal.as_ref().map(|removal| Removal {
        at: removal.at,
        snapshot: one.part("snapshot").cloned(),
        into: removal.into.clone(),
        ..Removal::default()
    });
    let into = task.into.clone().filter(|into| store.tip(into).is_some());
    let mut one = one.clone();
    one.task = Task {
        worktree: worktree_path(flux, &task.id)?,
        agent_args: Vec::new(),
        port: None,
        target: None,
        existing: None,
        stash: None,
        landing: None,
        removal,
        into,
        ..task.clone()
    };
    Ok(one)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::lifecycle::start::plan::Origin;
    use crate::lifecycle::start::world::{World, git};

    #[track_caller]
    fn assert_refused(world: &World, why: &str) {
        let flux = &world.flux;
        let store = Store::load(&flux.repo, &flux.settings).unwrap();
        let task = world.start(Origin::Worktree).task;
        let error = ensure_free(flux, &store, &task, "fix")
            .unwrap_err()
            .to_string();
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn ensure_free_refuses_a_taken_name_or_path() {
        let world = World::new();
        let flux = &world.flux;
        let store = Store::load(&flux.repo, &flux.settings).unwrap();
        let task = world.start(Origin::Worktree).task;
        ensure_free(flux, &store, &task, "fix").unwrap();
        fs::create_dir(&task.worktree).unwrap();
        assert_refused(&world, "repo-fix' exists already");
        fs::remove_dir(&task.worktree).unwrap();
        let path = task.worktree.to_str().unwrap();
        git(world.home(), ["worktree", "add", "-q", "-b", "topic", path]);
        fs::remove_dir_all(&task.worktree).unwrap();
        assert_refused(&world, "which is missing");
        git(world.home(), ["worktree", "prune"]);
        git(world.home(), ["branch", "feature"]);
        assert_refused(
            &world,
            "cannot create the branch 'feature/fix': 'feature' exists",
        );
        git(world.home(), ["branch", "-m", "feature", "feature/fix"]);
        assert_refused(&world, "the branch 'feature/fix' exists already");
    }
}
