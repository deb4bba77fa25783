//! How a merge is undone, as a command.

use anyhow::Result;

use crate::context::Flux;
use crate::sanitize;
use crate::task::Merged;

/// The command that undoes a merge; none if there was nothing to merge.
///
/// # Errors
/// When the merge is missing.
pub(crate) fn revert(flux: &Flux, merged: &Merged) -> Result<Option<String>> {
    let Merged { from, to, .. } = merged;
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
