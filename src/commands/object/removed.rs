//! The object of a removed task: `restore --list`.

use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use super::lines::lossy;
use super::seconds;

/// A removed task: `restore --list`.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::commands) struct RemovedObject<'a> {
    pub(in crate::commands) name: &'a str,
    pub(in crate::commands) id: Option<&'a str>,
    pub(in crate::commands) title: Option<&'a str>,
    pub(in crate::commands) agent: Option<&'a str>,
    pub(in crate::commands) branch: Option<&'a str>,
    pub(in crate::commands) base: Option<&'a str>,
    pub(in crate::commands) tip: Option<&'a str>,
    pub(in crate::commands) snapshot: Option<&'a str>,
    #[serde(serialize_with = "seconds")]
    pub(in crate::commands) removed: Option<Timestamp>,
    pub(in crate::commands) merged_into: Option<&'a str>,
    #[serde(serialize_with = "lossy")]
    pub(in crate::commands) worktree: Option<&'a Path>,
    #[serde(serialize_with = "lossy")]
    pub(in crate::commands) trash: Option<&'a Path>,
    pub(in crate::commands) size: Option<u64>,
    pub(in crate::commands) foreign: Option<bool>,
    #[serde(flatten)]
    pub(in crate::commands) unread: Option<UnreadObject>,
}

/// An unreadable entry of the archive.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct UnreadObject {
    pub(in crate::commands) state: &'static str,
    pub(in crate::commands) error: String,
}
