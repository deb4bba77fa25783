//! The objects of `status`.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;

use super::lines::lossy;
use super::seconds;
use super::task::{StateObject, TaskObject};
use crate::task::{NotedEntry, Source};

/// A task in detail: `status`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::commands) struct DetailObject {
    #[serde(flatten)]
    pub(in crate::commands) task: TaskObject,
    pub(in crate::commands) files: Vec<FileObject>,
    /// The entries of its own stash, the latest first.
    pub(in crate::commands) stash: Option<Vec<NotedEntry>>,
    /// The entries that were removed from the shared stash while its agent ran.
    pub(in crate::commands) removed_stash_entries: Option<Vec<NotedEntry>>,
    /// The changes of the shared configuration, if it could be compared.
    pub(in crate::commands) configuration: Option<Vec<ConfigChangeObject>>,
    pub(in crate::commands) screen: Option<Vec<String>>,
}

/// A changed file of a worktree.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct FileObject {
    pub(in crate::commands) code: String,
    #[serde(serialize_with = "lossy")]
    pub(in crate::commands) path: Option<PathBuf>,
}

/// A change of the configuration that worktrees share.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::commands) struct ConfigChangeObject {
    pub(in crate::commands) name: String,
    pub(in crate::commands) change: String,
    pub(in crate::commands) runs_program: bool,
}

/// The evidence for the state of a task: `status --explain`.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct ExplanationObject {
    pub(in crate::commands) id: String,
    #[serde(flatten)]
    pub(in crate::commands) state: StateObject,
    pub(in crate::commands) sources: Vec<SourceObject>,
}

/// The report of one source.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct SourceObject {
    pub(in crate::commands) source: Source,
    pub(in crate::commands) says: String,
    #[serde(serialize_with = "seconds")]
    pub(in crate::commands) since: Option<Timestamp>,
    pub(in crate::commands) counts: bool,
}
