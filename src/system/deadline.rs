//! The end of a process that takes too long.

use std::process::Child;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::interrupt;

/// How often it is looked for an interruption.
const LOOK: Duration = Duration::from_millis(100);

/// Ends a process and its group when its time is over, or on an interruption.
pub(crate) struct Deadline {
    done: Sender<()>,
    watch: JoinHandle<bool>,
}

impl Deadline {
    /// Begins to watch a child that leads a process group of its own. It is not waited for before
    /// [`Deadline::end`] is asked.
    pub(crate) fn new(child: &Child, patience: Duration) -> Self {
        let group = i32::try_from(child.id()).ok().map(Pid::from_raw);
        let (done, ended) = channel();
        let begun = Instant::now();
        let watch = thread::spawn(move || {
            loop {
                if ended.recv_timeout(LOOK) != Err(RecvTimeoutError::Timeout) {
                    return false;
                }
                if begun.elapsed() > patience || interrupt::requested() {
                    group.map(|group| killpg(group, Signal::SIGKILL).ok());
                    return true;
                }
            }
        });
        Self { done, watch }
    }

    /// Ends the watch. Returns whether it has ended the process.
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
    fn a_process_that_waits_for_ever_is_ended_with_what_it_has_started() {
        let run = |script: &str, patience| {
            let mut command = Command::new("sh");
            let command = command.args(["-c", script]).stdout(Stdio::piped());
            let child = command.process_group(0).spawn().unwrap();
            let deadline = Deadline::new(&child, patience);
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
