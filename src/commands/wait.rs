//! `git flux wait`

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Error, Result};
use clap::{Args, ValueEnum};
use clap_complete::ArgValueCompleter;
use jiff::SignedDuration;

use super::wakeups::Wakeups;
use super::{candidates, choose_own};
use crate::context::Flux;
use crate::failure::{Failure, TIMED_OUT};
use crate::interrupt;
use crate::lifecycle::observe;
use crate::store::Store;
use crate::task::{State, Task, TaskId, version};
use crate::ui::Ui;

/// Block until the agents of tasks are done, wait for input or have exited
#[derive(Debug, Args)]
#[command(override_usage = "git flux wait [<options>] [<task>...]")]
pub(crate) struct Wait {
    /// the tasks: each its id or a part of it, its branch or its worktree
    #[arg(value_name = "<task>", add = ArgValueCompleter::new(candidates::further_tasks))]
    task: Vec<String>,
    /// until one of them is where it is waited for
    #[arg(long, conflicts_with = "all")]
    any: bool,
    /// until another one comes there, whatever is there already
    #[arg(long, conflicts_with_all = ["any", "all"])]
    next: bool,
    /// until all of them are (the default); without a <task>, all there are
    #[arg(long)]
    all: bool,
    /// what is waited for
    #[arg(
        long = "for",
        value_name = "state",
        value_delimiter = ',',
        default_value = "waiting,done,exited"
    )]
    until: Vec<Until>,
    /// give up after this time, as in '90s', '30m' or '1h 30m'
    #[arg(long, value_name = "time", value_parser = duration)]
    timeout: Option<Duration>,
}

/// What may be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Until {
    /// The agent needs an answer, or was interrupted
    Waiting,
    /// The agent has come to the end of its turn, or given up
    Done,
    /// The agent has exited, was killed or is lost
    Exited,
}

/// A time in jiff's own friendly form; a plain number is seconds.
fn duration(text: &str) -> Result<Duration, &'static str> {
    let plain = text.parse().ok().map(Duration::from_secs);
    let friendly = || text.parse::<SignedDuration>().ok()?.try_into().ok();
    plain
        .or_else(friendly)
        .ok_or("it is a time like 90s, 30m or 1h 30m")
}

/// Returns whether a task that is waited for is where it is waited for, and well. None if it is not there
/// yet; one that never will be is not well.
fn reached(state: &Known, until: &[Until]) -> Option<bool> {
    let Ok(Some(state)) = state else {
        return Some(false);
    };
    let (stage, is_well) = match state {
        State::Starting
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
        Some(is_well)
    } else {
        (stage == Until::Exited).then_some(false)
    }
}

/// The tasks that are waited for.
struct Waiting<'a> {
    flux: &'a Flux,
    wait: &'a Wait,
    open: BTreeSet<TaskId>,
    /// The states that were seen last, where another one is waited for.
    seen: BTreeMap<TaskId, String>,
    /// How many did not end where they are waited for, or not well.
    bad: usize,
    wakeups: Wakeups,
}

impl Waiting<'_> {
    /// Watches the runs of all tasks, and returns those that cannot be. What happens from here on is not missed.
    fn watch(&mut self) -> Result<Vec<(TaskId, Error)>> {
        if self.wait.next {
            let states = states(self.flux, &self.open, &mut self.wakeups)?.into_iter();
            self.seen = states.map(|(id, state)| (id, label(&state))).collect();
        }
        let mut failed = Vec::new();
        for id in &self.open {
            if let Err(error) = self.wakeups.watch.watch_run(&self.flux.run_dir(id)) {
                failed.push((id.clone(), error));
            }
        }
        Ok(failed)
    }

    /// Looks once, and names those that need not be waited for any more.
    fn look(&mut self) -> Result<()> {
        for (id, state) in states(self.flux, &self.open, &mut self.wakeups)? {
            let now = label(&state);
            let is_new = self.seen.insert(id.clone(), now.clone()).as_ref() != Some(&now);
            let Some(is_well) = reached(&state, &self.wait.until) else {
                continue;
            };
            if self.wait.next && !is_new {
                continue;
            }
            self.open.remove(&id);
            self.bad += usize::from(!is_well);
            if let Err((_, error)) = &state {
                self.flux.ui.warning(format_args!("{error:#}"));
            }
            self.flux.ui.data(format_args!("{id} {now}"))?;
        }
        Ok(())
    }
}

impl Wait {
    pub(crate) fn run(self) -> Result<()> {
        // What is looked at before counts as well.
        let deadline = self.timeout.map(|timeout| Instant::now() + timeout);
        let flux = Flux::open(Ui::default())?;
        let store = Store::load(&flux.repo, &flux.settings)?;
        let mut waiting = Waiting {
            flux: &flux,
            wait: &self,
            open: self.meant(&flux, &store)?,
            seen: BTreeMap::new(),
            bad: 0,
            wakeups: Wakeups::new()?,
        };
        let mut unwatched = waiting.watch()?;
        loop {
            let before = waiting.open.len();
            waiting.look()?;
            for (id, error) in unwatched.drain(..) {
                if waiting.open.remove(&id) {
                    flux.ui.warning(format_args!("'{id}': {error:#}"));
                    waiting.bad += 1;
                }
            }
            let is_one = self.any || self.next;
            if waiting.open.is_empty() || (is_one && waiting.open.len() < before) {
                break;
            }
            waiting.wakeups.watch_terminals(&waiting.open);
            if !waiting.wakeups.wait(deadline)? {
                let left: Vec<&str> = waiting.open.iter().map(TaskId::as_str).collect();
                let failure = Failure::new(format!("timed out waiting for {}", left.join(", ")));
                return Err(failure.hint("git flux list").code(TIMED_OUT).into());
            }
        }
        match waiting.bad {
            0 => Ok(()),
            _ => Err(Failure::new("").into()),
        }
    }

    /// Returns the tasks that are meant.
    fn meant(&self, flux: &Flux, store: &Store) -> Result<BTreeSet<TaskId>> {
        let own = |name: Option<&String>| -> Result<TaskId> {
            let stored = choose_own(flux, store, name.map(String::as_str), "wait")?;
            stored.readable()?;
            Ok(stored.id.clone())
        };
        if !self.task.is_empty() {
            return self.task.iter().map(|name| own(Some(name))).collect();
        }
        if !(self.all || self.any || self.next) {
            return Ok([own(None)?].into());
        }
        let all = flux.own_tasks(store).map(|stored| stored.id.clone());
        match BTreeSet::from_iter(all) {
            all if all.is_empty() => Err(Failure::new("there are no tasks").into()),
            all => Ok(all),
        }
    }
}

/// The state of a task; none of one that is gone, and of one that cannot be told a word and why.
type Known = Result<Option<State>, (&'static str, Error)>;

/// The state in a word.
fn label(state: &Known) -> String {
    match state {
        Ok(Some(state)) => state.label(),
        Ok(None) => "removed".to_owned(),
        Err((word, _)) => (*word).to_owned(),
    }
}

/// The states of those that are waited for.
type States = BTreeMap<TaskId, Known>;

/// Returns the states as they are now. One that cannot be told spoils none of the others.
fn states(flux: &Flux, ids: &BTreeSet<TaskId>, wakeups: &mut Wakeups) -> Result<States> {
    let states = look(flux, ids, wakeups)?;
    // Or its start, or removal, came to its end between the two looks at record and lock.
    let is_incomplete = |state: &Known| matches!(state, Ok(Some(State::Incomplete)));
    if states.values().any(is_incomplete) {
        look(flux, ids, wakeups)
    } else {
        Ok(states)
    }
}

fn look(flux: &Flux, ids: &BTreeSet<TaskId>, wakeups: &mut Wakeups) -> Result<States> {
    wakeups.begin_look();
    let store = Store::load(&flux.repo, &flux.settings)?;
    let meant = || store.tasks.iter().filter(|one| ids.contains(&one.id));
    let readable = meant().filter_map(|one| one.task.as_ref().ok());
    let readable: Vec<&Task> = readable.collect();
    let mut observed = observe::each(flux, &store, &readable)?.into_iter();
    let mut states: States = ids.iter().map(|id| (id.clone(), Ok(None))).collect();
    for stored in meant() {
        let state = match (&stored.task, stored.readable()) {
            (Err(why), Err(error)) => Err((version::state_of(why), error)),
            _ => {
                let (state, _) = observed.next().context("a task was not looked at")?;
                Ok(Some(state))
            }
        };
        states.insert(stored.id.clone(), state);
    }
    wakeups.note_panes(&readable);
    interrupt::check()?;
    Ok(states)
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;
    use crate::task::{Exit, How};

    #[test]
    fn a_state_is_where_it_is_waited_for_or_never_will_be() {
        let ended = |how| State::Ended(Exit::new(how, 1));
        for (state, until, expected) in [
            (State::Working, Until::Exited, None),
            (State::Waiting(None), Until::Waiting, Some(true)),
            (State::Waiting(None), Until::Exited, None),
            (State::Failed, Until::Done, Some(false)),
            (ended(How::Status(0)), Until::Exited, Some(true)),
            (ended(How::Status(1)), Until::Exited, Some(false)),
            (ended(How::Status(0)), Until::Done, Some(false)),
            (State::NoWorktree, Until::Waiting, Some(false)),
        ] {
            let reached = reached(&Ok(Some(state.clone())), &[until]);
            assert_eq!(reached, expected, "{state:?} {until:?}");
        }
        assert_eq!(reached(&Ok(None), &[Until::Exited]), Some(false));
        let unread = Err(("broken", anyhow!("it has no version")));
        assert_eq!(reached(&unread, &[Until::Exited]), Some(false));
    }
}
