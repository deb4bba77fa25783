//! The run directory.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::de::DeserializeOwned;

use super::file::{MAX_BYTES, find_tail, read, write};
use super::launch::{Launch, Running};
use crate::failure::Failure;
use crate::sanitize;
use crate::system::clock::seconds;
use crate::system::{Lock, Sharing, none_if_missing, process};
use crate::task::{Exit, ExitReason, Target};
use crate::tmux::composer::SafeText;

/// The limit for the events and the screen that a removed task keeps.
const MAX_KEPT: u64 = 1024 * 1024;

/// The directory of a run, with the files that launcher, hooks and commands share.
#[derive(Clone, Debug)]
pub(crate) struct RunDir(pub(crate) PathBuf);

impl RunDir {
    /// Returns the common git directory, which contains the run directory.
    pub(crate) fn common_dir(&self) -> Option<&Path> {
        self.0.ancestors().nth(3)
    }

    /// Returns the lock for commands that start or remove the task.
    pub(crate) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    pub(crate) fn launch(&self) -> PathBuf {
        self.0.join("launch")
    }

    /// Returns the lock for commands that send a message.
    pub(crate) fn send_lock(&self) -> PathBuf {
        self.0.join("send.lock")
    }

    /// Returns the prompt and the last message, if they can be read.
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
        write(&self.last_message(), typed.text.as_bytes())
    }

    /// Returns the directory of the scratch repository.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.0.join("merge")
    }

    /// Returns the lock that the launcher holds until it ends. The file appears already locked.
    pub(crate) fn alive(&self) -> PathBuf {
        self.0.join("alive")
    }

    /// Returns the lock of a command that stops the agent but keeps the pane.
    pub(crate) fn stop_lock(&self) -> PathBuf {
        self.0.join("stop")
    }

    pub(crate) fn remove_stop_lock(&self) {
        drop(fs::remove_file(self.stop_lock()));
    }

    /// Makes and holds the launcher's lock. Returns `None` if the disk is full, for one: the agent
    /// starts nevertheless.
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

    /// Returns whether the launcher is running. Its lock is proof; its process id may be in use by
    /// another process.
    ///
    /// # Errors
    /// When the system gives no information about the process.
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

    /// Returns whether a process is the launcher; `None` if the system gives no information.
    pub(crate) fn is_launcher(&self, pid: i32) -> Option<bool> {
        process::is_launcher(pid, &self.launch())
    }

    /// Returns the launcher's process id, from the pane or from `running`, if the system confirms
    /// it. No other process may get a signal.
    pub(crate) fn proven_launcher(&self, target: Option<&Target>) -> Option<i32> {
        let running = self.running().ok().flatten();
        let marked = running.map(|running| running.launcher);
        let in_pane = target.map(|target| target.pane_pid);
        let mut pids = in_pane.into_iter().chain(marked);
        pids.find(|pid| self.is_launcher(*pid) == Some(true))
    }

    /// Fails if the files cannot be read, or if it is unknown whether the launcher is running.
    pub(crate) fn ensure_known(&self) -> Result<()> {
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

    /// Returns a hint that removes an unreadable file.
    pub(crate) fn removal_hint(&self, mark: impl AsRef<Path>) -> String {
        let path = sanitize::quoted(&self.0.join(mark));
        format!("to continue without it: rm -rf {path}")
    }

    /// Returns the file with the pane's last screen.
    pub(crate) fn screen(&self) -> PathBuf {
        self.0.join("screen")
    }

    /// Returns the ends of the events and of the last screen, if they can be read.
    pub(crate) fn events_and_screen(&self) -> [Option<Vec<u8>>; 2] {
        [self.events(), self.screen()].map(|path| find_tail(&path, MAX_KEPT).ok().flatten())
    }

    pub(crate) fn events(&self) -> PathBuf {
        self.0.join("events")
    }

    pub(crate) fn prompt(&self) -> PathBuf {
        self.0.join("prompt")
    }

    /// Reads the launcher's state.
    ///
    /// # Errors
    /// Also if no launcher can have written the file.
    pub(crate) fn running(&self) -> Result<Option<Running>> {
        self.read_mark("running", Running::is_plausible)
    }

    /// Reads the agent's exit status.
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
        let found = read(&path).and_then(|found| match found {
            Some(found) if !is_plausible(&found) => {
                bail!("'{}' was not written by a launcher", path.display())
            }
            found => Ok(found),
        });
        found.with_context(|| {
            let id = self.task_id();
            Failure::new(format!("cannot read the state of the launcher of '{id}'"))
                .hint(self.removal_hint(name))
        })
    }

    pub(crate) fn write_running(&self, running: &Running) -> Result<()> {
        write(&self.0.join("running"), &serde_json::to_vec(running)?)
    }

    pub(crate) fn write_exit(&self, exit: &Exit) -> Result<()> {
        write(&self.0.join("exit"), &serde_json::to_vec(exit)?)
    }

    /// Marks the agent as stopped by git flux, if the launcher has not.
    pub(crate) fn note_stopped(&self) -> Result<()> {
        let exit = self.exit()?;
        let mut exit = exit.unwrap_or_else(|| Exit::new(ExitReason::Unseen, seconds()));
        if exit.stopped {
            return Ok(());
        }
        exit.stopped = true;
        self.write_exit(&exit)
    }

    /// Restores the events of earlier runs.
    pub(crate) fn write_events(&self, events: &[u8]) -> Result<()> {
        write(&self.events(), events)
    }

    pub(crate) fn write_screen(&self, screen: &str) -> Result<()> {
        write(&self.screen(), screen.trim_end().as_bytes())
    }

    /// Writes the launch file and the prompt.
    pub(crate) fn write_launch(&self, launch: &Launch, prompt: &[u8]) -> Result<()> {
        write(&self.prompt(), prompt)?;
        write(&self.launch(), &serde_json::to_vec(launch)?)
    }

    pub(crate) fn remove_file(&self, name: impl AsRef<Path>) -> Result<()> {
        let removed = none_if_missing(fs::remove_file(self.0.join(name)));
        removed.map(drop).context("could not start another run")
    }

    /// Removes the state of an earlier run.
    pub(crate) fn reset(&self) -> Result<()> {
        let names = ["running", "exit", "launch"];
        names.iter().try_for_each(|name| self.remove_file(name))
    }

    /// Removes the launch file. Returns `false` if the launcher has removed it: then `running`
    /// exists, which is written first.
    pub(crate) fn cancel_launch(&self) -> Result<bool> {
        let removed = none_if_missing(fs::remove_file(self.launch()));
        let removed = removed.context("could not remove the launch file")?;
        Ok(removed.is_some() || self.running()?.is_none() && self.exit()?.is_none())
    }

    /// Removes the directory. It is renamed first, so that another command that takes the lock
    /// makes a new directory.
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
