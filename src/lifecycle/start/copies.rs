//! What git does not carry into a new worktree: the files that `flux.copy` and
//! `.worktreeinclude` name are copied from the main worktree.
//!
//! git says which they are. Nothing that is there is overwritten, and no link is
//! followed, neither to a file nor to a directory.

use std::collections::HashSet;
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
use crate::system::optional;
use crate::task::Task;
use crate::ui::words::count;
use crate::ui::{Ui, shown};

/// The repository's own list of files to copy, in gitignore form.
const INCLUDE: &str = ".worktreeinclude";

/// How much is copied between two looks at whether the user has had enough.
const CHUNK: u64 = 64 << 20;

/// How many files that could not be copied are named.
const NAMED: usize = 3;

/// What was copied from one worktree to another, so that it can be taken back.
#[derive(Default)]
pub(super) struct Copies {
    main: PathBuf,
    worktree: PathBuf,
    files: Vec<(PathBuf, Mark)>,
    /// The directories that were made.
    dirs: Vec<PathBuf>,
    /// Directories of the worktree that are none of somebody else's.
    known: HashSet<PathBuf>,
}

/// What a file is known by that nobody has touched since: its inode, its size and its last change.
type Mark = (u64, u64, i64, i64);

fn mark(file: &Metadata) -> Mark {
    (file.ino(), file.size(), file.ctime(), file.ctime_nsec())
}

impl Copies {
    /// Copies what is to be copied into the worktree of `task`.
    ///
    /// # Errors
    /// When git fails, the disk is full, or the user interrupts. A file that cannot be copied
    /// for another reason is a warning.
    pub(super) fn make(&mut self, flux: &Flux, task: &Task) -> Result<()> {
        // Where there is no main worktree, from where the user stands.
        let Some(main) = flux.repo.main().or(flux.repo.current()) else {
            return Ok(());
        };
        let patterns = flux.settings.copy();
        let include = main.join(INCLUDE);
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
        tell(&flux.ui, self.files.len(), &failed);
        Ok(())
    }

    /// Copies files, and returns those that could not be copied.
    fn copy_all<'a>(&mut self, files: &'a [PathBuf]) -> Result<Vec<(&'a Path, io::Error)>> {
        let mut failed = Vec::new();
        for file in files {
            interrupt::check()?;
            match self.copy(file) {
                Err(error) if ends_all(&error) => {
                    interrupt::check()?;
                    return Err(error).with_context(|| format!("could not copy '{}'", shown(file)));
                }
                Err(error) => failed.push((file.as_path(), error)),
                Ok(()) => {}
            }
        }
        // Directories get the times of those they stand for, now that they are full, as far as that works.
        for dir in self.dirs.iter().rev() {
            drop(keep_times(&self.main.join(dir), &self.worktree.join(dir)));
        }
        Ok(failed)
    }

    /// Copies a file, or a link as the link it is, unless something is there.
    fn copy(&mut self, file: &Path) -> io::Result<()> {
        if let Some(dir) = file.parent() {
            self.enter(dir)?;
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
        let mark = mark(&to.symlink_metadata()?);
        self.files.push((file.to_owned(), mark));
        Ok(())
    }

    /// Makes a directory of the worktree, if it is not there. A link leads out of it.
    fn enter(&mut self, dir: &Path) -> io::Result<()> {
        if dir.as_os_str().is_empty() || self.known.contains(dir) {
            return Ok(());
        }
        if let Some(parent) = dir.parent() {
            self.enter(parent)?;
        }
        let (from, to) = (self.main.join(dir), self.worktree.join(dir));
        match optional(to.symlink_metadata())? {
            Some(found) if found.is_dir() => {}
            Some(_) => {
                let message = format!("'{}' is no directory in the new worktree", shown(dir));
                return Err(io::Error::new(ErrorKind::NotADirectory, message));
            }
            None => {
                let mode = from.symlink_metadata()?.permissions().mode();
                // Whatever it is there, files have to be put into it here.
                fs::DirBuilder::new().mode(0o700).create(&to)?;
                fs::set_permissions(&to, Permissions::from_mode(mode | 0o700))?;
                self.dirs.push(dir.to_owned());
            }
        }
        self.known.insert(dir.to_owned());
        Ok(())
    }

    /// Removes what was copied and nobody has touched since.
    pub(super) fn take_back(&self) {
        for (file, known) in &self.files {
            let file = self.worktree.join(file);
            if file.symlink_metadata().is_ok_and(|f| mark(&f) == *known) {
                // What stays is found there, and kept as somebody's.
                drop(fs::remove_file(&file));
            }
        }
        for dir in self.dirs.iter().rev() {
            drop(fs::remove_dir(self.worktree.join(dir)));
        }
    }
}

/// Returns whether the next file would fail as well.
fn ends_all(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::Interrupted
    )
}

/// Says how many files were copied, and which were not.
fn tell(ui: &Ui, copied: usize, failed: &[(&Path, io::Error)]) {
    if copied > 0 {
        let files = count(copied, "file");
        ui.status(format_args!("Copied {files} into the new worktree."));
    }
    for (file, error) in failed.iter().take(NAMED) {
        let file = shown(file);
        ui.warning(format_args!("could not copy '{file}': {error}"));
    }
    if failed.len() > NAMED {
        let more = failed.len() - NAMED;
        ui.warning(format_args!("{more} more files could not be copied"));
    }
}

/// Copies one file with mode and times into a new one. The kernel does it, and where the file
/// system can, both share their blocks from then on.
fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let mut open = OpenOptions::new();
    let source = open.read(true).custom_flags(O_NOFOLLOW).open(from)?;
    let found = source.metadata()?;
    let mut new = OpenOptions::new();
    let mut target = new.write(true).create_new(true).mode(0o600).open(to)?;
    if cfg!(target_os = "macos") {
        // There it is one call for the whole file, to a name that is free.
        drop(target);
        fs::remove_file(to)?;
        fs::copy(from, to)?;
        return keep_times(from, to);
    }
    while io::copy(&mut (&source).take(CHUNK), &mut target)? == CHUNK {
        if interrupt::requested() {
            return Err(ErrorKind::Interrupted.into());
        }
    }
    target.set_permissions(found.permissions())?;
    target.set_times(times(&found)?)
}

fn keep_times(from: &Path, to: &Path) -> io::Result<()> {
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
    fn copies_are_taken_back_unless_they_have_changed() {
        let world = World::new();
        let (home, task) = (world.home(), world.start(new()).task);
        fs::write(home.join(".worktreeinclude"), "env\nother/\n").unwrap();
        fs::create_dir(home.join("other")).unwrap();
        fs::write(home.join("other/file"), "1").unwrap();
        fs::write(home.join(".git/info/exclude"), "other/\n").unwrap();
        git(home, ["worktree", "add", "-q", "--detach", "../repo-fix"]);
        let mut copies = Copies::default();
        copies.make(&world.flux, &task).unwrap();
        let [env, other] = ["env", "other/file"].map(|name| task.worktree.join(name));
        assert!(env.exists() && other.exists());
        fs::write(&env, "mine").unwrap();
        copies.take_back();
        assert_eq!(fs::read_to_string(env).unwrap(), "mine");
        assert!(!other.exists() && !task.worktree.join("other").exists());
        assert!(home.join("other/file").exists());
    }
}
