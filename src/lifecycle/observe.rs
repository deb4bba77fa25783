//! Observes tasks: their agents, worktrees and commits. Changes nothing, and holds no lock that delays
//! another command.

mod sources;

use std::iter;
use std::path::Path;
use std::thread;

use anyhow::{Context as _, Error, Result};

use self::sources::{observe_files, read_sources};
use super::land::state::land_state;
use crate::context::Flux;
use crate::failure;
use crate::git::changes::{Head, count};
use crate::git::repo::history::History;
use crate::git::{Change, Checkout, Distrust, Ignored, Worktree, admin, entries, full_status};
use crate::interrupt;
use crate::lifecycle::gate::Gate;
use crate::lifecycle::gate::verdicts::Verdicts;
use crate::store::{Store, StoredTask, task_ref};
use crate::task::observation::{Observation, Presence};
use crate::task::{
    Changes, Divergence, Evidence, GateVerdict, GitRefusal, LandState, ObjectId, Phase, State,
    Status, Task, TaskId, version,
};

/// A task's status, and what `git status` printed in its worktree.
#[derive(Clone, Debug)]
pub(crate) struct ObservedTask {
    pub(crate) status: Status,
    pub(crate) work: WorktreeState,
}

/// The state of a task's agent, and the part of the task in landings.
#[derive(Clone, Debug)]
pub(crate) struct ObservedState {
    pub(crate) state: State,
    pub(crate) found: Evidence,
    pub(crate) land: Option<LandState>,
}

/// The commit and the changes in a task's worktree.
#[derive(Clone, Debug)]
pub(crate) enum WorktreeState {
    Missing,
    Unreadable,
    Read { head: Head, files: Vec<Change> },
}

/// Observes each task, in the order of `tasks`: its state, its commits ahead and behind, and its
/// uncommitted changes without ignored files, listed in parallel. The changes are `None` if the
/// worktree cannot be read, the commits if the branch is missing.
pub(crate) fn observe_tasks(
    flux: &Flux,
    store: &Store,
    tasks: &[&Task],
) -> Result<Vec<ObservedTask>> {
    let (home, common_dir) = (flux.repo.home(), flux.repo.common_dir());
    let there = have_worktrees(flux, tasks);
    let checkout =
        |(task, there): (&&Task, &bool)| there.then(|| flux.repo.checkout(&task.worktree));
    let checkouts: Vec<_> = iter::zip(tasks, &there).map(checkout).collect();
    let (worktrees, changes, commits) = thread::scope(|scope| {
        let worktrees = scope.spawn(|| list_worktrees(home, common_dir, &there));
        let changes = scope.spawn(|| list_changes(checkouts));
        let mut history = flux.repo.history();
        let count = |task: &&Task| count_commits(&mut history, store, task);
        let commits: Vec<_> = tasks.iter().map(count).collect();
        (worktrees.join(), changes.join(), commits)
    });
    let worktrees = worktrees.expect("no worker panics")?;
    let changes = changes.expect("no worker panics");
    interrupt::check()?;
    let seen = observe_all(flux, store, tasks, &worktrees)?.into_iter();
    let all = tasks.iter().zip(seen).zip(changes).zip(commits);
    let verdicts = find_verdicts(flux);
    let statuses = all.map(|(((task, seen), changes), divergence)| {
        let (state, found) = State::of(&seen);
        let mut task = Task::clone(task);
        task.target = seen.target.or(task.target);
        task.phase = seen.phase;
        let (work, error) = match changes {
            Some(Ok((head, files))) => (WorktreeState::Read { head, files }, None),
            Some(Err(error)) => (WorktreeState::Unreadable, Some(error)),
            None => (WorktreeState::Missing, None),
        };
        let changes = match &work {
            WorktreeState::Read { files, .. } => Some(count(files)),
            WorktreeState::Missing | WorktreeState::Unreadable => None,
        };
        let is_clean = changes.is_some_and(Changes::is_none);
        let verdicts = verdicts.as_ref().filter(|_| is_clean);
        let status = Status {
            gate: verdicts.and_then(|all| find_verdict(flux, store.tip(&task.branch)?, all)),
            git_refusal: error.and_then(|error| explain_unreadable(&task, &state, &error)),
            owner: flux.owner(&task),
            land: land_state(flux, &task, seen.last_key),
            task,
            state,
            found,
            divergence,
            changes,
        };
        ObservedTask { status, work }
    });
    Ok(statuses.collect())
}

/// Returns the verdicts of the configured gate; `None` without a gate, or if the configuration is
/// invalid.
fn find_verdicts(flux: &Flux) -> Option<Verdicts> {
    Verdicts::of(flux, &Gate::read(flux).ok()??).ok()
}

/// Returns the verdict about the tree of a commit; `None` if the commit cannot be read.
fn find_verdict(flux: &Flux, tip: &ObjectId, verdicts: &Verdicts) -> Option<GateVerdict> {
    Some(verdicts.look_up(flux.repo.tree_of(tip).ok()?))
}

/// Returns for each task whether its worktree's path has a `.git`, a file or a directory, whatever
/// is in it. Always `false` if the repository has no linked worktrees.
fn have_worktrees(flux: &Flux, tasks: &[&Task]) -> Vec<bool> {
    // If git lists none, one check is enough.
    let any = admin::has_any(flux.repo.common_dir());
    let exists = |task: &&Task| any && task.worktree.join(".git").exists();
    tasks.iter().map(exists).collect()
}

/// Lists all worktrees of the repository that can be read, also those without a task. Returns an
/// empty list if `there` says that no task has a worktree.
fn list_worktrees(home: &Path, common_dir: &Path, there: &[bool]) -> Result<Vec<Worktree>> {
    if there.contains(&true) {
        entries::list_readable(home, common_dir)
    } else {
        Ok(Vec::new())
    }
}

/// Counts the commits of a task's branch that its merge target lacks, and the reverse. If there is
/// no target, or it does not exist, compares with the task's base. `None` if the branch is missing
/// or git cannot count.
fn count_commits(history: &mut History, store: &Store, task: &Task) -> Option<Divergence> {
    let into = task.into.as_ref().and_then(|into| store.tip(into));
    let against = into.unwrap_or(&task.base);
    let tip = store.tip(&task.branch)?;
    let (ahead, behind) = history.ahead_behind(tip, against).ok()?;
    Some(Divergence { ahead, behind })
}

/// The commit of a worktree and what differs from it.
type HeadAndChanges = (Head, Vec<Change>);

/// Lists the changed and untracked files of each worktree in parallel, also changes that `git status`
/// hides, but no ignored files. `None` for a task without a worktree.
fn list_changes(
    mut checkouts: Vec<Option<Result<Checkout>>>,
) -> Vec<Option<Result<HeadAndChanges>>> {
    let read = |checkout: Checkout| full_status(&checkout, Ignored::LeftOut);
    let take = |checkout: &mut Option<Result<Checkout>>| Some(checkout.take()?.and_then(read));
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let share = checkouts.len().div_ceil(workers).max(1);
    thread::scope(|scope| {
        let workers: Vec<_> = checkouts
            .chunks_mut(share)
            .map(|share| scope.spawn(move || share.iter_mut().map(take).collect::<Vec<_>>()))
            .collect();
        let done = workers.into_iter().map(|worker| worker.join());
        done.flat_map(|lists| lists.expect("no worker panics"))
            .collect()
    })
}

/// Explains why the changes in a task's worktree could not be read. `None` if that is expected: the
/// worktree belongs to the original of a copied repository, is missing, or is just being created or
/// removed.
fn explain_unreadable(task: &Task, state: &State, error: &Error) -> Option<GitRefusal> {
    let has_worktree = || task.phase == Phase::Active && task.worktree.join(".git").exists();
    if *state == State::Elsewhere || !(error.is::<Distrust>() || has_worktree()) {
        return None;
    }
    let lines = failure::lines(error).into_iter();
    let why = lines.filter(|(label, _)| *label != "hint");
    let why: Vec<String> = why.map(|(_, line)| line).collect();
    Some(GitRefusal {
        why: why.join(": "),
        hints: failure::hints(error).collect(),
    })
}

/// Returns the state of each task of this repository as [`State::label`] does, such as
/// `waiting(question)`, in the order of the store; `broken` or `newer` if the record cannot be
/// read. Does not count changes in the worktrees.
pub(crate) fn state_labels(flux: &Flux, store: &Store) -> Result<Vec<String>> {
    let tasks: Vec<&Task> = store.readable().collect();
    let mut states = states(flux, store, &tasks)?.into_iter();
    let label = |stored: &StoredTask| match &stored.task {
        Ok(_) => states.next().map(|seen| seen.state.label()),
        Err(error) => Some(version::state_of(error).to_owned()),
    };
    let labels: Option<_> = store.tasks.iter().map(label).collect();
    labels.context("internal error: no status of the task")
}

/// Returns the state of a task, with the evidence for it, from refs, run files and the pane. Does
/// not count changes in the worktree.
pub(crate) fn state_of(flux: &Flux, store: &Store, task: &Task) -> Result<(State, Evidence)> {
    Ok(State::of(&observe_one(flux, store, task)?))
}

/// Returns the state of each task, with the evidence for it, and its part in landings, in the order
/// of `tasks`, from refs, run files and panes. Does not count changes in the worktrees.
pub(crate) fn states(flux: &Flux, store: &Store, tasks: &[&Task]) -> Result<Vec<ObservedState>> {
    let seen = observe_each(flux, store, tasks)?;
    let states = iter::zip(tasks, &seen).map(|(task, seen)| {
        let (state, found) = State::of(seen);
        let land = land_state(flux, task, seen.last_key);
        ObservedState { state, found, land }
    });
    Ok(states.collect())
}

/// Returns the state of a task from its refs and files only, also those of the agent's session:
/// does not ask tmux for the pane's title and output. Does not count changes in the worktree.
pub(crate) fn quick_state(flux: &Flux, store: &Store, task: &Task, entries: &[Worktree]) -> State {
    State::of(&observe_files(flux, store, task, entries)).0
}

pub(crate) fn observe_one(flux: &Flux, store: &Store, task: &Task) -> Result<Observation> {
    let seen = observe_each(flux, store, &[task])?.pop();
    seen.context("internal error: no status of the task")
}

fn observe_each(flux: &Flux, store: &Store, tasks: &[&Task]) -> Result<Vec<Observation>> {
    let there = have_worktrees(flux, tasks);
    let worktrees = list_worktrees(flux.repo.home(), flux.repo.common_dir(), &there)?;
    observe_all(flux, store, tasks, &worktrees)
}

/// Observes each task. Where the sources of a task do not fit its record, reads the record again: a
/// command may have changed the task since. If the record has changed, observes the task again; if
/// not, it was the same while the sources were read, and the task is incomplete or broken.
fn observe_all(
    flux: &Flux,
    store: &Store,
    tasks: &[&Task],
    worktrees: &[Worktree],
) -> Result<Vec<Observation>> {
    let mut all = read_sources(flux, store, tasks, worktrees);
    let doubtful: Vec<usize> = (0..all.len()).filter(|at| is_doubtful(&all[*at])).collect();
    if doubtful.is_empty() {
        return Ok(all);
    }
    let refs = Store::read_refs(flux.repo.home())?;
    let has_changed = |id: &TaskId| {
        let stored = store.tasks.iter().find(|stored| stored.id == *id);
        refs.objects.get(&task_ref(id)) != stored.map(|stored| &stored.oid)
    };
    let is_outdated = |at: &usize| has_changed(&tasks[*at].id);
    let outdated: Vec<usize> = doubtful.into_iter().filter(is_outdated).collect();
    let store = Store::from_refs(&flux.repo, &flux.settings, refs)?;
    let (mut places, mut changed) = (Vec::new(), Vec::new());
    for at in outdated {
        let mut stored = store.tasks.iter();
        match stored
            .find(|one| one.id == tasks[at].id)
            .map(|one| &one.task)
        {
            Some(Ok(task)) => {
                places.push(at);
                changed.push(task);
            }
            Some(Err(_)) => all[at].launcher = Presence::Unreadable,
            // It was removed just now, by a command that had its lock.
            None => (all[at].phase, all[at].is_locked) = (Phase::Removing, true),
        }
    }
    if !changed.is_empty() {
        for (at, seen) in iter::zip(places, observe_each(flux, &store, &changed)?) {
            all[at] = seen;
        }
    }
    Ok(all)
}

/// Returns whether a task looks as if a command that changes it was killed, or as if something of it
/// was deleted.
fn is_doubtful(seen: &Observation) -> bool {
    match State::of(seen).0 {
        State::Incomplete | State::NoWorktree | State::NoBranch => true,
        State::Lost => seen.launcher == Presence::Never,
        _ => false,
    }
}
