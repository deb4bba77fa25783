//! The process that holds a lock, on Linux.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::unistd::geteuid;

use crate::sanitize;

/// A process that holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) pid: i32,
    name: String,
}

impl Holder {
    /// Returns the process that took the lock on the file at `path`, or, if that has ended, another
    /// process that has the file open, which may have inherited the lock. `None` if there is none,
    /// or outside Linux.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let took = Self::owner(path).ok()?.and_then(Self::alive);
        took.or_else(|| Self::all().find(|holder| holder.has_open(path)))
    }

    /// Returns the id of the process that took the `flock` on the file at `path`, by `/proc/locks`;
    /// it may have ended while a child holds the lock. `None` if the PID namespace of `/proc` has no
    /// such process, even if the file is locked. Fails if the file or `/proc/locks` is missing.
    pub(super) fn owner(path: &Path) -> io::Result<Option<i32>> {
        let locks = fs::read_to_string("/proc/locks")?;
        let file = fs::symlink_metadata(path)?;
        let mut lines = locks.lines();
        Ok(lines.find_map(|line| owner(line, file.dev(), file.ino())))
    }

    fn alive(pid: i32) -> Option<Self> {
        let name = fs::read(format!("/proc/{pid}/comm")).ok()?;
        let name = sanitize::line(String::from_utf8_lossy(&name).trim_end());
        Some(Self { pid, name })
    }

    fn all() -> impl Iterator<Item = Self> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid: &i32| pid.cast_unsigned() != std::process::id())
            .filter_map(Self::alive)
    }

    fn has_open(&self, path: &Path) -> bool {
        let files = fs::read_dir(format!("/proc/{}/fd", self.pid));
        let mut files = files.into_iter().flatten().flatten();
        files.any(|file| fs::read_link(file.path()).is_ok_and(|file| file == path))
    }

    /// Returns whether the process that holds the lock is a git flux: whether the name of its
    /// program begins with `git-flux`.
    pub(super) fn is_git_flux(&self) -> bool {
        let program = fs::read_link(format!("/proc/{}/exe", self.pid));
        // The program of another user is hidden, its name is not.
        let program = program.unwrap_or_else(|_| self.name.as_str().into());
        let name = program.file_name().unwrap_or_default();
        name.as_encoded_bytes().starts_with(b"git-flux")
    }

    /// Returns a command about the process that holds the lock: `kill <pid>`, or `ps -fp <pid>` if
    /// it belongs to another user.
    pub(super) fn hint(&self) -> String {
        let pid = self.pid;
        let user = fs::metadata(format!("/proc/{pid}")).map(|process| process.uid());
        let us = geteuid();
        if us.is_root() || user.is_ok_and(|user| user == us.as_raw()) {
            format!("kill {pid}")
        } else {
            format!("ps -fp {pid}")
        }
    }

    /// Returns name and id of the process that holds the lock, for a message: `'<name>' (process
    /// <pid>)`.
    pub(super) fn shown(&self) -> String {
        format!("'{}' (process {})", self.name, self.pid)
    }
}

/// Returns the process id in a line of `/proc/locks`, such as `1: FLOCK  ADVISORY  WRITE 4711
/// fd:01:1310 0 EOF`, if it is a `flock` on the file with this device and inode. Returns `None` for
/// another file or kind of lock, and for a waiting process.
fn owner(line: &str, device: u64, inode: u64) -> Option<i32> {
    let mut fields = line.split_whitespace().skip(1);
    // A waiting process has an arrow here.
    if fields.next()? != "FLOCK" {
        return None;
    }
    let pid = fields.nth(2)?.parse().ok()?;
    let mut place = fields.next()?.split(':');
    let mut number = |radix| u64::from_str_radix(place.next()?, radix).ok();
    let (major, minor, found) = (number(16)?, number(16)?, number(10)?);
    let is_device = number_of(major, minor) == device;
    // Overlayfs and btrfs give their devices other numbers here than in `stat`.
    let is_unnamed = major == 0;
    (found == inode && (is_device || is_unnamed)).then_some(pid)
}

/// Returns the device number that `stat` returns on Linux for a major and a minor number.
fn number_of(major: u64, minor: u64) -> u64 {
    (minor & 0xff) | (major & 0xfff) << 8 | (minor & !0xff) << 12 | (major & !0xfff) << 32
}

#[cfg(test)]
mod tests {
    use super::owner;

    #[test]
    fn owner_is_found_by_device_and_inode() {
        let device = 0xfd01;
        let line = "1: FLOCK  ADVISORY  WRITE 4711 fd:01:1310 0 EOF";
        assert_eq!(owner(line, device, 1310), Some(4711));
        assert_eq!(owner(line, device, 1311), None);
        assert_eq!(owner(line, device + 1, 1310), None);
        assert_eq!(owner(&line.replace("fd:", "00:"), device, 1310), Some(4711));
        assert_eq!(owner(&line.replace("FLOCK", "POSIX"), device, 1310), None);
        assert_eq!(
            owner(&line.replace("FLOCK", "-> FLOCK"), device, 1310),
            None
        );
        assert_eq!(owner("", device, 1310), None);
        let large = line.replace("fd:01", "1fd:101");
        assert_eq!(owner(&large, 0x11_fd01, 1310), Some(4711));
    }
}
