//! Temporary directories that can be told from those of killed processes.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use super::sharing::is_ours;
use super::{Lock, Sharing};

const PREFIX: &str = "git-flux-";

/// The file that the process holds locked.
const LOCK: &str = "lock";

/// The age below which a directory counts as used: git may outlive the command that was killed.
const MIN_AGE: Duration = Duration::from_secs(3600);

/// A temporary directory, locked while its process lives. Deleted on drop.
#[derive(Debug)]
pub(crate) struct TemporaryDir {
    dir: TempDir,
    /// `None` on a file system without locks.
    _lock: Option<Lock>,
}

impl TemporaryDir {
    /// Makes a directory with a lock file, in the system's directory for temporary files.
    pub(crate) fn make() -> Result<Self> {
        let dir = tempfile::Builder::new().prefix(PREFIX).tempdir();
        let dir = dir.context("could not make a temporary directory")?;
        let file = dir.path().join(LOCK);
        let _lock = Lock::try_acquire(&file, Sharing::Private).ok().flatten();
        if _lock.is_none() {
            // Without a lock file, it is not taken for that of a killed process.
            drop(fs::remove_file(file));
        }
        Ok(Self { dir, _lock })
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// Lists the directories that killed processes of this user have left, sorted: those whose lock is
/// free, and that have not changed for an hour. Lists none if the directory for temporary files
/// cannot be read.
pub(crate) fn list_left() -> Vec<PathBuf> {
    list_left_in(&env::temp_dir())
}

fn list_left_in(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let named = entries.filter(|entry| {
        let name = entry.file_name();
        name.as_encoded_bytes().starts_with(PREFIX.as_bytes())
    });
    let mut left: Vec<PathBuf> = named.map(|entry| entry.path()).collect();
    left.retain(|path| is_left(path));
    left.sort();
    left
}

fn is_left(path: &Path) -> bool {
    let Ok(found) = path.symlink_metadata() else {
        return false;
    };
    let lock = path.join(LOCK);
    let is_old = || {
        let age = found.modified().ok().and_then(|at| at.elapsed().ok());
        age.is_some_and(|age| age >= MIN_AGE)
    };
    found.is_dir() && is_ours(path, &found) && is_old() && Lock::is_free(&lock)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::symlink;
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn list_left_lists_only_old_directories_without_a_process() {
        let temp = tempfile::tempdir().unwrap();
        let age = |name: &str| {
            let dir = File::open(temp.path().join(name)).unwrap();
            dir.set_modified(SystemTime::now() - MIN_AGE * 2).unwrap();
        };
        for name in ["git-flux-old", "git-flux-held", "git-flux-new", "other"] {
            fs::create_dir(temp.path().join(name)).unwrap();
            fs::write(temp.path().join(name).join(LOCK), "").unwrap();
        }
        fs::create_dir(temp.path().join("git-flux-unlocked")).unwrap();
        // Nothing is known of a lock that cannot be opened.
        let unknown = temp.path().join("git-flux-unknown");
        fs::create_dir_all(unknown.join(LOCK)).unwrap();
        symlink("git-flux-old", temp.path().join("git-flux-link")).unwrap();
        let held = temp.path().join("git-flux-held").join(LOCK);
        let _held = Lock::try_acquire(&held, Sharing::Private).unwrap();
        for name in [
            "git-flux-old",
            "git-flux-held",
            "git-flux-unlocked",
            "git-flux-unknown",
            "other",
        ] {
            age(name);
        }
        assert_eq!(
            list_left_in(temp.path()),
            [temp.path().join("git-flux-old")]
        );
        assert_eq!(
            list_left_in(&temp.path().join("missing")),
            [""; 0].map(PathBuf::from)
        );
    }

    #[test]
    fn make_deletes_the_directory_on_drop() {
        let dir = TemporaryDir::make().unwrap();
        let path = dir.path().to_owned();
        assert!(Lock::is_held(&path.join(LOCK)));
        drop(dir);
        assert!(!path.exists());
    }
}
