//! Copies of untracked files in a new worktree: those that `flux.copy` and `.worktreeinclude` match in
//! the main worktree, as git matches them. No file is overwritten, and no link is followed.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File, FileTimes, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink,
};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nix::libc::O_NOFOLLOW;

use crate::context::Flux;
use crate::git::ls_files;
use crate::interrupt;
use crate::system::none_if_missing;
use crate::task::Task;
use crate::ui::words::count;
use crate::ui::{Ui, shown};

/// The repository's patterns of files to copy, in the format of `.gitignore`.
const INCLUDE_FILE: &str = ".worktreeinclude";

/// The bytes that are copied between two checks for ^C.
const CHUNK_BYTES: u64 = 64 << 20;

/// The maximal number of warnings about files.
const MAX_WARNINGS: usize = 3;

/// The files that were copied from one worktree to another.
#[derive(Default)]
pub(super) struct Copies {
    main: PathBuf,
    worktree: PathBuf,
    files: Vec<(PathBuf, FileStamp)>,
    /// The created directories.
    dirs: Vec<PathBuf>,
    /// Directories of the worktree that exist and are no links.
    checked: HashSet<PathBuf>,
}

/// Inode, size and ctime of a file, by which a change is found.
type FileStamp = (u64, u64, i64, i64);

fn stamp(file: &Metadata) -> FileStamp {
    (file.ino(), file.size(), file.ctime(), file.ctime_nsec())
}

impl Copies {
    /// Copies the untracked files that `flux.copy` and `.worktreeinclude` match into the worktree
    /// of `task`, from the main worktree or, in a bare repository, the current one; prints their
    /// number. Fails if the disk is full or on ^C; warns of other failures.
    pub(super) fn create(&mut self, flux: &Flux, task: &Task) -> Result<()> {
        // A bare repository has no main worktree.
        let Some(main) = flux.repo.main().or(flux.repo.current()) else {
            return Ok(());
        };
        let patterns = flux.settings.copy_patterns();
        let include = main.join(INCLUDE_FILE);
        let found = include.symlink_metadata();
        let include = found.is_ok_and(|found| found.is_file()).then_some(include);
        if patterns.is_empty() && include.is_none() {
            return Ok(());
        }
        let _spinner = flux.ui.spinner("copying files");
        let mut files = ls_files::list_matching(main, &patterns, include.as_deref())?;
        if files.is_empty() {
            return Ok(());
        }
        let tracked = ls_files::list_tracked(&flux.repo.checkout(&task.worktree)?)?;
        files.retain(|file| !tracked.contains(file));
        (self.main, self.worktree) = (main.to_owned(), task.worktree.clone());
        let failed = self.copy_all(&files)?;
        report(&flux.ui, self.files.len(), &failed);
        Ok(())
    }

    /// Copies `files` from the main worktree into the new one, and returns those that cannot be
    /// copied. Fails if the disk is full or on ^C.
    fn copy_all<'a>(&mut self, files: &'a [PathBuf]) -> Result<Vec<(&'a Path, io::Error)>> {
        let mut failed = Vec::new();
        for file in files {
            interrupt::check()?;
            match self.copy(file) {
                Err(error) if is_fatal(&error) => {
                    interrupt::check()?;
                    return Err(error).with_context(|| format!("could not copy '{}'", shown(file)));
                }
                Err(error) => failed.push((file.as_path(), error)),
                Ok(()) => {}
            }
        }
        // Best effort. Last, because each new file changes the times.
        for dir in self.dirs.iter().rev() {
            drop(copy_times(&self.main.join(dir), &self.worktree.join(dir)));
        }
        Ok(failed)
    }

    /// Copies a file or a symbolic link from the main worktree into the new one, with its missing
    /// directories. Does nothing if something is at its path there.
    fn copy(&mut self, file: &Path) -> io::Result<()> {
        if let Some(dir) = file.parent() {
            self.create_dir(dir)?;
        }
        let (from, to) = (self.main.join(file), self.worktree.join(file));
        if to.symlink_metadata().is_ok() {
            return Ok(());
        }
        if from.symlink_metadata()?.is_symlink() {
            symlink(fs::read_link(&from)?, &to)?;
        } else if let Err(error) = copy_file(&from, &to) {
            if error.kind() != ErrorKind::AlreadyExists {
                drop(fs::remove_file(&to));
            }
            return Err(error);
        }
        let stamp = stamp(&to.symlink_metadata()?);
        self.files.push((file.to_owned(), stamp));
        Ok(())
    }

    /// Creates a directory and its parents in the new worktree, if missing, with the permissions of
    /// the original, but writable. Fails if a link or file is at its path.
    fn create_dir(&mut self, dir: &Path) -> io::Result<()> {
        if dir.as_os_str().is_empty() || self.checked.contains(dir) {
            return Ok(());
        }
        if let Some(parent) = dir.parent() {
            self.create_dir(parent)?;
        }
        let (from, to) = (self.main.join(dir), self.worktree.join(dir));
        match none_if_missing(to.symlink_metadata())? {
            Some(found) if found.is_dir() => {}
            Some(_) => {
                let message = format!("'{}' is not a directory in the new worktree", shown(dir));
                return Err(io::Error::new(ErrorKind::NotADirectory, message));
            }
            None => {
                let mode = from.symlink_metadata()?.permissions().mode();
                // Writable, even if the original is not.
                fs::DirBuilder::new().mode(0o700).create(&to)?;
                fs::set_permissions(&to, Permissions::from_mode(mode | 0o700))?;
                self.dirs.push(dir.to_owned());
            }
        }
        self.checked.insert(dir.to_owned());
        Ok(())
    }

    /// Deletes the copied files that have not changed since, then the created directories if they
    /// are empty. Ignores errors.
    pub(super) fn remove(&self) {
        for (file, known) in &self.files {
            let file = self.worktree.join(file);
            if file.symlink_metadata().is_ok_and(|f| stamp(&f) == *known) {
                drop(fs::remove_file(&file));
            }
        }
        for dir in self.dirs.iter().rev() {
            drop(fs::remove_dir(self.worktree.join(dir)));
        }
    }
}

/// Copies the untracked files that `patterns` match from the main worktree into the worktree at `to`,
/// which has no other files yet, with their times; prints their number. Copies nothing in a bare
/// repository. Fails if the disk is full or on ^C; warns of other failures.
pub(in crate::lifecycle) fn seed(flux: &Flux, patterns: &[OsString], to: &Path) -> Result<()> {
    let (Some(main), false) = (flux.repo.main(), patterns.is_empty()) else {
        return Ok(());
    };
    let _spinner = flux.ui.spinner("copying files");
    let files = ls_files::list_matching(main, patterns, None)?;
    let mut copies = Copies {
        main: main.to_owned(),
        worktree: to.to_owned(),
        ..Copies::default()
    };
    let failed = copies.copy_all(&files)?;
    report(&flux.ui, copies.files.len(), &failed);
    Ok(())
}

/// Returns whether an error ends the copying: the disk or quota is full, or the user pressed ^C.
fn is_fatal(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::Interrupted
    )
}

fn report(ui: &Ui, copied: usize, failed: &[(&Path, io::Error)]) {
    if copied > 0 {
        let files = count(copied, "file");
        ui.status(format_args!("Copied {files} into the new worktree."));
    }
    for (file, error) in failed.iter().take(MAX_WARNINGS) {
        let file = shown(file);
        ui.warning(format_args!("could not copy '{file}': {error}"));
    }
    if failed.len() > MAX_WARNINGS {
        let more = failed.len() - MAX_WARNINGS;
        ui.warning(format_args!("{more} more files could not be copied"));
    }
}

/// Copies a regular file with its permissions and times. Fails if `to` exists, or on ^C. The kernel
/// copies, and shares the blocks if the file system can.
fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let mut open = OpenOptions::new();
    let source = open.read(true).custom_flags(O_NOFOLLOW).open(from)?;
    let found = source.metadata()?;
    let mut new = OpenOptions::new();
    let mut target = new.write(true).create_new(true).mode(0o600).open(to)?;
    if cfg!(target_os = "macos") {
        // One call copies the whole file, and needs a free name.
        drop(target);
        fs::remove_file(to)?;
        fs::copy(from, to)?;
        return copy_times(from, to);
    }
    while io::copy(&mut (&source).take(CHUNK_BYTES), &mut target)? == CHUNK_BYTES {
        if interrupt::is_requested() {
            return Err(ErrorKind::Interrupted.into());
        }
    }
    target.set_permissions(found.permissions())?;
    target.set_times(times(&found)?)
}

fn copy_times(from: &Path, to: &Path) -> io::Result<()> {
    File::open(to)?.set_times(times(&from.symlink_metadata()?)?)
}

fn times(file: &Metadata) -> io::Result<FileTimes> {
    Ok(FileTimes::new()
        .set_accessed(file.accessed()?)
        .set_modified(file.modified()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::start::world::{World, git, new};

    #[test]
    fn remove_keeps_changed_copies() {
        let world = World::new();
        let (home, task) = (world.home(), world.start(new()).task);
        fs::write(home.join(".worktreeinclude"), "env\nother/\n").unwrap();
        fs::create_dir(home.join("other")).unwrap();
        fs::write(home.join("other/file"), "1").unwrap();
        fs::write(home.join(".git/info/exclude"), "other/\n").unwrap();
        git(home, ["worktree", "add", "-q", "--detach", "../repo-fix"]);
        let mut copies = Copies::default();
        copies.create(&world.flux, &task).unwrap();
        let [env, other] = ["env", "other/file"].map(|name| task.worktree.join(name));
        assert!(env.exists() && other.exists());
        fs::write(&env, "mine").unwrap();
        copies.remove();
        assert_eq!(fs::read_to_string(env).unwrap(), "mine");
        assert!(!other.exists() && !task.worktree.join("other").exists());
        assert!(home.join("other/file").exists());
    }
}
