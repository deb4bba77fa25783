//! The tasks as the view has them: in which order, which of them, and which one is selected.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::commands::list::rows::{Rows, TaskRow};
use crate::task::{LandState, State, Status, Target, TaskId};
use crate::tmux::last_line::last_line;

/// The time in which a user does not notice a change.
pub(super) const REACTION: Duration = Duration::from_millis(700);

/// A task of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct TaskKey {
    /// The directory in which commands for its repository run.
    pub(super) home: PathBuf,
    pub(super) id: TaskId,
}

impl TaskKey {
    pub(super) fn repository(&self) -> Cow<'_, str> {
        repository_of(&self.home)
    }
}

/// Returns the name of the repository whose commands run in the directory `home`: the last part of
/// the path.
pub(super) fn repository_of(home: &Path) -> Cow<'_, str> {
    home.file_name().unwrap_or_default().to_string_lossy()
}

/// The last lines of some tasks.
pub(super) type LastLines = Vec<(TaskKey, Option<String>)>;

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
    /// The user has pressed a key.
    is_in_use: bool,
    /// The time when another task was selected without a key, and the one that was before.
    replaced: Option<(Instant, TaskKey)>,
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

/// The attention that a task needs; the smallest value comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Attention {
    Waiting,
    Failed,
    Unseen,
    /// Its agent has finished, and all its work was seen: only the task is left to finish.
    Finished,
    Working,
    Other,
}

impl Attention {
    fn of(row: &TaskRow) -> Self {
        let Some(status) = &row.status else {
            return Self::Other;
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
            State::Done | State::Ended(_)
                if row.object.unseen == Some(0) || has_no_work(status) =>
            {
                Self::Finished
            }
            State::Done | State::Ended(_) => Self::Unseen,
            State::Working | State::Running(_) | State::RunningElsewhere => Self::Working,
            _ => Self::Other,
        }
    }
}

/// Returns whether a task has neither commits nor changed files; `false` if that is not known.
fn has_no_work(status: &Status) -> bool {
    let has_no_files = status.changes.is_some_and(|changes| changes.files == 0);
    let has_no_commits = status.divergence.is_some_and(|found| found.ahead == 0);
    has_no_files && has_no_commits
}

impl Model {
    /// Replaces the tasks, those that need attention first. Until [`Model::note_key`] is called,
    /// the first task is selected. After that, the same task stays selected or, if it is gone, the
    /// one now in its place.
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
        // In each group, those first that have been in their state longest.
        rows.sort_by_cached_key(|one| {
            (
                Attention::of(&one.row),
                one.since().unwrap_or(Timestamp::MAX),
                Reverse(one.row.created),
                one.key.id.clone(),
            )
        });
        self.rows = rows;
        self.follow_rows();
    }

    /// Updates the selection after a change of the tasks, as [`Model::set_rows`] describes. If
    /// another task becomes selected, notes the time and the task selected before.
    fn follow_rows(&mut self) {
        let before = self.selected.clone();
        if !self.is_in_use {
            (self.at, self.selected) = (0, None);
        }
        self.keep_selection();
        if let Some(before) = before.filter(|before| Some(before) != self.selected.as_ref()) {
            let noticed = self.replaced.take().filter(is_unnoticed);
            let before = noticed.map_or(before, |(_, noticed)| noticed);
            self.replaced = Some((Instant::now(), before));
        }
    }

    /// Notes that the user has pressed a key.
    pub(super) fn note_key(&mut self) {
        self.is_in_use = true;
    }

    /// Returns whether, less than [`REACTION`] ago, another task became the selected one without a
    /// key press, so that the user may not have noticed.
    pub(super) fn is_just_replaced(&self) -> bool {
        self.replaced.as_ref().is_some_and(is_unnoticed)
    }

    /// Returns the task that the user takes for the selected one: if [`Model::is_just_replaced`],
    /// the one selected before, which may be gone, otherwise the selected one. `None` if there is
    /// none.
    pub(super) fn noticed(&self) -> Option<&TaskKey> {
        match self.replaced.as_ref().filter(|one| is_unnoticed(one)) {
            Some((_, before)) => Some(before),
            None => self.selected().map(|one| &one.key),
        }
    }

    /// Replaces the last line of the screen of each task in `lines`, or removes it for `None`.
    /// Other tasks keep theirs.
    pub(super) fn set_last_lines(&mut self, lines: LastLines) {
        for (key, line) in lines {
            if let Some(row) = self.rows.iter_mut().find(|row| row.key == key) {
                row.last_line.clone_from(&line);
            }
            match line {
                Some(line) => self.last_lines.insert(key, line),
                None => self.last_lines.remove(&key),
            };
        }
        // The filter looks at them.
        self.follow_rows();
    }

    /// Replaces a task's last line by the last line of `text`, the text of its screen. Does nothing
    /// unless the task's agent is alive.
    pub(super) fn set_screen(&mut self, key: &TaskKey, text: &str) {
        let status = self.find(key).and_then(|row| row.row.status.as_ref());
        if status.is_some_and(|status| status.state.is_alive()) {
            self.set_last_lines(vec![(key.clone(), last_line(text))]);
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

    /// Returns a task, also if the filter hides it; `None` if it is gone.
    pub(super) fn find(&self, key: &TaskKey) -> Option<&ViewRow> {
        self.rows.iter().find(|row| row.key == *key)
    }

    pub(super) fn selected(&self) -> Option<&ViewRow> {
        let selected = self.selected.as_ref()?;
        self.shown().into_iter().find(|one| one.key == *selected)
    }

    /// Returns the place of the selected task among those that are shown.
    pub(super) fn selected_index(&self) -> usize {
        self.at
    }

    /// Selects the task that is some rows above or below the selected one, or the first or last one
    /// that is shown. Stops at both ends of the list.
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

/// Returns whether a change of the selection is so new, less than [`REACTION`] old, that the user
/// may not have noticed.
fn is_unnoticed((at, _): &(Instant, TaskKey)) -> bool {
    at.elapsed() < REACTION
}

impl ViewRow {
    fn matches(&self, filter: &str) -> bool {
        let cells = self.row.cells.iter().map(String::as_str);
        let repository = self.key.repository();
        let all = cells.chain(self.last_line.as_deref()).chain([&*repository]);
        filter.is_empty()
            || all
                .into_iter()
                .any(|cell| cell.to_lowercase().contains(filter))
    }

    /// Returns the time at which the task's state began; `None` if it is unknown.
    pub(super) fn since(&self) -> Option<Timestamp> {
        self.row.status.as_ref()?.found.since
    }

    /// Returns the pane in which the task's agent may be alive; `None` if the task has no pane or
    /// belongs to another user.
    pub(super) fn target(&self) -> Option<&Target> {
        let status = self.row.status.as_ref()?;
        let target = status.task.target.as_ref();
        target.filter(|_| status.owner.is_none())
    }
}

#[cfg(test)]
mod tests;
