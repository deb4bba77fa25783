//! A removed task, brought back.

use anyhow::Result;

use super::archive::Archived;
use super::broken::free_beside;
use super::checked_out::{BranchUses, ensure_main_is_known};
use super::fate::ensure_not_elsewhere;
use super::resume::going_on;
use super::start::free::{ensure_name, worktree_of};
use super::start::plan::{NewPane, Origin, Start, Work};
use super::start::setup;
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{admin, worktree};
use crate::store::{self, Store};
use crate::task::{Existing, Layout, Phase, Removal, Task};
use crate::tmux::target::{self, Wanted};
use crate::ui::{quoted, shown, word};

/// Settles everything that can fail before the task is there again.
///
/// # Errors
/// When something that it needs is taken, or its branch has moved.
pub(crate) fn prepare(flux: &Flux, store: &Store, one: &Archived) -> Result<Start> {
    let task = Task {
        restored: Some(one.name.clone()),
        target: None,
        ..one.task.in_phase(Phase::Starting)
    };
    ensure_free(flux, store, &task)?;
    let task = existing(store, task, one)?;
    let description = store::prompt(&flux.repo, &one.record)?;
    let agent = going_on(flux, &task, &description).filter(|_| !one.foreign);
    // One that comes back with its ignored files is as ready as it was.
    let ready = match (&one.trash, &agent) {
        (None, Some(_)) => setup::configured(flux)?,
        _ => setup::wrapped(flux)?,
    };
    let name = target::session_name(&flux.repo.project(), &task.id);
    let pane = NewPane {
        place: target::choose(Wanted::Preferred(Layout::Session), name)?,
        work: agent.map_or(Work::Shell, Work::Agent),
        ready,
        init: None,
    };
    Ok(Start {
        task,
        description,
        origin: Origin::Archive(one.clone()),
        pane: Some(pane),
    })
}

/// Fails where restoring would need a place that is taken: nothing is overwritten.
fn ensure_free(flux: &Flux, store: &Store, task: &Task) -> Result<()> {
    let id = &task.id;
    store.ensure_not_foreign(&flux.repo, id.as_str())?;
    let worktrees = worktree::list(flux.repo.home())?;
    ensure_main_is_known(flux, &worktrees)?;
    let again = |failure: Failure| failure.hint(format!("then: git flux restore {id}"));
    if store.tasks.iter().any(|stored| stored.id == *id) {
        let failure = Failure::new(format!("there is a task '{id}' already"));
        return Err(again(failure.hint(format!("git flux cleanup {id}"))).into());
    }
    if store.tip(&task.branch).is_some() && task.existing.is_none() {
        return Err(again(
            Failure::new(format!("the branch '{}' exists already", task.branch)).hint(format!(
                "git branch -m {} <another name>",
                word(&task.branch)
            )),
        )
        .into());
    }
    if task.existing.is_some() {
        store.ensure_not_symbolic(&task.branch)?;
        ensure_not_elsewhere(flux, &worktrees, task)?;
        let uses = BranchUses::find(flux, store, &worktrees, &task.branch)?;
        uses.except(&task.worktree).ensure_none()?;
    }
    if let Some(other) = store.in_the_way(&task.branch) {
        let failure = Failure::new(format!(
            "the branch '{other}' is in the way of '{}'",
            task.branch
        ));
        let rename = format!("git branch -m {} <another name>", word(other));
        return Err(again(failure.hint(rename)).into());
    }
    let (path, pasted) = (shown(&task.worktree), quoted(&task.worktree));
    if task.worktree.symlink_metadata().is_ok() {
        let away = quoted(&free_beside(&task.worktree));
        let failure = Failure::new(format!("'{path}' exists already"));
        return Err(again(failure.hint(format!("mv {pasted} {away}"))).into());
    }
    if worktrees.iter().any(|entry| entry.path == task.worktree) {
        let failure = Failure::new(format!(
            "git has a worktree at '{path}', which is not there"
        ));
        let hint = match admin::moved_beside(flux.repo.common_dir(), &task.worktree) {
            Some(moved) => format!("git worktree repair {}", quoted(&moved)),
            None => format!("if it is not away only: git worktree remove {pasted}"),
        };
        return Err(again(failure.hint(hint)).into());
    }
    Ok(())
}

/// The task with what its branch is by now, if that was not its own.
///
/// # Errors
/// When it has moved since: what was uncommitted belongs on top of where it stood.
fn existing(store: &Store, task: Task, one: &Archived) -> Result<Task> {
    let Some(was) = &task.existing else {
        return Ok(task);
    };
    let stands = store.tip(&task.branch);
    if let Some(tip) = stands.filter(|tip| *tip != one.tip) {
        let [old, now] = [&one.tip, tip].map(|tip| &tip[..tip.len().min(9)]);
        return Err(Failure::new(format!(
            "the branch '{}' has moved since '{}' was removed, from {old} to {now}",
            task.branch, task.id
        ))
        .hint(format!("git log {old}...{now}"))
        .hint(format!("git flux run --branch {}", word(&task.branch)))
        .into());
    }
    let existing = Existing {
        tip: one.tip.clone(),
        made: stands.is_none(),
        adopted: false,
        rest: was.rest.clone(),
    };
    Ok(Task {
        existing: Some(existing),
        ..task
    })
}

/// Returns the entry as it may be restored: in a worktree where this repository has them, and
/// without arguments for an agent, ports, configuration and refs of its own.
///
/// # Errors
/// When its branch has no name for one.
pub(crate) fn harmless(flux: &Flux, store: &Store, one: &Archived) -> Result<Archived> {
    let task = &one.task;
    ensure_name(flux, &task.branch)?;
    let removal = task.removal.as_ref().map(|removal| Removal {
        at: removal.at,
        snapshot: one.part("snapshot").map(str::to_owned),
        into: removal.into.clone(),
        ..Removal::default()
    });
    let into = task.into.clone().filter(|into| store.tip(into).is_some());
    let task = Task {
        worktree: worktree_of(flux, &task.id)?,
        agent_args: Vec::new(),
        port: None,
        target: None,
        existing: None,
        carried: None,
        removal,
        into,
        ..task.clone()
    };
    let mut one = one.clone();
    one.task = task;
    Ok(one)
}
