//! The sources of a task's state, read once: its refs, worktree, run files, transcript and pane.

use std::collections::HashMap;
use std::iter;
use std::path::{Path, PathBuf};

use crate::agent;
use crate::context::Flux;
use crate::git::{Lock, Worktree, admin};
use crate::lifecycle::{copied_repository, other_machine};
use crate::run::RunDir;
use crate::run::events::{self, Event, START};
use crate::run::launch::Running;
use crate::run::launcher::Launcher;
use crate::store::Store;
use crate::system::clock;
use crate::task::observation::{Location, Observation, Presence};
use crate::task::{Report, Task};
use crate::tmux::pane::{self, Pane};

/// Observes the refs, run files and pane of each task. Runs `tmux list-panes -a` once per server,
/// only for agents that may run and for tasks that landings have blocked; a server that does not
/// answer in two seconds is ignored.
pub(super) fn read_sources(
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
pub(super) fn observe_files(
    flux: &Flux,
    store: &Store,
    task: &Task,
    worktrees: &[Worktree],
) -> Observation {
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
        phase: task.phase,
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
