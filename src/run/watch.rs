//! Events when files of runs change, without polling.

use std::collections::{BTreeSet, HashMap};
use std::mem;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::fcntl::{Flock, FlockArg};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::RunDir;
use crate::interrupt;
use crate::system::regular_file::open_file;

/// An event of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wakeup {
    /// A file in this directory of a run has changed, or its launcher has ended.
    Run(PathBuf),
    /// This terminal has new output.
    Output(PathBuf),
    /// A signal was received: see [`interrupt::check`].
    Signal,
    /// The reader of standard output has closed the pipe.
    Closed,
}

/// A watch of any number of runs and terminals.
pub(crate) struct Watch {
    /// `None` if the system's limit is reached, for one.
    files: Option<RecommendedWatcher>,
    shared: Arc<Shared>,
}

struct Shared {
    events: Sender<Wakeup>,
    /// The lock files of launchers, with the inode of the one that a thread waits for.
    launchers: Mutex<HashMap<PathBuf, Option<u64>>>,
    /// The other lock files for whose release a thread waits.
    locks: Mutex<BTreeSet<PathBuf>>,
    /// The terminals, each with whether an output event was sent. Further output sends none until
    /// that is reset.
    terminals: Mutex<HashMap<PathBuf, bool>>,
}

impl Watch {
    /// Creates a watch that sends a wakeup to `events` on SIGINT, SIGTERM and SIGHUP, and on
    /// changes of the runs and terminals that are added to it.
    pub(crate) fn new(events: Sender<Wakeup>) -> Result<Self> {
        let signals = events.clone();
        interrupt::on_signal(move || {
            // The receiver may be gone.
            signals.send(Wakeup::Signal).ok();
        })?;
        Self::without_signals(events)
    }

    /// Creates a watch as [`Watch::new`] does, but without files and terminals, because the system
    /// can watch no more. The caller has to poll them.
    pub(crate) fn blind(events: Sender<Wakeup>) -> Result<Self> {
        let signals = events.clone();
        interrupt::on_signal(move || {
            signals.send(Wakeup::Signal).ok();
        })?;
        let shared = Shared::new(events);
        Ok(Self {
            files: None,
            shared,
        })
    }

    /// Returns whether the watch watches no files and terminals.
    pub(crate) fn is_blind(&self) -> bool {
        self.files.is_none()
    }

    /// Creates a watch as [`Watch::new`] does, but for files and terminals only.
    pub(crate) fn without_signals(events: Sender<Wakeup>) -> Result<Self> {
        let shared = Shared::new(events);
        let handler = Arc::clone(&shared);
        let files = notify::recommended_watcher(move |event: notify::Result<Event>| {
            handler.handle(event.ok().as_ref());
        });
        let files = Some(files.context("could not watch files")?);
        Ok(Self { files, shared })
    }

    /// Starts to watch the files of a run directory and its launcher's lock, which the kernel
    /// releases when the launcher ends. Each change sends a wakeup; does not wait for one.
    pub(crate) fn watch_run(&mut self, dir: &RunDir) -> Result<()> {
        lock(&self.shared.launchers).insert(dir.alive(), None);
        self.watch_dir(&dir.0, RecursiveMode::NonRecursive)?;
        self.shared.watch_launcher(&dir.alive());
        Ok(())
    }

    /// Starts to watch the files of a directory, and with [`RecursiveMode::Recursive`] those below
    /// it. Each change sends a wakeup, unless the watch is blind.
    pub(crate) fn watch_dir(&mut self, dir: &Path, mode: RecursiveMode) -> Result<()> {
        let Some(files) = &mut self.files else {
            return Ok(());
        };
        let watched = files.watch(dir, mode);
        watched.with_context(|| format!("could not watch '{}'", dir.display()))
    }

    /// Sends one wakeup when the lock on the file at `path`, which another process holds, is
    /// released: the kernel tells of that in no other way if the process was killed.
    pub(crate) fn watch_lock(&self, path: &Path) {
        self.shared.watch_lock(path);
    }

    /// Starts to watch a terminal device for output, which sends a wakeup. Returns `false` if that
    /// is impossible: outside Linux, or if `tty` is no device that can be watched.
    pub(crate) fn watch_terminal(&mut self, tty: &Path) -> bool {
        let kind = tty.metadata().map(|found| found.file_type());
        if !cfg!(target_os = "linux") || !kind.is_ok_and(|kind| kind.is_char_device()) {
            return false;
        }
        let Some(files) = &mut self.files else {
            return false;
        };
        lock(&self.shared.terminals).insert(tty.to_owned(), false);
        files.watch(tty, RecursiveMode::NonRecursive).is_ok()
    }

    /// Lets the next output of each watched terminal send a wakeup. After that wakeup, further
    /// output of the terminal sends none until this is called again.
    pub(crate) fn reset_output(&self) {
        let mut terminals = lock(&self.shared.terminals);
        terminals.values_mut().for_each(|is_sent| *is_sent = false);
    }
}

/// A watch of one run.
pub(crate) struct RunWatch {
    /// `None` if the system's limit is reached, for one.
    watch: Option<Watch>,
    events: Receiver<Wakeup>,
}

impl RunWatch {
    pub(crate) fn of(run: &RunDir) -> Self {
        let (sender, events) = channel();
        let mut watch = Watch::without_signals(sender).ok();
        watch.take_if(|watch| watch.watch_run(run).is_err());
        Self { watch, events }
    }

    /// Waits, at most for `longest`, until a file in the run directory changes or the agent's
    /// launcher ends. If the system cannot watch the files, only sleeps, for at most 5 ms, so that
    /// the caller polls.
    pub(crate) fn wait(&self, longest: Duration) {
        if self.watch.is_none() {
            return thread::sleep(longest.min(INTERVAL));
        }
        if self.events.recv_timeout(longest).is_ok() {
            // One event is enough for several changes.
            self.events.try_iter().for_each(drop);
        }
    }
}

/// The poll interval without a watch.
const INTERVAL: Duration = Duration::from_millis(5);

impl Shared {
    fn new(events: Sender<Wakeup>) -> Arc<Self> {
        Arc::new(Self {
            events,
            launchers: Mutex::default(),
            locks: Mutex::default(),
            terminals: Mutex::default(),
        })
    }

    /// Sends a wakeup for a changed file; for output of a terminal, only one until
    /// [`Watch::reset_output`]. Ignores that a file was only opened, closed or read. Also starts
    /// threads that wait until new launchers release their locks.
    fn handle(&self, event: Option<&Event>) {
        if event.is_some_and(|event| event.kind.is_access()) {
            return;
        }
        let path = event.and_then(|event| event.paths.first());
        if path.is_some_and(|path| self.handle_output(path)) {
            return;
        }
        // A launcher may have started; without a path, any. Elsewhere than on Linux, the path may
        // be spelled in another way.
        let dir = path.and_then(|path| path.parent());
        let dir_here = dir.filter(|_| cfg!(target_os = "linux"));
        let runs: Vec<PathBuf> = lock(&self.launchers).keys().cloned().collect();
        for alive in runs {
            if dir_here.is_none_or(|dir| alive.parent() == Some(dir)) {
                self.watch_launcher(&alive);
            }
        }
        // The receiver may be gone.
        let dir = dir.map(Path::to_owned).unwrap_or_default();
        self.events.send(Wakeup::Run(dir)).ok();
    }

    /// Sends a wakeup for output of a terminal, unless one was sent before. Returns `false` if
    /// `path` is not a watched terminal.
    fn handle_output(&self, path: &Path) -> bool {
        let is_sent = match lock(&self.terminals).get_mut(path) {
            Some(is_sent) => mem::replace(is_sent, true),
            None => return false,
        };
        if !is_sent {
            self.events.send(Wakeup::Output(path.to_owned())).ok();
        }
        true
    }

    /// Starts a thread that sends a wakeup when the lock file `alive` is released. Does nothing if
    /// a thread waits for that file already, or if the file cannot be opened.
    fn watch_launcher(&self, alive: &Path) {
        let opened = open_file(alive).and_then(|file| Ok((file.metadata()?.ino(), file)));
        let Ok((inode, file)) = opened else { return };
        if lock(&self.launchers).insert(alive.to_owned(), Some(inode)) == Some(Some(inode)) {
            return;
        }
        let events = self.events.clone();
        let dir = alive.parent().map(Path::to_owned).unwrap_or_default();
        thread::spawn(move || {
            if Flock::lock(file, FlockArg::LockShared).is_ok() {
                events.send(Wakeup::Run(dir)).ok();
            }
        });
    }

    /// Starts a thread that sends a wakeup when the lock file at `path` is released. Does nothing
    /// if a thread waits for that file already, or if the file cannot be opened.
    fn watch_lock(self: &Arc<Self>, path: &Path) {
        let Ok(file) = open_file(path) else { return };
        if !lock(&self.locks).insert(path.to_owned()) {
            return;
        }
        let (shared, path) = (Arc::clone(self), path.to_owned());
        thread::spawn(move || {
            let is_released = Flock::lock(file, FlockArg::LockShared).is_ok();
            // The next holder may be seen before this event; then no other thread is needed.
            lock(&shared.locks).remove(&path);
            if is_released {
                shared.events.send(Wakeup::Run(PathBuf::new())).ok();
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

    /// Returns whether an event ends the wait.
    fn is_woken(watch: &RunWatch) -> bool {
        let begun = Instant::now();
        watch.wait(LONG);
        begun.elapsed() < LONG
    }

    #[test]
    fn wait_ends_when_a_file_is_written_or_the_launcher_ends() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir(dir.path().to_owned());
        let watch = RunWatch::of(&run);
        fs::write(dir.path().join("running"), "{}").unwrap();
        assert!(is_woken(&watch));
        let lock = run.hold_alive_lock();
        assert!(is_woken(&watch));
        // Receive the remaining events of the lock file.
        watch.wait(Duration::from_millis(200));
        drop(lock);
        assert!(is_woken(&watch));
    }

    #[test]
    fn watch_lock_sends_a_wakeup_at_each_release() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        fs::write(&path, "").unwrap();
        let (sender, events) = channel();
        let watch = Watch::without_signals(sender).unwrap();
        watch.watch_lock(&dir.path().join("missing"));
        for _ in 0..2 {
            let file = fs::File::open(&path).unwrap();
            let held = Flock::lock(file, FlockArg::LockExclusive).unwrap();
            watch.watch_lock(&path);
            watch.watch_lock(&path);
            assert!(events.try_recv().is_err());
            drop(held);
            let event = events.recv_timeout(LONG).unwrap();
            assert_eq!(event, Wakeup::Run(PathBuf::new()));
        }
        assert!(events.try_recv().is_err());
    }

    #[test]
    fn blind_watch_watches_nothing_and_does_not_fail() {
        let mut watch = Watch::blind(channel().0).unwrap();
        let there_is_none = Path::new("/there/is/none");
        assert!(watch.is_blind());
        watch
            .watch_dir(there_is_none, RecursiveMode::Recursive)
            .unwrap();
        watch.watch_run(&RunDir(there_is_none.into())).unwrap();
        assert!(!watch.watch_terminal(Path::new("/dev/null")));
    }

    #[test]
    fn wait_is_short_if_the_directory_cannot_be_watched() {
        let watch = RunWatch::of(&RunDir("/there/is/none".into()));
        assert!(watch.watch.is_none() && is_woken(&watch));
    }
}
