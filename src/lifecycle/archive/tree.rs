//! Measures and deletes directories, however deep, past what refuses.
//!
//! A path may be longer than the system takes, and a process may have few files open: one
//! directory is open at a time, and the way back is its own `..`, which must be the parent still.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Error, Result};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
use nix::libc::{dev_t, ino_t};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, SFlag, fchmod, fchmodat, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::ui::shown;

/// How long a path in a message may be, in bytes.
const MAX_PATH_CHARS: usize = 400;

/// Returns how many bytes the files below `path` have.
///
/// # Errors
/// Names the first file that could not be looked at.
pub(crate) fn measure(path: &Path) -> Result<u64> {
    walk(path, Purpose::Measure)
}

/// Deletes `path` and all below it. What cannot be deleted does not stop the rest; that
/// there is nothing is no error.
///
/// # Errors
/// Names the first file that stays, and why.
pub(in crate::lifecycle) fn delete(path: &Path) -> Result<()> {
    walk(path, Purpose::Delete).map(drop)
}

/// What is done with each file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Measure,
    Delete,
}

fn walk(root: &Path, purpose: Purpose) -> Result<u64> {
    let mut walk = Walk {
        root,
        deletes: purpose == Purpose::Delete,
        bytes: 0,
        levels: Vec::new(),
        fault: None,
    };
    walk.run();
    let Some((path, error)) = walk.fault else {
        return Ok(walk.bytes);
    };
    let mut text = shown(&path);
    if let Some((end, _)) = text.char_indices().nth(MAX_PATH_CHARS) {
        text.replace_range(end.., "…");
    }
    let verb = if walk.deletes { "delete" } else { "measure" };
    Err(Error::new(io::Error::from(error)).context(format!("could not {verb} '{text}'")))
}

/// A directory on the way down.
struct Level {
    name: OsString,
    /// Device and number, by which it is known again.
    inode: (dev_t, ino_t),
    /// The directories in it that are still to be looked at.
    left: Vec<CString>,
}

struct Walk<'a> {
    root: &'a Path,
    deletes: bool,
    bytes: u64,
    levels: Vec<Level>,
    /// What refused first. A directory stays where something in it does, which is not its fault.
    fault: Option<(PathBuf, Errno)>,
}

impl Walk<'_> {
    fn run(&mut self) {
        let (top, root) = (AT_FDCWD, cstring(self.root.as_os_str()));
        match fstatat(top, self.root, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Err(Errno::ENOENT) if self.deletes => return,
            Err(error) => return self.note_fault(None, error),
            Ok(found) if !is_dir(&found) => {
                self.bytes += found.st_size.unsigned_abs();
                return self.remove(top, &root, UnlinkatFlags::NoRemoveDir);
            }
            Ok(_) => {}
        }
        let mut dir = match self.enter(top, &root) {
            Ok(dir) => dir,
            Err(error) => return self.note_fault(None, error),
        };
        while let Some(level) = self.levels.last_mut() {
            if let Some(name) = level.left.pop() {
                match self.enter(dir.as_fd(), &name) {
                    Ok(below) => dir = below,
                    Err(error) => self.note_fault(Some(&name), error),
                }
                continue;
            }
            let Some(done) = self.levels.pop() else {
                return;
            };
            if self.levels.is_empty() {
                return self.remove(top, &root, UnlinkatFlags::RemoveDir);
            }
            dir = match self.open_parent(&dir) {
                Ok(parent) => parent,
                Err(error) => return self.note_fault(None, error),
            };
            self.remove(dir.as_fd(), &cstring(&done.name), UnlinkatFlags::RemoveDir);
        }
    }

    /// Opens a directory, looks at what is in it, and deletes what is no directory.
    fn enter(&mut self, parent: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let open = || openat(parent, name, flags, Mode::empty());
        let dir = match open() {
            // A directory of ours may keep even us out; of another's this fails.
            Err(Errno::EACCES) if self.deletes => {
                let how = FchmodatFlags::NoFollowSymlink;
                fchmodat(parent, name, Mode::S_IRWXU, how).map_err(|_| Errno::EACCES)?;
                open()?
            }
            opened => opened?,
        };
        let found = fstat(&dir)?;
        let mode = Mode::from_bits_truncate(found.st_mode);
        if self.deletes && !mode.contains(Mode::S_IRWXU) {
            // One that is read-only, as Go leaves them. Where it fails, the deletion says why.
            fchmod(&dir, mode | Mode::S_IRWXU).ok();
        }
        self.levels.push(Level {
            name: OsStr::from_bytes(name.to_bytes()).to_owned(),
            inode: inode(&found),
            left: Vec::new(),
        });
        match self.read_dir(dir.as_fd()) {
            Ok(left) => self.levels.last_mut().expect("it was pushed").left = left,
            Err(error) => self.note_fault(None, error),
        }
        Ok(dir)
    }

    /// Returns to the last of the levels from `dir`, which was in it; from the top where `dir`
    /// keeps us out.
    fn open_parent(&self, dir: &OwnedFd) -> Result<OwnedFd, Errno> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let parent = openat(dir, "..", flags, Mode::empty()).or_else(|_| {
            let top = openat(AT_FDCWD, self.root, flags, Mode::empty())?;
            let mut names = self
                .levels
                .iter()
                .skip(1)
                .map(|level| level.name.as_os_str());
            names.try_fold(top, |dir, name| openat(dir, name, flags, Mode::empty()))
        })?;
        let is_parent =
            self.levels.last().map(|level| level.inode) == Some(inode(&fstat(&parent)?));
        // It may have been moved meanwhile.
        if is_parent {
            Ok(parent)
        } else {
            Err(Errno::ESTALE)
        }
    }

    /// Returns the directories in `dir`.
    fn read_dir(&mut self, dir: BorrowedFd<'_>) -> Result<Vec<CString>, Errno> {
        // Its own file position, beside that of `dir`.
        let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut list = Dir::openat(dir, ".", flags, Mode::empty())?;
        // What is deleted while a directory is read may hide the next.
        let entries: Vec<_> = list.iter().collect();
        let mut dirs = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            match fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
                Ok(found) if is_dir(&found) => dirs.push(name.to_owned()),
                Ok(_) if self.deletes => self.remove(dir, name, UnlinkatFlags::NoRemoveDir),
                Ok(found) => self.bytes += found.st_size.unsigned_abs(),
                Err(Errno::ENOENT) => {}
                Err(error) => self.note_fault(Some(name), error),
            }
        }
        Ok(dirs)
    }

    fn remove(&mut self, parent: BorrowedFd<'_>, name: &CStr, how: UnlinkatFlags) {
        if !self.deletes {
            return;
        }
        if let Err(error) = unlinkat(parent, name, how)
            && error != Errno::ENOENT
        {
            self.note_fault((!self.levels.is_empty()).then_some(name), error);
        }
    }

    /// Notes what refused: `name` in the directory that is looked at, or that itself.
    fn note_fault(&mut self, name: Option<&CStr>, error: Errno) {
        if self.fault.is_some() {
            return;
        }
        let mut path = self.root.to_owned();
        path.extend(self.levels.iter().skip(1).map(|level| &level.name));
        path.extend(name.map(|name| OsStr::from_bytes(name.to_bytes())));
        self.fault = Some((path, error));
    }
}

fn cstring(name: &OsStr) -> CString {
    CString::new(name.as_bytes()).expect("a path has no NUL")
}

fn is_dir(found: &FileStat) -> bool {
    SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR
}

fn inode(found: &FileStat) -> (dev_t, ino_t) {
    (found.st_dev, found.st_ino)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn what_is_deeper_than_a_path_may_be_is_measured_and_deleted() {
        let world = tempfile::tempdir().unwrap();
        let root = world.path().join("deep");
        let kept = world.path().join("kept");
        fs::write(&kept, "mine").unwrap();
        fs::create_dir(&root).unwrap();
        symlink(&kept, root.join("link")).unwrap();
        // From the inside out: no path is long.
        let (step, next) = (world.path().join("step"), world.path().join("next"));
        fs::create_dir(&step).unwrap();
        fs::write(step.join("file"), "12345").unwrap();
        for _ in 0..3000 {
            fs::create_dir(&next).unwrap();
            fs::rename(&step, next.join("directory")).unwrap();
            fs::rename(&next, &step).unwrap();
        }
        fs::rename(&step, root.join("directory")).unwrap();
        let link = kept.as_os_str().len() as u64;
        assert_eq!(measure(&root).unwrap(), 5 + link);
        delete(&root).unwrap();
        assert!(!root.exists() && kept.exists());
        delete(&root).unwrap();
        assert!(measure(&root).is_err());
    }

    #[test]
    fn a_directory_that_is_read_only_is_deleted() {
        let world = tempfile::tempdir().unwrap();
        let root = world.path().join("root");
        for (name, mode) in [("read", 0o500), ("none", 0o000)] {
            let dir = root.join(name);
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join("file"), "").unwrap();
            fs::set_permissions(&dir, fs::Permissions::from_mode(mode)).unwrap();
        }
        delete(&root).unwrap();
        assert!(!root.exists());
    }
}
