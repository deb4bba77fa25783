//! `git flux wait`

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Error, Result, anyhow};
use clap::{Args, ValueEnum};
use clap_complete::ArgValueCompleter;
use jiff::SignedDuration;

use super::{candidates, choose_own};
use crate::agent;
use crate::failure::{Failure, TIMED_OUT};
use crate::interrupt;
use crate::lifecycle::{Flux, observe, waiting};
use crate::run::pace::Pace;
use crate::run::watch::{News, Watch};
use crate::store::Store;
use crate::task::{State, Target, Task, TaskId, version};
use crate::tmux::pane::{self, Pane};
use crate::ui::Ui;

/// Block until the agents of tasks are done, wait for input or have exited
#[derive(Debug, Args)]
pub(crate) struct Wait {
    /// The tasks: each its id or a part of it, its branch or its worktree
    #[arg(add = ArgValueCompleter::new(candidates::further_tasks))]
    task: Vec<String>,
    /// Until one of them is where it is waited for
    #[arg(long, conflicts_with = "all")]
    any: bool,
    /// Until another one comes there, whatever is there already
    #[arg(long, conflicts_with_all = ["any", "all"])]
    next: bool,
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
        match until.contains(&stage) {
            true => Self::There { well },
            false if stage == Until::Exited => Self::Never,
            false => Self::NotYet,
        }
    }
}

impl Wait {
    pub(crate) fn run(self) -> Result<()> {
        // What is looked at before counts as well.
        let deadline = self.timeout.map(|timeout| Instant::now() + timeout);
        let flux = Flux::open(Ui::default())?;
        let store = Store::load(&flux.repo, &flux.settings)?;
        let mut open = self.meant(&flux, &store)?;
        // What happens from here on is not missed.
        let mut wakeups = Wakeups::new()?;
        let mut seen = BTreeMap::new();
        if self.next {
            let states = states(&flux, &open, &mut wakeups)?.into_iter();
            seen.extend(states.map(|(id, state)| (id, label(&state))));
        }
        let watches = open
            .keys()
            .map(|id| (id.clone(), wakeups.watch.run(&flux.run_dir(id))));
        let watches: Vec<(TaskId, Result<()>)> = watches.collect();
        let (mut bad, mut told) = (0, false);
        loop {
            let before = open.len();
            for (id, state) in states(&flux, &open, &mut wakeups)? {
                let reached = match &state {
                    Ok(Some(state)) => Reached::of(state, &self.until),
                    Ok(None) | Err(_) => Reached::Never,
                };
                let now = label(&state);
                if self.next && seen.insert(id.clone(), now.clone()).as_ref() == Some(&now) {
                    continue;
                }
                if reached == Reached::NotYet {
                    continue;
                }
                open.remove(&id);
                bad += usize::from(reached != Reached::There { well: true });
                if let Err((_, error)) = &state {
                    flux.ui.warning(format_args!("{error:#}"));
                }
                flux.ui.data(format_args!("{id} {now}"))?;
            }
            for (id, watch) in &watches {
                if let Err(error) = watch
                    && open.remove(id).is_some()
                {
                    flux.ui.warning(format_args!("'{id}': {error:#}"));
                    bad += 1;
                }
            }
            let is_one = self.any || self.next;
            if open.is_empty() || (is_one && open.len() < before) {
                break;
            }
            if !told && self.until.contains(&Until::Waiting) {
                tell_of_others(&flux);
            }
            told = true;
            wakeups.watch_terminals(&open);
            if !wakeups.wait(deadline)? {
                let left: Vec<&str> = open.keys().map(TaskId::as_str).collect();
                return Err(
                    Failure::new(format!("timed out waiting for {}", left.join(", ")))
                        .hint("git flux list")
                        .code(TIMED_OUT)
                        .into(),
                );
            }
        }
        if bad > 0 {
            return Err(Failure::new(String::new()).into());
        }
        Ok(())
    }

    /// The tasks that are meant.
    fn meant(&self, flux: &Flux, store: &Store) -> Result<BTreeMap<TaskId, ()>> {
        let mut ids = BTreeMap::new();
        if self.task.is_empty() && (self.all || self.any || self.next) {
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

/// The states as they are now. One that cannot be told spoils none of the others.
fn states(
    flux: &Flux,
    ids: &BTreeMap<TaskId, ()>,
    wakeups: &mut Wakeups,
) -> Result<Vec<(TaskId, Known)>> {
    let mut look = || -> Result<Vec<_>> {
        wakeups.begin_look();
        let store = Store::load(&flux.repo, &flux.settings)?;
        let meant = store.tasks.iter().filter(|one| ids.contains_key(&one.id));
        let readable: Vec<&Task> = meant
            .clone()
            .filter_map(|one| one.readable().ok())
            .collect();
        let states = observe::each(flux, &store, &readable)?;
        let states = readable
            .iter()
            .zip(states)
            .map(|(task, (state, _))| (&task.id, state));
        let mut states: HashMap<&TaskId, State> = states.collect();
        let state = |id: &TaskId| match meant.clone().find(|stored| stored.id == *id) {
            Some(stored) => match states.remove(id) {
                Some(state) => Ok(Some(state)),
                None => {
                    let why = stored.task.as_ref().err();
                    let word = why.map_or("unknown", version::state_of);
                    let error = stored.readable().err();
                    Err((
                        word,
                        error.unwrap_or_else(|| anyhow!("'{id}' was not looked at")),
                    ))
                }
            },
            None => Ok(None),
        };
        let states = ids.keys().cloned().zip(ids.keys().map(state)).collect();
        wakeups.note_panes(&readable);
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

/// What wakes `wait` for another look.
struct Wakeups {
    watch: Watch,
    news: Receiver<News>,
    pace: Pace,
    /// The panes of the tasks of which something can be learned there.
    panes: BTreeMap<TaskId, Target>,
    /// Which of them were looked for, by their processes, and whether their terminals tell of output.
    terminals: HashMap<i32, bool>,
}

impl Wakeups {
    fn new() -> Result<Self> {
        let (sender, news) = channel();
        Ok(Self {
            watch: Watch::new(sender)?,
            news,
            pace: Pace::new(Instant::now()),
            panes: BTreeMap::new(),
            terminals: HashMap::new(),
        })
    }

    /// Notes that a look begins: it sees what was told until now.
    fn begin_look(&mut self) {
        self.watch.take_output();
        self.pace.note_look(Instant::now());
    }

    /// Notes the panes of those `tasks` of which something can be learned there.
    fn note_panes(&mut self, tasks: &[&Task]) {
        let shown = tasks
            .iter()
            .filter(|task| agent::profile(&task.agent).shows());
        let panes = shown.filter_map(|task| Some((task.id.clone(), task.target.clone()?)));
        self.panes = panes.collect();
    }

    /// Watches the terminals of those tasks that are waited for still, as far as that can be done.
    fn watch_terminals(&mut self, open: &BTreeMap<TaskId, ()>) {
        self.panes.retain(|id, _| open.contains_key(id));
        let mut servers: HashMap<&Path, Vec<Pane>> = HashMap::new();
        for target in self.panes.values() {
            if self.terminals.contains_key(&target.pane_pid) {
                continue;
            }
            let panes = servers
                .entry(&target.socket)
                .or_insert_with(|| pane::glance(&target.socket).unwrap_or_default());
            let pane = panes.iter().find(|pane| pane.is(target));
            let is_told = pane.is_some_and(|pane| self.watch.terminal(&pane.tty));
            self.terminals.insert(target.pane_pid, is_told);
        }
        let mut targets = self.panes.values();
        self.pace.is_told = targets.all(|target| self.terminals[&target.pane_pid]);
    }

    /// Waits until it is time for another look; `false` if that is not before the deadline.
    fn wait(&mut self, deadline: Option<Instant>) -> Result<bool> {
        loop {
            interrupt::check()?;
            let now = Instant::now();
            let due = (!self.panes.is_empty()).then(|| self.pace.due());
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Ok(false);
            }
            if due.is_some_and(|due| due <= now) {
                return Ok(true);
            }
            let next = due.into_iter().chain(deadline).min();
            let news = match next {
                Some(next) => self.news.recv_timeout(next - now),
                None => self.news.recv().map_err(Into::into),
            };
            match news {
                Ok(News::Run) => {
                    // Of many at once one look is enough.
                    let rest = self.news.try_iter();
                    if rest.filter(|news| *news == News::Output).count() > 0 {
                        self.pace.note_output(Instant::now());
                    }
                    return Ok(true);
                }
                Ok(News::Output) => self.pace.note_output(Instant::now()),
                Ok(News::Signal) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Failure::new("nothing can be watched any more")).context("wait");
                }
            }
        }
    }
}
