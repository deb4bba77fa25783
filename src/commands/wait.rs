//! `git flux wait`

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Error, Result};
use clap::{Args, ValueEnum};
use clap_complete::ArgValueCompleter;
use jiff::SignedDuration;

use super::{candidates, choose_own};
use crate::agent::watch::{self, Watch};
use crate::failure::{Failure, TIMED_OUT};
use crate::interrupt;
use crate::lifecycle::{Flux, observe};
use crate::store::Store;
use crate::task::{State, TaskId, version};
use crate::ui::Ui;

/// How long ^C may take to be heard.
const BREATH: Duration = Duration::from_millis(100);

/// Block until the agents of tasks are done, wait for input or have exited
#[derive(Debug, Args)]
pub(crate) struct Wait {
    /// The tasks: each its id or a part of it, its branch or its worktree
    #[arg(add = ArgValueCompleter::new(candidates::further_tasks))]
    task: Vec<String>,
    /// Until one of them is where it is waited for
    #[arg(long, conflicts_with = "all")]
    any: bool,
    /// Until all of them are (the default); without a <task>, all there are
    #[arg(long)]
    all: bool,
    /// What is waited for
    #[arg(
        long = "for",
        value_name = "STATE",
        value_delimiter = ',',
        default_value = "waiting,done,exited"
    )]
    until: Vec<Until>,
    /// Give up after this time, as in '90s', '30m' or '1h 30m'
    #[arg(long, value_name = "TIME", value_parser = duration)]
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

/// What is known of a task that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reached {
    NotYet,
    /// It is where it is waited for.
    There {
        well: bool,
    },
    /// It never will be.
    Never,
}

impl Reached {
    fn of(state: &State, until: &[Until]) -> Self {
        let (stage, well) = match state {
            State::Waiting(_) | State::Interrupted => (Until::Waiting, true),
            State::Done => (Until::Done, true),
            State::Failed => (Until::Done, false),
            State::Ended(exit) => (Until::Exited, exit.status == Some(0)),
            State::Idle
            | State::Lost
            | State::Incomplete
            | State::Removing
            | State::NoWorktree
            | State::NoBranch
            | State::Elsewhere
            | State::Unknown => (Until::Exited, false),
            State::Starting
            | State::Opening
            | State::Running(_)
            | State::RunningElsewhere
            | State::Working => {
                return Self::NotYet;
            }
        };
        match until.contains(&stage) {
            true => Self::There { well },
            false if stage == Until::Exited => Self::Never,
            false => Self::NotYet,
        }
    }
}

impl Wait {
    pub(crate) fn run(self) -> Result<()> {
        let flux = Flux::open(Ui::default())?;
        let store = Store::load(&flux.repo, &flux.settings)?;
        let mut open = self.meant(&flux, &store)?;
        let deadline = self.timeout.map(|timeout| Instant::now() + timeout);
        // What happens from here on is not missed.
        let (sender, happened) = channel();
        let watch = |id: &TaskId| (id.clone(), watch::run(&flux.run_dir(id), &sender));
        let watches: Vec<(TaskId, Result<Watch>)> = open.keys().map(watch).collect();
        let mut bad = 0;
        loop {
            let before = open.len();
            for (id, state) in states(&flux, &open)? {
                let reached = match &state {
                    Ok(Some(state)) => Reached::of(state, &self.until),
                    Ok(None) | Err(_) => Reached::Never,
                };
                if reached == Reached::NotYet {
                    continue;
                }
                open.remove(&id);
                bad += usize::from(reached != Reached::There { well: true });
                let label = match state {
                    Ok(Some(state)) => state.label(),
                    Ok(None) => "removed".to_owned(),
                    Err((word, error)) => {
                        flux.ui.warning(format_args!("{error:#}"));
                        word.to_owned()
                    }
                };
                flux.ui.data(format_args!("{id} {label}"))?;
            }
            for (id, watch) in &watches {
                if let Err(error) = watch
                    && open.remove(id).is_some()
                {
                    flux.ui.warning(format_args!("'{id}': {error:#}"));
                    bad += 1;
                }
            }
            if open.is_empty() || (self.any && open.len() < before) {
                break;
            }
            if !heard(&happened, deadline)? {
                let left: Vec<&str> = open.keys().map(TaskId::as_str).collect();
                return Err(
                    Failure::new(format!("timed out waiting for {}", left.join(", ")))
                        .hint("git flux list")
                        .code(TIMED_OUT)
                        .into(),
                );
            }
        }
        drop(watches);
        if bad > 0 {
            return Err(Failure::new(String::new()).into());
        }
        Ok(())
    }

    /// The tasks that are meant.
    fn meant(&self, flux: &Flux, store: &Store) -> Result<BTreeMap<TaskId, ()>> {
        let mut ids = BTreeMap::new();
        if self.task.is_empty() && (self.all || self.any) {
            ids.extend(flux.own_tasks(store).map(|stored| (stored.id.clone(), ())));
            return match ids.is_empty() {
                true => Err(Failure::new("there are no tasks").into()),
                false => Ok(ids),
            };
        }
        let names: Vec<Option<&str>> = match self.task.as_slice() {
            [] => vec![None],
            names => names.iter().map(|name| Some(name.as_str())).collect(),
        };
        for name in names {
            let stored = choose_own(flux, store, name, "wait")?;
            stored.readable()?;
            ids.insert(stored.id.clone(), ());
        }
        Ok(ids)
    }
}

/// The state of a task; none of one that is gone, and of one that cannot be told a word and why.
type Known = Result<Option<State>, (&'static str, Error)>;

/// The states as they are now. One that cannot be told spoils none of the others.
fn states(flux: &Flux, ids: &BTreeMap<TaskId, ()>) -> Result<Vec<(TaskId, Known)>> {
    let look = || -> Result<Vec<_>> {
        let store = Store::load(&flux.repo, &flux.settings)?;
        let state = |id: &TaskId| match store.tasks.iter().find(|stored| stored.id == *id) {
            Some(stored) => {
                let word = stored
                    .task
                    .as_ref()
                    .err()
                    .map_or("unknown", version::state_of);
                let task = stored.readable();
                let state = task.and_then(|task| observe::one(flux, &store, task));
                state.map(|one| Some(one.0)).map_err(|error| (word, error))
            }
            None => Ok(None),
        };
        let states = ids.keys().map(|id| (id.clone(), state(id))).collect();
        interrupt::check()?;
        Ok(states)
    };
    let states = look()?;
    // Or its start, or removal, came to its end between the two looks at record and lock.
    let broken = |(_, state): &(_, Known)| matches!(state, Ok(Some(State::Incomplete)));
    if states.iter().any(broken) {
        look()
    } else {
        Ok(states)
    }
}

/// Waits until something happens; `false` if nothing does in time.
fn heard(happened: &Receiver<()>, deadline: Option<Instant>) -> Result<bool> {
    loop {
        interrupt::check()?;
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Ok(false);
        }
        match happened.recv_timeout(left.map_or(BREATH, |left| left.min(BREATH))) {
            Ok(()) => {
                // Of many at once one look is enough.
                while happened.try_recv().is_ok() {}
                return Ok(true);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Failure::new("nothing can be watched any more")).context("wait");
            }
        }
    }
}
