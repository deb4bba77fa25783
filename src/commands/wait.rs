//! `git flux wait`

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Error, Result};
use clap::{Args, ValueEnum};
use clap_complete::ArgValueCompleter;

use super::wakeups::Wakeups;
use super::{candidates, choose_own};
use crate::context::Flux;
use crate::failure::{Failure, TIMED_OUT, Verb};
use crate::interrupt;
use crate::lifecycle::observe;
use crate::store::Store;
use crate::system::clock;
use crate::task::{LandState, State, Task, TaskId, version};
use crate::ui::Ui;

/// Wait until agents are done, need input or have exited
#[derive(Debug, Args)]
#[command(override_usage = "git flux wait [<options>] [<task>...]")]
pub(crate) struct WaitArgs {
    /// the tasks: each its id or a part of it, its branch or its worktree
    #[arg(value_name = "<task>", add = ArgValueCompleter::new(candidates::further_tasks))]
    task: Vec<String>,
    /// return once any task is in such a state
    #[arg(long, conflicts_with = "all")]
    any: bool,
    /// return once a task enters such a state
    #[arg(long, conflicts_with_all = ["any", "all"])]
    next: bool,
    /// wait for every task (the default); without <task>, for all tasks
    #[arg(long)]
    all: bool,
    /// the states to wait for
    #[arg(
        long = "for",
        value_name = "state",
        value_delimiter = ',',
        default_value = "waiting,done,exited"
    )]
    until: Vec<Until>,
    /// give up after this time, as in '90s', '30m' or '1h 30m'
    #[arg(long, value_name = "time", value_parser = parse_timeout)]
    timeout: Option<Duration>,
}

/// A state to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Until {
    /// The agent needs an answer, or was interrupted
    Waiting,
    /// The agent has ended its turn, also with an error
    Done,
    /// The agent has exited, was killed or is lost
    Exited,
}

fn parse_timeout(text: &str) -> Result<Duration, &'static str> {
    clock::parse_duration(text).ok_or("expected a time like 90s, 30m or 1h 30m")
}

/// Returns `Some(true)` if a task has reached one of the states `until` with success, `Some(false)`
/// if without success or if it can no longer reach one, and `None` if the wait continues.
fn outcome(state: &Known, until: &[Until]) -> Option<bool> {
    let Ok(Some((state, land))) = state else {
        return Some(false);
    };
    match land {
        // It is tested or lands.
        Some(LandState::Landing) => return None,
        Some(LandState::Blocked) => return Some(false),
        Some(LandState::Back(_)) | None => {}
    }
    let (stage, is_success) = match state {
        State::Starting
        | State::Queued
        | State::Opening
        | State::Running(_)
        | State::RunningElsewhere
        | State::Working => return None,
        State::Waiting(_) | State::Interrupted => (Until::Waiting, true),
        State::Done => (Until::Done, true),
        State::Failed => (Until::Done, false),
        State::Ended(exit) => (Until::Exited, exit.is_success()),
        _ => (Until::Exited, false),
    };
    if until.contains(&stage) {
        Some(is_success)
    } else {
        (stage == Until::Exited).then_some(false)
    }
}

struct WaitLoop<'a> {
    flux: &'a Flux,
    wait: &'a WaitArgs,
    pending: BTreeSet<TaskId>,
    /// The last states, for `--next`.
    last: BTreeMap<TaskId, String>,
    /// The number of tasks whose wait failed.
    failed: usize,
    wakeups: Wakeups,
}

impl WaitLoop<'_> {
    /// Records the states of the pending tasks, for `--next`, and then starts to watch their run
    /// directories. Returns the tasks that cannot be watched, each with the error.
    fn watch(&mut self) -> Result<Vec<(TaskId, Error)>> {
        if self.wait.next {
            let states = current_states(self.flux, &self.pending, &mut self.wakeups)?.into_iter();
            self.last = states.map(|(id, state)| (id, label(&state))).collect();
        }
        let mut failed = Vec::new();
        for id in &self.pending {
            if let Err(error) = self.wakeups.watch.watch_run(&self.flux.run_dir(id)) {
                failed.push((id.clone(), error));
            }
        }
        Ok(failed)
    }

    /// Observes the pending tasks once, prints those whose wait ends, and makes them no longer
    /// pending. Counts those that failed.
    fn check(&mut self) -> Result<()> {
        for (id, state) in current_states(self.flux, &self.pending, &mut self.wakeups)? {
            let now = label(&state);
            let is_new = self.last.insert(id.clone(), now.clone()).as_ref() != Some(&now);
            let Some(is_success) = outcome(&state, &self.wait.until) else {
                continue;
            };
            if self.wait.next && !is_new {
                continue;
            }
            self.pending.remove(&id);
            self.failed += usize::from(!is_success);
            if let Err((_, error)) = &state {
                self.flux.ui.warning(format_args!("{error:#}"));
            }
            self.flux.ui.data(format_args!("{id} {now}"))?;
        }
        Ok(())
    }
}

impl WaitArgs {
    pub(crate) fn run(self) -> Result<()> {
        // The time to open the repository counts.
        let deadline = self.timeout.map(|timeout| Instant::now() + timeout);
        let flux = Flux::open(Ui::default())?;
        let store = Store::load(&flux.repo, &flux.settings)?;
        let mut waiting = WaitLoop {
            flux: &flux,
            wait: &self,
            pending: self.selected(&flux, &store)?,
            last: BTreeMap::new(),
            failed: 0,
            wakeups: Wakeups::new()?,
        };
        let mut unwatched = waiting.watch()?;
        loop {
            let before = waiting.pending.len();
            waiting.check()?;
            for (id, error) in unwatched.drain(..) {
                if waiting.pending.remove(&id) {
                    flux.ui.warning(format_args!("'{id}': {error:#}"));
                    waiting.failed += 1;
                }
            }
            let is_one = self.any || self.next;
            if waiting.pending.is_empty() || (is_one && waiting.pending.len() < before) {
                break;
            }
            waiting.wakeups.watch_terminals(&waiting.pending);
            if !waiting.wakeups.wait(deadline)? {
                let left: Vec<&str> = waiting.pending.iter().map(TaskId::as_str).collect();
                let failure = Failure::new(format!("timed out waiting for {}", left.join(", ")));
                return Err(failure
                    .hint("to see the tasks: git flux list")
                    .code(TIMED_OUT)
                    .into());
            }
        }
        match waiting.failed {
            0 => Ok(()),
            _ => Err(Failure::new("").into()),
        }
    }

    fn selected(&self, flux: &Flux, store: &Store) -> Result<BTreeSet<TaskId>> {
        let id_of = |name: Option<&String>| -> Result<TaskId> {
            let stored = choose_own(flux, store, name.map(String::as_str), Verb::Wait)?;
            stored.readable()?;
            Ok(stored.id.clone())
        };
        if !self.task.is_empty() {
            return self.task.iter().map(|name| id_of(Some(name))).collect();
        }
        if !(self.all || self.any || self.next) {
            return Ok([id_of(None)?].into());
        }
        let all = flux.own_tasks(store).map(|stored| stored.id.clone());
        match BTreeSet::from_iter(all) {
            all if all.is_empty() => {
                let hint = "to start a task: git flux run \"<description>\"";
                Err(Failure::new("there are no tasks").hint(hint).into())
            }
            all => Ok(all),
        }
    }
}

/// The state of a task and its part in landings; `None` if it was removed, a word and an error if
/// it is unknown.
type Known = Result<Option<(State, Option<LandState>)>, (&'static str, Error)>;

fn label(state: &Known) -> String {
    match state {
        Ok(Some((_, Some(LandState::Blocked)))) => LandState::Blocked.to_string(),
        Ok(Some((state, _))) => state.label(),
        Ok(None) => "removed".to_owned(),
        Err((word, _)) => (*word).to_owned(),
    }
}

type States = BTreeMap<TaskId, Known>;

fn current_states(flux: &Flux, ids: &BTreeSet<TaskId>, wakeups: &mut Wakeups) -> Result<States> {
    let states = observe_once(flux, ids, wakeups)?;
    // A start or removal may have ended between reading the record and the lock.
    let is_incomplete = |state: &Known| matches!(state, Ok(Some((State::Incomplete, _))));
    if states.values().any(is_incomplete) {
        observe_once(flux, ids, wakeups)
    } else {
        Ok(states)
    }
}

fn observe_once(flux: &Flux, ids: &BTreeSet<TaskId>, wakeups: &mut Wakeups) -> Result<States> {
    wakeups.note_observation();
    let store = Store::load(&flux.repo, &flux.settings)?;
    let pending = || store.tasks.iter().filter(|one| ids.contains(&one.id));
    let readable = pending().filter_map(|one| one.task.as_ref().ok());
    let readable: Vec<&Task> = readable.collect();
    let mut observed = observe::states(flux, &store, &readable)?.into_iter();
    let mut states: States = ids.iter().map(|id| (id.clone(), Ok(None))).collect();
    for stored in pending() {
        let state = match (&stored.task, stored.readable()) {
            (Err(why), Err(error)) => Err((version::state_of(why), error)),
            _ => {
                let seen = observed
                    .next()
                    .context("internal error: no status of the task")?;
                Ok(Some((seen.state, seen.land)))
            }
        };
        states.insert(stored.id.clone(), state);
    }
    watch_commands(flux, &states, wakeups);
    wakeups.note_panes(&readable);
    interrupt::check()?;
    Ok(states)
}

/// Watches the locks of the commands that start or land the tasks: a killed one leaves no other event.
fn watch_commands(flux: &Flux, states: &States, wakeups: &Wakeups) {
    for (id, state) in states {
        let lock = match state {
            Ok(Some((_, Some(LandState::Landing)))) => flux.landing_lock(),
            Ok(Some((State::Starting, _))) => flux.run_dir(id).lock(),
            _ => continue,
        };
        wakeups.watch.watch_lock(&lock);
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;
    use crate::task::{Exit, ExitReason};

    #[test]
    fn outcome_fails_if_the_state_cannot_be_reached() {
        let ended = |how| State::Ended(Exit::new(how, jiff::Timestamp::UNIX_EPOCH));
        for (state, until, expected) in [
            (State::Working, Until::Exited, None),
            (State::Queued, Until::Done, None),
            (State::Waiting(None), Until::Waiting, Some(true)),
            (State::Waiting(None), Until::Exited, None),
            (State::Failed, Until::Done, Some(false)),
            (State::Failed, Until::Exited, None),
            (ended(ExitReason::Status(0)), Until::Exited, Some(true)),
            (ended(ExitReason::Status(1)), Until::Exited, Some(false)),
            (ended(ExitReason::Status(0)), Until::Done, Some(false)),
            (State::NoWorktree, Until::Waiting, Some(false)),
        ] {
            let found = outcome(&Ok(Some((state.clone(), None))), &[until]);
            assert_eq!(found, expected, "{state:?} {until:?}");
        }
        assert_eq!(outcome(&Ok(None), &[Until::Exited]), Some(false));
        for (land, expected) in [
            (LandState::Landing, None),
            (LandState::Back(1), Some(true)),
            (LandState::Blocked, Some(false)),
        ] {
            let found = outcome(&Ok(Some((State::Done, Some(land)))), &[Until::Done]);
            assert_eq!(found, expected, "{land}");
        }
        let unread = Err(("broken", anyhow!("it is damaged")));
        assert_eq!(outcome(&unread, &[Until::Exited]), Some(false));
    }
}
