//! The removal of a task, once everything is agreed.

use std::time::Duration;

use anyhow::{Context as _, Error, Result, anyhow, bail};

use super::facts::Facts;
use super::merge;
use super::target::Destination;
use crate::context::Flux;
use crate::failure::{self, Failure};
use crate::git::{
    Checkout, Ignored, ObjectId, Transaction, all_changes, own, refs, snapshot, worktree,
};
use crate::interrupt;
use crate::lifecycle::archive::Kept;
use crate::lifecycle::fate::Worktree;
use crate::lifecycle::hook_effects::Listing;
use crate::lifecycle::pane::close;
use crate::lifecycle::stop::{request_stop, wait_for_agent_end};
use crate::lifecycle::teardown::Teardown;
use crate::settings::Settings;
use crate::store;
use crate::system::clock::seconds;
use crate::system::process::{born, in_front, is_alive};
use crate::system::{Lock, wait_until};
use crate::task::{Merged, RefName, Removal, Rest, Task};
use crate::tmux::pane;

/// What a removal has left.
pub(crate) struct Done {
    /// The merge commit, if one was made.
    pub(crate) merge: Option<ObjectId>,
    pub(crate) kept: Kept,
}

/// What a removal came to.
pub(crate) enum Removed {
    Done(Done),
    /// The task changed after it was looked at: look again. Nothing was removed.
    Changed,
    /// The target did: plan the merge again. Nothing was merged.
    TargetMoved,
}

/// Stops the agent and looks again; `false` if the task is not what it was when
/// it was looked at. Whatever can refuse has done so before.
///
/// # Errors
/// When the agent does not end, or it cannot be told what it left.
pub(crate) fn halt(flux: &Flux, facts: &Facts) -> Result<bool> {
    stop(flux, facts)?;
    if let Some(target) = &facts.task.target
        && facts.runs.has_foreign_jobs()
    {
        // A question may have been open for long: its number then may be another's by now.
        let program = in_front(target.pane_pid).ok().flatten();
        let program = program.map(|pid| (pid, born(pid)));
        close(target, &flux.run_dir(&facts.task.id))?;
        if let Some((pid, born)) = program {
            await_process(pid, born)?;
        }
    }
    is_unchanged(flux, facts)
}

/// Waits for a program whose terminal has gone.
fn await_process(pid: i32, born: Option<u64>) -> Result<()> {
    let (patience, pause) = (Duration::from_secs(15), Duration::from_millis(10));
    let has_ended = || Ok((!is_alive(pid, born)).then_some(()));
    if wait_until(patience, pause, has_ended)?.is_some() {
        return Ok(());
    }
    let failure = Failure::new(format!("process {pid} does not end"));
    bail!(failure.hint(format!("kill -9 {pid}")))
}

/// Removes a task as planned: move the target to `merge`, descend. The agent has ended.
///
/// # Errors
/// When a step fails. Up to the merge nothing has changed.
pub(crate) fn remove(
    flux: &Flux,
    facts: &Facts,
    merge: Option<ObjectId>,
    lock: &Lock,
) -> Result<Removed> {
    let task = &facts.task;
    interrupt::check()?;
    if facts.branch_gone {
        // Only for a moment: what is removed has a branch, and so have its logs.
        let again = Transaction::default().create(&task.branch_ref(), &facts.tip);
        let message = format!("flux cleanup: {}: its branch was gone", task.id);
        again.commit(&flux.repo, &message, lock)?;
    }
    let (removal, how) = archived(flux, facts)?;
    if let Some(commit) = &merge
        && let Err(error) = forward(flux, facts, commit, lock)
    {
        interrupt::check()?;
        return match target_stands(flux, facts)? {
            true => Err(error),
            false => Ok(Removed::TargetMoved),
        };
    }
    // The merge is the point of no return: what ^C came too late for is completed.
    interrupt::clear();
    let removing = task.leaving(Removal {
        at: seconds(),
        into: merged(facts, merge.as_ref()),
        ..removal
    });
    let oid = match advance(flux, facts, &removing, lock) {
        Ok(oid) => oid,
        Err(error) => return moved_on(flux, facts, merge.as_ref(), error),
    };
    let teardown = Teardown {
        flux,
        task: &removing,
        oid: &oid,
        tip: Some(&facts.tip),
        lock,
    };
    let finish = || {
        if let (Some(target), false) = (&task.target, facts.runs.is_own_pane) {
            close(target, &flux.run_dir(&task.id))?;
        }
        teardown.run(&how)
    };
    let kept = finish().map_err(|error| {
        let failure = Failure::new(format!("the removal of '{}' is not complete", task.id))
            .hint("the next command that changes anything settles it: git flux cleanup");
        failure::over(error, failure)
    })?;
    Ok(Removed::Done(Done { merge, kept }))
}

/// Returns what is kept of a task, and what becomes of its worktree.
fn archived(flux: &Flux, facts: &Facts) -> Result<(Removal, Worktree)> {
    let task = &facts.task;
    let (snapshot, how) = snapshot_of(flux, facts)?;
    let own = own::find(&flux.repo, &task.worktree, &task.branch, &facts.tip)
        .context("could not archive what only the worktree has; nothing was changed")?;
    // A question may have been open for long.
    let config = match flux.ui.can_ask() {
        true => Settings::load(flux.repo.home())?.section_of_branch(&task.branch),
        false => flux.settings.section_of_branch(&task.branch),
    };
    let removal = Removal {
        snapshot,
        config,
        own,
        ..Removal::default()
    };
    Ok((removal, how))
}

/// Advances the record of a task to `removing`.
///
/// # Errors
/// When a commit was made in this very moment: the branch is as it was looked at. And the merge is
/// where it belongs, whatever branch was checked out there just now.
fn advance(flux: &Flux, facts: &Facts, removing: &Task, lock: &Lock) -> Result<ObjectId> {
    let mut verify = Transaction::default().verify(&removing.branch_ref(), &facts.tip);
    let merged = removing.removal.as_ref().and_then(|it| it.into.as_ref());
    if let (Some(into), Some(merged)) = (facts.into(), merged)
        && merged.from != merged.to
    {
        verify = verify.verify(&into.branch_ref(), &merged.to);
    }
    let [events, screen] = flux.run_dir(&removing.id).events_and_screen();
    let events = events.map(|events| (store::EVENTS, events));
    let screen = screen.map(|screen| (store::SCREEN, screen));
    let files: Vec<_> = events.into_iter().chain(screen).collect();
    store::advance_with(&flux.repo, &facts.oid, removing, &files, verify, lock)
}

/// Where the work of a task is, for its record.
fn merged(facts: &Facts, merge: Option<&ObjectId>) -> Option<Merged> {
    let (branch, from, to) = match &facts.destination {
        Destination::Merge(into) => (&*into.branch, &into.tip, merge.unwrap_or(&into.tip)),
        Destination::MergedIn { name, commit, .. } => (name.as_str(), commit, commit),
        Destination::Dropped => return None,
    };
    Some(Merged {
        branch: branch.to_owned(),
        from: from.clone(),
        to: to.clone(),
        rest: Rest::default(),
    })
}

/// The hooks that run where a branch goes forward.
const HOOKS: &[&str] = &[
    "post-merge",
    "post-commit",
    "post-index-change",
    "reference-transaction",
];

/// Moves the target, and says what the hooks have changed beside.
fn forward(flux: &Flux, facts: &Facts, commit: &ObjectId, lock: &Lock) -> Result<()> {
    let Some(into) = facts.into() else {
        return Ok(());
    };
    let before = Listing::before(flux, &merge::hooks(flux, into)?, HOOKS)?;
    let moved = merge::forward(flux, facts, commit, lock);
    if let Some(before) = before {
        before.warn(flux, &into.branch_ref());
    }
    moved
}

/// The snapshot of what is uncommitted, if anything is, and what becomes of the worktree. One
/// that cannot be taken is in the way of nothing where the worktree stays whole.
fn snapshot_of(flux: &Flux, facts: &Facts) -> Result<(Option<ObjectId>, Worktree)> {
    let is_clean = facts.uncommitted.is_empty() && facts.unread.is_none();
    if is_clean || facts.missing {
        return Ok((None, Worktree::Keep));
    }
    let task = &facts.task;
    let checkout = flux.repo.checkout(&task.worktree);
    let taken = match &checkout {
        Ok(checkout) => snapshot::take_whole(checkout, &facts.tip),
        Err(error) => Err(anyhow!("{error:#}")),
    };
    match taken {
        Ok(snapshot) => Ok((Some(snapshot), Worktree::Keep)),
        Err(error) if facts.abroad || checkout.is_ok_and(|it| can_archive(facts, &it)) => {
            Err(error.context("could not archive what is uncommitted; nothing was changed"))
        }
        Err(error) => {
            interrupt::check()?;
            let what = format!("what is uncommitted in '{}' cannot be archived", task.id);
            let what = format!("{what}, and stays in the trash alone: {error:#}");
            flux.ui.warning(what);
            Ok((None, Worktree::KeepOnly))
        }
    }
}

/// Whether git can take in what is uncommitted: not where a filter is gone, or a file is another user's.
fn can_archive(facts: &Facts, checkout: &Checkout) -> bool {
    let mut files = facts.uncommitted.iter().map(|change| &change.path);
    facts.unread.is_none() && snapshot::can_hash(checkout, &mut files)
}

/// Whether the target is where it was when it was looked at.
fn target_stands(flux: &Flux, facts: &Facts) -> Result<bool> {
    let Some(into) = facts.into() else {
        return Ok(true);
    };
    stand(flux, &[(into.branch_ref(), &into.tip)])
}

/// The record could not be advanced: because something moved on, or for another reason?
fn moved_on(flux: &Flux, facts: &Facts, merge: Option<&ObjectId>, error: Error) -> Result<Removed> {
    let id = &facts.task.id;
    let record = (store::task_ref(id), &facts.oid);
    let mut expected = vec![(facts.task.branch_ref(), &facts.tip), record];
    if let (Some(into), Some(merge)) = (facts.into(), merge) {
        expected.push((into.branch_ref(), merge));
    }
    if !stand(flux, &expected)? {
        return Ok(Removed::Changed);
    }
    let merged = merge.map_or("", |_| "it is merged, but ");
    let why = format!("{merged}its record cannot be changed; the task is whole");
    let failure = Failure::new(format!("could not remove '{id}': {why}"));
    Err(error.context(failure.hint(format!("git flux cleanup {id}"))))
}

/// Returns whether refs are where they are expected.
fn stand(flux: &Flux, expected: &[(RefName, &ObjectId)]) -> Result<bool> {
    let names: Vec<&str> = expected.iter().map(|(name, _)| &**name).collect();
    let found = refs::list(flux.repo.home(), &names)?;
    let mut expected = expected.iter();
    Ok(expected.all(|(name, oid)| found.get(name) == Some(oid)))
}

/// Whether branch and working tree are what they were when it was looked at,
/// and the target is checked out where it was: whoever switches there meanwhile
/// must not get the merge. Where none has it, git itself refuses to move what is
/// checked out by now.
///
/// # Errors
/// When it cannot be told.
pub(crate) fn is_unchanged(flux: &Flux, facts: &Facts) -> Result<bool> {
    if let Some(into) = facts.into()
        && let Some(worktree) = &into.worktree
        && worktree::branch(&flux.repo.checkout(worktree)?)?.as_ref() != Some(&into.branch_ref())
    {
        return Ok(false);
    }
    if facts.missing {
        return Ok(true);
    }
    if facts.unread.is_some() {
        // That its branch stands where it did is verified when the task goes.
        let (path, branch) = (&facts.task.worktree, facts.task.branch_ref());
        let entries = worktree::list(flux.repo.home())?;
        let is_there = |entry: &worktree::Worktree| entry.path == *path && entry.is_of(&branch);
        return Ok(facts.branch_gone || entries.iter().any(is_there));
    }
    let checkout = flux.repo.checkout(&facts.task.worktree)?;
    let (head, changes) = all_changes(&checkout, Ignored::LeftOut)?;
    let is_there = || head.oid == facts.tip && head.branch == facts.task.branch;
    Ok(changes == facts.uncommitted && (facts.branch_gone || is_there()))
}

/// Asks the agent to end, and waits until it has.
fn stop(flux: &Flux, facts: &Facts) -> Result<()> {
    let task = &facts.task;
    let run = flux.run_dir(&task.id);
    // Once there is an exit, the process is the user's shell.
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
