//! Finds the command that undoes a merge.

use anyhow::Result;

use crate::context::Flux;
use crate::sanitize;
use crate::task::MergeRecord;

/// Returns the hint `to undo the merge, on '<branch>': git revert <commits>`; `None` if the merge
/// did not move the branch.
pub(crate) fn revert_hint(flux: &Flux, merged: &MergeRecord) -> Result<Option<String>> {
    let MergeRecord { from, to, .. } = merged;
    if from == to {
        return Ok(None);
    }
    let what = match flux.repo.parents_of(to)?.as_slice() {
        [first, _, ..] if first == from => format!("-m 1 {}", to.short()),
        [parent] if parent == from => to.short().to_owned(),
        _ => format!("{}..{}", from.short(), to.short()),
    };
    let branch = sanitize::line(&merged.branch);
    Ok(Some(format!(
        "to undo the merge, on '{branch}': git revert {what}"
    )))
}
