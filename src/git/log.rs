//! Summaries of commits.

use std::path::Path;

use anyhow::{Context as _, Result};
use bstr::ByteSlice as _;
use serde::Serialize;

use super::records::records;
use super::{Git, ObjectId};

/// The name, time and subject of a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct CommitSummary {
    #[serde(rename = "commit")]
    pub(crate) oid: ObjectId,
    /// The committer time, in seconds since 1970.
    pub(crate) at: u64,
    pub(crate) subject: String,
}

/// Returns whether a merge commit is among those that `tip` reaches and `base` does not:
/// `git rev-list --merges -n 1 <base>..<tip>`
pub(crate) fn has_merges(dir: &Path, base: &ObjectId, tip: &ObjectId) -> Result<bool> {
    let git = Git::reading(dir).words("rev-list --merges -n 1");
    let merges = git.args([&format!("{base}..{tip}"), "--"]).output()?;
    Ok(!merges.is_empty())
}

/// Lists the commits that `tip` reaches and `base` does not, oldest first, following only first
/// parents: `git log --first-parent --reverse --topo-order <base>..<tip>`
pub(crate) fn between(dir: &Path, base: &ObjectId, tip: &ObjectId) -> Result<Vec<CommitSummary>> {
    let git = Git::reading(dir).words("log");
    let git = git.words("-z --no-show-signature --first-parent --reverse --topo-order");
    let git = git.args(["--format=%H %ct %s", &format!("{base}..{tip}"), "--"]);
    let commit = |line| parse(line).context("`git log` printed an unknown line");
    records(&git.output()?)?.map(commit).collect()
}

fn parse(line: &[u8]) -> Option<CommitSummary> {
    let line = line.to_str_lossy();
    let (oid, rest) = line.split_once(' ')?;
    let (at, subject) = rest.split_once(' ')?;
    Some(CommitSummary {
        oid: oid.to_owned().into(),
        at: at.parse().ok()?,
        subject: subject.to_owned(),
    })
}
