//! Finds the command that undoes a merge.

use anyhow::Result;

use crate::context::Flux;
use crate::git::ObjectId;
use crate::sanitize;
use crate::task::Merged;

/// Returns a hint to undo a merge; `None` if there was nothing to merge.
pub(crate) fn revert_hint(flux: &Flux, merged: &Merged) -> Result<Option<String>> {
    let Merged { from, to, .. } = merged;
    if from == to {
        return Ok(None);
    }
    // The same length as in the report of cleanup.
    let short = |oid: &ObjectId| oid[..oid.len().min(9)].to_owned();
    let what = match flux.repo.parents_of(to)?.as_slice() {
        [first, _, ..] if first == from => format!("-m 1 {}", short(to)),
        [parent] if parent == from => short(to),
        _ => format!("{}..{}", short(from), short(to)),
    };
    let branch = sanitize::line(&merged.branch);
    Ok(Some(format!(
        "to undo the merge, on '{branch}': git revert {what}"
    )))
}
