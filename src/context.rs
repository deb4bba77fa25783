//! What every command has in hand: the repository, its configuration, and the terminal.

use std::iter;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::Result;

use crate::failure::Failure;
use crate::git::{Git, Lock, Repo, refs};
use crate::run::RunDir;
use crate::settings::Settings;
use crate::store;
use crate::task::TaskId;
use crate::ui::{Ui, colour, quoted};

/// What every command has in hand.
pub(crate) struct Flux {
    pub(crate) repo: Repo,
    pub(crate) settings: Settings,
    pub(crate) ui: Ui,
}

impl Flux {
    /// Opens the repository the user stands in, and its configuration.
    ///
    /// # Errors
    /// When there is none, or something is configured that git flux does not know.
    pub(crate) fn open(ui: Ui) -> Result<Self> {
        let flux = Self::leniently(ui)?;
        flux.settings.ensure_known()?;
        Ok(flux)
    }

    /// The same, for what happens unasked: a key that is misspelt is said elsewhere.
    ///
    /// # Errors
    /// When there is no repository.
    pub(crate) fn leniently(ui: Ui) -> Result<Self> {
        let (repo, settings) = thread::scope(|scope| {
            // Where we stand is where the repository is found, unless the environment names
            // another: git reads its configuration meanwhile.
            let here = || Settings::load(Path::new("."));
            let settings = (!Git::has_repository_env()).then(|| scope.spawn(here));
            (Repo::open(), settings.map(|settings| settings.join()))
        });
        let mut repo = repo?;
        ensure_directories(&repo.flux_dir())?;
        let dir = repo.current().unwrap_or(repo.home());
        let mut settings = match settings {
            Some(settings) => settings.expect("reading settings does not panic")?.of(dir),
            None => Settings::load(dir)?,
        };
        if repo.is_linked() {
            settings = settings.without_worktree();
        }
        colour::follow(&settings, repo.home())?;
        repo.set_drivers(settings.drivers());
        Ok(Self { repo, settings, ui })
    }

    pub(crate) fn run_dir(&self, id: &TaskId) -> RunDir {
        RunDir(self.repo.run_dir(id))
    }

    /// Removes the run directory of what is no task any more: to lock it has made one.
    ///
    /// # Errors
    /// When git fails, or it cannot be removed.
    pub(crate) fn tidy_run(&self, id: &TaskId) -> Result<()> {
        if refs::list(self.repo.home(), &[&store::task_ref(id)])?.is_empty() {
            self.run_dir(id).remove()?;
        }
        Ok(())
    }

    /// The repository's lock, for what git cannot do side by side.
    ///
    /// # Errors
    /// On interruption.
    pub(crate) fn lock_repo(&self) -> Result<Lock> {
        self.lock_shared("lock", "another git flux")
    }

    /// The lock that whoever moves a target branch holds, so that of many merges
    /// one after the other finds the branch where it looked.
    ///
    /// # Errors
    /// On interruption.
    pub(crate) fn lock_merge(&self) -> Result<Lock> {
        self.lock_shared("merge", "another merge")
    }

    fn lock_shared(&self, name: &str, other: &str) -> Result<Lock> {
        let path = self.repo.flux_dir().join(name);
        Lock::acquire(&path, self.repo.sharing()?, other, |text| {
            self.ui.status(text);
        })
    }
}

/// Fails if a directory of ours is something else: what is deleted in it would not be ours, either.
fn ensure_directories(flux_dir: &Path) -> Result<()> {
    let below = ["run", "trash", "marks"].map(|name| flux_dir.join(name));
    let mut dirs = iter::once(flux_dir).chain(below.iter().map(PathBuf::as_path));
    let is_other = |dir: &&Path| dir.symlink_metadata().is_ok_and(|found| !found.is_dir());
    let Some(other) = dirs.find(is_other) else {
        return Ok(());
    };
    let what = format!("'{}' is not a directory", other.display());
    let pasted = quoted(other);
    let hint = format!("mv {pasted} {pasted}.away");
    Err(Failure::new(what).hint(hint).into())
}
