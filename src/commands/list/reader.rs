//! Reads the tasks again whenever they may have changed, without polling.

use std::collections::BTreeSet;
use std::mem;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::rows::{Rows, TaskRow, open_current, read_all, read_rows, read_states};
use crate::commands::task_watch::{TaskWatch, own_tasks};
use crate::commands::wakeups::POLL_INTERVAL;
use crate::context::Flux;
use crate::lifecycle::observe;
use crate::store::Store;
use crate::task::{LandState, State, Task};
use crate::ui::Ui;

/// The minimum between two readings of the states.
const PAUSE: Duration = Duration::from_millis(50);

/// The time until the worktree of an agent that prints is read again.
const WORK_PAUSE: Duration = Duration::from_secs(5);

/// The time until the state of a task that is being started or removed is read again: a killed
/// command leaves no event.
const CHANGING_PAUSE: Duration = Duration::from_secs(2);

/// A reading takes this part of the time, at most, while events come.
const SHARE: u32 = 5;

/// The repositories whose tasks are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::commands) enum Scope {
    Current,
    /// All that have a pane on this tmux server.
    All,
}

impl Scope {
    pub(in crate::commands) fn of(all_repos: bool) -> Self {
        if all_repos { Self::All } else { Self::Current }
    }
}

/// The part of the tasks that has to be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    States,
    /// Also the worktrees, the commits and the conflicts.
    All,
}

/// The tasks of some repositories, and the watch for what changes them.
pub(in crate::commands) struct TaskReader {
    scope: Scope,
    ui: Ui,
    pub(in crate::commands) watch: TaskWatch,
    repositories: Vec<(Flux, Store)>,
    rows: Vec<Rows>,
    /// The warnings of the last reading, which are not printed again.
    warnings: BTreeSet<String>,
    /// The end and the duration of the last reading of everything.
    last: (Instant, Duration),
    /// The time of the next one, if something has changed since.
    due: Option<Instant>,
    /// The directories with changes since [`TaskReader::take_changed`].
    changed: BTreeSet<PathBuf>,
}

impl TaskReader {
    /// Creates a reader of the tasks in `scope`, and starts to watch for changes. Reads no task
    /// yet.
    pub(in crate::commands) fn new(scope: Scope) -> Result<Self> {
        let mut watch = TaskWatch::new()?;
        watch.wakeups.rest();
        Ok(Self {
            scope,
            ui: Ui { quiet: true },
            watch,
            repositories: Vec::new(),
            rows: Vec::new(),
            warnings: BTreeSet::new(),
            last: (Instant::now(), Duration::ZERO),
            due: None,
            changed: BTreeSet::new(),
        })
    }

    /// Reads the states of all tasks, which is quick, but not their worktrees, commits and
    /// conflicts: the first call of [`TaskReader::next_rows`] reads these, and warns of repositories
    /// that cannot be read.
    pub(in crate::commands) fn read_states(&mut self) -> Result<&[Rows]> {
        let read = |flux, store| Ok((read_states(&flux, &store)?, (flux, store)));
        let all = read_each(self.scope, &self.ui, read, |_| {})?;
        (self.rows, self.repositories) = all.into_iter().unzip();
        self.due = Some(Instant::now());
        Ok(&self.rows)
    }

    /// Reads all tasks, and watches those that are new.
    pub(in crate::commands) fn read(&mut self) -> Result<&[Rows]> {
        let begun = Instant::now();
        // Also after a failure.
        let is_blind = self.watch.wakeups.watch.is_blind();
        self.due = is_blind.then(|| begun + POLL_INTERVAL);
        self.watch.wakeups.note_observation();
        let (scope, ui) = (self.scope, self.ui.clone());
        let watch = &mut self.watch;
        if scope == Scope::All {
            watch.follow_panes();
        }
        let read = |flux: Flux, mut store| {
            // A change before a directory was watched causes no event.
            while watch.follow_repository(&flux) | watch.follow(&flux, &store) {
                store = Store::load(&flux.repo, &flux.settings)?;
            }
            Ok((read_rows(&flux, &store)?, (flux, store)))
        };
        let before = mem::take(&mut self.warnings);
        let all = read_each(scope, &ui, read, |message| {
            if !before.contains(&message) {
                ui.warning(&message);
            }
            self.warnings.insert(message);
        })?;
        (self.rows, self.repositories) = all.into_iter().unzip();
        self.watch_terminals_and_landings();
        self.last = (Instant::now(), begun.elapsed());
        let mut rows = self.rows.iter().flat_map(|repository| &repository.rows);
        if rows.any(TaskRow::is_partly_compared) {
            self.due = Some(self.next());
        }
        Ok(&self.rows)
    }

    /// Returns the tasks as they were read last.
    pub(in crate::commands) fn rows(&self) -> &[Rows] {
        &self.rows
    }

    /// Waits until the tasks may have changed, and returns all tasks. Reads their states again each
    /// time, but their worktrees, commits and conflicts less often. Fails on ^C, and if the reader
    /// of standard output has closed the pipe.
    pub(in crate::commands) fn next_rows(&mut self) -> Result<&[Rows]> {
        match self.wait()? {
            Depth::States if self.update_states().unwrap_or(false) => Ok(&self.rows),
            // The error occurs again, and is printed.
            Depth::States | Depth::All => self.read(),
        }
    }

    /// Returns the directories in which files have changed since the last call.
    pub(in crate::commands) fn take_changed(&mut self) -> BTreeSet<PathBuf> {
        mem::take(&mut self.changed)
    }

    /// Returns the earliest time at which worktrees, commits and conflicts are read again. The pause
    /// since the end of the last reading is four times as long as that reading, and at least 50 ms.
    fn next(&self) -> Instant {
        let (end, took) = self.last;
        end + PAUSE.max(took * (SHARE - 1))
    }

    /// Waits until the tasks may have changed, and returns what to read again: at first only their
    /// states, soon after that everything. Delays the latter so that it takes at most a fifth of
    /// the time, as [`SHARE`] says.
    fn wait(&mut self) -> Result<Depth> {
        let wakeups = &mut self.watch.wakeups;
        let is_woken = wakeups.pause(Instant::now() + PAUSE)?;
        if self.due.is_none_or(|due| due > Instant::now()) && !is_woken {
            let mut rows = self.rows.iter().flat_map(|repository| &repository.rows);
            let changing = rows.any(TaskRow::is_changing).then_some(CHANGING_PAUSE);
            let deadline = changing.map(|pause| Instant::now() + pause);
            wakeups.wait(self.due.or(deadline))?;
        }
        let has_output = wakeups.has_output();
        let changed = wakeups.take_changed();
        if self.due.is_some_and(|due| due <= Instant::now()) {
            self.changed.extend(changed);
            return Ok(Depth::All);
        }
        let next = if !changed.is_empty() {
            Some(self.next())
        } else if has_output {
            Some(self.next().max(self.last.0 + WORK_PAUSE))
        } else {
            None
        };
        self.changed.extend(changed);
        self.due = self.due.into_iter().chain(next).min();
        Ok(Depth::States)
    }

    /// Reads the states again. Returns `false` if other tasks exist now.
    fn update_states(&mut self) -> Result<bool> {
        self.watch.wakeups.note_observation();
        for ((flux, store), rows) in self.repositories.iter_mut().zip(&mut self.rows) {
            *store = Store::load(&flux.repo, &flux.settings)?;
            let tasks: Vec<&Task> = store.readable().collect();
            let is_known = |row: &&mut TaskRow| row.status.is_some();
            let known: Vec<&mut TaskRow> = rows.rows.iter_mut().filter(is_known).collect();
            if known.len() != tasks.len() || known.len() != store.tasks.len() {
                return Ok(false);
            }
            let states = observe::states(flux, store, &tasks)?;
            let mut states: Vec<_> = tasks.iter().zip(states).collect();
            states.sort_by(|(one, _), (other, _)| one.id.cmp(&other.id));
            for row in known {
                let found = states.binary_search_by(|(task, _)| task.id.cmp(&row.id));
                let Ok(at) = found else { return Ok(false) };
                let (_, seen) = &states[at];
                row.update(seen.clone());
            }
        }
        self.watch_terminals_and_landings();
        Ok(true)
    }

    /// Watches the terminals of the tasks, and the landings that they are part of. The terminals of
    /// other users cannot be watched.
    fn watch_terminals_and_landings(&mut self) {
        let stores = self.repositories.iter();
        let tasks: Vec<&Task> = stores
            .flat_map(|(flux, store)| own_tasks(flux, store))
            .collect();
        self.watch.watch_terminals(&tasks);
        for ((flux, _), rows) in self.repositories.iter().zip(&self.rows) {
            if rows.rows.iter().any(TaskRow::is_landing) {
                let watch = &self.watch.wakeups.watch;
                watch.watch_lock(&flux.landing_lock());
            }
        }
    }
}

/// Opens the repositories of a scope, and returns the result of `read` for each. With
/// [`Scope::All`], leaves out a repository that cannot be opened or read, and calls `warn` with a
/// message about it.
fn read_each<T>(
    scope: Scope,
    ui: &Ui,
    mut read: impl FnMut(Flux, Store) -> Result<T>,
    mut warn: impl FnMut(String),
) -> Result<Vec<T>> {
    match scope {
        Scope::Current => {
            let (flux, store) = open_current(ui)?;
            Ok(vec![read(flux, store)?])
        }
        Scope::All => read_all(ui, read, |_, message| warn(message)),
    }
}

impl TaskRow {
    /// Returns whether a command is starting or removing the task.
    fn is_changing(&self) -> bool {
        let state = self.status.as_ref().map(|status| &status.state);
        matches!(state, Some(State::Starting | State::Removing))
    }

    /// Returns whether a running `git flux land` tests or lands the task.
    fn is_landing(&self) -> bool {
        let status = self.status.as_ref();
        status.is_some_and(|status| status.land == Some(LandState::Landing))
    }

    /// Returns whether some other tasks are not compared with this one yet.
    fn is_partly_compared(&self) -> bool {
        let mut all = self.object.conflicts.iter().flatten();
        all.any(|one| one.with.is_none() && one.target.is_none())
    }
}
