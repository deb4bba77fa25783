//! What is, of every task at once. Takes no lock that anybody notices and changes nothing.

use std::collections::HashMap;
use std::iter;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::Result;

use super::Flux;
use crate::agent::{self, process};
use crate::git::changes::count;
use crate::git::repo::History;
use crate::git::{Lock, Worktree, changes, worktree};
use crate::store::{Store, Stored};
use crate::task::status::Seen;
use crate::task::{Changes, State, Status, Target, Task};
use crate::tmux::pane::{self, Pane};

/// The panes of every server that tasks run on.
pub(crate) struct Panes(HashMap<PathBuf, Vec<Pane>>);

impl Panes {
    /// One `tmux list-panes` for each server that one of `tasks` was started on.
    ///
    /// # Errors
    /// When a server does not answer.
    pub(crate) fn of<'a>(tasks: impl Iterator<Item = &'a Task>) -> Result<Self> {
        let mut servers = HashMap::new();
        for target in tasks.filter_map(|task| task.target.as_ref()) {
            if !servers.contains_key(&target.socket) {
                servers.insert(target.socket.clone(), pane::list(Some(&target.socket))?);
            }
        }
        Ok(Self(servers))
    }

    /// Whether the pane of a task is still there.
    pub(crate) fn has(&self, task: &Task) -> bool {
        let pane_of = |target: &Target| {
            self.0
                .get(&target.socket)?
                .iter()
                .find(|pane| pane.is(target))
        };
        task.target.as_ref().and_then(pane_of).is_some()
    }
}

/// The pane on which the agent of a task reads what is typed, if it does: it runs, and
/// nothing else is in front of it, like the shell that ^Z brings.
///
/// # Errors
/// When that cannot be told.
pub(crate) fn listener<'a>(flux: &Flux, task: &'a Task) -> Result<Option<&'a Target>> {
    let Some(target) = task
        .target
        .as_ref()
        .filter(|_| agent::converses(&task.agent))
    else {
        return Ok(None);
    };
    let running = flux.run_dir(&task.id).running()?;
    let listens = running.is_some_and(|running| {
        running.agent.is_some() && process::in_front(target.pane_pid) == running.agent
    });
    let there = listens && Panes::of(iter::once(task))?.has(task);
    Ok(there.then_some(target))
}

/// The status of each task that can be read, in the store's order; the changes
/// of the worktrees are asked for side by side, as many at once as there are processors.
///
/// # Errors
/// When git fails. A worktree whose changes cannot be told has none to show.
pub(crate) fn statuses(flux: &Flux, store: &Store, tasks: &[&Task]) -> Result<Vec<Status>> {
    let home = flux.repo.home();
    let there: Vec<bool> = tasks.iter().map(|task| has_worktree(task)).collect();
    let (worktrees, changes, commits) = thread::scope(|scope| {
        let worktrees = scope.spawn(|| registered(home, &there));
        let changes = scope.spawn(|| changes_of(tasks, &there));
        let mut history = flux.repo.history();
        let commits = tasks.iter().map(|task| commits(&mut history, store, task));
        let commits: Vec<_> = commits.collect();
        (worktrees.join(), changes.join(), commits)
    });
    let worktrees = worktrees.expect("no worker panics")?;
    let changes = changes.expect("no worker panics");
    let seen = tasks.iter().zip(changes).zip(commits);
    let status = |((task, changes), commits): ((&&Task, _), Option<(usize, usize)>)| Status {
        task: Task::clone(task),
        state: state(flux, store, task, &worktrees),
        ahead: commits.map(|c| c.0),
        behind: commits.map(|c| c.1),
        changes,
    };
    Ok(seen.map(status).collect())
}

fn has_worktree(task: &Task) -> bool {
    task.worktree.join(".git").exists()
}

/// The worktrees that git knows, if that of any task is `there`.
fn registered(home: &Path, there: &[bool]) -> Result<Vec<Worktree>> {
    if there.contains(&true) {
        worktree::list(home)
    } else {
        Ok(Vec::new())
    }
}

/// How many commits a task has that the branch it goes to has not, and the reverse, if that can be told.
fn commits(history: &mut History, store: &Store, task: &Task) -> Option<(usize, usize)> {
    let into = task.into.as_deref().and_then(|into| store.tip(into));
    let against = into.unwrap_or(&task.base);
    let tip = store.tip(&task.branch)?;
    history.ahead_behind(tip, against).ok()
}

fn changes_of(tasks: &[&Task], there: &[bool]) -> Vec<Option<Changes>> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let tasks: Vec<(&Task, bool)> =
        iter::zip(tasks.iter().copied(), there.iter().copied()).collect();
    let of = |(task, there): &(&Task, bool)| {
        let seen = there.then(|| changes(&task.worktree, false));
        seen.and_then(Result::ok).map(|changes| count(&changes))
    };
    thread::scope(|scope| {
        let share = |share| scope.spawn(move || <[_]>::iter(share).map(of).collect());
        let shares = tasks.chunks(tasks.len().div_ceil(workers).max(1));
        let workers: Vec<_> = shares.map(share).collect();
        let done = workers.into_iter().map(|worker| worker.join());
        done.flat_map(|counts: thread::Result<Vec<_>>| counts.expect("no worker panics"))
            .collect()
    })
}

/// The state of each task, in a word, in the store's order; without a look into the worktrees.
///
/// # Errors
/// When git fails.
pub(crate) fn states(flux: &Flux, store: &Store) -> Result<Vec<String>> {
    let tasks = store.tasks.iter().filter_map(|s| s.task.as_ref().ok());
    let there: Vec<bool> = tasks.map(has_worktree).collect();
    let worktrees = registered(flux.repo.home(), &there)?;
    let label = |stored: &Stored| match &stored.task {
        Ok(task) => state(flux, store, task, &worktrees).label(),
        Err(_) => "broken".to_owned(),
    };
    Ok(store.tasks.iter().map(label).collect())
}

/// What the task's agent is doing, as far as it shows.
pub(crate) fn state(flux: &Flux, store: &Store, task: &Task, worktrees: &[Worktree]) -> State {
    let run = flux.run_dir(&task.id);
    // Where nothing is left of a run, one look does for three.
    let left = !matches!(run.0.try_exists(), Ok(false));
    let (running, exit) = if left {
        (run.running(), run.exit())
    } else {
        (Ok(None), Ok(None))
    };
    if running.is_err() || exit.is_err() {
        return State::Unknown;
    }
    let running = running.unwrap_or_default();
    let seen = Seen {
        locked: left && Lock::is_held(&run.lock()),
        worktree: worktrees.iter().any(|entry| entry.path == task.worktree) && has_worktree(task),
        branch: store.tip(&task.branch).is_some(),
        alive: running.as_ref().map(crate::agent::launch::Running::alive),
        started: running.map(|running| running.since),
        exit: exit.unwrap_or_default(),
    };
    State::of(task.phase, &seen)
}
