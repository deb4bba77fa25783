//! The run directory.

use std::fs;
use std::iter;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::de::DeserializeOwned;

use super::file::{MAX_BYTES, create_private, find_tail, read_json, write_private};
use super::launch::{Launch, Running};
use crate::failure::Failure;
use crate::git::TaskStash;
use crate::sanitize;
use crate::system::clock::this_second;
use crate::system::{Lock, Sharing, none_if_missing, process};
use crate::task::{Exit, ExitReason, Target};
use crate::tmux::composer::SafeText;

/// The limit for the events and the screen that a removed task keeps.
const MAX_KEPT: u64 = 1024 * 1024;

/// The directory of a run, with the files that launcher, hooks and commands share.
#[derive(Clone, Debug)]
pub(crate) struct RunDir(pub(crate) PathBuf);

impl RunDir {
    /// Returns the common git directory that contains the run directory, three levels above it;
    /// `None` if its path is too short.
    pub(crate) fn common_dir(&self) -> Option<&Path> {
        self.0.ancestors().nth(3)
    }

    /// Returns the path of the lock file that a command locks while it starts or removes the task.
    pub(crate) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    pub(crate) fn launch(&self) -> PathBuf {
        self.0.join("launch")
    }

    /// Returns the path of the lock file that a command locks while it sends a message to the
    /// agent.
    pub(crate) fn send_lock(&self) -> PathBuf {
        self.0.join("send.lock")
    }

    /// Returns the texts that were sent to the agent: its prompt and the last message, in this
    /// order. Omits those whose files are missing or cannot be read.
    pub(crate) fn sent_messages(&self) -> Vec<SafeText> {
        let texts = [self.prompt(), self.last_message()].map(|path| find_tail(&path, MAX_BYTES));
        let texts = texts.into_iter().flatten().flatten();
        let typed = |text: Vec<u8>| SafeText {
            text: String::from_utf8_lossy(&text).into_owned(),
            ..SafeText::default()
        };
        texts.map(typed).collect()
    }

    fn last_message(&self) -> PathBuf {
        self.0.join("sent")
    }

    pub(crate) fn write_last_message(&self, typed: &SafeText) -> Result<()> {
        write_private(&self.last_message(), typed.text.as_bytes())
    }

    /// Returns the path of the task's scratch repository: a temporary one in which a merge is made.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.0.join("merge")
    }

    /// Returns the path of the lock file that the launcher holds locked until it ends. The file
    /// appears already locked.
    pub(crate) fn alive(&self) -> PathBuf {
        self.0.join("alive")
    }

    /// Returns the path of the lock file that a command locks while it stops the agent but keeps
    /// its pane.
    pub(crate) fn stop_lock(&self) -> PathBuf {
        self.0.join("stop")
    }

    pub(crate) fn remove_stop_lock(&self) {
        drop(fs::remove_file(self.stop_lock()));
    }

    /// Creates the launcher's lock file, already locked, and returns the lock. Returns `None` if
    /// that fails, for example on a full disk: the agent starts nevertheless.
    pub(crate) fn hold_alive_lock(&self) -> Option<Lock> {
        let new = self.alive().with_extension("own");
        // The file of an earlier run may be locked.
        drop(fs::remove_file(&new));
        let lock = Lock::try_acquire(&new, Sharing::Private).ok().flatten();
        let lock = lock.filter(|_| fs::rename(new, self.alive()).is_ok());
        if lock.is_none() {
            // The lock of an earlier launcher would mean that this one has ended.
            fs::remove_file(self.alive()).ok();
        }
        lock
    }

    /// Returns whether the run's launcher holds its lock, or else whether the process whose id is
    /// in the file `running` is the launcher, not a later process with that id.
    ///
    /// # Errors
    /// When `running` cannot be read, or when the system gives no information about the process.
    pub(crate) fn is_alive(&self) -> Result<bool> {
        if Lock::is_held(&self.alive()) {
            return Ok(true);
        }
        // The launcher may have no lock if the disk was full.
        let Some(Running { launcher, .. }) = self.running()? else {
            return Ok(false);
        };
        if let Some(is_launcher) = self.is_launcher(launcher) {
            return Ok(is_launcher);
        }
        if self.alive().exists() || !process::is_alive(launcher, None) {
            return Ok(false);
        }
        Err(Failure::new(format!(
            "cannot determine whether process {launcher} is the launcher of '{}'",
            self.task_id()
        ))
        .hint(format!("ps -p {launcher}"))
        .hint(self.removal_hint("running"))
        .into())
    }

    /// Returns whether the process `pid` is the launcher of this run directory; `None` if the
    /// system gives no information about processes.
    pub(crate) fn is_launcher(&self, pid: i32) -> Option<bool> {
        process::is_launcher(pid, &self.launch())
    }

    /// Returns the launcher's process id, from the pane or from the file `running`, if the system
    /// confirms that this process is the launcher; otherwise `None`. No other process may get a
    /// signal.
    pub(crate) fn proven_launcher(&self, target: Option<&Target>) -> Option<i32> {
        let running = self.running().ok().flatten();
        let marked = running.map(|running| running.launcher);
        let in_pane = target.map(|target| target.pane_pid);
        let mut pids = in_pane.into_iter().chain(marked);
        pids.find(|pid| self.is_launcher(*pid) == Some(true))
    }

    /// Fails if the files `running` or `exit` cannot be read, or if there is no `exit` and the
    /// system does not tell whether the launcher is running.
    pub(crate) fn ensure_launcher_known(&self) -> Result<()> {
        self.running()?;
        if self.exit()?.is_none() {
            self.is_alive()?;
        }
        Ok(())
    }

    fn task_id(&self) -> String {
        let name = self.0.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// Returns a hint with the command that removes the unreadable file `mark` of the run
    /// directory: `rm -rf <path>`.
    pub(crate) fn removal_hint(&self, mark: impl AsRef<Path>) -> String {
        let path = sanitize::quoted(&self.0.join(mark));
        format!("to delete this file: rm -rf {path}")
    }

    /// Returns the task's own stash.
    pub(crate) fn stash(&self) -> TaskStash {
        TaskStash::of(&self.0)
    }

    /// Returns the path of the file with the shared configuration at the start of the task.
    pub(crate) fn shared_config(&self) -> PathBuf {
        self.0.join("shared")
    }

    /// Returns the path of the file that exists while `git flux land` tests and lands the task.
    pub(crate) fn landing(&self) -> PathBuf {
        self.0.join("landing")
    }

    /// Returns the path of the file with the last screen of the pane.
    pub(crate) fn screen(&self) -> PathBuf {
        self.0.join("screen")
    }

    /// Returns the last MiB of the event log, and the last screen of the pane. Each is `None` if
    /// its file is missing or cannot be read.
    pub(crate) fn events_and_screen(&self) -> [Option<Vec<u8>>; 2] {
        [self.events(), self.screen()].map(|path| find_tail(&path, MAX_KEPT).ok().flatten())
    }

    pub(crate) fn events(&self) -> PathBuf {
        self.0.join("events")
    }

    pub(crate) fn prompt(&self) -> PathBuf {
        self.0.join("prompt")
    }

    /// Reads the file `running`, in which the launcher records its own process and that of the
    /// agent; `None` if it does not exist.
    ///
    /// # Errors
    /// Also if no launcher can have written the file.
    pub(crate) fn running(&self) -> Result<Option<Running>> {
        self.read_mark("running", Running::is_plausible)
    }

    /// Reads the file `exit`, in which the launcher records how the agent has ended; `None` if it
    /// does not exist.
    ///
    /// # Errors
    /// Also if no launcher can have written the file.
    pub(crate) fn exit(&self) -> Result<Option<Exit>> {
        self.read_mark("exit", Exit::is_plausible)
    }

    fn read_mark<T: DeserializeOwned>(
        &self,
        name: impl AsRef<Path>,
        is_plausible: fn(&T) -> bool,
    ) -> Result<Option<T>> {
        let path = self.0.join(&name);
        let found = read_json(&path).and_then(|found| match found {
            Some(found) if !is_plausible(&found) => {
                bail!("'{}' was not written by a launcher", path.display())
            }
            found => Ok(found),
        });
        found.with_context(|| {
            let id = self.task_id();
            Failure::new(format!("cannot read the run directory of '{id}'"))
                .hint(self.removal_hint(name))
        })
    }

    pub(crate) fn write_running(&self, running: &Running) -> Result<()> {
        write_private(&self.0.join("running"), &serde_json::to_vec(running)?)
    }

    pub(crate) fn write_exit(&self, exit: &Exit) -> Result<()> {
        write_private(&self.0.join("exit"), &serde_json::to_vec(exit)?)
    }

    /// Records in the file `exit` that git flux has stopped the agent. If the launcher has not
    /// written that file, creates it without an exit status.
    pub(crate) fn note_stopped(&self) -> Result<()> {
        let exit = self.exit()?;
        let mut exit = exit.unwrap_or_else(|| Exit::new(ExitReason::Unseen, this_second()));
        if exit.stopped {
            return Ok(());
        }
        exit.stopped = true;
        self.write_exit(&exit)
    }

    /// Replaces the content of the event log, to restore the events of earlier runs.
    pub(crate) fn write_events(&self, events: &[u8]) -> Result<()> {
        write_private(&self.events(), events)
    }

    pub(crate) fn write_screen(&self, screen: &str) -> Result<()> {
        write_private(&self.screen(), screen.trim_end().as_bytes())
    }

    /// Writes comments that could not be sent to a new file, and returns it: the first of `review`,
    /// `review.1` and so on that is free, since earlier comments may not have been sent, either.
    pub(crate) fn write_review(&self, comments: &str) -> Result<PathBuf> {
        let numbered = (1..).map(|number| format!("review.{number}"));
        for name in iter::once("review".to_owned()).chain(numbered) {
            let file = self.0.join(name);
            if create_private(&file, comments.as_bytes())? {
                return Ok(file);
            }
        }
        bail!("no name is free")
    }

    /// Changes a file, so that commands that watch the run see that the user has looked at the task.
    pub(crate) fn note_seen(&self) -> Result<()> {
        write_private(&self.0.join("seen"), b"")
    }

    /// Writes the prompt and then the launch file, the launcher's input, to the run directory, and
    /// replaces earlier ones.
    pub(crate) fn write_launch(&self, launch: &Launch, prompt: &[u8]) -> Result<()> {
        write_private(&self.prompt(), prompt)?;
        write_private(&self.launch(), &serde_json::to_vec(launch)?)
    }

    pub(crate) fn remove_file(&self, name: impl AsRef<Path>) -> Result<()> {
        let removed = none_if_missing(fs::remove_file(self.0.join(name)));
        removed.map(drop).context("could not start another run")
    }

    /// Removes the files `running`, `begun`, `ended`, `exit` and `launch` of an earlier run, as far
    /// as they exist.
    pub(crate) fn reset(&self) -> Result<()> {
        let names = ["running", "begun", "ended", "exit", "launch"];
        names.iter().try_for_each(|name| self.remove_file(name))
    }

    /// Removes the launch file, so that the launcher does not start the agent. Returns `false` if
    /// the launcher had removed it already, because `running` or `exit` exists; otherwise `true`,
    /// even if the file was missing.
    pub(crate) fn cancel_launch(&self) -> Result<bool> {
        let removed = none_if_missing(fs::remove_file(self.launch()));
        let removed = removed.context("could not remove the launch file")?;
        Ok(removed.is_some() || self.running()?.is_none() && self.exit()?.is_none())
    }

    /// Returns whether an agent was ever started with this directory. `false` for one that was only
    /// made to lock a task.
    pub(crate) fn is_used(&self) -> bool {
        self.prompt().exists()
    }

    /// Deletes the run directory, if it exists. Renames it first, so that another command that
    /// takes its lock makes a new directory.
    pub(crate) fn remove(&self) -> Result<()> {
        let what = || format!("could not remove '{}'", self.0.display());
        let name = format!(".{}.{}", self.task_id(), std::process::id());
        let new = self.0.with_file_name(name);
        let renamed = none_if_missing(fs::rename(&self.0, &new)).with_context(what)?;
        if renamed.is_some() {
            // Another command may remove it as well.
            none_if_missing(fs::remove_dir_all(&new)).with_context(what)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn write_review_keeps_earlier_comments() {
        let temp = tempfile::tempdir().unwrap();
        let run = RunDir(temp.path().to_owned());
        let names = ["review", "review.1", "review.2"];
        for name in names {
            assert_eq!(run.write_review(name).unwrap(), temp.path().join(name));
        }
        for name in names {
            assert_eq!(fs::read_to_string(temp.path().join(name)).unwrap(), name);
        }
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), names.len());
    }

    #[test]
    fn remove_and_locks_of_other_commands_do_not_disturb_each_other() {
        let temp = tempfile::tempdir().unwrap();
        let run = RunDir(temp.path().join("fix"));
        let is_over = AtomicBool::new(false);
        let lock = || {
            while !is_over.load(Ordering::Relaxed) {
                Lock::try_acquire(&run.lock(), Sharing::Private)?;
            }
            Ok::<_, anyhow::Error>(())
        };
        thread::scope(|scope| {
            let lockers = [(); 3].map(|()| scope.spawn(lock));
            let (mut removals, mut removed) = (0, Ok(()));
            let has_failed = || lockers.iter().any(thread::ScopedJoinHandle::is_finished);
            while removals < 200 && removed.is_ok() && !has_failed() {
                removals += usize::from(run.0.exists());
                removed = run.remove();
            }
            is_over.store(true, Ordering::Relaxed);
            removed.unwrap();
            for locker in lockers {
                locker.join().unwrap().unwrap();
            }
        });
    }
}
