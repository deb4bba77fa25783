//! The object of `review`.

use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use super::lines::lossy;
use crate::git::repo::patch::FilePatch;
use crate::lifecycle::review::TaskReview;

/// The changes of a task to look at: `review`.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct ReviewObject {
    pub(super) id: String,
    /// The tree of what was looked at.
    pub(super) seen: String,
    /// The tree of what there is.
    pub(super) present: String,
    pub(super) files: Vec<ReviewFileObject>,
}

/// A file to look at.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReviewFileObject {
    #[serde(serialize_with = "lossy")]
    pub(super) path: Option<PathBuf>,
    /// Its path in the tree of what was looked at, if it is another one.
    #[serde(serialize_with = "lossy")]
    pub(super) renamed_from: Option<PathBuf>,
    /// The blob that was looked at.
    pub(super) old: Option<String>,
    /// The blob that there is.
    pub(super) new: Option<String>,
    /// The target has changed what was looked at, so that all changes are shown.
    pub(super) whole: bool,
}

impl ReviewObject {
    pub(in crate::commands) fn of(review: &TaskReview) -> Result<Self> {
        let [seen, present] = review.trees();
        let file = |patch: FilePatch| ReviewFileObject {
            old: patch.old.map(String::from),
            new: patch.new.map(String::from),
            whole: review.conflicts().contains(&patch.path),
            renamed_from: patch.renamed_from,
            path: Some(patch.path),
        };
        let patches = review.objects()?.patches(seen, present)?;
        Ok(Self {
            id: review.id.to_string(),
            seen: seen.to_string(),
            present: present.to_string(),
            files: patches.into_iter().map(file).collect(),
        })
    }
}
