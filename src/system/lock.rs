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
use super::{optional, wait_until};
use crate::failure::Failure;
use crate::sanitize::quoted;

/// How long a lock is waited for in silence.
const SILENCE: Duration = Duration::from_millis(500);

/// How long a lock is waited for that another program than git flux holds.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest pause between two attempts.
const PAUSE: Duration = Duration::from_millis(10);

/// An exclusive `flock` on a file, until it is dropped and every child that
/// was given it has ended.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Takes the lock at `path`. Says once what it waits for if that takes more than half a
    /// second: `other`, if the holder is a git flux.
    ///
    /// # Errors
    /// When the file cannot be made, on interruption, or when another program does not let go.
    pub(crate) fn acquire(
        path: &Path,
        sharing: Sharing,
        other: impl Display,
        say: impl FnOnce(&str),
    ) -> Result<Self> {
        let say = |holder: Option<&Holder>| say(&waiting(path, other, holder));
        Self::wait(path, sharing, PATIENCE, say)
    }

    fn wait(
        path: &Path,
        sharing: Sharing,
        patience: Duration,
        say: impl FnOnce(Option<&Holder>),
    ) -> Result<Self> {
        let mut say = Some(say);
        let mut stranger = None;
        let mut since = Instant::now();
        loop {
            // flock offers no wait that a signal handler with SA_RESTART can end.
            if let Some(lock) = wait_until(SILENCE, PAUSE, || Self::attempt(path, sharing))? {
                return Ok(lock);
            }
            let holder = Holder::of(path);
            if let Some(say) = say.take() {
                say(holder.as_ref());
            }
            let holder = holder.filter(|holder| !holder.is_git_flux());
            if holder != stranger {
                stranger = holder;
                since = Instant::now();
            } else if stranger.is_some() && since.elapsed() > patience {
                return Err(is_held(path, stranger.as_ref()).into());
            }
        }
    }

    /// Takes the lock at `path` within `patience`, whichever program holds it.
    ///
    /// # Errors
    /// When the file cannot be made, on interruption, or when it is held for longer: by whom.
    pub(crate) fn acquire_soon(patience: Duration, path: &Path, sharing: Sharing) -> Result<Self> {
        let lock = wait_until(patience, PAUSE, || Self::attempt(path, sharing))?;
        lock.ok_or_else(|| is_held(path, Holder::of(path).as_ref()).into())
    }

    /// Takes the lock if nobody holds it.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub(crate) fn attempt(path: &Path, sharing: Sharing) -> Result<Option<Self>> {
        let attempt = || {
            if let Some(dir) = path.parent() {
                sharing.make_dir(dir)?;
            }
            // None if it was removed with its directory between the two calls.
            match optional(sharing.open_lock(path))? {
                Some(file) => Self::hold(file, path),
                None => Ok(None),
            }
        };
        attempt().map_err(|error| Error::new(error).context(not_lockable(path)))
    }

    /// Takes the lock on an open file, if nobody holds it and it is still the one at `path`.
    fn hold(file: File, path: &Path) -> io::Result<Option<Self>> {
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // The last holder may have removed the file: then this lock excludes nobody.
        let held = file.metadata()?;
        let is_there = fs::symlink_metadata(path)
            .is_ok_and(|there| (there.dev(), there.ino()) == (held.dev(), held.ino()));
        Ok(is_there.then_some(Self(file)))
    }

    /// Whether somebody holds the lock at `path`. Creates nothing; takes a
    /// shared lock for an instant, which the one who waits for it does not notice.
    pub(crate) fn is_held(path: &Path) -> bool {
        open_file(path)
            .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// Returns the process that took the lock at `path`, by its number in the PID namespace of
    /// `/proc`; none if that is not there. Reads `/proc/locks`.
    ///
    /// # Errors
    /// Where the system has no such list.
    pub(crate) fn owner(path: &Path) -> io::Result<Option<i32>> {
        Holder::owner(path)
    }

    /// Notes this moment as the one at which the file was changed. Only its owner could set a
    /// time; whoever may write it can do this.
    pub(crate) fn note_time(&self) -> io::Result<()> {
        self.0.write_all_at(b"\n", 0)
    }

    /// A second handle on the same lock, for a child's standard input.
    pub(crate) fn share(&self) -> Result<File> {
        self.0.try_clone().context("could not share a lock")
    }
}

/// Returns the refusal to wait any longer for the lock that `holder` has on the file at `path`.
fn is_held(path: &Path, holder: Option<&Holder>) -> Failure {
    let name = holder.map_or_else(|| "another process".to_owned(), Holder::shown);
    let failure = Failure::new(format!("{name} does not let go of '{}'", path.display()));
    failure.hints(holder.map(Holder::hint))
}

/// Returns the failure to lock the file at `path`: with what moves away it, or its directory, if
/// that is not what it should be.
fn not_lockable(path: &Path) -> Failure {
    let failure = Failure::new(format!("could not lock '{}'", path.display()));
    let is = |path: &Path, is: fn(&fs::Metadata) -> bool| {
        path.symlink_metadata().is_ok_and(|it| is(&it))
    };
    let in_the_way = if is(path, |it| !it.is_file()) {
        Some(path)
    } else {
        path.parent().filter(|dir| is(dir, |it| !it.is_dir()))
    };
    let hint = in_the_way.map(|path| format!("mv {0} {0}.away", quoted(path)));
    failure.hints(hint)
}

/// Describes what a lock is waited for: `other`, unless the holder is known to be another program.
fn waiting(path: &Path, other: impl Display, holder: Option<&Holder>) -> String {
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
    fn a_lock_that_another_program_holds_is_given_up_with_its_name() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().canonicalize().unwrap().join("lock");
        let lock = Lock::attempt(&path, Sharing::Private).unwrap().unwrap();
        if !Path::new("/proc/locks").exists() {
            return;
        }
        let holder = Holder::of(&path).unwrap();
        assert_eq!(holder.pid.cast_unsigned(), std::process::id());
        let (short, mut said) = (Duration::from_millis(600), String::new());
        let say = |holder: Option<&Holder>| said = waiting(&path, "another merge", holder);
        let error = Lock::wait(&path, Sharing::Private, short, say);
        let lines = failure::lines(&error.unwrap_err());
        let (shown, hint) = (holder.shown(), format!("kill {}", holder.pid));
        assert_eq!(
            said,
            format!("waiting for {shown}, which holds '{}' …", path.display())
        );
        assert!(
            lines[0]
                .1
                .starts_with(&format!("{shown} does not let go of"))
        );
        assert_eq!(lines.last(), Some(&("hint", hint)));
        drop(lock);
    }

    #[test]
    fn a_lock_that_is_not_let_go_of_soon_is_given_up_with_its_holder() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().canonicalize().unwrap().join("lock");
        let soon = || Lock::acquire_soon(Duration::ZERO, &path, Sharing::Private);
        let lock = soon().unwrap();
        let lines = failure::lines(&soon().unwrap_err());
        assert!(lines[0].1.contains("does not let go of"), "{lines:?}");
        if Path::new("/proc/locks").exists() {
            let holder = Holder::of(&path).unwrap();
            assert!(lines[0].1.starts_with(&holder.shown()), "{lines:?}");
            assert_eq!(lines[1], ("hint", format!("kill {}", holder.pid)));
        }
        drop(lock);
        soon().unwrap();
    }

    #[test]
    fn a_file_that_is_no_longer_at_its_path_is_not_held() {
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
