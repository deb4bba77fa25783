//! The removal of a task, once everything is agreed.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use super::plan::Plan;
use super::{Flux, Kept, Lock, Worktree, close, descend};
use crate::failure::Failure;
use crate::git::changes::head_and_changes;
use crate::git::{Transaction, refs};
use crate::interrupt;
use crate::store;
use crate::task::Phase;
use crate::tmux::pane;

/// What a removal came to.
pub(crate) enum Removed {
    /// It is done.
    Done {
        /// The merge commit, if one was made.
        merge: Option<String>,
        kept: Kept,
    },
    /// The task changed after it was looked at: look again. Nothing was removed.
    Changed,
    /// The target did: plan the merge again. Nothing was merged.
    TargetMoved,
}

/// Stops the agent and looks again; `false` if the task is not what it was when
/// the plan was made. Whatever can refuse has done so before.
///
/// # Errors
/// When the agent does not end, or it cannot be told what it left.
pub(crate) fn halt(flux: &Flux, plan: &Plan) -> Result<bool> {
    stop(flux, plan)?;
    same(plan)
}

/// Removes a task as planned: move the target to `merge`, descend. The agent has ended.
///
/// # Errors
/// When a step fails. Up to the merge nothing has changed.
pub(crate) fn remove(
    flux: &Flux,
    plan: &Plan,
    merge: Option<String>,
    lock: &Lock,
) -> Result<Removed> {
    let task = &plan.task;
    interrupt::check()?;
    if let Some(commit) = &merge
        && let Err(error) = super::merge::forward(flux, plan, commit, lock)
    {
        interrupt::check()?;
        return if target_stands(flux, plan)? {
            Err(error)
        } else {
            Ok(Removed::TargetMoved)
        };
    }
    // The merge is the point of no return: what ^C came too late for is completed.
    interrupt::clear();
    // A commit made in this very moment makes this fail: the branch is as it was looked at.
    let removing = task.in_phase(Phase::Removing);
    let verify = Transaction::default().verify(&task.branch_ref(), &plan.tip);
    let Ok(oid) = store::advance(&flux.repo, &plan.oid, &removing, verify, lock) else {
        return moved_on(flux, plan);
    };
    let kept = finish(flux, plan, &oid, lock).with_context(|| {
        Failure::new(format!("the removal of '{}' is not complete", task.id))
            .hint("the next command that changes anything settles it: git flux cleanup")
    })?;
    Ok(Removed::Done { merge, kept })
}

fn finish(flux: &Flux, plan: &Plan, oid: &str, lock: &Lock) -> Result<Kept> {
    let task = &plan.task;
    if let (Some(target), false) = (&task.target, plan.inside) {
        close(target, &flux.run_dir(&task.id))?;
    }
    descend(flux, task, oid, Some(&plan.tip), &Worktree::Keep, lock)
}

/// Whether the target is where it was when the plan was made.
fn target_stands(flux: &Flux, plan: &Plan) -> Result<bool> {
    let Some(into) = &plan.into else {
        return Ok(true);
    };
    let name = format!("refs/heads/{}", into.branch);
    let found = refs::list(flux.repo.common_dir(), std::slice::from_ref(&name))?;
    Ok(found.iter().any(|r| r.name == name && r.oid == into.tip))
}

/// The record could not be advanced: because the task moved on, or for another reason?
fn moved_on(flux: &Flux, plan: &Plan) -> Result<Removed> {
    let names = [plan.task.branch_ref(), store::task_ref(&plan.task.id)];
    let found = refs::list(flux.repo.common_dir(), &names)?;
    let stands = |name: &str, oid: &str| found.iter().any(|r| r.name == name && r.oid == oid);
    if stands(&names[0], &plan.tip) && stands(&names[1], &plan.oid) {
        return Err(Failure::new(format!(
            "could not mark '{}' as being removed; the task is whole",
            plan.task.id
        ))
        .hint(format!("git flux cleanup {}", plan.task.id))
        .into());
    }
    Ok(Removed::Changed)
}

/// Whether branch and working tree are what they were when the plan was made.
/// The worktree had the branch checked out then, so its commit is the branch's.
fn same(plan: &Plan) -> Result<bool> {
    if plan.missing {
        return Ok(true);
    }
    let (head, changes) = head_and_changes(&plan.task.worktree, false)?;
    Ok(head == plan.tip && changes == plan.uncommitted)
}

/// Asks the agent to end, and waits until it has.
fn stop(flux: &Flux, plan: &Plan) -> Result<()> {
    let run = flux.run_dir(&plan.task.id);
    let Some(running) = run.running()? else {
        return Ok(());
    };
    let _spinner = flux.ui.spinner("stopping the agent");
    if running.alive() {
        // The launcher passes it on, and ends the agent if it does not end by itself.
        signal::kill(Pid::from_raw(running.launcher), Signal::SIGHUP).ok();
    }
    let begun = Instant::now();
    while running.alive() && run.exit()?.is_none() {
        interrupt::check()?;
        if begun.elapsed() > Duration::from_secs(20) {
            return Err(
                Failure::new(format!("the agent of '{}' does not end", plan.task.id))
                    .hint(format!("git flux attach {}", plan.task.id))
                    .into(),
            );
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Closes the pane we stand in: the very last thing. What was said on it goes
/// with it, so the client is told in a line.
///
/// # Errors
/// When tmux refuses.
pub(crate) fn leave(plan: &Plan) -> Result<()> {
    match (&plan.task.target, plan.inside) {
        (Some(target), true) => {
            pane::notice(target, &format!("git flux: removed '{}'", plan.task.id));
            pane::kill(target)
        }
        _ => Ok(()),
    }
}
