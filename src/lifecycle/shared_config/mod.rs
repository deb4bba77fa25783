//! Compares the configuration that all worktrees share with its copy from the start of a task.
//!
//! A task's agent can change it, and it decides what runs as the user later. So `status` prints each
//! change, and cleanup asks about it; the answers are kept for the other tasks.

pub(crate) mod change;
mod kept;
pub(crate) mod put_back;

use std::path::{Path, PathBuf};

use anyhow::Result;
use bstr::ByteSlice as _;

use self::change::{PartState, Parts, SharedChange, SharedPart, find_changes};
pub(crate) use self::kept::keep;
use crate::context::Flux;
use crate::git::shared_config::{CONFIG_FILES, SharedConfig, parse, without_branches};
use crate::run::RunDir;
use crate::run::file::write_private;
use crate::system::none_if_missing;
use crate::system::regular_file::read_file;
use crate::task::{TaskId, version};

/// The result of a comparison of the shared configuration with that at the start of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// There is no copy from the start: no agent was started, or by an older git flux.
    NoCopy,
    /// The reason why it cannot be compared.
    Failed(String),
    /// The changes that the user has not agreed to before.
    Changes(Vec<SharedChange>),
}

impl Comparison {
    /// Returns whether this comparison has a change that `earlier` does not have. If one of the two
    /// has failed or had no copy to compare with, returns whether they differ.
    pub(crate) fn is_new_since(&self, earlier: &Self) -> bool {
        match (self, earlier) {
            (Self::Changes(now), Self::Changes(then)) => {
                now.iter().any(|change| !then.contains(change))
            }
            (now, then) => now != then,
        }
    }

    /// Returns the changes; none also if they are unknown.
    pub(crate) fn changes(&self) -> &[SharedChange] {
        match self {
            Self::Changes(changes) => changes,
            Self::NoCopy | Self::Failed(_) => &[],
        }
    }
}

/// Writes a copy of the shared configuration to the run directory of a task, unless it has one from
/// an earlier start: the changes since then count. Warns if that fails.
pub(super) fn write_copy(flux: &Flux, run: &RunDir) {
    let path = run.shared_config();
    if path.symlink_metadata().is_ok() {
        return;
    }
    let write = || {
        let now = SharedConfig::read(&flux.repo, flux.settings.hooks_path())?;
        write_private(&path, &serde_json::to_vec(&now)?)
    };
    if let Err(error) = write() {
        let what = "changes of the shared configuration will not be noticed";
        flux.ui.warning(format_args!("{what}: {error:#}"));
    }
}

/// Compares the shared configuration with the copy from the start of the task `id`, and leaves out
/// the changes that the user has agreed to. Starts git only if a file differs.
pub(crate) fn compare(flux: &Flux, id: &TaskId) -> Comparison {
    match try_compare(flux, id) {
        Ok(Some(changes)) => Comparison::Changes(changes),
        Ok(None) => Comparison::NoCopy,
        Err(error) => Comparison::Failed(format!("{error:#}")),
    }
}

fn try_compare(flux: &Flux, id: &TaskId) -> Result<Option<Vec<SharedChange>>> {
    let path = flux.run_dir(id).shared_config();
    let Some(bytes) = none_if_missing(read_file(&path))? else {
        return Ok(None);
    };
    let before: SharedConfig = version::parse(&bytes, version::RUN_VERSION)?;
    let now = before.read_again(&flux.repo)?;
    if now == before {
        return Ok(Some(Vec::new()));
    }
    let mut changes = find_changes(
        &files(&before)
            .chain(entries(flux, &before, &now)?)
            .collect(),
        &files(&now).chain(entries(flux, &now, &before)?).collect(),
    );
    if !changes.is_empty() {
        let kept = kept::read(flux)?;
        changes.retain(|change| !kept.contains(change));
    }
    let mut counted = Vec::new();
    for change in changes {
        if !is_tracked(flux, &change.part)? {
            counted.push(change);
        }
    }
    Ok(Some(counted))
}

/// Returns the hooks and the files in `info` of a shared configuration, as parts.
fn files(config: &SharedConfig) -> impl Iterator<Item = (SharedPart, PartState)> {
    let is_config = |path: &Path| CONFIG_FILES.iter().any(|name| path == Path::new(name));
    let files = config
        .files
        .iter()
        .filter(move |file| !is_config(file.path()));
    files.map(|file| {
        (
            SharedPart::File(file.path().to_owned()),
            PartState::File(file.clone()),
        )
    })
}

/// Returns the entries in the configuration files of `config`, as parts. Leaves out a file that
/// differs from that of `other` at most in sections of branches, which are never compared.
fn entries(flux: &Flux, config: &SharedConfig, other: &SharedConfig) -> Result<Parts> {
    let mut parts = Parts::new();
    for file in CONFIG_FILES {
        let (text, other) = (config.bytes(file), other.bytes(file));
        if text == other || without_branches(text) == without_branches(other) {
            continue;
        }
        for (key, values) in parse(&flux.repo, text)? {
            parts.insert(SharedPart::Key { file, key }, PartState::Values(values));
        }
    }
    Ok(parts)
}

/// Returns whether a part is a tracked file of the main worktree, which merges and checkouts
/// change: `git ls-files -z -- <file>`. `false` for any part in the common git directory.
fn is_tracked(flux: &Flux, part: &SharedPart) -> Result<bool> {
    let (SharedPart::File(path), Some(main)) = (part, flux.repo.main()) else {
        return Ok(false);
    };
    let Ok(name) = path.strip_prefix(main) else {
        return Ok(false);
    };
    let checkout = flux.repo.checkout(main)?;
    let git = checkout.reading().words("ls-files -z --").arg(name);
    let found = git.env("GIT_LITERAL_PATHSPECS", "1").output()?;
    Ok(!found.trim().is_empty())
}

/// Returns the path of the file of a part.
pub(super) fn path_of(flux: &Flux, part: &SharedPart) -> PathBuf {
    let common = flux.repo.common_dir();
    match part {
        SharedPart::Key { file, .. } => common.join(file),
        SharedPart::File(path) => common.join(path),
    }
}
