//! Kills a process that takes too long.

use std::process::Child;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::interrupt;

/// The time between two checks for an interruption.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// Kills a process and its group after a time, or on an interruption.
pub(crate) struct Deadline {
    done: Sender<()>,
    watch: JoinHandle<bool>,
}

impl Deadline {
    /// Starts a thread that kills a child and its process group after `timeout`, or on SIGINT,
    /// SIGTERM or SIGHUP, unless [`Deadline::end`] is called first. The child must lead its group.
    pub(crate) fn new(child: &Child, timeout: Duration) -> Self {
        let group = i32::try_from(child.id()).ok().map(Pid::from_raw);
        let (done, ended) = channel();
        let begun = Instant::now();
        let watch = thread::spawn(move || {
            loop {
                if ended.recv_timeout(CHECK_INTERVAL) != Err(RecvTimeoutError::Timeout) {
                    return false;
                }
                if begun.elapsed() > timeout || interrupt::is_requested() {
                    group.map(|group| killpg(group, Signal::SIGKILL).ok());
                    return true;
                }
            }
        });
        Self { done, watch }
    }

    /// Stops the thread that would kill the child, and returns whether it has killed it. Does not
    /// wait for the child.
    pub(crate) fn end(self) -> bool {
        drop(self.done);
        self.watch.join().unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, Stdio};

    #[test]
    fn deadline_kills_a_process_and_its_children() {
        let run = |script: &str, timeout| {
            let mut command = Command::new("sh");
            let command = command.args(["-c", script]).stdout(Stdio::piped());
            let child = command.process_group(0).spawn().unwrap();
            let deadline = Deadline::new(&child, timeout);
            child.wait_with_output().unwrap();
            deadline.end()
        };
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        Command::new("mkfifo").arg(&pipe).status().unwrap();
        let waits = format!("(cat '{0}') & cat '{0}'", pipe.display());
        assert!(run(&waits, Duration::from_millis(1)));
        assert!(!run("true", Duration::from_secs(600)));
    }
}
