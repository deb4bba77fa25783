//! Locks that the kernel releases when their holder dies.

use std::fs::{self, File, Metadata, TryLockError};
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
        other: &str,
        say: impl FnOnce(&str),
    ) -> Result<Self> {
        Waiting::new(path, other).acquire(sharing, say)
    }

    /// Takes the lock at `path` within `patience`, whichever program holds it.
    ///
    /// # Errors
    /// When the file cannot be made, on interruption, or when it is held for longer: by whom.
    pub(crate) fn acquire_soon(patience: Duration, path: &Path, sharing: Sharing) -> Result<Self> {
        let lock = wait_until(patience, PAUSE, || Self::attempt(path, sharing))?;
        lock.ok_or_else(|| {
            let holder = Holder::of(path);
            let name = holder.as_ref().map(Holder::shown);
            let failure = Failure::new(format!(
                "{} holds '{}' for more than {} seconds",
                name.as_deref().unwrap_or("another process"),
                path.display(),
                patience.as_secs()
            ));
            let hint = holder.map(|holder| holder.hint());
            hint.into_iter().fold(failure, Failure::hint).into()
        })
    }

    /// Takes the lock if nobody holds it.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub(crate) fn attempt(path: &Path, sharing: Sharing) -> Result<Option<Self>> {
        let what = || format!("could not lock '{}'", path.display());
        if let Some(dir) = path.parent() {
            let made = sharing.make_dir(dir);
            made.map_err(|error| {
                Error::new(error).context(in_the_way(dir, Metadata::is_dir, what()))
            })?;
        }
        let file = optional(sharing.open_lock(path)).map_err(|error| {
            Error::new(error).context(in_the_way(path, Metadata::is_file, what()))
        })?;
        // None if it was removed with its directory between the two calls.
        let Some(file) = file else { return Ok(None) };
        Self::hold(file, path)
    }

    /// Takes the lock on an open file, if nobody holds it and it is still the one at `path`.
    fn hold(file: File, path: &Path) -> Result<Option<Self>> {
        let what = || format!("could not lock '{}'", path.display());
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error).with_context(what),
        }
        // The last holder may have removed the file: then this lock excludes nobody.
        let held = file.metadata().with_context(what)?;
        match fs::symlink_metadata(path) {
            Ok(there) if (there.dev(), there.ino()) == (held.dev(), held.ino()) => {
                Ok(Some(Self(file)))
            }
            _ => Ok(None),
        }
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
        Ok(Holder::owner(path)?.and_then(|pid| pid.try_into().ok()))
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

/// A lock that is being waited for.
struct Waiting<'a> {
    path: &'a Path,
    /// What is waited for, if the holder is a git flux.
    other: &'a str,
    /// How long another program is waited for.
    patience: Duration,
    begun: Instant,
    looked: Instant,
    /// The process that is no git flux and holds it, and since when.
    stranger: Option<(Instant, Holder)>,
}

impl<'a> Waiting<'a> {
    fn new(path: &'a Path, other: &'a str) -> Self {
        let now = Instant::now();
        Self {
            path,
            other,
            patience: PATIENCE,
            begun: now,
            looked: now,
            stranger: None,
        }
    }

    fn acquire(mut self, sharing: Sharing, say: impl FnOnce(&str)) -> Result<Lock> {
        let mut say = Some(say);
        // flock offers no wait that a signal handler with SA_RESTART can end.
        let lock = wait_until(Duration::MAX, PAUSE, || {
            if let Some(lock) = Lock::attempt(self.path, sharing)? {
                return Ok(Some(lock));
            }
            if self.begun.elapsed() > SILENCE && self.looked.elapsed() > SILENCE {
                let holder = self.look();
                if let Some(say) = say.take() {
                    say(&waiting(self.path, self.other, holder.as_ref()));
                }
            }
            self.ensure_patient()?;
            Ok(None)
        })?;
        lock.context("the lock was not waited for")
    }

    /// Looks who holds it.
    fn look(&mut self) -> Option<Holder> {
        self.looked = Instant::now();
        let holder = Holder::of(self.path);
        let found = holder.clone().filter(|holder| !holder.is_git_flux());
        if self.stranger.as_ref().map(|(_, known)| known) != found.as_ref() {
            self.stranger = found.map(|found| (self.looked, found));
        }
        holder
    }

    /// Fails if another program has held it for too long.
    fn ensure_patient(&self) -> Result<()> {
        match &self.stranger {
            Some((since, holder)) if since.elapsed() > self.patience => {
                let (path, name) = (self.path.display(), holder.shown());
                let failure = Failure::new(format!("{name} does not let go of '{path}'"));
                Err(failure.hint(holder.hint()).into())
            }
            _ => Ok(()),
        }
    }
}

/// Returns the failure to lock a file because of `path`: with what moves it away, if it is not
/// what it should be.
fn in_the_way(path: &Path, is_right: fn(&Metadata) -> bool, what: String) -> Failure {
    match path.symlink_metadata() {
        Ok(found) if !is_right(&found) => {
            Failure::new(what).hint(format!("mv {0} {0}.away", quoted(path)))
        }
        _ => Failure::new(what),
    }
}

/// Describes what a lock is waited for: `other`, unless the holder is known to be another program.
fn waiting(path: &Path, other: &str, holder: Option<&Holder>) -> String {
    match holder {
        None => format!("waiting for {other} …"),
        Some(holder) if holder.is_git_flux() => {
            format!("waiting for {other} (process {}) …", holder.pid)
        }
        Some(holder) => format!(
            "waiting for {}, which holds '{}' …",
            holder.shown(),
            path.display()
        ),
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
        assert_eq!(holder.pid, std::process::id());
        let (short, mut said) = (Duration::from_millis(600), String::new());
        let say = |text: &str| text.clone_into(&mut said);
        let mut wait = Waiting::new(&path, "another merge");
        wait.patience = short;
        let error = wait.acquire(Sharing::Private, say);
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
        assert!(lines[0].1.contains("for more than 0 seconds"), "{lines:?}");
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
