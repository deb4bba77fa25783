//! The stash of one task: a git directory of its own, `<run dir>/stash`, in which `git stash` runs.
//!
//! git keeps the stash in the ref `refs/stash`, which all worktrees of a repository share. In a
//! directory of its own, with refs in files, `git stash` has its own entries, and all its options,
//! numbers and messages. Objects, hooks and configuration are those of the repository.

pub(crate) mod caller;
mod directory;
mod noted;
pub(crate) mod shared;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, Result, ensure};
use bstr::{BString, ByteSlice as _};

use super::checkout::gitfile::read_or_empty;
use super::refs::{self, Transaction};
use super::{Git, Lock, ObjectId, Repo, Sharing};
use crate::task::{RefName, TaskId};

/// The reflog that is the list of stash entries.
const LOG: &str = "logs/refs/stash";

/// The file that makes the directory one of git.
const HEAD: &str = "HEAD";

/// The ref of the newest entry.
const REF: &str = "refs/stash";

/// The commits that `git stash create` has made, one in a line.
const CREATED: &str = "created";

/// The stash of one task.
#[derive(Clone, Debug)]
pub(crate) struct TaskStash {
    dir: PathBuf,
}

/// An entry of a stash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StashEntry {
    pub(crate) commit: ObjectId,
    pub(crate) subject: BString,
}

impl TaskStash {
    /// Returns the stash in the run directory `run`, which need not exist.
    pub(crate) fn of(run: &Path) -> Self {
        Self {
            dir: run.join("stash"),
        }
    }

    /// Returns the path of the git directory in which `git stash` of the task runs.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the prefix of the refs that keep the entries of the task `id` from `git gc`:
    /// `refs/flux/stashed/<id>/`. Each is followed by the object name of an entry.
    pub(crate) fn pins(id: &TaskId) -> String {
        format!("refs/flux/stashed/{id}/")
    }

    /// Lists the entries, newest first; empty if there is no stash. Starts no git, because an agent
    /// can write the configuration of the directory.
    ///
    /// # Errors
    /// If a file of the stash cannot be read, or if git would not write such content.
    pub(crate) fn list(&self) -> Result<Vec<StashEntry>> {
        let what = || format!("could not read the stash in '{}'", self.dir.display());
        let log = read_or_empty(&self.dir.join(LOG)).with_context(what)?;
        let lines = log
            .strip_suffix(b"\n")
            .unwrap_or(&log)
            .split(|&b| b == b'\n');
        let lines = lines.filter(|_| !log.is_empty());
        let entries: Option<Vec<_>> = lines.rev().map(parse_line).collect();
        let mut entries = entries.with_context(what)?;
        let newest = read_or_empty(&self.dir.join(REF)).with_context(what)?;
        if !newest.is_empty() {
            let commit = ObjectId::parse(newest.trim_ascii_end()).with_context(what)?;
            // The reflog may be lost.
            if !entries.iter().any(|entry| entry.commit == commit) {
                let subject = BString::default();
                entries.insert(0, StashEntry { commit, subject });
            }
        }
        Ok(entries)
    }

    /// Returns whether `commit` is an entry of the task's stash, or was made by `git stash create` in
    /// the task.
    pub(crate) fn has(&self, commit: &ObjectId) -> Result<bool> {
        let is_entry = self.list()?.iter().any(|entry| entry.commit == *commit);
        Ok(is_entry || self.created()?.contains(commit))
    }

    /// Returns the commit of the entry `name`, a number or a revision that git knows, or of the
    /// newest one; `None` if there is none: `git rev-parse --verify --quiet <entry>`. git reads the
    /// configuration in the stash's directory, which an agent can write: for its own `git stash`
    /// only.
    pub(crate) fn resolve(&self, name: Option<&OsStr>) -> Result<Option<ObjectId>> {
        let dir = &self.dir;
        let name = name.unwrap_or(OsStr::new("0"));
        let is_number = name.as_bytes().iter().all(u8::is_ascii_digit) && name.len() < 40;
        let rev = match is_number {
            true => OsString::from_iter(["refs/stash@{".as_ref(), name, "}".as_ref()]),
            false => name.to_owned(),
        };
        let git = Git::reading(dir).env("GIT_DIR", dir);
        let git = git.words("rev-parse --verify --quiet --end-of-options");
        // git fails with another code for a number that is too large.
        let (code, output) = git.arg(rev).outcome()?;
        let commit = ObjectId::parse(output.stdout.trim_ascii_end());
        Ok(commit.filter(|_| code == 0))
    }

    /// Adds `entry` as the newest one, as `git stash store` does, without starting git. The caller
    /// holds [`TaskStash::lock`], or no agent runs.
    pub(crate) fn store(&self, entry: &StashEntry) -> Result<()> {
        let subject = entry.subject.replace("\n", " ");
        ensure!(!subject.contains(&0), "the subject contains NUL");
        let log = read_or_empty(&self.dir.join(LOG))?;
        let zero = "0".repeat(entry.commit.len());
        let old = self.list()?.into_iter().next();
        let old = old.map_or(zero, |old| old.commit.to_string());
        let now = SystemTime::UNIX_EPOCH.elapsed()?.as_secs();
        let who = format!("{old} {} git flux <git-flux> {now} +0000\t", entry.commit);
        let log = [&log[..], who.as_bytes(), &subject, b"\n"].concat();
        self.write(LOG, &log)?;
        self.write(REF, format!("{}\n", entry.commit).as_bytes())
    }

    /// Takes the lock under which the entries change, and waits while another `git stash` of this
    /// task runs. Calls `say` once if that takes longer than half a second.
    pub(crate) fn lock(&self, say: impl FnOnce(&str)) -> Result<Lock> {
        Lock::acquire(
            &self.lock_path(),
            Sharing::Private,
            "another `git stash`",
            say,
        )
    }

    /// Returns whether another `git stash` of this task holds the lock, and the stash's git
    /// directory is complete, so that a command which only reads need not wait.
    pub(crate) fn is_in_use(&self) -> bool {
        Lock::is_held(&self.lock_path()) && self.dir.join(HEAD).exists()
    }

    fn lock_path(&self) -> PathBuf {
        self.dir.with_extension("lock")
    }

    /// Creates the ref `refs/flux/stashed/<id>/<commit>` for each entry of the stash, and deletes
    /// such refs of commits that are no longer entries.
    pub(crate) fn pin(&self, repo: &Repo, id: &TaskId, lock: &Lock) -> Result<()> {
        let prefix = Self::pins(id);
        let name = |entry: StashEntry| {
            let name = RefName::new(format!("{prefix}{}", entry.commit));
            (name, entry.commit)
        };
        let wanted: refs::RefObjects = self.list()?.into_iter().map(name).collect();
        let found = refs::list(repo.home(), &[prefix.trim_end_matches('/')])?;
        if wanted == found {
            return Ok(());
        }
        let mut changes = Transaction::default();
        for (name, old) in found.iter().filter(|(name, _)| !wanted.contains_key(*name)) {
            changes = changes.delete(name, old);
        }
        for (name, new) in &wanted {
            changes = match found.get(name) {
                Some(old) if old != new => changes.update(name, new, old),
                Some(_) => changes,
                None => changes.create(name, new),
            };
        }
        changes.commit(repo, "stash", lock)
    }

    /// Returns the commits that `git stash create` of this task has made.
    pub(super) fn created(&self) -> Result<Vec<ObjectId>> {
        let text = read_or_empty(&self.dir.join(CREATED))?;
        // An incomplete line is no object name.
        Ok(text
            .split(|&b| b == b'\n')
            .filter_map(ObjectId::parse)
            .collect())
    }

    /// Adds a commit to those that `git stash create` of this task has made. The caller holds
    /// [`TaskStash::lock`].
    pub(crate) fn note_created(&self, commit: &ObjectId) -> Result<()> {
        let text = read_or_empty(&self.dir.join(CREATED))?;
        self.write(CREATED, &[&text[..], commit.as_bytes(), b"\n"].concat())
    }

    /// Writes `bytes` to the file `name` in the stash's git directory; makes the directories above
    /// it.
    fn write(&self, name: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
        let path = self.dir.join(name);
        let dir = path.parent().unwrap_or(&self.dir);
        let made = Sharing::Private.make_dir(dir);
        made.with_context(|| format!("could not make '{}'", dir.display()))?;
        Sharing::Private.write(&path, bytes)
    }
}

/// Parses a line of a reflog, `<old> <new> <name> <email> <time> <zone>\t<subject>`; `None` if it
/// is none.
fn parse_line(line: &[u8]) -> Option<StashEntry> {
    let mut fields = line.splitn(3, |&b| b == b' ');
    ObjectId::parse(fields.next()?)?;
    let commit = ObjectId::parse(fields.next()?)?;
    let subject = fields.next()?.splitn(2, |&b| b == b'\t').nth(1);
    let subject = BString::from(subject.unwrap_or_default());
    Some(StashEntry { commit, subject })
}

#[cfg(test)]
mod tests;
