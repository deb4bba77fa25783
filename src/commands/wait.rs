//! `git flux wait`

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use anyhow::{Error, Result, anyhow};
use clap::{Args, ValueEnum};
use clap_complete::ArgValueCompleter;
use jiff::SignedDuration;

use super::wakeups::Wakeups;
use super::{candidates, choose_own};

use crate::context::Flux;
use crate::failure::{Failure, TIMED_OUT};
use crate::interrupt;
use crate::lifecycle::{observe, waiting};
use crate::store::{Store, Stored};
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
    fn of(state: &Known, until: &[Until]) -> Self {
        let Ok(Some(state)) = state else {
            return Self::Never;
        };
        let (stage, well) = match state {
            State::Waiting(_) | State::Interrupted => (Until::Waiting, true),
            State::Done => (Until::Done, true),
            State::Failed => (Until::Done, false),
            State::Ended(exit) => (Until::Exited, exit.is_success()),
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
        if until.contains(&stage) {
            Self::There { well }
        } else if stage == Until::Exited {
            Self::Never
        } else {
            Self::NotYet
        }
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
    /// Watches the runs of all tasks. What happens from here on is not missed.
    fn watch(&mut self) -> Result<Vec<(TaskId, Result<()>)>> {
        if self.wait.next {
            let states = states(self.flux, &self.open, &mut self.wakeups)?.into_iter();
            self.seen = states.map(|(id, state)| (id, label(&state))).collect();
        }
        let mut watches = Vec::new();
        for id in &self.open {
            let watch = self.wakeups.watch.run(&self.flux.run_dir(id));
            watches.push((id.clone(), watch));
        }
        Ok(watches)
    }

    /// Looks once, and names those that need not be waited for any more.
    fn look(&mut self) -> Result<()> {
        for (id, state) in states(self.flux, &self.open, &mut self.wakeups)? {
            let now = label(&state);
            let is_new = self.seen.insert(id.clone(), now.clone()).as_ref() != Some(&now);
            let reached = Reached::of(&state, &self.wait.until);
            if reached == Reached::NotYet || (self.wait.next && !is_new) {
                continue;
            }
            self.open.remove(&id);
            self.bad += usize::from(reached != Reached::There { well: true });
            if let Err((_, error)) = &state {
                self.flux.ui.warning(format_args!("{error:#}"));
            }
            self.flux.ui.data(format_args!("{id} {now}"))?;
        }
        Ok(())
    }

    /// Gives up those that cannot be watched.
    fn give_up(&mut self, watches: &[(TaskId, Result<()>)]) {
        for (id, watch) in watches {
            if let Err(error) = watch
                && self.open.remove(id)
            {
                self.flux.ui.warning(format_args!("'{id}': {error:#}"));
                self.bad += 1;
            }
        }
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
        let watches = waiting.watch()?;
        let mut told = false;
        loop {
            let before = waiting.open.len();
            waiting.look()?;
            waiting.give_up(&watches);
            let is_one = self.any || self.next;
            if waiting.open.is_empty() || (is_one && waiting.open.len() < before) {
                break;
            }
            if !told && self.until.contains(&Until::Waiting) {
                tell_of_others(&flux);
            }
            told = true;
            waiting.wakeups.watch_terminals(&waiting.open);
            if !waiting.wakeups.wait(deadline)? {
                return Err(timed_out(&waiting.open).into());
            }
        }
        if waiting.bad > 0 {
            return Err(Failure::new(String::new()).into());
        }
        Ok(())
    }

    /// Returns the tasks that are meant.
    fn meant(&self, flux: &Flux, store: &Store) -> Result<BTreeSet<TaskId>> {
        let mut ids = BTreeSet::new();
        if !self.task.is_empty() {
            for name in &self.task {
                ids.insert(own(flux, store, Some(name))?);
            }
        } else if self.all || self.any || self.next {
            ids.extend(flux.own_tasks(store).map(|stored| stored.id.clone()));
            if ids.is_empty() {
                return Err(Failure::new("there are no tasks").into());
            }
        } else {
            ids.insert(own(flux, store, None)?);
        }
        Ok(ids)
    }
}

/// Tells who is there of the tasks of other repositories that wait already.
fn tell_of_others(flux: &Flux) {
    if !flux.ui.is_shown() {
        return;
    }
    let waiting = waiting::everywhere(&flux.ui, Some(flux));
    let others = waiting.iter().filter(|one| one.home != flux.repo.home());
    let count = others.count();
    if count > 0 {
        let tasks = if count == 1 {
            "task waits"
        } else {
            "tasks wait"
        };
        let go = "git flux attach --waiting";
        flux.ui
            .hint(format_args!("{count} {tasks} in other repositories: {go}"));
    }
}

fn own(flux: &Flux, store: &Store, name: Option<&str>) -> Result<TaskId> {
    let stored = choose_own(flux, store, name, "wait")?;
    stored.readable()?;
    Ok(stored.id.clone())
}

fn timed_out(open: &BTreeSet<TaskId>) -> Failure {
    let left: Vec<&str> = open.iter().map(TaskId::as_str).collect();
    Failure::new(format!("timed out waiting for {}", left.join(", ")))
        .hint("git flux list")
        .code(TIMED_OUT)
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

/// Returns the states as they are now. One that cannot be told spoils none of the others.
fn states(
    flux: &Flux,
    ids: &BTreeSet<TaskId>,
    wakeups: &mut Wakeups,
) -> Result<Vec<(TaskId, Known)>> {
    let states = look(flux, ids, wakeups)?;
    // Or its start, or removal, came to its end between the two looks at record and lock.
    let is_incomplete = |(_, state): &(_, Known)| matches!(state, Ok(Some(State::Incomplete)));
    if states.iter().any(is_incomplete) {
        look(flux, ids, wakeups)
    } else {
        Ok(states)
    }
}

fn look(
    flux: &Flux,
    ids: &BTreeSet<TaskId>,
    wakeups: &mut Wakeups,
) -> Result<Vec<(TaskId, Known)>> {
    wakeups.begin_look();
    let store = Store::load(&flux.repo, &flux.settings)?;
    let meant = store.tasks.iter().filter(|one| ids.contains(&one.id));
    let meant: Vec<&Stored> = meant.collect();
    let readable = meant.iter().filter_map(|one| one.readable().ok());
    let readable: Vec<&Task> = readable.collect();
    let observed = observe::each(flux, &store, &readable)?;
    let observed = readable.iter().zip(observed);
    let mut observed: HashMap<&TaskId, State> = observed
        .map(|(task, (state, _))| (&task.id, state))
        .collect();
    let mut states = Vec::new();
    for id in ids {
        let state = match meant.iter().find(|stored| stored.id == *id) {
            Some(stored) => observed.remove(id).map(Some).ok_or_else(|| unread(stored)),
            None => Ok(None),
        };
        states.push((id.clone(), state));
    }
    wakeups.note_panes(&readable);
    interrupt::check()?;
    Ok(states)
}

/// Returns a word for the state of a task whose record cannot be read, and why.
fn unread(stored: &Stored) -> (&'static str, Error) {
    let why = stored.task.as_ref().err();
    let word = why.map_or("unknown", version::state_of);
    let error = stored.readable().err();
    let not_looked_at = || anyhow!("'{}' was not looked at", stored.id);
    (word, error.unwrap_or_else(not_looked_at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{Exit, How};

    #[test]
    fn a_state_is_where_it_is_waited_for_or_never_will_be() {
        let ended = |how| State::Ended(Exit::new(how, 1));
        let there = |well| Reached::There { well };
        for (state, until, expected) in [
            (State::Working, Until::Exited, Reached::NotYet),
            (State::Waiting(None), Until::Waiting, there(true)),
            (State::Waiting(None), Until::Exited, Reached::NotYet),
            (State::Failed, Until::Done, there(false)),
            (ended(How::Status(0)), Until::Exited, there(true)),
            (ended(How::Status(1)), Until::Exited, there(false)),
            (ended(How::Status(0)), Until::Done, Reached::Never),
            (State::NoWorktree, Until::Waiting, Reached::Never),
        ] {
            let reached = Reached::of(&Ok(Some(state.clone())), &[until]);
            assert_eq!(reached, expected, "{state:?} {until:?}");
        }
        assert_eq!(Reached::of(&Ok(None), &[Until::Exited]), Reached::Never);
        let unread = Err(("broken", anyhow!("it has no version")));
        assert_eq!(Reached::of(&unread, &[Until::Exited]), Reached::Never);
    }
}
