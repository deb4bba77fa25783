//! The context of every command: the repository, its configuration, and the terminal.

use std::iter;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::Result;

use crate::failure::Failure;
use crate::git::worktree_lock::{WorktreeLock, task_reason};
use crate::git::{Git, Lock, Repo, refs};
use crate::run::RunDir;
use crate::settings::Settings;
use crate::store;
use crate::task::{Task, TaskId};
use crate::ui::{Ui, colour, quoted};

/// The context of every command.
pub(crate) struct Flux {
    pub(crate) repo: Repo,
    pub(crate) settings: Settings,
    pub(crate) ui: Ui,
}

impl Flux {
    /// Opens the repository of the working directory, or that of `GIT_DIR`, and reads its
    /// configuration; in a linked worktree, without the entries of scope `worktree`. Fails on an
    /// unknown setting of git flux, or if there is no repository.
    pub(crate) fn open(ui: Ui) -> Result<Self> {
        let flux = Self::open_lenient(ui)?;
        flux.settings.ensure_keys_known()?;
        Ok(flux)
    }

    /// Opens the repository like [`Flux::open`], but ignores unknown settings. For background
    /// processes.
    pub(crate) fn open_lenient(ui: Ui) -> Result<Self> {
        let (repo, settings) = thread::scope(|scope| {
            // git reads the configuration meanwhile, unless the environment names another
            // repository.
            let here = || Settings::load(Path::new("."));
            let settings = (!Git::has_repository_env()).then(|| scope.spawn(here));
            (Repo::open(), settings.map(|settings| settings.join()))
        });
        let mut repo = repo?;
        ensure_directories(&repo.flux_dir())?;
        let dir = repo.current().unwrap_or(repo.home());
        let mut settings = match settings {
            Some(settings) => settings
                .expect("reading settings does not panic")?
                .relative_to(dir),
            None => Settings::load(dir)?,
        };
        if repo.is_linked() {
            settings = settings.without_worktree_scope();
        }
        colour::configure(&settings, repo.home())?;
        repo.set_drivers(settings.drivers());
        Ok(Self { repo, settings, ui })
    }

    /// Fails if a directory in which git flux deletes files has been replaced by a link or a file since
    /// the repository was opened.
    pub(crate) fn ensure_directories(&self) -> Result<()> {
        ensure_directories(&self.repo.flux_dir())
    }

    pub(crate) fn run_dir(&self, id: &TaskId) -> RunDir {
        RunDir(self.repo.run_dir(id))
    }

    /// Returns the lock that keeps git from removing the task's worktree while its agent runs, as
    /// by `git worktree lock`. Neither takes the lock nor needs it to be held.
    pub(crate) fn worktree_lock<'a>(&'a self, task: &'a Task) -> WorktreeLock<'a> {
        WorktreeLock {
            common_dir: self.repo.common_dir(),
            worktree: &task.worktree,
            reason: task_reason(&task.id),
            env: &[],
        }
    }

    /// Deletes the run directory of the task `id` if the task has no record: locking an unknown id
    /// creates the directory. Does nothing if there is a record. The caller holds the task's lock.
    pub(crate) fn remove_stale_run_dir(&self, id: &TaskId) -> Result<()> {
        if refs::list(self.repo.home(), &[&store::task_ref(id)])?.is_empty() {
            self.run_dir(id).remove()?;
        }
        Ok(())
    }

    /// Waits for the repository's lock and takes it, for changes that git cannot make concurrently.
    /// Prints what it waits for. Fails on ^C, or if a program other than git flux holds the lock
    /// for 30 seconds.
    pub(crate) fn lock_repo(&self) -> Result<Lock> {
        self.lock_shared("lock", "another git flux")
    }

    /// Waits for the repository's lock of merges and takes it, so that no other git flux merges
    /// meanwhile. Prints what it waits for. Fails on ^C, or if a program other than git flux holds
    /// the lock for 30 seconds.
    pub(crate) fn lock_merge(&self) -> Result<Lock> {
        self.lock_shared("merge", "another merge")
    }

    /// Takes the repository's lock of merges without waiting; `None` if another process holds it.
    pub(crate) fn try_lock_merge(&self) -> Result<Option<Lock>> {
        Lock::try_acquire(&self.repo.flux_dir().join("merge"), self.repo.sharing()?)
    }

    /// Waits for the lock of the refs `refs/flux/stash/…`, which keep the entries of the shared
    /// stash from `git gc`, and takes it. Prints what it waits for. Fails on ^C, or if a program
    /// other than git flux holds the lock for 30 seconds.
    pub(crate) fn lock_stash(&self) -> Result<Lock> {
        self.lock_shared("stash", "another git flux")
    }

    /// Waits for the repository's lock of landings and takes it: one `git flux land` tests and lands
    /// at a time. Prints what it waits for. Fails on ^C.
    pub(crate) fn lock_land(&self) -> Result<Lock> {
        self.lock_shared("land.lock", "another git flux land")
    }

    /// Takes the repository's lock of landings without waiting; `None` if another process holds it.
    pub(crate) fn try_lock_land(&self) -> Result<Option<Lock>> {
        Lock::try_acquire(&self.landing_lock(), self.repo.sharing()?)
    }

    /// Returns the path of the repository's lock of landings.
    pub(crate) fn landing_lock(&self) -> PathBuf {
        self.repo.flux_dir().join("land.lock")
    }

    /// Waits for the lock of housekeeping, which deletes what has expired or was left by killed
    /// commands, and takes it. Prints what it waits for. Fails on ^C, or if a program other than
    /// git flux holds the lock for 30 seconds.
    pub(crate) fn lock_expire(&self) -> Result<Lock> {
        self.lock_shared("expire", "another git flux that deletes")
    }

    /// Returns the path of the lock of the scratch worktree, in which `flux.gate` tests commits.
    pub(crate) fn scratch_lock(&self) -> PathBuf {
        self.repo.flux_dir().join("scratch")
    }

    /// Takes the lock of the scratch worktree, in which `flux.gate` tests commits, without waiting;
    /// `None` if another process holds it.
    pub(crate) fn try_lock_scratch(&self) -> Result<Option<Lock>> {
        Lock::try_acquire(&self.scratch_lock(), self.repo.sharing()?)
    }

    /// Waits for the lock of the scratch worktree and takes it, so that no other gate runs meanwhile.
    /// Prints what it waits for. Fails on ^C, or if a program other than git flux holds the lock for
    /// 30 seconds.
    pub(crate) fn lock_scratch(&self) -> Result<Lock> {
        self.lock_shared("scratch", "another gate")
    }

    fn lock_shared(&self, name: &str, other: &str) -> Result<Lock> {
        let path = self.repo.flux_dir().join(name);
        Lock::acquire(&path, self.repo.sharing()?, other, |text| {
            self.ui.status(text);
        })
    }
}

/// Fails if git flux's directory in the repository, or `run`, `trash` or another directory in it, is a link
/// or a file: deletions would hit other files. Succeeds if they are missing.
fn ensure_directories(flux_dir: &Path) -> Result<()> {
    let below = ["run", "trash", "marks", "verdicts", "gate"].map(|name| flux_dir.join(name));
    let mut dirs = iter::once(flux_dir).chain(below.iter().map(PathBuf::as_path));
    let is_other = |dir: &&Path| dir.symlink_metadata().is_ok_and(|found| !found.is_dir());
    let Some(other) = dirs.find(is_other) else {
        return Ok(());
    };
    let what = format!("'{}' is not a directory", other.display());
    let pasted = quoted(other);
    let hint = format!("to make room: mv {pasted} {pasted}.away");
    Err(Failure::new(what).hint(hint).into())
}
