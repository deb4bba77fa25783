//! Being told when something happens in runs, without asking again and again.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::fcntl::{Flock, FlockArg};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::RunDir;
use crate::git::regular_file::open_file;
use crate::interrupt;

/// What a watch tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WatchEvent {
    /// A file of a run has changed, or its launcher has ended.
    Run,
    /// Something was written to a terminal.
    Output,
    /// A signal has come: see [`interrupt::check`].
    Signal,
}

/// One watch for any number of runs and terminals. It ends when it is dropped.
pub(crate) struct Watch {
    files: RecommendedWatcher,
    shared: Arc<Shared>,
}

struct Shared {
    events: Sender<WatchEvent>,
    /// The `alive` files of the runs that are watched, and the inode of that whose launcher is followed.
    launchers: Mutex<HashMap<PathBuf, Option<u64>>>,
    terminals: Mutex<HashSet<PathBuf>>,
    /// Whether output was told of and not yet taken: of an agent that paints, one is enough.
    output: AtomicBool,
}

impl Watch {
    /// Returns a watch of nothing yet but signals.
    ///
    /// # Errors
    /// When the system has no room for one more.
    pub(crate) fn new(events: Sender<WatchEvent>) -> Result<Self> {
        let signals = events.clone();
        interrupt::on_signal(move || {
            // Nobody listens any more: that is no error.
            signals.send(WatchEvent::Signal).ok();
        })?;
        Self::without_signals(events)
    }

    /// Returns a watch of nothing yet.
    fn without_signals(events: Sender<WatchEvent>) -> Result<Self> {
        let shared = Arc::new(Shared {
            events,
            launchers: Mutex::default(),
            terminals: Mutex::default(),
            output: AtomicBool::new(false),
        });
        let handler = Arc::clone(&shared);
        let files = notify::recommended_watcher(move |event: notify::Result<Event>| {
            handler.handle(event.ok().as_ref());
        });
        let files = files.context("could not watch files")?;
        Ok(Self { files, shared })
    }

    /// Tells whenever a file of the run changes (its agent has said something, or has ended), and
    /// when its launcher ends, in whatever way: the launcher holds a lock as long as it lives,
    /// which the kernel takes from it.
    ///
    /// # Errors
    /// When the directory cannot be watched.
    pub(crate) fn watch_run(&mut self, dir: &RunDir) -> Result<()> {
        lock(&self.shared.launchers).insert(dir.alive(), None);
        let watched = self.files.watch(&dir.0, RecursiveMode::NonRecursive);
        watched.with_context(|| format!("could not watch '{}'", dir.0.display()))?;
        self.shared.watch_launcher(&dir.alive());
        Ok(())
    }

    /// Tells whenever something is written to the terminal `tty`. Returns whether it can: Linux tells it.
    pub(crate) fn watch_terminal(&mut self, tty: &Path) -> bool {
        let kind = tty.metadata().map(|found| found.file_type());
        if !cfg!(target_os = "linux") || !kind.is_ok_and(|kind| kind.is_char_device()) {
            return false;
        }
        lock(&self.shared.terminals).insert(tty.to_owned());
        self.files.watch(tty, RecursiveMode::NonRecursive).is_ok()
    }

    /// Takes what was told of output: later output is told again.
    pub(crate) fn reset_output(&self) {
        self.shared.output.store(false, Ordering::SeqCst);
    }
}

/// Waits for what the launcher of one run tells by its files.
pub(crate) struct RunWatch {
    /// None where the system has no room for one more.
    watch: Option<Watch>,
    events: Receiver<WatchEvent>,
}

impl RunWatch {
    pub(crate) fn of(run: &RunDir) -> Self {
        let (sender, events) = channel();
        let mut watch = Watch::without_signals(sender).ok();
        watch.take_if(|watch| watch.watch_run(run).is_err());
        Self { watch, events }
    }

    /// Waits until a file of the run has changed since the last time, or its launcher has ended; or
    /// for that long, since not everything is told.
    pub(crate) fn wait(&self, longest: Duration) {
        if self.watch.is_none() {
            return thread::sleep(longest.min(UNWATCHED_INTERVAL));
        }
        if self.events.recv_timeout(longest).is_ok() {
            // Of many changes at once one look is enough.
            self.events.try_iter().for_each(drop);
        }
    }
}

/// How long to wait where nothing is told.
const UNWATCHED_INTERVAL: Duration = Duration::from_millis(5);

impl Shared {
    /// Passes on an event, if something has changed. That a file was opened or closed says nothing:
    /// we do that ourselves when we look.
    fn handle(&self, event: Option<&Event>) {
        if event.is_some_and(|event| event.kind.is_access()) {
            return;
        }
        let paths = event.map_or(&[][..], |event| &event.paths);
        let is_output = |path: &PathBuf| lock(&self.terminals).contains(path);
        if !paths.is_empty() && paths.iter().all(is_output) {
            if !self.output.swap(true, Ordering::SeqCst) {
                self.events.send(WatchEvent::Output).ok();
            }
            return;
        }
        // The launcher may have come only now, or another one.
        let runs: Vec<PathBuf> = lock(&self.launchers).keys().cloned().collect();
        runs.iter().for_each(|alive| self.watch_launcher(alive));
        // Nobody listens any more: that is no error.
        self.events.send(WatchEvent::Run).ok();
    }

    /// Tells when the launcher ends that holds the lock `alive`, unless it is followed already.
    fn watch_launcher(&self, alive: &Path) {
        let opened = open_file(alive).and_then(|file| Ok((file.metadata()?.ino(), file)));
        let Ok((inode, file)) = opened else { return };
        if lock(&self.launchers).insert(alive.to_owned(), Some(inode)) == Some(Some(inode)) {
            return;
        }
        let events = self.events.clone();
        thread::spawn(move || {
            if Flock::lock(file, FlockArg::LockShared).is_ok() {
                events.send(WatchEvent::Run).ok();
            }
        });
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Instant;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// Whether the wait ends before its time.
    fn is_woken(watch: &RunWatch) -> bool {
        let begun = Instant::now();
        watch.wait(LONG);
        begun.elapsed() < LONG
    }

    #[test]
    fn a_wait_ends_when_a_file_is_written_or_the_launcher_ends() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir(dir.path().to_owned());
        let watch = RunWatch::of(&run);
        fs::write(dir.path().join("running"), "{}").unwrap();
        assert!(is_woken(&watch));
        let lock = run.hold_alive_lock();
        assert!(is_woken(&watch));
        // What was told of the file of the lock has been taken by then.
        watch.wait(Duration::from_millis(200));
        drop(lock);
        assert!(is_woken(&watch));
    }

    #[test]
    fn a_wait_where_nothing_can_be_watched_is_short() {
        let watch = RunWatch::of(&RunDir("/there/is/none".into()));
        assert!(watch.watch.is_none() && is_woken(&watch));
    }
}
