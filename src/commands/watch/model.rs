//! The tasks as the view has them: in which order, which of them, and which one is selected.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::commands::list::rows::{Rows, TaskRow};
use crate::task::{LandState, State, Target, TaskId};

/// The time in which a user does not notice a change.
const REACTION: Duration = Duration::from_millis(700);

/// A task of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct TaskKey {
    /// The directory in which commands for its repository run.
    pub(super) home: PathBuf,
    pub(super) id: TaskId,
}

/// A task with the last line of its screen.
pub(super) struct ViewRow {
    pub(super) key: TaskKey,
    pub(super) row: TaskRow,
    pub(super) last_line: Option<String>,
}

/// The tasks of the view.
#[derive(Default)]
pub(super) struct Model {
    /// Those that need attention first.
    rows: Vec<ViewRow>,
    last_lines: HashMap<TaskKey, String>,
    selected: Option<TaskKey>,
    /// The place of the selected task, for when it is gone.
    at: usize,
    /// The time when the selected task was gone, and another one was selected in its place.
    replaced: Option<Instant>,
    filter: String,
}

/// A movement of the selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    Up(usize),
    Down(usize),
    First,
    Last,
}

/// How much a task needs attention; the smallest comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Attention {
    Waiting,
    Failed,
    Unseen,
    None,
}

impl Attention {
    fn of(row: &TaskRow) -> Self {
        let Some(status) = &row.status else {
            return Self::None;
        };
        match &status.state {
            State::Waiting(_) | State::Interrupted => Self::Waiting,
            _ if status.land == Some(LandState::Blocked) => Self::Failed,
            State::Failed
            | State::Lost
            | State::Incomplete
            | State::NoWorktree
            | State::NoBranch
            | State::Unknown => Self::Failed,
            State::Ended(exit) if !exit.stopped && !exit.is_success() => Self::Failed,
            State::Done | State::Ended(_) if row.object.unseen != Some(0) => Self::Unseen,
            _ => Self::None,
        }
    }
}

impl Model {
    /// Replaces the tasks. The selected one stays selected; if it is gone, the one in its place is.
    pub(super) fn set_rows(&mut self, repositories: Vec<Rows>) {
        let mut rows = Vec::new();
        for Rows { home, rows: tasks } in repositories {
            rows.extend(tasks.into_iter().map(|row| {
                let (home, id) = (home.clone(), row.id.clone());
                let key = TaskKey { home, id };
                let last_line = self.last_lines.get(&key).cloned();
                ViewRow {
                    key,
                    row,
                    last_line,
                }
            }));
        }
        // Those that have waited longest first, and of the others the newest.
        rows.sort_by_cached_key(|one| {
            let attention = Attention::of(&one.row);
            let since = one.since().filter(|_| attention != Attention::None);
            let newest = Reverse(one.row.created);
            (
                attention,
                since.unwrap_or(Timestamp::MAX),
                newest,
                one.key.id.clone(),
            )
        });
        self.rows = rows;
        let before = self.selected.clone();
        self.keep_selection();
        if before.is_some() && before != self.selected {
            self.replaced = Some(Instant::now());
        }
    }

    /// Returns whether the selected task has just taken the place of one that is gone: the user may
    /// not have noticed.
    pub(super) fn is_just_replaced(&self) -> bool {
        self.replaced.is_some_and(|at| at.elapsed() < REACTION)
    }

    /// Replaces the last lines of some tasks.
    pub(super) fn set_last_lines(&mut self, lines: Vec<(TaskKey, Option<String>)>) {
        for (key, line) in lines {
            if let Some(row) = self.rows.iter_mut().find(|row| row.key == key) {
                row.last_line.clone_from(&line);
            }
            match line {
                Some(line) => self.last_lines.insert(key, line),
                None => self.last_lines.remove(&key),
            };
        }
    }

    pub(super) fn filter(&self) -> &str {
        &self.filter
    }

    /// Shows only the tasks that have this text in one of their cells, in any case.
    pub(super) fn set_filter(&mut self, filter: &str) {
        filter.clone_into(&mut self.filter);
        self.keep_selection();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns the tasks that the filter leaves, in their order.
    pub(super) fn shown(&self) -> Vec<&ViewRow> {
        let filter = self.filter.to_lowercase();
        let rows = self.rows.iter();
        rows.filter(|one| one.matches(&filter)).collect()
    }

    pub(super) fn selected(&self) -> Option<&ViewRow> {
        let selected = self.selected.as_ref()?;
        self.shown().into_iter().find(|one| one.key == *selected)
    }

    /// Returns the place of the selected task among those that are shown.
    pub(super) fn selected_index(&self) -> usize {
        self.at
    }

    /// Selects another task; stops at both ends.
    pub(super) fn select(&mut self, to: Move) {
        let last = self.shown().len().saturating_sub(1);
        self.at = match to {
            Move::Up(by) => self.at.saturating_sub(by),
            Move::Down(by) => (self.at + by).min(last),
            Move::First => 0,
            Move::Last => last,
        };
        self.replaced = None;
        self.selected = self.shown().get(self.at).map(|one| one.key.clone());
    }

    fn keep_selection(&mut self) {
        let shown = self.shown();
        let place = shown
            .iter()
            .position(|one| Some(&one.key) == self.selected.as_ref());
        let at = place.unwrap_or(self.at.min(shown.len().saturating_sub(1)));
        let selected = shown.get(at).map(|one| one.key.clone());
        (self.at, self.selected) = (at, selected);
    }
}

impl ViewRow {
    fn matches(&self, filter: &str) -> bool {
        let cells = self.row.cells.iter().map(String::as_str);
        let repository = self.key.home.file_name().unwrap_or_default();
        let repository = repository.to_string_lossy();
        let all = cells.chain(self.last_line.as_deref()).chain([&*repository]);
        filter.is_empty()
            || all
                .into_iter()
                .any(|cell| cell.to_lowercase().contains(filter))
    }

    /// Returns the beginning of the task's state.
    pub(super) fn since(&self) -> Option<Timestamp> {
        self.row.status.as_ref()?.found.since
    }

    /// Returns the pane of a task whose agent may be alive.
    pub(super) fn target(&self) -> Option<&Target> {
        let status = self.row.status.as_ref()?;
        let target = status.task.target.as_ref();
        target.filter(|_| status.owner.is_none())
    }
}

#[cfg(test)]
mod tests;
