//! Watches the files that the tasks of a repository leave: runs, worktrees, refs.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use notify::RecursiveMode;

use super::wakeups::Wakeups;
use crate::context::Flux;
use crate::run::RunDir;
use crate::store::Store;
use crate::task::{Task, TaskId};

/// A watch of all tasks of some repositories.
pub(super) struct TaskWatch {
    pub(super) wakeups: Wakeups,
    /// The directories that are watched.
    watched: BTreeSet<PathBuf>,
}

impl TaskWatch {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            wakeups: Wakeups::new()?,
            watched: BTreeSet::new(),
        })
    }

    /// Watches new run directories, and the git directories of their worktrees, which a commit
    /// changes. Warns if that fails. Returns whether there were new ones.
    pub(super) fn follow(&mut self, flux: &Flux, store: &Store) -> bool {
        let before = self.watched.len();
        // A start makes the run directory before the record.
        let runs = fs::read_dir(flux.repo.runs_dir()).into_iter().flatten();
        let runs = runs.flatten().map(|entry| entry.path());
        // A worktree that is just being made is watched with the next event.
        let checkouts = own_tasks(flux, store).map(|task| flux.repo.checkout(&task.worktree));
        let git_dirs = checkouts.flatten().map(|it| it.git_dir().to_owned());
        for dir in runs.filter(|path| path.is_dir()).chain(git_dirs) {
            if self.watched.contains(&dir) {
                continue;
            }
            if let Err(error) = self.wakeups.watch.watch_run(&RunDir(dir.clone())) {
                flux.ui.warn_of(&error);
            }
            self.watched.insert(dir);
        }
        let has_new = self.watched.len() > before;
        // Another task may get the name of a removed one.
        self.watched.retain(|dir| dir.exists());
        has_new
    }

    /// Watches the refs, the runs and the verdicts of a repository, as far as they exist and are
    /// not watched yet. Returns whether there were new ones.
    pub(super) fn follow_repository(&mut self, flux: &Flux) -> bool {
        let (git, own) = (flux.repo.common_dir(), flux.repo.flux_dir());
        let runs = flux.repo.runs_dir();
        let verdicts = own.join("verdicts");
        // The place of the refs depends on their format.
        let dirs = [
            (git.to_owned(), RecursiveMode::NonRecursive),
            (git.join("refs"), RecursiveMode::Recursive),
            (git.join("reftable"), RecursiveMode::NonRecursive),
            (own, RecursiveMode::NonRecursive),
            (runs, RecursiveMode::NonRecursive),
            (verdicts, RecursiveMode::NonRecursive),
        ];
        let mut has_new = false;
        for (dir, mode) in dirs {
            // One that is missing is watched once it appears in the one above it.
            if !self.watched.contains(&dir) && self.wakeups.watch.watch_dir(&dir, mode).is_ok() {
                has_new |= self.watched.insert(dir);
            }
        }
        has_new
    }

    /// Watches the terminals of agents that show their state in the title or output of their pane.
    pub(super) fn watch_terminals(&mut self, tasks: &[&Task]) {
        let ids: BTreeSet<TaskId> = tasks.iter().map(|task| task.id.clone()).collect();
        self.wakeups.note_panes(tasks);
        self.wakeups.watch_terminals(&ids);
    }
}

/// Returns the tasks of this user whose records can be read.
pub(super) fn own_tasks<'a>(flux: &'a Flux, store: &'a Store) -> impl Iterator<Item = &'a Task> {
    let own = flux.own_tasks(store);
    own.filter_map(|stored| stored.task.as_ref().ok())
}
