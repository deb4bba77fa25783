//! What was committed.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::Git;
use super::ObjectId;
use super::command::records::records;

/// A commit, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Commit {
    #[serde(rename = "commit")]
    pub(crate) oid: ObjectId,
    /// When it was committed, in seconds since 1970.
    pub(crate) at: u64,
    pub(crate) subject: String,
}

/// The commits on the way from `base` to `tip`, the oldest first; of what was merged on it, the merges alone:
/// `git log -z --first-parent --reverse --topo-order --format=… <base>..<tip>`
///
/// # Errors
/// When git fails.
pub(crate) fn between(dir: &Path, base: &ObjectId, tip: &ObjectId) -> Result<Vec<Commit>> {
    let range = format!("{base}..{tip}");
    let args = [
        "-z",
        "--no-show-signature",
        "--first-parent",
        "--reverse",
        "--topo-order",
        "--format=%H %ct %s",
        &range,
        "--",
    ];
    let out = Git::reading(dir, "log").args(args).output()?;
    records(&out)?
        .map(|line| {
            let line = String::from_utf8_lossy(line);
            let mut parts = line.splitn(3, ' ');
            let (oid, at) = (parts.next(), parts.next().and_then(|at| at.parse().ok()));
            let (oid, at) = oid.zip(at).context("`git log` printed an unknown line")?;
            Ok(Commit {
                oid: oid.to_owned().into(),
                at,
                subject: parts.next().unwrap_or_default().to_owned(),
            })
        })
        .collect()
}
