//! The trash: removed worktrees, whole.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process;

use anyhow::{Context as _, Result, bail};

use super::{Listed, tree};
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{admin, trash};
use crate::lifecycle::archive;
use crate::system::optional;
use crate::task::Task;
use crate::ui::quoted;

/// What is being deleted has a name that begins with this.
const GOING: &str = ".going-";

/// The mark of a worktree that holds what no snapshot has: it stays until its task is deleted.
pub(in crate::lifecycle) const ONLY: &str = "only";

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
    pub(in crate::lifecycle) fn is_abroad(&self, path: &Path) -> Result<bool> {
        let trash = Some(self.trash()).filter(|trash| trash.exists());
        let there = trash.unwrap_or_else(|| self.repo.flux_dir());
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
    pub(in crate::lifecycle) fn trash_for(&self, task: &Task) -> Result<PathBuf> {
        let (id, trash) = (&task.id, self.trash());
        let Listed { archived, unread } = match task.restored {
            Some(_) => archive::list_all(self)?,
            None => Listed::default(),
        };
        let archived = archived.iter().map(|one| &one.name);
        let taken: Vec<&String> = archived.chain(unread.iter().map(|one| &one.name)).collect();
        let could_not_make = |place: &Path| format!("could not make '{}'", place.display());
        let made = self.repo.sharing()?.make_dir(&trash);
        made.with_context(|| could_not_make(&trash))?;
        for name in archive::names(id).filter(|name| !taken.contains(&name)) {
            let place = trash.join(name);
            // Files are put into it by names that can be foretold: it is its owner's alone.
            match DirBuilder::new().mode(0o700).create(&place) {
                Ok(()) => return Ok(place),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).with_context(|| could_not_make(&place)),
            }
        }
        bail!("the trash is full")
    }

    /// Where a command that was killed has moved the task's worktree, if it has.
    ///
    /// # Errors
    /// When it cannot be told.
    pub(in crate::lifecycle) fn moved_to(&self, task: &Task) -> Result<Option<PathBuf>> {
        // A place that the archive names is that of a task that was removed before.
        let (removed, common) = (archive::list(self)?, self.repo.common_dir());
        let mut found = None;
        for name in archive::names(&task.id) {
            let place = self.trash().join(&name);
            if !place.exists() {
                break;
            }
            let is_taken = removed.iter().any(|one| one.name == name);
            if !is_taken && admin::was_moved_to(common, &task.worktree, &place)? {
                found = Some(place);
            }
        }
        Ok(found)
    }
}

/// Gives what lies at `place` in the trash a name of what is being deleted, and returns where
/// it is then; none if there is nothing.
///
/// # Errors
/// When it cannot be renamed.
pub(in crate::lifecycle) fn set_aside(place: &Path) -> Result<Option<PathBuf>> {
    let name = archive::name_of(place).context("a name in the trash is ours")?;
    // One of this name may be left of a process that was killed, or of one that could not.
    for n in 0_u32.. {
        let aside = place.with_file_name(format!("{GOING}{name}.{}.{n}", process::id()));
        if aside.symlink_metadata().is_err() {
            let what = || format!("could not move '{}' in the trash", place.display());
            let moved = optional(fs::rename(place, &aside)).with_context(what)?;
            return Ok(moved.map(|()| aside));
        }
    }
    bail!("the trash is full")
}

/// Returns whether what lies at `place` is being deleted, or was to be.
pub(in crate::lifecycle) fn is_going(place: &Path) -> bool {
    let name = place.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(GOING.as_bytes())
}

/// Deletes what [`set_aside`] has put aside.
///
/// # Errors
/// When some of it stays: the file at fault, and how to get rid of it.
pub(in crate::lifecycle) fn clear(aside: &Path) -> Result<()> {
    let what = format!("what is left of it is in '{}'", aside.display());
    // An earlier git flux left it running.
    if let Some(common_dir) = aside.ancestors().nth(3) {
        trash::stop_monitor(common_dir, &aside.join("entry"));
    }
    tree::delete(aside).with_context(|| Failure::new(what).hint(rid(aside)))
}

/// The command that deletes what we cannot.
pub(in crate::lifecycle) fn rid(aside: &Path) -> String {
    format!("sudo rm -rf {}", quoted(aside))
}
