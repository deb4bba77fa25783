//! Finds and opens the repository.

use std::cell::OnceCell;
use std::ffi::OsStr;
use std::iter;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use git2::{ErrorCode, Repository};

use super::{Repo, open_git2, realpath, settled};
use crate::failure::Failure;
use crate::git::checkout::distrust::{Distrust, refused};
use crate::git::merge::drivers::Drivers;
use crate::git::refusals::{no_repository, safe_directory, wrong_worktree};
use crate::sanitize::quoted;

impl Repo {
    /// Opens the repository that git would find: from the current directory, or as `GIT_DIR` and
    /// similar variables say. Fails if git, started in the repository's worktree without these
    /// variables, would not find that repository.
    pub(crate) fn open() -> Result<Self> {
        configure_libgit2()?;
        let git2 = settled(Repository::open_from_env).map_err(|error| open_error(error, None))?;
        Self::load(git2)
    }

    /// Opens the repository with the common directory `common_dir`; its main worktree, if any,
    /// counts as the current one.
    pub(crate) fn open_at(common_dir: &Path) -> Result<Self> {
        configure_libgit2()?;
        let found = open_git2(common_dir);
        Self::load(found.map_err(|error| open_error(error, Some(common_dir)))?)
    }

    fn load(git2: Repository) -> Result<Self> {
        let common_dir = realpath(git2.commondir())?;
        let current = git2.workdir().map(realpath).transpose()?;
        if let Some(worktree) = &current {
            ensure_found_from(&git2, worktree, &common_dir)?;
        }
        let main = match git2.is_worktree() {
            true => main_worktree(&common_dir)?,
            false => current.clone(),
        };
        Ok(Self {
            git2,
            common_dir,
            current,
            main,
            sharing: OnceCell::new(),
            program_key: None,
            drivers: Drivers::default(),
        })
    }
}

/// Lets libgit2 open repositories in git 3's default format, and turns off its object cache and
/// hash verification, once per process. Safe only because git2 never touches refs: it would
/// misplace them in a reftable repository.
#[allow(unsafe_code)]
fn configure_libgit2() -> Result<()> {
    static ONCE: std::sync::Once = std::sync::Once::new();
    let mut result = Ok(());
    ONCE.call_once(|| {
        // Each object is read once, and git does not verify hashes on reading either.
        git2::opts::enable_caching(false);
        git2::opts::strict_hash_verification(false);
        // SAFETY: libgit2's options are global; this runs once, before any other
        // thread of this program uses libgit2.
        result =
            unsafe { git2::opts::set_extensions(&["refstorage", "relativeworktrees", "noop"]) };
    });
    result.context("could not set up libgit2")
}

/// Fails if git, started in `worktree` without `GIT_DIR`, would not find the repository with the
/// common directory `common_dir`, or if a linked worktree's administrative directory is not in
/// `<git-common-dir>/worktrees`.
fn ensure_found_from(git2: &Repository, worktree: &Path, common_dir: &Path) -> Result<()> {
    let own = realpath(git2.path())?;
    // git creates it nowhere else, and would run programs configured elsewhere.
    let above = own.parent().and_then(Path::parent);
    if git2.is_worktree() && above != Some(common_dir) {
        let error = Distrust::CommonDir(own.join("commondir"));
        return Err(refused(error.into(), worktree));
    }
    let opens_it = || {
        let opened = open_git2(worktree).ok();
        let other = opened.and_then(|repo| repo.commondir().canonicalize().ok());
        other.as_deref() == Some(common_dir)
    };
    if finds_git_dir(worktree, &own) || opens_it() {
        return Ok(());
    }
    Err(wrong_worktree(worktree, common_dir, has_core_worktree(git2)).into())
}

/// Returns the top directory of the main worktree of the repository at `common_dir`, `None` if it
/// is bare. Fails if git, started in that directory, would not find the repository.
fn main_worktree(common_dir: &Path) -> Result<Option<PathBuf>> {
    let main = open_git2(common_dir);
    let repository = main.map_err(|error| open_error(error, Some(common_dir)))?;
    let main = repository.workdir().map(realpath).transpose()?;
    match &main {
        Some(main) if !finds_git_dir(main, common_dir) => {
            Err(wrong_worktree(main, common_dir, has_core_worktree(&repository)).into())
        }
        _ => Ok(main),
    }
}

/// Returns whether git, started in `worktree`, finds the git directory `git_dir`; `false` also on
/// an error. Faster than opening the repository, which would read its configuration again.
fn finds_git_dir(worktree: &Path, git_dir: &Path) -> bool {
    let found = Repository::discover_path(worktree, iter::empty::<&OsStr>());
    found.is_ok_and(|found| realpath(&found).is_ok_and(|found| found == git_dir))
}

/// Returns whether `core.worktree` is set in the repository's configuration; `false` also if that
/// is unreadable.
fn has_core_worktree(git2: &Repository) -> bool {
    let config = git2.config();
    config.is_ok_and(|config| config.get_entry("core.worktree").is_ok())
}

/// Returns the error for a repository that libgit2 did not open.
fn open_error(error: git2::Error, common_dir: Option<&Path>) -> anyhow::Error {
    let context = match error.code() {
        ErrorCode::NotFound => return no_repository().into(),
        ErrorCode::Owner => {
            let dir = quoted(&safe_directory(common_dir));
            let failure = Failure::new("the repository belongs to another user");
            failure.hint(format!("git config --global --add safe.directory {dir}"))
        }
        _ => Failure::new("could not open the repository"),
    };
    anyhow::Error::new(error).context(context)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::{fs, thread};

    use super::*;
    use crate::git::Git;

    #[test]
    fn open_succeeds_while_the_configuration_is_replaced() {
        let temp = tempfile::tempdir().unwrap();
        Git::new(temp.path())
            .words("init --quiet --bare")
            .run()
            .unwrap();
        let config = temp.path().join("config");
        let short = fs::read(&config).unwrap();
        let long = [&*short, &b"# a comment\n".repeat(400)].concat();
        let is_done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let new = temp.path().join("config.lock");
                while !is_done.load(Ordering::Relaxed) {
                    for text in [&long, &short] {
                        fs::write(&new, text).unwrap();
                        fs::rename(&new, &config).unwrap();
                    }
                }
            });
            let opened: Result<Vec<_>, _> = (0..2000).map(|_| open_git2(temp.path())).collect();
            is_done.store(true, Ordering::Relaxed);
            assert_eq!(opened.err().map(|error| error.to_string()), None);
        });
    }
}
