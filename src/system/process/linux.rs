//! Processes in `/proc`, on Linux; elsewhere no process is visible.

use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::stat::Stat;

/// `--cfg no_processes` builds a program for a system that shows no processes, to test it on Linux.
const PROC: &str = if cfg!(no_processes) { "/none" } else { "/proc" };

/// Reads the facts about the process `pid` from `/proc/<pid>/stat`; `None` if it cannot be read.
pub(super) fn stat(pid: i32) -> Option<Stat> {
    let stat = fs::read(format!("{PROC}/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The second field is the program's name in parentheses, and may contain anything.
    let (head, tail) = stat.rsplit_once(") ")?;
    let mut fields = tail.split(' ');
    Some(Stat {
        pid,
        name: head.split_once('(')?.1.to_owned(),
        state: fields.next()?.chars().next()?,
        parent: fields.next()?.parse().ok()?,
        group: fields.next()?.parse().ok()?,
        session: fields.next()?.parse().ok()?,
        foreground: fields.nth(1)?.parse().ok()?,
        born: fields.nth(13)?.parse().ok()?,
    })
}

/// Returns the id of the present boot of the system; `None` if it has none.
pub(crate) fn boot_id() -> Option<String> {
    line(format!("{PROC}/sys/kernel/random/boot_id"))
}

/// Returns the id of this machine that systemd or D-Bus has stored; `None` if there is none.
pub(crate) fn machine_id() -> Option<String> {
    let id = line("/etc/machine-id").or_else(|| line("/var/lib/dbus/machine-id"));
    id.filter(|id| !id.is_empty() && id != "uninitialized")
}

/// Returns the name of this host; `None` if it cannot be read.
pub(crate) fn hostname() -> Option<String> {
    line(format!("{PROC}/sys/kernel/hostname"))
}

fn line(file: impl AsRef<Path>) -> Option<String> {
    let line = fs::read_to_string(file).ok()?;
    Some(line.trim_end().to_owned())
}

/// Returns the PID namespace of a process, such as `pid:[4026531836]`; `pid` may be `self` for this
/// one. `None` if it is not visible.
pub(super) fn pid_namespace(pid: impl Display) -> Option<String> {
    let link = fs::read_link(format!("{PROC}/{pid}/ns/pid")).ok()?;
    link.into_os_string().into_string().ok()
}

/// Returns the command line of the process `pid`, program and arguments; `None` if it is not
/// visible.
pub(super) fn arguments(pid: i32) -> Option<Vec<OsString>> {
    let bytes = fs::read(format!("{PROC}/{pid}/cmdline")).ok()?;
    let words = bytes.strip_suffix(b"\0")?.split(|byte| *byte == 0);
    Some(words.map(|word| OsStr::from_bytes(word).into()).collect())
}

/// Returns the working directory of the process `pid`; `None` if the process has ended or
/// belongs to another user.
pub(super) fn cwd(pid: i32) -> Option<PathBuf> {
    fs::read_link(format!("{PROC}/{pid}/cwd")).ok()
}

/// Returns the path of the file that the process `pid` has open as `descriptor`; `pipe:[…]` for a
/// pipe. `None` if it is not visible.
pub(super) fn open_file_path(pid: i32, descriptor: i32) -> Option<PathBuf> {
    fs::read_link(format!("{PROC}/{pid}/fd/{descriptor}")).ok()
}

/// Lists the ids of all processes in `/proc`.
pub(super) fn list_pids() -> Result<Vec<i32>> {
    let mut pids = Vec::new();
    for entry in fs::read_dir(PROC).context("could not list the processes")? {
        let name = entry.context("could not list the processes")?.file_name();
        pids.extend(name.to_str().and_then(|name| name.parse::<i32>().ok()));
    }
    Ok(pids)
}
