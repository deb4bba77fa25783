//! Locks that the kernel releases when their holder dies.

use std::fmt::Display;
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Error, Result};

use super::Sharing;
use super::holder::Holder;
use super::regular_file::open_file;
use super::{none_if_missing, wait_until};
use crate::failure::Failure;
use crate::sanitize::quoted;

/// The time after which a wait is announced.
const ANNOUNCE_AFTER: Duration = Duration::from_millis(500);

/// The time to wait for a program other than git flux.
const GIVE_UP_AFTER: Duration = Duration::from_secs(30);

/// The longest pause between two attempts.
const MAX_PAUSE: Duration = Duration::from_millis(10);

/// An exclusive `flock` on a file, until it is dropped and every child that inherited it has ended.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Locks the file at `path`, created if it is missing, and waits while another process holds
    /// the lock. Calls `say` once, after half a second. Fails on ^C, or, on Linux, if one program
    /// other than git flux holds the lock for 30 seconds.
    pub(crate) fn acquire(
        path: &Path,
        sharing: Sharing,
        other: impl Display,
        say: impl FnOnce(&str),
    ) -> Result<Self> {
        let say = |holder: Option<&Holder>| say(&describe_wait(path, other, holder));
        Self::wait(path, sharing, GIVE_UP_AFTER, say)
    }

    fn wait(
        path: &Path,
        sharing: Sharing,
        timeout: Duration,
        say: impl FnOnce(Option<&Holder>),
    ) -> Result<Self> {
        let mut say = Some(say);
        let mut program = None;
        let mut since = Instant::now();
        loop {
            // `flock` cannot be interrupted by a signal handler with SA_RESTART.
            let take = || Self::try_acquire(path, sharing);
            if let Some(lock) = wait_until(ANNOUNCE_AFTER, MAX_PAUSE, take)? {
                return Ok(lock);
            }
            let holder = Holder::of(path);
            if let Some(say) = say.take() {
                say(holder.as_ref());
            }
            let holder = holder.filter(|holder| !holder.is_git_flux());
            if holder != program {
                program = holder;
                since = Instant::now();
            } else if program.is_some() && since.elapsed() > timeout {
                return Err(held_error(path, program.as_ref()).into());
            }
        }
    }

    /// Takes the lock on the file at `path`, which is created if it is missing, and waits at most
    /// `timeout` while the lock is held. Fails after that, and on ^C.
    pub(crate) fn acquire_within(timeout: Duration, path: &Path, sharing: Sharing) -> Result<Self> {
        let lock = wait_until(timeout, MAX_PAUSE, || Self::try_acquire(path, sharing))?;
        lock.ok_or_else(|| held_error(path, Holder::of(path).as_ref()).into())
    }

    /// Takes the lock on the file at `path`, which is created if it is missing, without waiting.
    /// Returns `None` if the lock is held, even by this process, or if another process has removed
    /// the file meanwhile.
    pub(crate) fn try_acquire(path: &Path, sharing: Sharing) -> Result<Option<Self>> {
        let attempt = || {
            // Another process may remove the directory with the file at any time.
            let make = || match path.parent() {
                Some(dir) => sharing.make_dir(dir),
                None => Ok(()),
            };
            match none_if_missing(make().and_then(|()| sharing.open_lock(path)))? {
                Some(file) => Self::hold(file, path),
                None => Ok(None),
            }
        };
        attempt().map_err(|error| Error::new(error).context(lock_error(path)))
    }

    /// Takes the lock on an open file, without waiting. Returns `None` if another process holds the
    /// lock, or if the file is no longer the one at `path`.
    fn hold(file: File, path: &Path) -> io::Result<Option<Self>> {
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // The last holder may have removed the file: such a lock is useless.
        let held = file.metadata()?;
        let is_there = fs::symlink_metadata(path)
            .is_ok_and(|there| (there.dev(), there.ino()) == (held.dev(), held.ino()));
        Ok(is_there.then_some(Self(file)))
    }

    /// Returns whether any process, this one included, holds the lock on the file at `path`;
    /// `false` if the file cannot be opened. Creates nothing; takes a shared lock for an instant,
    /// which a waiting process does not notice.
    pub(crate) fn is_held(path: &Path) -> bool {
        open_file(path)
            .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// Returns whether no process holds the lock on the file at `path`; `false` if the file cannot
    /// be opened or locked. Creates nothing; takes a shared lock for an instant, which a waiting
    /// process does not notice.
    pub(crate) fn is_free(path: &Path) -> bool {
        open_file(path).is_ok_and(|file| file.try_lock_shared().is_ok())
    }

    /// Returns the id of the process that took the lock on the file at `path`, by `/proc/locks`; it
    /// may have ended while a child holds the lock. `None` if the PID namespace of `/proc` has no
    /// such process, even if the file is locked. Fails if the file or `/proc/locks` is missing.
    pub(crate) fn owner(path: &Path) -> io::Result<Option<i32>> {
        Holder::owner(path)
    }

    /// Updates the modification time of the lock file by writing a byte to it, which any user who
    /// may write the file can do.
    pub(crate) fn touch(&self) -> io::Result<()> {
        self.0.write_all_at(b"\n", 0)
    }

    /// Duplicates the open lock file for the standard input of a child, which then holds the lock,
    /// too, until it ends.
    pub(crate) fn share(&self) -> Result<File> {
        self.0.try_clone().context("could not share a lock")
    }
}

/// Returns the error that `holder`, or an unknown process, keeps the lock on the file at `path`.
/// Its hint is a command that kills or shows the holder.
fn held_error(path: &Path, holder: Option<&Holder>) -> Failure {
    let name = holder.map_or_else(|| "another process".to_owned(), Holder::shown);
    let failure = Failure::new(format!("{name} still locks '{}'", path.display()));
    failure.hints(holder.map(Holder::hint))
}

/// Returns the error that the file at `path` cannot be locked. If something else is in place of the
/// file, or of a directory above it, the hint is a command that moves that away.
fn lock_error(path: &Path) -> Failure {
    let failure = Failure::new(format!("could not lock '{}'", path.display()));
    let is = |path: &Path, is: fn(&fs::Metadata) -> bool| {
        path.symlink_metadata().is_ok_and(|it| is(&it))
    };
    let in_the_way = if is(path, |it| !it.is_file()) {
        Some(path)
    } else {
        path.parent().filter(|dir| is(dir, |it| !it.is_dir()))
    };
    let hint = in_the_way.map(|path| format!("to make room: mv {0} {0}.away", quoted(path)));
    failure.hints(hint)
}

/// Returns the message for a wait for a lock: `waiting for <other> …`, where `other` says who holds
/// the lock, such as `another git flux`. If a program other than git flux holds it, the message
/// contains that program's name and the path of the lock file instead.
fn describe_wait(path: &Path, other: impl Display, holder: Option<&Holder>) -> String {
    match holder {
        None => format!("waiting for {other} …"),
        Some(holder) if holder.is_git_flux() => {
            format!("waiting for {other} (process {}) …", holder.pid)
        }
        Some(holder) => {
            let (name, path) = (holder.shown(), path.display());
            format!("waiting for {name}, which holds '{path}' …")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure;

    #[test]
    fn wait_gives_up_if_another_program_holds_the_lock() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().canonicalize().unwrap().join("lock");
        let lock = Lock::try_acquire(&path, Sharing::Private).unwrap().unwrap();
        if !Path::new("/proc/locks").exists() {
            return;
        }
        let holder = Holder::of(&path).unwrap();
        assert_eq!(holder.pid.cast_unsigned(), std::process::id());
        let (short, mut message) = (Duration::from_millis(600), String::new());
        let say = |holder: Option<&Holder>| message = describe_wait(&path, "another merge", holder);
        let error = Lock::wait(&path, Sharing::Private, short, say);
        let lines = failure::lines(&error.unwrap_err());
        let (shown, hint) = (holder.shown(), format!("kill {}", holder.pid));
        assert_eq!(
            message,
            format!("waiting for {shown}, which holds '{}' …", path.display())
        );
        assert!(lines[0].1.starts_with(&format!("{shown} still locks")));
        assert_eq!(lines.last(), Some(&("hint", hint)));
        drop(lock);
    }

    #[test]
    fn acquire_within_fails_with_the_holder_after_the_timeout() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().canonicalize().unwrap().join("lock");
        let soon = || Lock::acquire_within(Duration::ZERO, &path, Sharing::Private);
        let lock = soon().unwrap();
        // The kernel's list can lack a lock while others come and go.
        let named = || {
            let lines = failure::lines(&soon().unwrap_err());
            Ok((lines.len() > 1 || !Path::new("/proc/locks").exists()).then_some(lines))
        };
        let lines = wait_until(Duration::from_secs(60), Duration::from_millis(1), named);
        let lines = lines.unwrap().expect("the holder is named");
        assert!(lines[0].1.contains("still locks"), "{lines:?}");
        if Path::new("/proc/locks").exists() {
            let holder = Holder::of(&path).unwrap();
            assert!(lines[0].1.starts_with(&holder.shown()), "{lines:?}");
            assert_eq!(lines[1], ("hint", format!("kill {}", holder.pid)));
        }
        drop(lock);
        // A process that another thread has just started holds it until its program begins.
        let long = Duration::from_secs(60);
        Lock::acquire_within(long, &path, Sharing::Private).unwrap();
    }

    #[test]
    fn hold_ignores_a_file_that_is_no_longer_at_its_path() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("lock");
        let open = || Sharing::Private.open_lock(&path).unwrap();
        let old = open();
        fs::remove_file(&path).unwrap();
        assert!(Lock::hold(old, &path).unwrap().is_none(), "it is removed");
        let old = open();
        fs::rename(&path, temp.path().join("aside")).unwrap();
        let new = open();
        assert!(Lock::hold(old, &path).unwrap().is_none(), "it is another");
        assert!(Lock::hold(new, &path).unwrap().is_some());
    }
}
