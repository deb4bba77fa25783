//! The objects of `cleanup` and `land`.

use std::path::PathBuf;

use serde::Serialize;

use super::lines::lossy;

/// The plan of a cleanup: `cleanup --dry-run`.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct CleanupObject {
    pub(in crate::commands) id: String,
    pub(in crate::commands) checks: Vec<CheckObject>,
    pub(in crate::commands) into: Option<String>,
    pub(in crate::commands) style: Option<&'static str>,
    pub(in crate::commands) commits: Option<usize>,
    pub(in crate::commands) conflicts: Vec<ConflictObject>,
    pub(in crate::commands) would: Option<Vec<String>>,
}

/// The result of a check of a cleanup.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct CheckObject {
    pub(in crate::commands) check: &'static str,
    pub(in crate::commands) result: &'static str,
    pub(in crate::commands) why: String,
    pub(in crate::commands) hints: Vec<String>,
}

/// A file with a merge conflict.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct ConflictObject {
    #[serde(serialize_with = "lossy")]
    pub(in crate::commands) path: Option<PathBuf>,
    pub(in crate::commands) kind: String,
}

/// The fate of a task in a landing: `land`.
#[derive(Debug, Default, Serialize)]
pub(in crate::commands) struct LandObject {
    pub(in crate::commands) id: String,
    pub(in crate::commands) result: &'static str,
    pub(in crate::commands) into: Option<String>,
    pub(in crate::commands) why: Option<String>,
    /// The number of times that it was sent back.
    pub(in crate::commands) rounds: Option<usize>,
}
