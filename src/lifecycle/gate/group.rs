//! The process group of a running gate, with a record by which another command can end it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::run::file::read_json;
use crate::system::{Sharing, none_if_missing, process};

/// The time between SIGTERM and SIGKILL.
const TERM_TIMEOUT: Duration = Duration::from_secs(1);

/// The time to wait for the end of a killed process, which the kernel may delay.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

const INTERVAL: Duration = Duration::from_millis(10);

/// The process group of a running gate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct GateGroup {
    /// Its id, and that of its leader.
    group: i32,
    /// The start of its leader, by which it is recognized.
    born: Option<u64>,
    boot: Option<String>,
    namespace: Option<String>,
    /// The first port that is reserved for the gate.
    pub(super) port: Option<u16>,
}

impl GateGroup {
    /// Returns the process group whose leader, `child`, has just been started.
    pub(super) fn of(child: &Child, port: Option<u16>) -> Self {
        let group = child.id().cast_signed();
        Self {
            group,
            born: process::start_time(group),
            boot: process::boot_id(),
            namespace: process::own_pid_namespace(),
            port,
        }
    }

    fn file(dir: &Path) -> PathBuf {
        dir.join("running")
    }

    /// Writes the record of the process group to the file `running` in `dir`.
    pub(super) fn write(&self, dir: &Path, sharing: Sharing) -> Result<()> {
        sharing.write(&Self::file(dir), &serde_json::to_vec(self)?)
    }

    /// Reads the record of the process group that a killed command has left; `None` if there is
    /// none, or if it is damaged.
    pub(super) fn read(dir: &Path) -> Option<Self> {
        read_json(&Self::file(dir)).ok()?
    }

    /// Deletes the record in `dir`, after the group has ended.
    pub(super) fn remove(dir: &Path) -> Result<()> {
        let file = Self::file(dir);
        let removed = none_if_missing(fs::remove_file(&file));
        removed.with_context(|| format!("could not delete '{}'", file.display()))?;
        Ok(())
    }

    /// Ends the process group of this process's child: SIGTERM, and SIGKILL after a second.
    pub(super) fn end(&self, child: &mut Child) -> Result<()> {
        let mut has_ended = || {
            // A zombie leader belongs to the group until it is waited for.
            drop(child.try_wait());
            !process::has_live_group(self.group)
        };
        self.signal(&mut has_ended)
    }

    /// Ends the process group that a killed command has left, if its leader is the recorded
    /// process, in the worktree `place`. If the leader is gone, kills the processes of the group
    /// that are in `place`. Ends no other process: an agent could write the record. Fails if the
    /// group may still run, and belongs to another user or cannot be checked.
    pub(super) fn end_left(&self, place: &Path) -> Result<()> {
        let is_here =
            self.boot == process::boot_id() && self.namespace == process::own_pid_namespace();
        // 1 and below are no groups of a gate.
        if !is_here || self.group <= 1 || !process::has_live_group(self.group) {
            return Ok(());
        }
        let has_leader = self.born.is_some() && process::is_alive(self.group, self.born);
        // Its id was given to another process, which happens only after the group has ended.
        if !has_leader && self.born.is_some() && process::is_alive(self.group, None) {
            return Ok(());
        }
        let group = self.group;
        if killpg(Pid::from_raw(group), None) == Err(Errno::EPERM) {
            let what = format!("process group {group} of another user may still run the gate");
            bail!(Failure::new(what).hint(format!("ps -f -p {group}")));
        }
        if !has_leader && !process::are_visible() {
            let what = format!("process group {group} may still run the gate");
            bail!(Failure::new(what).hint(format!("kill -- -{group}")));
        }
        if has_leader {
            return match process::is_group_leader_in(self.group, place) {
                Some(true) => self.signal(&mut || !process::has_live_group(self.group)),
                _ => Ok(()),
            };
        }
        for pid in process::list_group_in(self.group, place)? {
            kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
        }
        Ok(())
    }

    fn signal(&self, has_ended: &mut dyn FnMut() -> bool) -> Result<()> {
        let group = Pid::from_raw(self.group);
        for (signal, timeout) in [
            (Signal::SIGTERM, TERM_TIMEOUT),
            (Signal::SIGKILL, KILL_TIMEOUT),
        ] {
            killpg(group, signal).ok();
            killpg(group, Signal::SIGCONT).ok();
            let begun = Instant::now();
            // ^C has perhaps arrived already, and must not end this.
            while begun.elapsed() < timeout {
                if has_ended() {
                    return Ok(());
                }
                thread::sleep(INTERVAL);
            }
        }
        let what = format!("could not end the processes of the gate, group {group}");
        bail!(Failure::new(what).hint(format!("kill -KILL -- -{group}")))
    }
}

#[cfg(test)]
#[cfg(not(no_processes))]
mod tests {
    use std::io::Read as _;
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, Stdio};

    use super::*;

    /// Starts a shell in a group of its own, and waits until it has printed a byte.
    fn start(script: &str, dir: &Path) -> Child {
        let mut command = Command::new("sh");
        let command = command.args(["-c", script]).current_dir(dir);
        let command = command.process_group(0).stdout(Stdio::piped());
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        child
    }

    const IGNORES_TERM: &str = "trap '' TERM; (echo; exec cat) & cat; wait";

    #[test]
    fn end_kills_a_group_that_ignores_sigterm() {
        let mut child = start(IGNORES_TERM, Path::new("/"));
        let group = GateGroup::of(&child, None);
        assert!(process::has_live_group(group.group));
        group.end(&mut child).unwrap();
        assert!(!process::has_live_group(group.group));
    }

    #[test]
    fn end_left_ends_only_the_recorded_process() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().canonicalize().unwrap();
        let mut child = start("echo; exec cat", &dir);
        let group = GateGroup::of(&child, Some(20_000));
        group.write(&dir, Sharing::Umask).unwrap();
        let read = GateGroup::read(&dir).unwrap();
        assert_eq!((read.group, read.port), (group.group, Some(20_000)));
        for other in [
            GateGroup {
                born: group.born.map(|born| born + 1),
                ..group.clone()
            },
            GateGroup {
                boot: Some("another".to_owned()),
                ..group.clone()
            },
            GateGroup {
                namespace: None,
                ..group.clone()
            },
        ] {
            other.end_left(&dir).unwrap();
            assert!(child.try_wait().unwrap().is_none(), "{other:?}");
        }
        // A forged record names a process that is elsewhere.
        group.end_left(Path::new("/nowhere")).unwrap();
        assert!(child.try_wait().unwrap().is_none());
        let reaper = thread::spawn(move || child.wait().unwrap());
        read.end_left(&dir).unwrap();
        reaper.join().unwrap();
    }

    #[test]
    fn end_left_ends_the_processes_in_the_worktree_if_the_leader_is_gone() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().canonicalize().unwrap();
        // The other process holds the pipe, and reads nothing.
        let mut child = start("(echo; exec sleep 600) & exec true", &dir);
        let group = GateGroup::of(&child, None);
        child.wait().unwrap();
        group.end_left(Path::new("/nowhere")).unwrap();
        assert!(process::has_live_group(group.group));
        group.end_left(&dir).unwrap();
        let begun = Instant::now();
        while process::has_live_group(group.group) {
            assert!(begun.elapsed() < KILL_TIMEOUT * 6);
            thread::sleep(INTERVAL);
        }
    }
}
