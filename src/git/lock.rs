//! Locks that the kernel releases when their holder dies.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::fcntl::OFlag;

use crate::interrupt;

/// An exclusive `flock` on a file, until it is dropped and every child that
/// was given it has ended.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Takes the lock at `path`; calls `waiting` once if that takes more than half a second.
    ///
    /// # Errors
    /// When the file cannot be made, or on interruption.
    pub(crate) fn acquire(path: &Path, waiting: impl FnOnce()) -> Result<Self> {
        let begun = Instant::now();
        let mut waiting = Some(waiting);
        loop {
            if let Some(lock) = Self::attempt(path)? {
                return Ok(lock);
            }
            interrupt::check()?;
            if begun.elapsed() > Duration::from_millis(500)
                && let Some(say) = waiting.take()
            {
                say();
            }
            // flock offers no wait that a signal handler with SA_RESTART can end.
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Takes the lock if nobody holds it.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub(crate) fn attempt(path: &Path) -> Result<Option<Self>> {
        let what = || format!("could not lock '{}'", path.display());
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).with_context(what)?;
        }
        let file = match OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .read(true)
            .mode(0o600)
            .open(path)
        {
            Ok(file) => file,
            // Removed with its directory between the two calls.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(what),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error).with_context(what),
        }
        // The last holder may have removed the file: then this lock excludes nobody.
        let held = file.metadata().with_context(what)?;
        match fs::metadata(path) {
            Ok(there) if (there.dev(), there.ino()) == (held.dev(), held.ino()) => {
                Ok(Some(Self(file)))
            }
            _ => Ok(None),
        }
    }

    /// Whether somebody holds the lock at `path`. Creates nothing; takes a
    /// shared lock for an instant, which the one who waits for it does not notice.
    pub(crate) fn is_held(path: &Path) -> bool {
        // To open a pipe would wait for another end.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(path);
        file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// A second handle on the same lock, for a child's standard input.
    pub(crate) fn share(&self) -> Result<File> {
        self.0.try_clone().context("could not share a lock")
    }
}
