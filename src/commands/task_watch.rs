//! Watches the files that the tasks of a repository leave: runs, worktrees, refs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Result;
use notify::RecursiveMode;

use super::wakeups::Wakeups;
use crate::context::Flux;
use crate::lifecycle::state_dir::state_dir;
use crate::run::RunDir;
use crate::store::Store;
use crate::task::{Task, TaskId};

/// A watch of all tasks of some repositories.
pub(super) struct TaskWatch {
    pub(super) wakeups: Wakeups,
    /// The directories that are watched. Another one may get the path, for a restored task.
    watched: BTreeMap<PathBuf, Option<DirId>>,
}

/// The identity of a directory: device, inode and, since another one may get the inode, the time of
/// its creation if the file system has it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct DirId(u64, u64, Option<SystemTime>);

impl DirId {
    fn of(dir: &Path) -> Option<Self> {
        let found = fs::metadata(dir).ok()?;
        Some(Self(found.dev(), found.ino(), found.created().ok()))
    }
}

impl TaskWatch {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            wakeups: Wakeups::new()?,
            watched: BTreeMap::new(),
        })
    }

    /// Watches new run directories, and the git directories of their worktrees, which a commit
    /// changes. Warns if that fails. Returns whether there were new ones.
    pub(super) fn follow(&mut self, flux: &Flux, store: &Store) -> bool {
        let mut has_new = false;
        // A start makes the run directory before the record.
        let runs = fs::read_dir(flux.repo.runs_dir()).into_iter().flatten();
        let runs = runs.flatten().map(|entry| entry.path());
        // A worktree that is just being made is watched with the next event.
        let checkouts = own_tasks(flux, store).map(|task| flux.repo.checkout(&task.worktree));
        let git_dirs = checkouts.flatten().map(|it| it.git_dir().to_owned());
        for dir in runs.filter(|path| path.is_dir()).chain(git_dirs) {
            let id = DirId::of(&dir);
            if self.watched.get(&dir) == Some(&id) {
                continue;
            }
            if let Err(error) = self.wakeups.watch.watch_run(&RunDir(dir.clone())) {
                flux.ui.warn_of(&error);
            }
            self.watched.insert(dir, id);
            has_new = true;
        }
        self.watched.retain(|dir, _| dir.exists());
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
            has_new |= self.watch_new(&dir, mode);
        }
        has_new
    }

    /// Watches for panes of repositories that are not known yet: a start changes the time of
    /// [`state_dir`]. While that is missing, watches the nearest directory above it.
    pub(super) fn follow_panes(&mut self) {
        let Some(state) = state_dir() else { return };
        // It may be made before the one above it is watched.
        while let Some(dir) = state.ancestors().find(|dir| dir.is_dir())
            && self.watch_new(dir, RecursiveMode::NonRecursive)
        {}
    }

    /// Watches a directory. Returns `false` if it is missing or watched already, or cannot be
    /// watched.
    fn watch_new(&mut self, dir: &Path, mode: RecursiveMode) -> bool {
        let id = DirId::of(dir);
        let is_watched = self.watched.get(dir) == Some(&id);
        if id.is_none() || is_watched || self.wakeups.watch.watch_dir(dir, mode).is_err() {
            return false;
        }
        self.watched.insert(dir.to_owned(), id);
        true
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
