//! The trash: the directory of removed worktrees.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process;

use anyhow::{Context as _, Result, bail};

use super::{Listing, tree};
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{admin, trash};
use crate::lifecycle::archive;
use crate::system::none_if_missing;
use crate::task::Task;
use crate::ui::quoted;

/// The prefix of names that are marked for deletion.
const MARK_PREFIX: &str = ".going-";

/// The file that marks a worktree without a snapshot: it is kept until its task is deleted.
pub(in crate::lifecycle) const SOLE_COPY_MARK: &str = "only";

impl Flux {
    /// Returns the path of the directory of removed worktrees, which may not exist:
    /// `<git-common-dir>/flux/trash`.
    pub(crate) fn trash(&self) -> PathBuf {
        self.repo.flux_dir().join("trash")
    }

    /// Returns whether `path` is on another file system or mount than the trash, so that `path`
    /// cannot be renamed into the trash. Tries to rename a file that does not exist, because two
    /// mounts may have the same device.
    pub(in crate::lifecycle) fn is_on_other_fs(&self, path: &Path) -> Result<bool> {
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

    /// Creates a new directory in the trash for a task, with the first free name of `<id>`,
    /// `<id>.1` …, and returns its path. If the task is being restored, skips the names of all
    /// archive entries.
    pub(in crate::lifecycle) fn make_trash_dir(&self, task: &Task) -> Result<PathBuf> {
        let (id, trash) = (&task.id, self.trash());
        let Listing { archived, unread } = match task.restored_from {
            Some(_) => archive::list_all(self)?,
            None => Listing::default(),
        };
        let archived = archived.iter().map(|one| &one.name);
        let taken: Vec<&String> = archived.chain(unread.iter().map(|one| &one.name)).collect();
        let could_not_make = |place: &Path| format!("could not make '{}'", place.display());
        let made = self.repo.sharing()?.make_dir(&trash);
        made.with_context(|| could_not_make(&trash))?;
        for name in archive::names(id).filter(|name| !taken.contains(&name)) {
            let place = trash.join(name);
            // Names of files in it are predictable, so only the owner may write.
            match DirBuilder::new().mode(0o700).create(&place) {
                Ok(()) => return Ok(place),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).with_context(|| could_not_make(&place)),
            }
        }
        bail!("no free name in the trash")
    }

    /// Returns the directory in the trash that a killed command moved the task's worktree to.
    /// `None` if there is none. Ignores directories of removed tasks.
    pub(in crate::lifecycle) fn find_moved_worktree(&self, task: &Task) -> Result<Option<PathBuf>> {
        // A directory that the archive names belongs to a task removed earlier.
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

/// Renames the directory `place` in the trash, which marks it for deletion, and returns its new
/// path; `None` if it does not exist. Deletes nothing.
pub(in crate::lifecycle) fn mark_for_deletion(place: &Path) -> Result<Option<PathBuf>> {
    let name = archive::trash_name(place).context("internal error: bad name in the trash")?;
    // An earlier process of the same pid may have left this name.
    for n in 0_u32.. {
        let marked = place.with_file_name(format!("{MARK_PREFIX}{name}.{}.{n}", process::id()));
        if marked.symlink_metadata().is_err() {
            let what = || format!("could not move '{}' in the trash", place.display());
            let moved = none_if_missing(fs::rename(place, &marked)).with_context(what)?;
            return Ok(moved.map(|()| marked));
        }
    }
    bail!("no free name in the trash")
}

/// Returns whether [`mark_for_deletion`] has renamed the directory `place`, by its name only.
pub(in crate::lifecycle) fn is_marked(place: &Path) -> bool {
    let name = place.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(MARK_PREFIX.as_bytes())
}

/// Deletes a directory that [`mark_for_deletion`] has renamed, with everything in it, and stops
/// git's file system monitor there. If files are left, the hint is the command that deletes them.
pub(in crate::lifecycle) fn delete_marked(marked: &Path) -> Result<()> {
    let what = format!("the rest of it is in '{}'", marked.display());
    // Earlier versions left the monitor running.
    if let Some(common_dir) = marked.ancestors().nth(3) {
        trash::stop_monitor(common_dir, &marked.join("entry"));
    }
    tree::delete(marked).with_context(|| Failure::new(what).hint(deletion_command(marked)))
}

/// Returns the shell command by which root deletes a directory: `sudo rm -rf <directory>`. Runs
/// nothing.
pub(in crate::lifecycle) fn deletion_command(marked: &Path) -> String {
    format!("sudo rm -rf {}", quoted(marked))
}
