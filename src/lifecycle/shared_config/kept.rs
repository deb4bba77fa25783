//! The changes of the shared configuration that the user has agreed to.

use std::collections::HashSet;
use std::path::PathBuf;

use anyhow::Result;
use bstr::ByteSlice as _;

use super::change::{PartState, SharedChange, SharedPart};
use crate::context::Flux;
use crate::git::{Lock, Repo};
use crate::run::file::write_private;
use crate::system::none_if_missing;
use crate::system::regular_file::read_file;
use crate::task::Bytes;

/// The number of answers that are kept.
const MAX_ANSWERS: usize = 500;

/// The states that the user has agreed to: a hash of each part with its state.
#[derive(Debug, Default)]
pub(super) struct KeptStates(HashSet<String>);

impl KeptStates {
    /// Returns whether the user has agreed to the state after this change.
    pub(super) fn contains(&self, change: &SharedChange) -> bool {
        hash(&change.part, change.after.as_ref()).is_ok_and(|hash| self.0.contains(&hash))
    }
}

/// Returns the path of the file with the states of parts that the user has agreed to, one in each
/// line: the hash of part and state, and the part's name.
fn file(flux: &Flux) -> PathBuf {
    flux.repo.flux_dir().join("kept-config")
}

/// Reads the states of parts that the user has agreed to; none if there is no file.
pub(super) fn read(flux: &Flux) -> Result<KeptStates> {
    let text = none_if_missing(read_file(&file(flux)))?.unwrap_or_default();
    let hashes = text.lines().filter_map(|line| line.fields().next());
    Ok(KeptStates(
        hashes
            .map(|hash| hash.to_str_lossy().into_owned())
            .collect(),
    ))
}

/// Records that the user has agreed to a change of the shared configuration, so that cleanup does
/// not ask about it again.
pub(crate) fn keep(flux: &Flux, change: &SharedChange) -> Result<()> {
    let lock = flux.lock_repo()?;
    note(flux, change, change.after.as_ref(), &lock)
}

/// Records that the user has agreed to the state `state` of the part of a change. `_lock` is the
/// repository's lock.
pub(super) fn note(
    flux: &Flux,
    change: &SharedChange,
    state: Option<&PartState>,
    _lock: &Lock,
) -> Result<()> {
    let path = file(flux);
    let text = none_if_missing(read_file(&path))?.unwrap_or_default();
    let hash = hash(&change.part, state)?;
    let new = format!("{hash} {}", change.name());
    let mut lines: Vec<&[u8]> = text.lines().collect();
    lines.retain(|line| !line.starts_with(hash.as_bytes()));
    lines.push(new.as_bytes());
    let from = lines.len().saturating_sub(MAX_ANSWERS);
    write_private(
        &path,
        &[&lines[from..].join(&b"\n"[..]), &b"\n"[..]].concat(),
    )
}

/// Returns a hash of a part with its state, which is the same in all versions of git flux.
fn hash(part: &SharedPart, state: Option<&PartState>) -> Result<String> {
    let (file, key) = match part {
        SharedPart::Key { file, key } => (PathBuf::from(file), key.as_slice()),
        SharedPart::File(path) => (path.clone(), &b""[..]),
    };
    let text = |bytes: &[u8]| serde_json::to_value(Bytes(bytes.to_os_str_lossy().into_owned()));
    let state = match state {
        None => serde_json::Value::Null,
        Some(PartState::Values(values)) => {
            let values: Result<Vec<_>, _> = values.iter().map(|value| text(value)).collect();
            values?.into()
        }
        Some(PartState::File(file)) => serde_json::to_value(file)?,
    };
    let key = text(key)?;
    let whole = serde_json::to_vec(&(Bytes(file.into()), key, state))?;
    Ok(Repo::hash(&whole)?.to_string())
}
