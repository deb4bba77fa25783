//! What is, of every task at once. Takes no lock that anybody notices and changes nothing.

mod panes;

use std::collections::{HashMap, HashSet};
use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};
use std::thread;
use std::{io, iter};

use anyhow::{Context as _, Error, Result};

pub(crate) use self::panes::{Panes, ensure_reached};
use super::elsewhere;
use crate::agent;
use crate::context::Flux;
use crate::failure::{self, Failure};
use crate::git::changes::count;
use crate::git::repo::history::History;
use crate::git::{Checkout, Distrust, Ignored, Lock, Worktree, admin, changes, entries};
use crate::interrupt;
use crate::run::events::{self, Event, START};
use crate::run::launch::Running;
use crate::run::launcher::Launcher;
use crate::store::{Store, Stored};
use crate::system::clock::{self, in_milliseconds, in_seconds};
use crate::system::process;
use crate::task::seen::{Location, Presence, Seen};
use crate::task::{
    Changes, Divergence, Found, Heard, Phase, State, Status, Target, Task, TaskId, Unlooked,
    version,
};
use crate::tmux::pane::{self, Pane};

/// The pane on which the agent of a task reads what is typed, if it does: it runs, and
/// nothing else is in front of it, like the shell that ^Z brings.
///
/// # Errors
/// When that cannot be told.
pub(crate) fn listener<'a>(flux: &Flux, task: &'a Task) -> Result<Option<&'a Target>> {
    let Some(target) = task
        .target
        .as_ref()
        .filter(|_| agent::profile(&task.agent).accepts_messages())
    else {
        return Ok(None);
    };
    let running = flux.run_dir(&task.id).running()?;
    let session = |run| agent::profile(&task.agent).session(run, &task.worktree);
    let session = running.as_ref().and_then(session);
    let agent = running.and_then(|running| running.agent);
    // What is typed would begin another conversation.
    if session.is_some_and(|session| session.is_handed_over) {
        return Ok(None);
    }
    if agent.is_none() || !Panes::of(iter::once(task))?.has(task) {
        return Ok(None);
    }
    let in_front = process::in_front(target.pane_pid).with_context(|| {
        Failure::new(format!(
            "it is not known who reads what is typed to '{}'",
            task.id
        ))
        .hint(format!("git flux attach {}", task.id))
    })?;
    Ok((in_front == agent).then_some(target))
}

/// The status of each task that can be read, in the store's order; the changes
/// of the worktrees are asked for side by side, as many at once as there are processors.
///
/// # Errors
/// When git fails. A worktree whose changes cannot be told has none to show.
pub(crate) fn statuses(flux: &Flux, store: &Store, tasks: &[&Task]) -> Result<Vec<Status>> {
    let (home, common_dir) = (flux.repo.home(), flux.repo.common_dir());
    let there = have_worktrees(flux, tasks);
    let checkouts = iter::zip(tasks, &there)
        .map(|(task, there)| there.then(|| flux.repo.checkout(&task.worktree)));
    let checkouts: Vec<_> = checkouts.collect();
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
    let seen = looks(flux, store, tasks, &worktrees).into_iter();
    let all = seen.zip(changes).zip(commits);
    let statuses = all.map(|(((task, seen), changes), commits)| {
        let mut status = status_of(flux, task, seen);
        status.divergence = commits;
        match changes {
            Some(Ok(changes)) => status.changes = Some(changes),
            Some(Err(error)) => status.unlooked = why_unlooked(&status, &error),
            None => {}
        }
        status
    });
    Ok(statuses.collect())
}

/// Returns the status of a task, without what git tells of its branch and its worktree.
fn status_of(flux: &Flux, task: &Task, seen: Seen) -> Status {
    let (state, found) = State::of(task.phase, &seen);
    let mut task = task.clone();
    task.target = seen.target.or(task.target);
    Status {
        owner: flux.owner(&task),
        task,
        state,
        found,
        divergence: None,
        changes: None,
        unlooked: None,
    }
}

/// Whether there is something like a worktree where each task should have its own.
fn have_worktrees(flux: &Flux, tasks: &[&Task]) -> Vec<bool> {
    // Where git knows of none, one look does for all.
    let any = admin::any(flux.repo.common_dir());
    let has = |task: &&Task| any && task.worktree.join(".git").exists();
    tasks.iter().map(has).collect()
}

/// The worktrees that git knows, if that of any task is `there`.
fn registered(home: &Path, common_dir: &Path, there: &[bool]) -> Result<Vec<Worktree>> {
    if there.contains(&true) {
        entries::list_readable(home, common_dir)
    } else {
        Ok(Vec::new())
    }
}

/// Returns the worktrees that git knows, if one of `tasks` may have one.
fn worktrees_of(flux: &Flux, tasks: &[&Task]) -> Result<Vec<Worktree>> {
    let there = have_worktrees(flux, tasks);
    registered(flux.repo.home(), flux.repo.common_dir(), &there)
}

/// How many commits a task has that the branch it goes to has not, and the reverse, if that can be told.
fn commits(history: &mut History, store: &Store, task: &Task) -> Option<Divergence> {
    let into = task.into.as_deref().and_then(|into| store.tip(into));
    let against = into.unwrap_or(&task.base);
    let tip = store.tip(&task.branch)?;
    let (ahead, behind) = history.ahead_behind(tip, against).ok()?;
    Some(Divergence { ahead, behind })
}

/// The changes of each worktree, if there is one.
fn changes_of(mut checkouts: Vec<Option<Result<Checkout>>>) -> Vec<Option<Result<Changes>>> {
    let of = |checkout: &mut Option<Result<Checkout>>| {
        let changes = checkout
            .take()?
            .and_then(|place| changes(&place, Ignored::LeftOut));
        Some(changes.map(|changes| count(&changes)))
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
fn why_unlooked(status: &Status, error: &Error) -> Option<Unlooked> {
    let Status { task, state, .. } = status;
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

/// The state of each task, in a word, in the store's order; without a look into the worktrees.
///
/// # Errors
/// When git fails.
pub(crate) fn states(flux: &Flux, store: &Store) -> Result<Vec<String>> {
    let tasks = store.tasks.iter().filter_map(|s| s.task.as_ref().ok());
    let tasks: Vec<&Task> = tasks.collect();
    let mut states = each(flux, store, &tasks)?.into_iter();
    let label = |stored: &Stored| match &stored.task {
        Ok(_) => {
            let next = states.next().context("a task was not looked at");
            next.map(|(state, _)| state.label())
        }
        Err(error) => Ok(version::state_of(error).to_owned()),
    };
    store.tasks.iter().map(label).collect()
}

/// The state of one task, and how it was found; without a look into its worktree.
///
/// # Errors
/// When git fails.
pub(crate) fn one(flux: &Flux, store: &Store, task: &Task) -> Result<(State, Found)> {
    let mut concluded = each(flux, store, &[task])?;
    concluded.pop().context("the task was not looked at")
}

/// The state of each of `tasks`, in their order, and how it was found; without a look into the
/// worktrees. git is asked once for all of them.
///
/// # Errors
/// When git fails.
pub(crate) fn each(flux: &Flux, store: &Store, tasks: &[&Task]) -> Result<Vec<(State, Found)>> {
    let worktrees = worktrees_of(flux, tasks)?;
    let seen = looks(flux, store, tasks, &worktrees).into_iter();
    let concluded = seen.map(|(task, seen)| State::of(task.phase, &seen));
    Ok(concluded.collect())
}

/// What the task's agent is doing, as far as its files tell.
pub(crate) fn state(flux: &Flux, store: &Store, task: &Task, worktrees: &[Worktree]) -> State {
    State::of(task.phase, &seen(flux, store, task, worktrees)).0
}

/// What is seen of a task, from near.
///
/// # Errors
/// When git fails.
pub(crate) fn closely(flux: &Flux, store: &Store, task: &Task) -> Result<Seen> {
    let worktrees = worktrees_of(flux, &[task])?;
    let seen = looks(flux, store, &[task], &worktrees).pop();
    Ok(seen.map(|(_, seen)| seen).unwrap_or_default())
}

/// Returns what is seen of each task. There is a look at the panes of those alone that run, and whose
/// agents show something there.
fn looks<'a>(
    flux: &Flux,
    store: &Store,
    tasks: &[&'a Task],
    worktrees: &[Worktree],
) -> Vec<(&'a Task, Seen)> {
    let left = left(flux);
    let left = |id: &TaskId| left.as_ref().is_none_or(|ids| ids.contains(id.as_str()));
    let of = |task: &'a Task| {
        let look = if left(&task.id) { seen } else { place };
        (task, look(flux, store, task, worktrees))
    };
    let mut seen: Vec<(&'a Task, Seen)> = tasks.iter().copied().map(of).collect();
    let mut servers: HashMap<&Path, Vec<Pane>> = HashMap::new();
    for (task, seen) in &mut seen {
        let Some(target) = &task.target else { continue };
        let is_alive = !matches!(
            seen.launcher,
            Presence::Never | Presence::Gone | Presence::OtherMachine
        );
        if seen.exit.is_some() || !is_alive {
            continue;
        }
        // What a server does not tell is not known; the files are.
        let panes = servers
            .entry(&target.socket)
            .or_insert_with(|| pane::glance(&target.socket).unwrap_or_default());
        if let Some(pane) = panes.iter().find(|pane| pane.is(target)) {
            seen.target = Some(pane.named(target));
            if agent::profile(&task.agent).shows() {
                look(task, pane, seen);
            }
        }
    }
    seen
}

/// Adds what the pane of a task shows.
fn look(task: &Task, pane: &Pane, seen: &mut Seen) {
    let project = task.worktree.file_name().unwrap_or_default();
    let profile = agent::profile(&task.agent);
    seen.title = profile.title(&pane.title, &project.to_string_lossy());
    seen.shown = Some(pane.title.clone());
    seen.stirred = pane.stirred;
    seen.habit = profile.habit(&pane.title, pane.extent);
}

/// The tasks of which a run has left something, if that can be told.
fn left(flux: &Flux) -> Option<HashSet<String>> {
    let entries = match fs::read_dir(flux.repo.runs_dir()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(HashSet::new()),
        entries => entries.ok()?,
    };
    let name = |entry: io::Result<DirEntry>| entry.ok()?.file_name().into_string().ok();
    entries.map(name).collect()
}

/// What git tells of a task.
fn place(flux: &Flux, store: &Store, task: &Task, worktrees: &[Worktree]) -> Seen {
    let worktree = if is_there(flux, task, worktrees) {
        Location::Here
    } else if elsewhere::original(flux, task).is_some() {
        Location::Elsewhere
    } else {
        Location::Gone
    };
    Seen {
        worktree,
        branch: store.tip(&task.branch).is_some(),
        ..Seen::default()
    }
}

/// What the files of a task tell beside that.
fn seen(flux: &Flux, store: &Store, task: &Task, worktrees: &[Worktree]) -> Seen {
    let place = place(flux, store, task, worktrees);
    if place.worktree == Location::Elsewhere {
        return place;
    }
    let run = flux.run_dir(&task.id);
    let (running, exit) = (run.running(), run.exit());
    let unreadable = run.ensure_known().is_err();
    let (running, exit) = (running.unwrap_or_default(), exit.unwrap_or_default());
    // Its lock may be there without its mark.
    let alive = run.is_alive().unwrap_or_default();
    let alive = (alive || running.is_some()).then_some(alive);
    let launcher = match (&exit, alive) {
        (None, Some(_)) => run.launcher(task.target.as_ref()).ok(),
        _ => None,
    };
    let in_setup = running.as_ref().is_some_and(|r| r.setup.step.is_some());
    let launcher = match (alive, launcher) {
        _ if unreadable => Presence::Unreadable,
        (None, _) => Presence::Never,
        (Some(false), Some(Launcher::Unknown(_))) => Presence::OtherMachine,
        (Some(false), _) => Presence::Gone,
        (Some(true), Some(Launcher::Elsewhere(_))) => Presence::Elsewhere,
        (Some(true), _) if in_setup => Presence::InSetup,
        (Some(true), _) => Presence::Alive,
    };
    let seen = Seen {
        locked: Lock::is_held(&run.lock()),
        launcher,
        started: running
            .as_ref()
            .map(|running| in_seconds::of(running.since)),
        exit,
        now: in_milliseconds::of(clock::now()),
        ..place
    };
    if seen.exit.is_some() || alive != Some(true) {
        return seen;
    }
    // An event file that cannot be read says nothing.
    let last = events::last(&run.events()).unwrap_or_default();
    let running = running.as_ref();
    Seen {
        session: running.and_then(|run| agent::profile(&task.agent).session(run, &task.worktree)),
        written: running.and_then(|running| written(task, running, last.as_ref())),
        in_background: last.as_ref().is_some_and(Event::is_in_background),
        heard: last
            .filter(|event| event.event != START)
            .map(|event| event.heard()),
        ..seen
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
    let start = start.map_or(running.since, |event| event.at);
    let start = in_milliseconds::of(start);
    conversation.last(&path).filter(|last| last.at >= start)
}

/// Whether the worktree of a task is where the record says, for git too.
fn is_there(flux: &Flux, task: &Task, worktrees: &[Worktree]) -> bool {
    let ours = || admin::is_ours(flux.repo.common_dir(), &task.worktree);
    worktrees.iter().any(|entry| entry.path == task.worktree) && ours().unwrap_or(false)
}
