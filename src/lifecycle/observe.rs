//! What is, of every task at once. Takes no lock that anybody notices and changes nothing.

use std::collections::HashMap;
use std::iter;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context as _, Error, Result};

use super::{elsewhere, other_machine};
use crate::agent;
use crate::context::Flux;
use crate::failure;
use crate::git::changes::count;
use crate::git::repo::history::History;
use crate::git::{Checkout, Distrust, Ignored, Lock, Worktree, admin, changes, entries};
use crate::interrupt;
use crate::run::RunDir;
use crate::run::events::{self, Event, START};
use crate::run::launch::Running;
use crate::run::launcher::Launcher;
use crate::store::{Store, Stored};
use crate::system::clock::{self, in_milliseconds, in_seconds};
use crate::task::seen::{Location, Presence, Seen};
use crate::task::{
    Changes, Divergence, Found, Heard, Phase, State, Status, Task, Unlooked, version,
};
use crate::tmux::pane::{self, Pane};

/// Returns the status of each of `tasks`, in their order; the changes of the worktrees are asked for
/// side by side, as many at once as there are processors.
///
/// # Errors
/// When git fails. A worktree whose changes cannot be told has none to show.
pub(crate) fn statuses(flux: &Flux, store: &Store, tasks: &[&Task]) -> Result<Vec<Status>> {
    let (home, common_dir) = (flux.repo.home(), flux.repo.common_dir());
    let there = have_worktrees(flux, tasks);
    let checkout =
        |(task, there): (&&Task, &bool)| there.then(|| flux.repo.checkout(&task.worktree));
    let checkouts: Vec<_> = iter::zip(tasks, &there).map(checkout).collect();
    let (worktrees, changes, commits) = thread::scope(|scope| {
        let worktrees = scope.spawn(|| registered(home, common_dir, &there));
        let changes = scope.spawn(|| changes_of(checkouts));
        let mut history = flux.repo.history();
        let commits = tasks.iter().map(|task| commits(&mut history, store, task));
        let commits: Vec<_> = commits.collect();
        (worktrees.join(), changes.join(), commits)
    });
    let worktrees = worktrees.expect("no worker panics")?;
    let changes = changes.expect("no worker panics");
    interrupt::check()?;
    let seen = look(flux, store, tasks, &worktrees).into_iter();
    let all = tasks.iter().zip(seen).zip(changes).zip(commits);
    let statuses = all.map(|(((task, seen), changes), divergence)| {
        let (state, found) = State::of(task.phase, &seen);
        let mut task = Task::clone(task);
        task.target = seen.target.or(task.target);
        let (changes, error) = match changes.transpose() {
            Ok(changes) => (changes, None),
            Err(error) => (None, Some(error)),
        };
        Status {
            unlooked: error.and_then(|error| why_unlooked(&task, &state, &error)),
            owner: flux.owner(&task),
            task,
            state,
            found,
            divergence,
            changes,
        }
    });
    Ok(statuses.collect())
}

/// Returns whether there is something like a worktree where each task should have its own.
fn have_worktrees(flux: &Flux, tasks: &[&Task]) -> Vec<bool> {
    // Where git knows of none, one look does for all.
    let any = admin::has_any(flux.repo.common_dir());
    let has = |task: &&Task| any && task.worktree.join(".git").exists();
    tasks.iter().map(has).collect()
}

/// Returns the worktrees that git knows, if that of any task is `there`.
fn registered(home: &Path, common_dir: &Path, there: &[bool]) -> Result<Vec<Worktree>> {
    if there.contains(&true) {
        entries::list_readable(home, common_dir)
    } else {
        Ok(Vec::new())
    }
}

/// Returns how many commits a task has that the branch it goes to has not, and the reverse, if that can be
/// told.
fn commits(history: &mut History, store: &Store, task: &Task) -> Option<Divergence> {
    let into = task.into.as_deref().and_then(|into| store.tip(into));
    let against = into.unwrap_or(&task.base);
    let tip = store.tip(&task.branch)?;
    let (ahead, behind) = history.ahead_behind(tip, against).ok()?;
    Some(Divergence { ahead, behind })
}

/// Returns the changes of each worktree, if there is one.
fn changes_of(mut checkouts: Vec<Option<Result<Checkout>>>) -> Vec<Option<Result<Changes>>> {
    let of = |checkout: &mut Option<Result<Checkout>>| {
        let counted = |place: Checkout| Ok(count(&changes(&place, Ignored::LeftOut)?));
        Some(checkout.take()?.and_then(counted))
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let share = checkouts.len().div_ceil(workers).max(1);
    thread::scope(|scope| {
        let workers: Vec<_> = checkouts
            .chunks_mut(share)
            .map(|share| scope.spawn(move || share.iter_mut().map(of).collect::<Vec<_>>()))
            .collect();
        let done = workers.into_iter().map(|worker| worker.join());
        done.flat_map(|counts| counts.expect("no worker panics"))
            .collect()
    })
}

/// Returns why the changes of a task could not be told, if it has a worktree: that may be on its way,
/// there or away; or it is not this repository's.
fn why_unlooked(task: &Task, state: &State, error: &Error) -> Option<Unlooked> {
    let is_there = || task.phase == Phase::Active && task.worktree.join(".git").exists();
    if *state == State::Elsewhere || !(error.is::<Distrust>() || is_there()) {
        return None;
    }
    let lines = failure::lines(error).into_iter();
    let why = lines.filter(|(label, _)| *label != "hint");
    let why: Vec<String> = why.map(|(_, line)| line).collect();
    Some(Unlooked {
        why: why.join(": "),
        hints: failure::hints(error).collect(),
    })
}

/// Returns the state of each task, in a word, in the store's order; without a look into the worktrees.
///
/// # Errors
/// When git fails.
pub(crate) fn states(flux: &Flux, store: &Store) -> Result<Vec<String>> {
    let tasks = store.tasks.iter().filter_map(|s| s.task.as_ref().ok());
    let tasks: Vec<&Task> = tasks.collect();
    let mut states = each(flux, store, &tasks)?.into_iter();
    let label = |stored: &Stored| match &stored.task {
        Ok(_) => states.next().map(|(state, _)| state.label()),
        Err(error) => Some(version::state_of(error).to_owned()),
    };
    let labels: Option<_> = store.tasks.iter().map(label).collect();
    labels.context("a task was not looked at")
}

/// Returns the state of one task, and how it was found; without a look into its worktree.
///
/// # Errors
/// When git fails.
pub(crate) fn one(flux: &Flux, store: &Store, task: &Task) -> Result<(State, Found)> {
    Ok(State::of(task.phase, &closely(flux, store, task)?))
}

/// Returns the state of each of `tasks`, in their order, and how it was found; without a look into the
/// worktrees. git is asked once for all of them.
///
/// # Errors
/// When git fails.
pub(crate) fn each(flux: &Flux, store: &Store, tasks: &[&Task]) -> Result<Vec<(State, Found)>> {
    let seen = seen(flux, store, tasks)?;
    let states = iter::zip(tasks, &seen).map(|(task, seen)| State::of(task.phase, seen));
    Ok(states.collect())
}

/// Returns what a task's agent is doing, as far as its files tell.
pub(crate) fn state(flux: &Flux, store: &Store, task: &Task, worktrees: &[Worktree]) -> State {
    State::of(task.phase, &files(flux, store, task, worktrees)).0
}

/// Returns what is seen of a task.
///
/// # Errors
/// When git fails.
pub(crate) fn closely(flux: &Flux, store: &Store, task: &Task) -> Result<Seen> {
    let seen = seen(flux, store, &[task])?.pop();
    seen.context("the task was not looked at")
}

fn seen(flux: &Flux, store: &Store, tasks: &[&Task]) -> Result<Vec<Seen>> {
    let there = have_worktrees(flux, tasks);
    let worktrees = registered(flux.repo.home(), flux.repo.common_dir(), &there)?;
    Ok(look(flux, store, tasks, &worktrees))
}

/// Returns what is seen of each task. There is a look at the panes of those alone that run, and whose
/// agents show something there.
fn look(flux: &Flux, store: &Store, tasks: &[&Task], worktrees: &[Worktree]) -> Vec<Seen> {
    let of = |task: &&Task| files(flux, store, task, worktrees);
    let mut all: Vec<Seen> = tasks.iter().map(of).collect();
    let mut servers: HashMap<&Path, Vec<Pane>> = HashMap::new();
    for (task, seen) in iter::zip(tasks, &mut all) {
        let Some(target) = &task.target else { continue };
        if seen.exit.is_some() || !is_alive(seen.launcher) {
            continue;
        }
        // What a server does not tell is not known; the files are.
        let panes = servers
            .entry(&target.socket)
            .or_insert_with(|| pane::glance(&target.socket).unwrap_or_default());
        if let Some(pane) = panes.iter().find(|pane| pane.is(target)) {
            seen.target = Some(pane.named(target));
            add_shown(task, pane, seen);
        }
    }
    all
}

/// Returns whether the launcher may be alive here.
fn is_alive(launcher: Presence) -> bool {
    !matches!(
        launcher,
        Presence::Never | Presence::Gone | Presence::OtherMachine
    )
}

/// Adds what the pane of a task shows, if its agent shows something there.
fn add_shown(task: &Task, pane: &Pane, seen: &mut Seen) {
    let profile = agent::profile(&task.agent);
    if !profile.shows() {
        return;
    }
    let project = task.worktree.file_name().unwrap_or_default();
    seen.title = profile.title(&pane.title, &project.to_string_lossy());
    seen.shown = Some(pane.title.clone());
    seen.stirred = pane.stirred;
    seen.habit = profile.habit(&pane.title, pane.extent);
}

/// Returns what git tells of a task, and the files of its run.
fn files(flux: &Flux, store: &Store, task: &Task, worktrees: &[Worktree]) -> Seen {
    let is_listed = worktrees.iter().any(|entry| entry.path == task.worktree);
    let is_ours = || admin::is_ours(flux.repo.common_dir(), &task.worktree);
    let worktree = if is_listed && is_ours().unwrap_or(false) {
        Location::Here
    } else if elsewhere::original(flux, task).is_some() {
        Location::Elsewhere
    } else {
        Location::Gone
    };
    let place = Seen {
        worktree,
        branch: store.tip(&task.branch).is_some(),
        ..Seen::default()
    };
    let run = flux.run_dir(&task.id);
    if worktree == Location::Elsewhere || matches!(run.0.try_exists(), Ok(false)) {
        return place;
    }
    let running = run.running().unwrap_or_default();
    let started = running.as_ref().map(|mark| in_seconds::of(mark.since));
    let seen = Seen {
        locked: Lock::is_held(&run.lock()),
        launcher: presence(flux, task, &run, running.as_ref()),
        started,
        exit: run.exit().unwrap_or_default(),
        now: in_milliseconds::of(clock::now()),
        ..place
    };
    if seen.exit.is_some() || !is_alive(seen.launcher) {
        return seen;
    }
    // An event file that cannot be read says nothing.
    let last = events::last(&run.events()).unwrap_or_default();
    let running = running.as_ref();
    let profile = agent::profile(&task.agent);
    Seen {
        session: running.and_then(|running| profile.session(running, &task.worktree)),
        written: running.and_then(|running| written(task, running, last.as_ref())),
        in_background: last.as_ref().is_some_and(Event::is_in_background),
        heard: last
            .filter(|last| last.event != START)
            .map(|last| last.heard()),
        ..seen
    }
}

/// Returns what the files of a run tell of its launcher, whose mark is `running`.
fn presence(flux: &Flux, task: &Task, run: &RunDir, running: Option<&Running>) -> Presence {
    if run.ensure_known().is_err() {
        return Presence::Unreadable;
    }
    let launcher = other_machine::launcher(flux, task).ok();
    match (run.is_alive().unwrap_or_default(), launcher, running) {
        // Its lock may be there without its mark.
        (false, _, None) => Presence::Never,
        (false, Some(Launcher::Unknown(_)), _) => Presence::OtherMachine,
        (false, ..) => Presence::Gone,
        (true, Some(Launcher::Elsewhere(_)), _) => Presence::Elsewhere,
        (true, _, Some(running)) if running.setup.step.is_some() => Presence::InSetup,
        (true, ..) => Presence::Alive,
    }
}

/// Returns the last that stands in the conversation of a task's agent that runs, and whose last event
/// is known.
fn written(task: &Task, running: &Running, last: Option<&Event>) -> Option<Heard> {
    let conversation = agent::profile(&task.agent).conversation.as_ref()?;
    let told = last.and_then(|event| event.transcript.as_ref());
    let path = match told {
        Some(path) => PathBuf::from(path),
        None => (conversation.in_worktree)(&task.worktree, running.since)?,
    };
    // What an earlier run has left there is no news, if it ended in this very second.
    let start = last.filter(|event| event.event == START);
    let start = in_milliseconds::of(start.map_or(running.since, |event| event.at));
    conversation.last(&path).filter(|last| last.at >= start)
}
