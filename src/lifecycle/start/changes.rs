//! `git flux run --with-changes`

use std::path::Path;

use anyhow::Result;

use crate::context::Flux;
use crate::failure::Failure;
use crate::git::carry::{Carried, Fit, Uncommitted};
use crate::git::changes::Head;
use crate::git::{Change, Checkout, Ignored, ObjectId, Repo};
use crate::ui::{quoted, shown};

/// How many files a message lists.
const LISTED: usize = 8;

/// What is uncommitted where the user stands, as it would be on top of `onto`; none if
/// there is nothing. `base` is what the user called that commit.
///
/// # Errors
/// When it cannot be carried there: then nothing exists yet.
pub(crate) fn changes(flux: &Flux, onto: &ObjectId, base: Option<&str>) -> Result<Option<Carried>> {
    let Some(here) = flux.repo.current() else {
        return Err(
            Failure::new("there is no worktree here whose changes could be taken along")
                .hint("leave out --with-changes")
                .into(),
        );
    };
    let checkout = flux.repo.checkout(here)?;
    ensure_no_operation(&checkout)?;
    let _spinner = flux.ui.spinner("looking at your changes");
    let (head, changes) = Head::and_changes(&checkout, Ignored::LeftOut)?;
    ensure_merged(here, &changes)?;
    warn(flux, &changes);
    if changes.iter().all(stays) {
        flux.ui
            .status("There are no uncommitted changes to take along.");
        return Ok(None);
    }
    let uncommitted = Uncommitted {
        checkout: &checkout,
        head: &head.oid.clone().into(),
        changes: &changes,
    };
    match uncommitted.fit(&flux.repo, onto)? {
        Fit::Fits(carried) => Ok(Some(carried)),
        Fit::Conflicts(files) => {
            let files: Vec<_> = files.iter().map(|file| shown(file)).collect();
            let what = base.unwrap_or("the commit that the task starts from");
            Err(Failure::new(format!(
                "your changes do not apply to '{what}': {}",
                list(&files)
            ))
            .hint("leave out --base, or --with-changes")
            .hint(format!("git diff HEAD {}", &onto[..onto.len().min(9)]))
            .into())
        }
    }
}

/// Fails if an operation is in progress whose state is no change of a file.
fn ensure_no_operation(checkout: &Checkout) -> Result<()> {
    let operation = Repo::operation(checkout)?;
    let Some(operation) = operation.filter(|operation| *operation != "bisect") else {
        return Ok(());
    };
    let here = checkout.path();
    Err(Failure::new(format!(
        "a {operation} is in progress in '{}': its changes cannot be taken along",
        shown(here)
    ))
    .hint(format!(
        "finish or abort it: git -C {} status",
        quoted(here)
    ))
    .hint("leave out --with-changes")
    .into())
}

/// Fails if there are conflicts in the index.
fn ensure_merged(here: &Path, changes: &[Change]) -> Result<()> {
    let unmerged = changes.iter().filter(|change| change.conflicted());
    let unmerged: Vec<_> = unmerged.map(|change| shown(&change.path)).collect();
    if unmerged.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "there are conflicts in the index, which cannot be taken along: {}",
        list(&unmerged)
    ))
    .hint(format!("git -C {} status", quoted(here)))
    .hint("leave out --with-changes")
    .into())
}

/// Whether it is nothing but what is inside of another repository.
fn stays(change: &Change) -> bool {
    change.is_repository() || (change.submodule && change.code[0] == b'.')
}

/// What is inside of other repositories is not this one's to take along.
fn warn(flux: &Flux, changes: &[Change]) {
    let inside = |change: &&Change| change.is_repository() || change.submodule;
    let inside: Vec<_> = changes.iter().filter(inside).collect();
    if !inside.is_empty() {
        let names: Vec<_> = inside.iter().map(|change| shown(&change.path)).collect();
        flux.ui.warning(format_args!(
            "what has changed inside of other repositories is not taken along: {}",
            list(&names)
        ));
    }
}

fn list(names: &[String]) -> String {
    let more = if names.len() > LISTED { ", …" } else { "" };
    names[..names.len().min(LISTED)].join(", ") + more
}
