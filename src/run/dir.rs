//! The files of one run, which launcher, hooks and commands share.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::de::DeserializeOwned;

use super::file::{LONGEST, end_if_any, read, write};
use super::launch::{Launch, Running};
use crate::failure::Failure;
use crate::git::{Lock, Sharing};
use crate::sanitize;
use crate::system::clock::seconds;
use crate::system::{none_if_missing, process};
use crate::task::{Exit, ExitReason, Target};

/// How much of what happened is kept when a task is removed, in bytes.
const STORY: u64 = 1024 * 1024;

/// The files of one run.
#[derive(Clone, Debug)]
pub(crate) struct RunDir(pub(crate) PathBuf);

impl RunDir {
    /// Returns what all worktrees of the repository share: the directory is in it.
    pub(crate) fn common_dir(&self) -> Option<&Path> {
        self.0.ancestors().nth(3)
    }

    /// Returns the lock of the command that starts or removes the task.
    pub(crate) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    pub(crate) fn launch(&self) -> PathBuf {
        self.0.join("launch")
    }

    /// Returns the lock of the command that sends a message.
    pub(crate) fn send_lock(&self) -> PathBuf {
        self.0.join("send.lock")
    }

    /// Returns what the agent was told: its prompt, and the last message, as far as they can be read.
    pub(crate) fn told(&self) -> Vec<String> {
        let told = [self.prompt(), self.sent()].map(|path| end_if_any(&path, LONGEST));
        let told = told.into_iter().flatten().flatten();
        let told = told.map(|text| String::from_utf8_lossy(&text).into_owned());
        told.collect()
    }

    fn sent(&self) -> PathBuf {
        self.0.join("sent")
    }

    /// Notes the last message, for [`Self::told`].
    ///
    /// # Errors
    /// When the disk is full, for one.
    pub(crate) fn write_sent(&self, text: &str) -> Result<()> {
        write(&self.sent(), text.as_bytes())
    }

    /// Returns the directory for a merge with hooks.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.0.join("merge")
    }

    /// Returns the lock that the launcher holds as long as it lives; it is there only once it is held.
    pub(crate) fn alive(&self) -> PathBuf {
        self.0.join("alive")
    }

    /// Returns the lock of the command that has the launcher end its agent, and keep the pane.
    pub(crate) fn stop(&self) -> PathBuf {
        self.0.join("stop")
    }

    /// Removes what [`Self::stop`] names. What stays is held by nobody.
    pub(crate) fn remove_stop(&self) {
        drop(fs::remove_file(self.stop()));
    }

    /// Makes the launcher's lock; none where the disk is full, which is no reason to start nothing.
    pub(crate) fn hold_alive_lock(&self) -> Option<Lock> {
        let own = self.alive().with_extension("own");
        // What an earlier run has left could be locked.
        drop(fs::remove_file(&own));
        let lock = Lock::try_acquire(&own, Sharing::Private).ok().flatten();
        let lock = lock.filter(|_| fs::rename(own, self.alive()).is_ok());
        if lock.is_none() {
            // That of an earlier launcher would say that this one has ended.
            fs::remove_file(self.alive()).ok();
        }
        lock
    }

    /// Returns whether the launcher lives: it holds a lock, which needs no number of a process. A
    /// number alone proves nothing.
    ///
    /// # Errors
    /// When the system does not tell, or its mark cannot be read.
    pub(crate) fn is_alive(&self) -> Result<bool> {
        if Lock::is_held(&self.alive()) {
            return Ok(true);
        }
        // It may have found no room for its lock.
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
            "this system does not tell whether process {launcher} is the launcher of '{}'",
            self.name()
        ))
        .hint(format!("see what it is: ps -p {launcher}"))
        .hint(self.way_out("running"))
        .into())
    }

    /// Returns whether a process is the launcher; `None` if the system does not tell.
    pub(crate) fn is_launcher(&self, pid: i32) -> Option<bool> {
        process::is_launcher(pid, &self.launch())
    }

    /// Returns the process of the launcher, in the pane or by its mark, if the system proves that it
    /// is the one: only then may it be sent a signal.
    pub(crate) fn proven_launcher(&self, target: Option<&Target>) -> Option<i32> {
        let running = self.running().ok().flatten();
        let marked = running.map(|running| running.launcher);
        let in_pane = target.map(|target| target.pane_pid);
        let mut pids = in_pane.into_iter().chain(marked);
        pids.find(|pid| self.is_launcher(*pid) == Some(true))
    }

    /// Fails if it is not known what runs here: the marks cannot be read, or the system does not
    /// tell whether the launcher lives. The hints say how to go on.
    ///
    /// # Errors
    /// So.
    pub(crate) fn ensure_known(&self) -> Result<()> {
        self.running()?;
        if self.exit()?.is_none() {
            self.is_alive()?;
        }
        Ok(())
    }

    /// Returns the id of the task.
    fn name(&self) -> String {
        let name = self.0.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// Returns the hint for a mark that is not to be believed.
    pub(crate) fn way_out(&self, mark: impl AsRef<Path>) -> String {
        let path = sanitize::quoted(&self.0.join(mark));
        format!("to go on without it: rm -rf {path}")
    }

    /// Returns the file of what the pane showed when the agent ended.
    pub(crate) fn screen(&self) -> PathBuf {
        self.0.join("screen")
    }

    /// Returns what happened, and what was shown at last, as far as it can be read: it is no work, and
    /// stands in the way of nothing. Of much, the end.
    pub(crate) fn story(&self) -> [Option<Vec<u8>>; 2] {
        [self.events(), self.screen()].map(|path| end_if_any(&path, STORY).ok().flatten())
    }

    /// Returns the file of what has happened, in lines.
    pub(crate) fn events(&self) -> PathBuf {
        self.0.join("events")
    }

    pub(crate) fn prompt(&self) -> PathBuf {
        self.0.join("prompt")
    }

    /// Returns the launcher's mark, if it left one.
    ///
    /// # Errors
    /// When there is one that cannot be read, or that no launcher writes.
    pub(crate) fn running(&self) -> Result<Option<Running>> {
        self.mark("running", Running::is_plausible)
    }

    /// Returns how the agent ended, if it did.
    ///
    /// # Errors
    /// When that cannot be read, or is not how anything ends.
    pub(crate) fn exit(&self) -> Result<Option<Exit>> {
        self.mark("exit", Exit::is_plausible)
    }

    fn mark<T: DeserializeOwned>(
        &self,
        name: impl AsRef<Path>,
        is_plausible: fn(&T) -> bool,
    ) -> Result<Option<T>> {
        let path = self.0.join(&name);
        let found = read(&path).and_then(|found| match found {
            Some(found) if !is_plausible(&found) => {
                bail!("no launcher writes what is in '{}'", path.display())
            }
            found => Ok(found),
        });
        found.with_context(|| {
            let id = self.name();
            Failure::new(format!("what the launcher of '{id}' left cannot be read"))
                .hint(self.way_out(name))
        })
    }

    pub(crate) fn write_running(&self, running: &Running) -> Result<()> {
        write(&self.0.join("running"), &serde_json::to_vec(running)?)
    }

    pub(crate) fn write_exit(&self, exit: &Exit) -> Result<()> {
        write(&self.0.join("exit"), &serde_json::to_vec(exit)?)
    }

    /// Notes that git flux has ended the agent, as a launcher that was asked by [`Self::stop`] does.
    ///
    /// # Errors
    /// When the disk is full, for one.
    pub(crate) fn note_stopped(&self) -> Result<()> {
        let exit = self.exit()?;
        let mut exit = exit.unwrap_or_else(|| Exit::new(ExitReason::Unseen, seconds()));
        if exit.stopped {
            return Ok(());
        }
        exit.stopped = true;
        self.write_exit(&exit)
    }

    /// Puts back what happened in earlier runs.
    ///
    /// # Errors
    /// When the disk is full, for one.
    pub(crate) fn write_events(&self, events: &[u8]) -> Result<()> {
        write(&self.events(), events)
    }

    /// Keeps what the pane shows.
    ///
    /// # Errors
    /// When the disk is full, for one.
    pub(crate) fn write_screen(&self, screen: &str) -> Result<()> {
        write(&self.screen(), screen.trim_end().as_bytes())
    }

    /// Writes the request and, for an agent that reads it from there, the prompt.
    ///
    /// # Errors
    /// When the disk is full, for one.
    pub(crate) fn write_launch(&self, launch: &Launch, prompt: &[u8]) -> Result<()> {
        write(&self.prompt(), prompt)?;
        write(&self.launch(), &serde_json::to_vec(launch)?)
    }

    pub(crate) fn forget(&self, name: impl AsRef<Path>) -> Result<()> {
        let removed = none_if_missing(fs::remove_file(self.0.join(name)));
        removed.map(drop).context("could not begin another run")
    }

    /// Forgets an earlier run, so that the next one can leave its marks.
    ///
    /// # Errors
    /// When they cannot be removed.
    pub(crate) fn begin_again(&self) -> Result<()> {
        let marks = ["running", "exit", "launch"];
        marks.iter().try_for_each(|name| self.forget(name))
    }

    /// Takes the request back. `false` if the launcher has taken it: then its
    /// mark is there, since it is written first.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub(crate) fn withdraw(&self) -> Result<bool> {
        let removed = none_if_missing(fs::remove_file(self.launch()));
        let removed = removed.context("could not take back the launch file")?;
        Ok(removed.is_some() || self.running()?.is_none() && self.exit()?.is_none())
    }

    /// Removes all of it. Renamed first, so that whoever tries the lock meanwhile
    /// makes a directory of its own instead of putting a file into this one.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub(crate) fn remove(&self) -> Result<()> {
        let what = || format!("could not remove '{}'", self.0.display());
        let name = format!(".{}.{}", self.name(), std::process::id());
        let aside = self.0.with_file_name(name);
        let renamed = none_if_missing(fs::rename(&self.0, &aside)).with_context(what)?;
        if renamed.is_some() {
            // Another command may be clearing it away as well.
            none_if_missing(fs::remove_dir_all(&aside)).with_context(what)?;
        }
        Ok(())
    }
}
