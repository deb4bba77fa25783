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
    let Merged {
        branch, from, to, ..
    } = merged;
    if from == to {
        return Ok(None);
    }
    let (from, to) = (short(from), short(to));
    let what = match flux.repo.parents_of(&merged.to)?.as_slice() {
        [first, _, ..] if *first == merged.from => format!("-m 1 {to}"),
        [parent] if *parent == merged.from => to.to_owned(),
        _ => format!("{from}..{to}"),
    };
    Ok(Some(format!(
        "to undo the merge, on '{}': git revert {what}",
        sanitize::line(branch)
    )))
}

fn short(oid: &str) -> &str {
    &oid[..oid.len().min(9)]
}
