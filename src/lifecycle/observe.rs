//! Observes tasks: their agents, worktrees and commits. Changes nothing, and holds no lock that delays
//! another command.

use std::collections::HashMap;
use std::iter;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context as _, Error, Result};

use super::land::state::land_state;
use super::{copied_repository, other_machine};
use crate::agent;
use crate::context::Flux;
use crate::failure;
use crate::git::changes::{Head, count};
use crate::git::repo::history::History;
use crate::git::{
    Change, Checkout, Distrust, Ignored, Lock, Worktree, admin, entries, full_status,
};
use crate::interrupt;
use crate::lifecycle::gate::Gate;
use crate::lifecycle::gate::verdicts::Verdicts;
use crate::run::RunDir;
use crate::run::events::{self, Event, START};
use crate::run::launch::Running;
use crate::run::launcher::Launcher;
use crate::store::{Store, StoredTask};
use crate::system::clock;
use crate::task::observation::{Location, Observation, Presence};
use crate::task::{
    Changes, Divergence, Evidence, GateVerdict, GitRefusal, LandState, ObjectId, Phase, Report,
    State, Status, Task, version,
};
use crate::tmux::pane::{self, Pane};

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
    let seen = observe_all(flux, store, tasks, &worktrees).into_iter();
    let all = tasks.iter().zip(seen).zip(changes).zip(commits);
    let verdicts = find_verdicts(flux);
    let statuses = all.map(|(((task, seen), changes), divergence)| {
        let (state, found) = State::of(task.phase, &seen);
        let mut task = Task::clone(task);
        task.target = seen.target.or(task.target);
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
    Ok(State::of(task.phase, &observe_one(flux, store, task)?))
}

/// Returns the state of each task, with the evidence for it, and its part in landings, in the order
/// of `tasks`, from refs, run files and panes. Does not count changes in the worktrees.
pub(crate) fn states(flux: &Flux, store: &Store, tasks: &[&Task]) -> Result<Vec<ObservedState>> {
    let seen = observe_each(flux, store, tasks)?;
    let states = iter::zip(tasks, &seen).map(|(task, seen)| {
        let (state, found) = State::of(task.phase, seen);
        let land = land_state(flux, task, seen.last_key);
        ObservedState { state, found, land }
    });
    Ok(states.collect())
}

/// Returns the state of a task from its refs and files only, also those of the agent's session:
/// does not ask tmux for the pane's title and output. Does not count changes in the worktree.
pub(crate) fn quick_state(flux: &Flux, store: &Store, task: &Task, entries: &[Worktree]) -> State {
    State::of(task.phase, &observe_files(flux, store, task, entries)).0
}

pub(crate) fn observe_one(flux: &Flux, store: &Store, task: &Task) -> Result<Observation> {
    let seen = observe_each(flux, store, &[task])?.pop();
    seen.context("internal error: no status of the task")
}

fn observe_each(flux: &Flux, store: &Store, tasks: &[&Task]) -> Result<Vec<Observation>> {
    let there = have_worktrees(flux, tasks);
    let worktrees = list_worktrees(flux.repo.home(), flux.repo.common_dir(), &there)?;
    Ok(observe_all(flux, store, tasks, &worktrees))
}

/// Observes the refs, run files and pane of each task. Runs `tmux list-panes -a` once per server,
/// only for agents that may run and for tasks that landings have blocked; a server that does not answer in two seconds is ignored.
fn observe_all(
    flux: &Flux,
    store: &Store,
    tasks: &[&Task],
    worktrees: &[Worktree],
) -> Vec<Observation> {
    let observe = |task: &&Task| observe_files(flux, store, task, worktrees);
    let mut all: Vec<Observation> = tasks.iter().map(observe).collect();
    let mut servers: HashMap<&Path, Vec<Pane>> = HashMap::new();
    for (task, seen) in iter::zip(tasks, &mut all) {
        let Some(target) = &task.target else { continue };
        let may_run = seen.exit.is_none() && may_be_alive(seen.launcher);
        // What was typed counts also once the agent has ended.
        let is_blocked = task.landing.as_ref().is_some_and(|last| last.is_blocked);
        if !may_run && !is_blocked {
            continue;
        }
        // Without an answer of the server, the files are enough.
        let panes = servers
            .entry(&target.socket)
            .or_insert_with(|| pane::list_quickly(&target.socket).unwrap_or_default());
        let Some(pane) = panes.iter().find(|pane| pane.matches(target)) else {
            continue;
        };
        seen.last_key = pane.last_key_in_session_of(target);
        if may_run {
            seen.target = Some(pane.with_current_names(target));
            add_pane(task, pane, seen);
        }
    }
    all
}

/// Returns `false` if the launcher never ran, has ended, or was started on another machine. Else
/// `true`, also if its files cannot be read.
fn may_be_alive(launcher: Presence) -> bool {
    !matches!(
        launcher,
        Presence::Never | Presence::Gone | Presence::OtherMachine
    )
}

/// Adds the title and the output of the pane to the observation. Adds nothing for an agent whose
/// title and output do not reveal its state.
fn add_pane(task: &Task, pane: &Pane, seen: &mut Observation) {
    let profile = agent::profile(&task.agent);
    if !profile.is_observable() {
        return;
    }
    seen.title = profile.read_title(&pane.title, &task.worktree);
    seen.raw_title = Some(pane.title.clone());
    seen.last_output = pane.last_output;
    seen.output_pattern = profile.output_pattern(&pane.title, pane.is_alone);
}

/// Observes a task by its branch, its worktree's path and its run files, without tmux. Ignores the
/// run files if the worktree belongs to a copied repository's original.
fn observe_files(flux: &Flux, store: &Store, task: &Task, worktrees: &[Worktree]) -> Observation {
    let is_listed = worktrees.iter().any(|entry| entry.path == task.worktree);
    let is_ours = || admin::is_ours(flux.repo.common_dir(), &task.worktree);
    let worktree = if is_listed && is_ours().unwrap_or(false) {
        Location::Here
    } else if copied_repository::find_original(flux, task).is_some() {
        Location::Elsewhere
    } else {
        Location::Gone
    };
    let from_git = Observation {
        worktree,
        has_branch: store.tip(&task.branch).is_some(),
        ..Observation::default()
    };
    let run = flux.run_dir(&task.id);
    if worktree == Location::Elsewhere || matches!(run.0.try_exists(), Ok(false)) {
        return from_git;
    }
    let running = run.running().unwrap_or_default();
    let started = running.as_ref().map(|running| {
        let queued = running.queued_since(&run);
        queued.unwrap_or_else(|| running.agent_since(&run))
    });
    let seen = Observation {
        is_locked: Lock::is_held(&run.lock()),
        launcher: read_presence(flux, task, &run, running.as_ref()),
        started,
        exit: run.exit().unwrap_or_default(),
        now: clock::now(),
        ..from_git
    };
    if seen.exit.is_some() || !may_be_alive(seen.launcher) {
        return seen;
    }
    // An unreadable event file counts as empty.
    let last = events::last(&run.events()).unwrap_or_default();
    let running = running.as_ref();
    let profile = agent::profile(&task.agent);
    Observation {
        session: running.and_then(|running| profile.session(running, &task.worktree)),
        from_transcript: running.and_then(|running| last_entry(task, running, last.as_ref())),
        is_in_background: last.as_ref().is_some_and(Event::is_in_background),
        last_report: last
            .filter(|last| last.event != START)
            .map(|last| last.report()),
        ..seen
    }
}

/// Returns, from run files and locks, whether a task's launcher never started, is gone, in its
/// setup, in a queue or alive, alive where this process cannot see it, or perhaps alive on another machine.
/// Never fails: `Unreadable` if the files cannot be read.
fn read_presence(flux: &Flux, task: &Task, run: &RunDir, running: Option<&Running>) -> Presence {
    if run.ensure_launcher_known().is_err() {
        return Presence::Unreadable;
    }
    let launcher = other_machine::find_launcher(flux, task).ok();
    match (run.is_alive().unwrap_or_default(), launcher, running) {
        // The lock file may exist without the file `running`.
        (false, _, None) => Presence::Never,
        (false, Some(Launcher::Unknown(_)), _) => Presence::OtherMachine,
        (false, ..) => Presence::Gone,
        (true, Some(Launcher::Elsewhere(_)), _) => Presence::Elsewhere,
        (true, _, Some(running)) if running.setup.step.is_some() => Presence::InSetup,
        (true, _, Some(running)) if running.queued_since(run).is_some() => Presence::InQueue,
        (true, ..) => Presence::Alive,
    }
}

/// Returns the last entry in the transcript of a running agent, if that was written since the agent
/// started. `None` if the agent has no transcript. `last` is the agent's last event.
fn last_entry(task: &Task, running: &Running, last: Option<&Event>) -> Option<Report> {
    let conversation = agent::profile(&task.agent).conversation.as_ref()?;
    let reported = last.and_then(|event| event.transcript.as_ref());
    let path = match reported {
        Some(path) => PathBuf::from(path),
        None => (conversation.find_by_worktree)(&task.worktree, running.since)?,
    };
    // An earlier run may have written an entry in the same second.
    let start = last.filter(|event| event.event == START);
    let start = start.map_or(running.since, |event| event.at);
    conversation
        .last_report(&path)
        .filter(|last| last.at >= start)
}
