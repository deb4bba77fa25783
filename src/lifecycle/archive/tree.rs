//! Measures and deletes directories of any depth; errors do not stop it.
//!
//! A path may be longer than PATH_MAX, and a process may have few open files. So only one directory
//! is open at a time; the way back is its `..`, which must still be the parent.

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

/// The longest path in a message.
const MAX_PATH_CHARS: usize = 400;

/// Returns the total length of the files at and below `path`, in bytes, without directories.
/// Follows no links, and counts their own length. Fails if a file or directory cannot be accessed
/// or `path` is missing; the error names the first.
pub(crate) fn measure(path: &Path) -> Result<u64> {
    walk(path, Purpose::Measure)
}

/// Deletes `path` and everything below it, also read-only directories; follows no links. An error
/// does not stop the rest: fails at the end, and names the first file. A missing `path` is no
/// error.
pub(in crate::lifecycle) fn delete(path: &Path) -> Result<()> {
    walk(path, Purpose::Delete).map(drop)
}

/// The operation on each file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Measure,
    Delete,
}

fn walk(root: &Path, purpose: Purpose) -> Result<u64> {
    let mut walk = TreeWalk {
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

/// A directory between the root and the current one.
struct Level {
    name: OsString,
    /// Device and inode, to verify the way back.
    inode: (dev_t, ino_t),
    /// The subdirectories that are not visited yet.
    left: Vec<CString>,
}

struct TreeWalk<'a> {
    root: &'a Path,
    deletes: bool,
    bytes: u64,
    levels: Vec<Level>,
    /// The first error. Errors of parents follow from it.
    fault: Option<(PathBuf, Errno)>,
}

impl TreeWalk<'_> {
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

    /// Opens the directory `name` in `parent`, appends it to `levels`, the open path from the root,
    /// and measures or deletes the files in it, but not its subdirectories. To delete, gives the
    /// owner all permissions first.
    fn enter(&mut self, parent: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let open = || openat(parent, name, flags, Mode::empty());
        let dir = match open() {
            // The owner may lack permissions; for another user's directory this fails.
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
            // Go leaves read-only directories. If this fails, the deletion reports it.
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

    /// Opens the parent of `dir` again: by `..` or, if that is denied, by its path from the root.
    /// Fails if that is not the directory at the end of `levels`, as after a move.
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
        let last = self.levels.last().map(|level| level.inode);
        let is_parent = last == Some(inode(&fstat(&parent)?));
        // It may have been moved.
        if is_parent {
            Ok(parent)
        } else {
            Err(Errno::ESTALE)
        }
    }

    /// Measures or deletes the files in `dir`, and returns the names of its subdirectories.
    fn read_dir(&mut self, dir: BorrowedFd<'_>) -> Result<Vec<CString>, Errno> {
        // A separate file position from that of `dir`.
        let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut list = Dir::openat(dir, ".", flags, Mode::empty())?;
        // Deleting while reading may skip entries.
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

    /// Notes an error of `name` in the current directory, or of that directory itself; ignores all
    /// but the first.
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
    fn delete_and_measure_work_below_the_path_limit() {
        let world = tempfile::tempdir().unwrap();
        let root = world.path().join("deep");
        let kept = world.path().join("kept");
        fs::write(&kept, "mine").unwrap();
        fs::create_dir(&root).unwrap();
        symlink(&kept, root.join("link")).unwrap();
        // Built from the inside out, so that no path is long.
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
    fn delete_removes_a_read_only_directory() {
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
