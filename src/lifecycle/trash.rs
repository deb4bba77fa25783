//! The trash: removed worktrees, whole.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::archive::Listed;
use super::{Flux, archive};
use crate::git::admin;
use crate::task::{Task, TaskId};

impl Flux {
    /// Where removed worktrees lie: `<git-common-dir>/flux/trash`.
    pub(crate) fn trash(&self) -> PathBuf {
        self.repo.flux_dir().join("trash")
    }

    /// Whether the directory at `path` cannot be moved to the trash, because a file
    /// system or a mount lies between. Two mounts of one file system have the same
    /// device, so a move of nothing is tried: mounts are compared before names.
    ///
    /// # Errors
    /// When it cannot be told.
    pub(super) fn is_abroad(&self, path: &Path) -> Result<bool> {
        let trash = self.trash();
        let there = if trash.exists() {
            trash
        } else {
            self.repo.flux_dir()
        };
        let device = |path: &Path| path.metadata().map(|metadata| metadata.dev());
        if device(path)? != device(&there)? {
            return Ok(true);
        }
        let nothing = "flux-no-such-file";
        let moved = fs::rename(path.join(nothing), there.join(nothing));
        Ok(moved.is_err_and(|error| error.kind() == io::ErrorKind::CrossesDevices))
    }

    /// A place for what is removed, used by nobody yet. What is left of a task that was
    /// not restored must not pass for the worktree of the one in the archive.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(super) fn trash_for(&self, task: &Task) -> Result<PathBuf> {
        let (id, trash) = (&task.id, self.trash());
        let (archived, unread) = match task.restored {
            Some(_) => archive::list_all(self)?,
            None => Listed::default(),
        };
        let is_free = |place: &PathBuf| {
            let names = archived.iter().map(|one| &one.name);
            let mut names = names.chain(unread.iter().map(|one| &one.name));
            let name = archive::name_of(place);
            names.all(|taken| Some(taken) != name.as_ref())
        };
        (self.repo.sharing()?)
            .make_dir(&trash)
            .with_context(|| format!("could not make '{}'", trash.display()))?;
        for place in self.places(id).filter(is_free) {
            // Files are put into it by names that can be foretold: it is its owner's alone.
            match DirBuilder::new().mode(0o700).create(&place) {
                Ok(()) => return Ok(place),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(error)
                        .with_context(|| format!("could not make '{}'", place.display()));
                }
            }
        }
        bail!("the trash is full")
    }

    /// Where in the trash a task may be: `<id>`, `<id>.1` … No id has a dot.
    fn places(&self, id: &TaskId) -> impl Iterator<Item = PathBuf> {
        let trash = self.trash();
        archive::names(id).map(move |name| trash.join(name))
    }

    /// Where a command that was killed has moved the task's worktree, if it has.
    ///
    /// # Errors
    /// When it cannot be told.
    pub(super) fn moved_to(&self, task: &Task) -> Result<Option<PathBuf>> {
        // A place that the archive names is that of a task that was removed before.
        let removed = archive::list(self)?;
        let is_taken = |place: &Path| {
            let name = archive::name_of(place);
            removed.iter().any(|one| Some(&one.name) == name.as_ref())
        };
        let mut found = None;
        for place in self.places(&task.id).take_while(|place| place.exists()) {
            let common = self.repo.common_dir();
            if !is_taken(&place) && admin::was_moved_to(common, &task.worktree, &place)? {
                found = Some(place);
            }
        }
        Ok(found)
    }
}
