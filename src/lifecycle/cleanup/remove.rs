//! Removes a task, after every consent is given.

use std::time::Duration;

use anyhow::{Error, Result, bail};

use super::facts::Facts;
use super::kept_work::prepare_archive;
use super::merge::{self, TargetCommit};
use super::target::Destination;
use super::unchanged::{TargetChange, are_refs_at, is_unchanged, warn_of_stray_merge};
use crate::context::Flux;
use crate::failure::{self, Failure};
use crate::git::{Integrated, MergePlan, ObjectId, Transaction};
use crate::interrupt;
use crate::lifecycle::archive::KeptParts;
use crate::lifecycle::disposal::Disposal;
use crate::lifecycle::hook_effects::RepositoryState;
use crate::lifecycle::pane::close;
use crate::lifecycle::stop::{request_stop, wait_for_agent_end};
use crate::lifecycle::teardown::Teardown;
use crate::store;
use crate::system::clock::this_second;
use crate::system::process::{foreground_group, is_alive, start_time};
use crate::system::{Lock, wait_until};
use crate::task::{MergeRecord, RecordFile, Removal, Rest, Task, TaskId};
use crate::tmux::pane;

/// A completed removal.
pub(crate) struct RemovalReport {
    /// The merge commit, if one was made.
    pub(crate) merge: Option<ObjectId>,
    pub(crate) kept: KeptParts,
}

/// The result of a removal.
pub(crate) enum Outcome {
    Done(RemovalReport),
    /// The task has changed since it was observed, or its target has lost commits or is checked out
    /// elsewhere: observe it again. Nothing was removed.
    Changed,
    /// The target has more commits: plan the merge again. Nothing was merged.
    TargetMoved,
}

/// Stops the agent and, if another program then runs in its pane or the pane's jobs are unknown,
/// closes the pane, but not the caller's own. Fails if the agent lives on for 20 seconds, or the
/// pane for 15. Returns whether the task is unchanged since it was observed: [`is_unchanged`].
pub(crate) fn stop_agent(flux: &Flux, facts: &Facts) -> Result<bool> {
    end_agent(flux, facts)?;
    if let Some(target) = &facts.task.target
        && facts.processes.must_close_pane()
    {
        // The pid may have been reused while a question was open.
        let program = foreground_group(target.pane_pid).ok().flatten();
        let program = program.map(|pid| (pid, start_time(pid)));
        close(target, &flux.run_dir(&facts.task.id))?;
        if let Some((pid, born)) = program {
            wait_for_exit(pid, born)?;
        }
    }
    is_unchanged(flux, facts)
}

/// Waits until the process `pid` has ended; fails after 15 seconds, and on ^C. A process that did
/// not start at `born` is a later one with the same id; `None` skips this check.
fn wait_for_exit(pid: i32, born: Option<u64>) -> Result<()> {
    let (timeout, interval) = (Duration::from_secs(15), Duration::from_millis(10));
    let has_ended = || Ok((!is_alive(pid, born)).then_some(()));
    if wait_until(timeout, interval, has_ended)?.is_some() {
        return Ok(());
    }
    let failure = Failure::new(format!("process {pid} does not end"));
    bail!(failure.hint(format!("kill -9 {pid}")))
}

/// Removes a task whose agent has ended: moves the target branch to the commit `merge`, if any,
/// archives the task, and removes its pane (not the caller's own), worktree and branch (unless
/// kept). Returns without removing if branch, record or target has moved meanwhile.
///
/// # Errors
/// When a step fails. Before the merge, nothing has changed.
pub(crate) fn remove(
    flux: &Flux,
    facts: &Facts,
    merge: Option<ObjectId>,
    lock: &Lock,
) -> Result<Outcome> {
    interrupt::check()?;
    if !facts.branch_gone {
        return remove_with_branch(flux, facts, merge, lock);
    }
    // The archive needs a branch and its reflog.
    let (branch, id) = (facts.task.branch_ref(), &facts.task.id);
    let message = format!("flux cleanup: {id}: its branch was gone");
    let create = Transaction::default().create(&branch, &facts.tip);
    create.commit(&flux.repo, &message, lock)?;
    let outcome = remove_with_branch(flux, facts, merge, lock);
    // A removal that has begun is completed later, and needs the branch.
    let record = (store::task_ref(id), &facts.oid);
    let is_done = matches!(outcome, Ok(Outcome::Done(_)));
    if !is_done && are_refs_at(flux, &[record]).unwrap_or(false) {
        let delete = Transaction::default().delete(&branch, &facts.tip);
        // Best effort: the first error says more.
        drop(delete.commit(&flux.repo, &message, lock));
    }
    outcome
}

fn remove_with_branch(
    flux: &Flux,
    facts: &Facts,
    merge: Option<ObjectId>,
    lock: &Lock,
) -> Result<Outcome> {
    let task = &facts.task;
    let (removal, disposal) = prepare_archive(flux, facts)?;
    if let Some(commit) = &merge
        && let Err(error) = move_target(flux, facts, &TargetCommit::of_task(facts, commit), lock)
    {
        interrupt::check()?;
        return find_move(flux, facts)?.ok_or(error);
    }
    // The merge is the point of no return: a later ^C does not interrupt.
    interrupt::clear();
    let removing = task.with_removal(Removal {
        at: this_second(),
        into: merged_record(facts, merge.as_ref()),
        ..removal
    });
    let oid = match advance_record(flux, facts, &removing, lock) {
        Ok(oid) => oid,
        Err(error) => return explain(flux, facts, merge.as_ref(), error),
    };
    let marked = MarkedTask {
        facts,
        removing,
        oid,
        disposal,
    };
    let kept = marked.tear_down(flux, lock)?;
    Ok(Outcome::Done(RemovalReport { merge, kept }))
}

/// A task whose record says that it is being removed, and whose commits are merged.
pub(in crate::lifecycle) struct MarkedTask<'a> {
    pub(in crate::lifecycle) facts: &'a Facts,
    pub(in crate::lifecycle) removing: Task,
    /// The object name of the record `removing`.
    pub(in crate::lifecycle) oid: ObjectId,
    pub(in crate::lifecycle) disposal: Disposal,
}

impl MarkedTask<'_> {
    /// Closes the task's pane, unless it is the caller's own, archives the task and removes its
    /// worktree, and its branch unless it is kept. Fails with the hint to complete the removal.
    pub(in crate::lifecycle) fn tear_down(&self, flux: &Flux, lock: &Lock) -> Result<KeptParts> {
        let (facts, task) = (self.facts, &self.facts.task);
        let teardown = Teardown {
            flux,
            task: &self.removing,
            oid: &self.oid,
            tip: Some(&facts.tip),
            lock,
        };
        let finish = || {
            if let (Some(target), false) = (&task.target, facts.processes.is_own_pane) {
                close(target, &flux.run_dir(&task.id))?;
            }
            teardown.run(&self.disposal)
        };
        finish().map_err(|error| {
            let failure = Failure::new(format!("the removal of '{}' is not complete", task.id))
                .hint("to complete it: git flux cleanup");
            failure::wrap_in_failure(error, failure)
        })
    }
}

/// Writes the record `removing` of a task, with the run's events and its last screen, and returns
/// its object name. Fails if the record or the task's branch has moved since it was observed, or
/// the target branch since the merge, or since it was observed if nothing is merged.
fn advance_record(flux: &Flux, facts: &Facts, removing: &Task, lock: &Lock) -> Result<ObjectId> {
    let mut verify = Transaction::default().verify(&removing.branch_ref(), &facts.tip);
    let merged = removing.removal.as_ref().and_then(|it| it.into.as_ref());
    if let (Some(into), Some(merged)) = (facts.merge_target(), merged) {
        verify = verify.verify(&into.branch_ref(), &merged.to);
    }
    let files = run_files(flux, &removing.id);
    store::update(&flux.repo, &facts.oid, removing, &files, verify, lock)
}

/// Returns the files of a run that the record of a removed task keeps: its events and last screen.
pub(in crate::lifecycle) fn run_files(flux: &Flux, id: &TaskId) -> Vec<(RecordFile, Vec<u8>)> {
    let [events, screen] = flux.run_dir(id).events_and_screen();
    let events = events.map(|events| (RecordFile::Events, events));
    let screen = screen.map(|screen| (RecordFile::Screen, screen));
    events.into_iter().chain(screen).collect()
}

/// Returns, for the record, the branch or commit that has the task's commits, and the commits to
/// which it points before and after the merge. `None` if the task's commits are dropped.
fn merged_record(facts: &Facts, merge: Option<&ObjectId>) -> Option<MergeRecord> {
    let (branch, from, to) = match &facts.destination {
        // The target has no commit with what they did meanwhile.
        Destination::Merge(into) if into.merge == MergePlan::UpToDate(Integrated::Cancelled) => {
            return None;
        }
        Destination::Merge(into) => (&*into.branch, &into.tip, merge.unwrap_or(&into.tip)),
        Destination::MergedIn { name, commit, .. } => (name.as_str(), commit, commit),
        Destination::Dropped => return None,
    };
    Some(MergeRecord {
        branch: branch.to_owned(),
        from: from.clone(),
        to: to.clone(),
        rest: Rest::default(),
    })
}

/// The hooks that may run when the target moves.
const TARGET_HOOKS: &[&str] = &[
    "post-merge",
    "post-commit",
    "post-index-change",
    "reference-transaction",
];

/// Moves the target branch to the commit `to`, or does nothing if there is no target. Warns if hooks have
/// changed other refs.
pub(in crate::lifecycle) fn move_target(
    flux: &Flux,
    facts: &Facts,
    to: &TargetCommit,
    lock: &Lock,
) -> Result<()> {
    let Some(into) = facts.merge_target() else {
        return Ok(());
    };
    let has_hooks = merge::find_hooks(flux, into)?.has(TARGET_HOOKS);
    let before = has_hooks.then(|| RepositoryState::take(flux)).transpose()?;
    let moved = merge::advance(flux, facts, to, lock);
    if let Some(before) = before {
        before.warn_of_changes(flux, &into.branch_ref());
    }
    moved
}

/// Returns [`Outcome::TargetMoved`] if the target has only got more commits since it was observed,
/// [`Outcome::Changed`] if it has changed otherwise, and `None` if it has not changed.
fn find_move(flux: &Flux, facts: &Facts) -> Result<Option<Outcome>> {
    Ok(match TargetChange::find(flux, facts)? {
        TargetChange::None => None,
        TargetChange::Grown => Some(Outcome::TargetMoved),
        TargetChange::Other => Some(Outcome::Changed),
    })
}

/// Determines why the task's record could not be written: [`Outcome::Changed`] if its branch or
/// record has moved since it was observed, or the target branch since the merge;
/// [`Outcome::TargetMoved`] if nothing was merged and the target branch has moved. If nothing has
/// moved, fails with `error`, that of the write.
fn explain(flux: &Flux, facts: &Facts, merge: Option<&ObjectId>, error: Error) -> Result<Outcome> {
    let id = &facts.task.id;
    let record = (store::task_ref(id), &facts.oid);
    let mut expected = vec![(facts.task.branch_ref(), &facts.tip), record];
    if let (Some(into), Some(merge)) = (facts.merge_target(), merge) {
        expected.push((into.branch_ref(), merge));
    }
    if !are_refs_at(flux, &expected)? {
        if let Some(merge) = merge {
            warn_of_stray_merge(flux, facts, merge)?;
        }
        return Ok(Outcome::Changed);
    }
    if merge.is_none()
        && let Some(moved) = find_move(flux, facts)?
    {
        return Ok(moved);
    }
    let merged = merge.map_or("", |_| "it is merged, but ");
    let why = format!("{merged}its record cannot be changed; the task is intact");
    let failure = Failure::new(format!("could not remove '{id}': {why}"));
    Err(error.context(failure.hint(facts.command.with(id, ""))))
}

/// Tells the agent to stop, after saving its screen in the run directory, and waits until it has
/// ended; fails after 20 seconds, and on ^C. Does nothing if it has ended before.
fn end_agent(flux: &Flux, facts: &Facts) -> Result<()> {
    let task = &facts.task;
    let run = flux.run_dir(&task.id);
    // After an exit, the process is the user's shell.
    if run.exit()?.is_some() || !run.is_alive()? {
        return Ok(());
    }
    let _spinner = flux.ui.spinner("stopping the agent");
    if let Some(target) = &task.target
        && let Ok(screen) = pane::capture(target, usize::MAX)
    {
        drop(run.write_screen(&screen.join("\n")));
    }
    request_stop(task, &run)?;
    wait_for_agent_end(&task.id, &run)
}
