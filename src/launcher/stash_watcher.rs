//! Lets git flux keep the entries of the shared stash while the agent runs.
//!
//! A thread of the launcher waits until the stash changes; a process then does the work.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc::{Receiver, channel};

use anyhow::{Context as _, Result};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::job::{self, Job};
use crate::run::RunDir;
use crate::run::launch::Launch;
use crate::run::stash_notes::StashMoment;
use crate::system::program::current_exe;

/// Watches the stash that the worktrees of a repository share.
pub(super) struct StashWatcher {
    watcher: RecommendedWatcher,
    changes: Receiver<()>,
    /// The directory that is watched, with its inode.
    watched: Option<(PathBuf, u64)>,
    stash: SharedStash,
}

impl StashWatcher {
    /// Creates a watcher of `stash`. Returns `None` if the system cannot watch files.
    pub(super) fn of(stash: &SharedStash) -> Option<Self> {
        let (sender, changes) = channel();
        let name = stash.files.name;
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| concerns(&event, name)) {
                sender.send(()).ok();
            }
        });
        Some(Self {
            watcher: watcher.ok()?,
            changes,
            watched: None,
            stash: stash.clone(),
        })
    }

    /// Keeps the entries of the stash from `git gc` by refs, and notes them in the run directory,
    /// now and after each change of the stash; runs forever.
    pub(super) fn run(&mut self) {
        self.watch();
        self.stash.note(StashMoment::Start);
        while self.changes.recv().is_ok() {
            // One process is enough for several changes.
            self.changes.try_iter().for_each(drop);
            self.watch();
            self.stash.note(StashMoment::Change);
        }
    }

    /// Starts to watch the directory of the stash's file or, while it does not exist, the nearest
    /// existing directory above it in the git directory. Does nothing if that is watched already.
    fn watch(&mut self) {
        while let Some(nearest) = self.stash.nearest_dir() {
            // Another one may have appeared before the watch began.
            if self.watched.as_ref() == Some(&nearest) {
                return;
            }
            if let Some((dir, _)) = self.watched.take() {
                self.watcher.unwatch(&dir).ok();
            }
            let mode = RecursiveMode::NonRecursive;
            if self.watcher.watch(&nearest.0, mode).is_err() {
                return;
            }
            self.watched = Some(nearest);
        }
    }
}

/// The stash that the worktrees of a repository share, for one run.
#[derive(Clone)]
pub(super) struct SharedStash {
    files: StashFiles,
    common_dir: PathBuf,
    run: RunDir,
    launch: Launch,
}

impl SharedStash {
    /// Returns the stash of a job's repository, which need not exist.
    pub(super) fn of(job: &Job) -> Option<Self> {
        let common_dir = job.run.common_dir()?.to_owned();
        Some(Self {
            files: StashFiles::of(&common_dir),
            common_dir,
            run: job.run.clone(),
            launch: job.launch.clone(),
        })
    }

    /// Starts a process that keeps the entries of the stash from `git gc` by refs and notes them in
    /// the run directory, and waits until it has ended. Starts none if there are no entries and no
    /// notes. Ignores failures: the agent does not depend on it.
    pub(super) fn note(&self, moment: StashMoment) {
        if self.files.may_have_entries() || self.run.has_stash_notes() {
            drop(self.start(moment));
        }
    }

    fn nearest_dir(&self) -> Option<(PathBuf, u64)> {
        self.files.nearest_dir(&self.common_dir)
    }

    /// Runs `git-flux __stash <moment> <task>` in the environment of the agent, which has the
    /// user's PATH. `<moment>` is `start` when the agent starts, and `change` later.
    fn start(&self, moment: StashMoment) -> Result<()> {
        let mut command = job::command(&self.launch, current_exe()?.as_os_str());
        command.args(["__stash", moment.into(), &self.launch.id]);
        command.current_dir(&self.common_dir).process_group(0);
        command.stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let status = command.status();
        status.context("could not start a program").map(drop)
    }
}

/// The file that changes with the stash, by the format of the repository's refs.
#[derive(Clone)]
struct StashFiles {
    dir: PathBuf,
    name: &'static str,
}

impl StashFiles {
    fn of(common_dir: &Path) -> Self {
        let reftable = common_dir.join("reftable");
        match reftable.is_dir() {
            // It changes with every ref.
            true => Self {
                dir: reftable,
                name: "tables.list",
            },
            false => Self {
                dir: common_dir.join("logs/refs"),
                name: "stash",
            },
        }
    }

    /// Returns whether the stash may have entries: its file exists. Without one, no process is
    /// needed to know that it has none.
    fn may_have_entries(&self) -> bool {
        self.dir.join(self.name).exists()
    }

    /// Returns the directory of the file or, while it does not exist, the nearest existing one
    /// above it, with its inode; `None` if there is none in `common_dir`.
    fn nearest_dir(&self, common_dir: &Path) -> Option<(PathBuf, u64)> {
        let mut dirs = self
            .dir
            .ancestors()
            .take_while(|dir| dir.starts_with(common_dir));
        dirs.find_map(|dir| Some((dir.to_owned(), fs::metadata(dir).ok()?.ino())))
    }
}

/// Returns whether an event of the file watcher may mean that the stash has changed: it is about
/// `name`, the file of the stash, or about a directory that leads to it.
fn concerns(event: &Event, name: &str) -> bool {
    let is_there = |path: &PathBuf| {
        let last = path.file_name().and_then(|last| last.to_str());
        last.is_some_and(|last| last == name || ["logs", "refs", "reftable"].contains(&last))
    };
    // Reading must not start another process.
    !event.kind.is_access() && event.paths.iter().any(is_there)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_dir_is_in_the_git_directory() {
        let temp = tempfile::tempdir().unwrap();
        let common = temp.path().join("git");
        let files = StashFiles::of(&common);
        let nearest = || files.nearest_dir(&common).map(|(dir, _)| dir);
        assert_eq!(nearest(), None);
        for dir in ["", "logs", "logs/refs", "logs/refs/heads"] {
            fs::create_dir(common.join(dir)).unwrap();
            let is_below = dir.ends_with("heads");
            let expected = if is_below { "logs/refs" } else { dir };
            assert_eq!(nearest(), Some(common.join(expected)));
        }
        assert!(!files.may_have_entries());
        fs::write(common.join("logs/refs/stash"), "").unwrap();
        assert!(files.may_have_entries());
        fs::create_dir(common.join("reftable")).unwrap();
        let files = StashFiles::of(&common);
        assert_eq!(
            files.dir.join(files.name),
            common.join("reftable/tables.list")
        );
    }
}
