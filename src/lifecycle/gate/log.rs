//! The output of a gate: `<git-common-dir>/flux/gate/<tree>.log`.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::scratch::gate_dir;
use super::verdicts::{MAX_DAYS, is_hex, keep_newest, list_old};
use crate::git::Repo;
use crate::sanitize;
use crate::system::none_if_missing;
use crate::system::regular_file::open_file;
use crate::task::ObjectId;
use crate::ui::{quoted, shown};

/// The number of logs that are kept.
const MAX_LOGS: usize = 20;

/// The log of a gate that runs.
pub(super) struct GateLog {
    path: PathBuf,
    file: File,
}

impl GateLog {
    /// Creates the log for a tree, in place of an earlier one, and deletes all but the last 20.
    pub(super) fn create(repo: &Repo, tree: &ObjectId) -> Result<Self> {
        let (dir, path) = (gate_dir(repo), log_path(repo, tree));
        let what = || format!("could not make '{}'", shown(&path));
        let sharing = repo.sharing()?;
        sharing.make_dir(&dir).with_context(what)?;
        none_if_missing(fs::remove_file(&path)).with_context(what)?;
        keep_newest(&dir, is_log, MAX_LOGS - 1, None)?;
        let mut new = OpenOptions::new();
        // Several processes write it.
        let file = new.append(true).create_new(true).open(&path);
        let file = file.with_context(what)?;
        sharing.adjust(&path).with_context(what)?;
        Ok(Self { path, file })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Duplicates the open log for the output of a command.
    pub(super) fn share(&self) -> Result<File> {
        self.file.try_clone().context("could not share a file")
    }

    /// Writes a line with the name of the next command.
    pub(super) fn write_command(&self, name: &str) -> Result<()> {
        let what = || format!("could not write '{}'", shown(&self.path));
        let line = format!("$ {}\n", sanitize::line(name));
        (&self.file).write_all(line.as_bytes()).with_context(what)
    }
}

/// Lists the logs that are older than 14 days, when verdicts expire, and all but the last 20.
pub(in crate::lifecycle) fn list_expired(repo: &Repo) -> Result<Vec<PathBuf>> {
    list_old(&gate_dir(repo), is_log, MAX_LOGS, Some(MAX_DAYS))
}

/// Returns whether a file of this name is a log: `<tree>.log`.
fn is_log(name: &[u8]) -> bool {
    name.strip_suffix(b".log").is_some_and(is_hex)
}

fn log_path(repo: &Repo, tree: &ObjectId) -> PathBuf {
    gate_dir(repo).join(format!("{tree}.log"))
}

/// Opens the log of the last gate that ran on a tree; `None` if there is none.
pub(crate) fn open_log(repo: &Repo, tree: &ObjectId) -> Result<Option<File>> {
    let path = log_path(repo, tree);
    let found = none_if_missing(open_file(&path));
    found.with_context(|| format!("could not read '{}'", shown(&path)))
}

/// Returns the hint with the command that shows the output of a gate, in the file `log`.
pub(crate) fn log_hint(log: &str) -> String {
    format!(
        "to see the output of the gate: cat {}",
        quoted(log.as_ref())
    )
}
