//! Deletes removed tasks for good.

use anyhow::{Result, bail};

use super::Faults;
use super::removed::describe_removed;
use crate::context::Flux;
use crate::failure::Failure;
use crate::lifecycle::archive::delete::delete_archived;
use crate::lifecycle::archive::{Archived, Listing};
use crate::sanitize;

/// The message if there is nothing.
pub(super) const NOTHING: &str = "there is nothing to delete";

/// Returns the removed tasks of this user and this repository.
pub(super) fn own<'a>(flux: &Flux, all: &'a Listing) -> Vec<&'a Archived> {
    let is_own = |one: &&Archived| !one.foreign && flux.trash_owner(one).is_none();
    all.archived.iter().filter(is_own).collect()
}

/// Warns of the archive entries that cannot be read, which stay. Fails if there are any, or if
/// something else could not be deleted.
pub(super) fn finish(flux: &Flux, all: &Listing, mut faults: Faults) -> Result<()> {
    for one in &all.unread {
        flux.ui.warn_of(&one.refusal().into());
        faults.count();
    }
    faults.ensure_none("not everything could be deleted")
}

/// Returns the question whether to delete these removed tasks. Prints them first if there are several.
pub(super) fn question(flux: &Flux, tasks: &[&Archived]) -> String {
    if let [one] = tasks {
        let content = describe_removed(flux, one);
        return format!("Delete '{}' for good ({content})?", one.name);
    }
    for one in tasks {
        let content = describe_removed(flux, one);
        flux.ui.status(format_args!("  {}  {content}", one.name));
    }
    format!("Delete these {} for good?", tasks.len())
}

/// Asks `question`; the default answer is no. Fails if the user declines or, with a hint at
/// `--yes`, if the user cannot be asked.
pub(super) fn ensure_agreed(flux: &Flux, question: String) -> Result<()> {
    if !flux.ui.can_ask() {
        let failure = Failure::new("refusing to delete without --yes");
        let failure = failure.hint("to see the removed tasks: git flux restore --list");
        bail!(failure.hint("add --yes to agree"));
    }
    flux.ui.ensure_agreed(question, false)
}

/// Deletes a removed task for good, and prints the name of its branch with that branch's last
/// commit.
pub(super) fn delete(flux: &Flux, one: &Archived) -> Result<()> {
    delete_archived(flux, one)?;
    let (name, branch, tip) = (&one.name, sanitize::line(&one.task.branch), &one.tip);
    let commits = format!("the commits of '{branch}' were at {tip}");
    flux.ui.status(format_args!("deleted '{name}' ({commits})"));
    Ok(())
}
