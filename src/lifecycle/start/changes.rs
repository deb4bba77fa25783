//! `git flux run --with-changes`

use anyhow::{Context as _, Result};

use crate::context::Flux;
use crate::failure::Failure;
use crate::git::changes::Head;
use crate::git::transplant::{DirtyWorktree, Stash, Transplant};
use crate::git::{Change, Checkout, Ignored, ObjectId, Repo};
use crate::ui::{quoted, shown};

/// How many files a message lists.
const LISTED: usize = 8;

const ALONE: &str = "leave out --with-changes";

/// Returns what is uncommitted where the user stands, as it would be on top of `onto`; none if
/// there is nothing. `base` is what the user called that commit.
///
/// # Errors
/// When it cannot be carried there: then nothing exists yet.
pub(super) fn changes(flux: &Flux, onto: &ObjectId, base: Option<&str>) -> Result<Option<Stash>> {
    let here = flux.repo.current().with_context(|| {
        Failure::new("there is no worktree here whose changes could be taken along").hint(ALONE)
    })?;
    let checkout = flux.repo.checkout(here)?;
    ensure_no_operation(&checkout)?;
    let _spinner = flux.ui.spinner("looking at your changes");
    let (head, changes) = Head::status(&checkout, Ignored::LeftOut)?;
    if let Some(names) = list(&changes, Change::is_conflicted) {
        let what =
            format!("there are conflicts in the index, which cannot be taken along: {names}");
        let look = format!("git -C {} status", quoted(here));
        return Err(Failure::new(what).hint(look).hint(ALONE).into());
    }
    // What is inside of other repositories is not this one's to take along.
    if let Some(names) = list(&changes, |change| {
        change.is_repository() || change.is_submodule
    }) {
        flux.ui.warning(format_args!(
            "what has changed inside of other repositories is not taken along: {names}"
        ));
    }
    if changes.iter().all(stays) {
        flux.ui
            .status("There are no uncommitted changes to take along.");
        return Ok(None);
    }
    let uncommitted = DirtyWorktree {
        checkout: &checkout,
        head: &head.oid.clone().into(),
        changes: &changes,
    };
    let files = match uncommitted.transplant(&flux.repo, onto)? {
        Transplant::Fits(carried) => return Ok(Some(carried)),
        Transplant::Conflicts(files) => files.iter().map(|file| shown(file)).collect::<Vec<_>>(),
    };
    let what = base.unwrap_or("the commit that the task starts from");
    let files = first(&files);
    let failure = Failure::new(format!("your changes do not apply to '{what}': {files}"));
    let failure = failure.hint("leave out --base, or --with-changes");
    let look = format!("git diff HEAD {}", &onto[..onto.len().min(9)]);
    Err(failure.hint(look).into())
}

/// Fails if an operation is in progress whose state is no change of a file.
fn ensure_no_operation(checkout: &Checkout) -> Result<()> {
    let operation = Repo::operation(checkout)?;
    let Some(operation) = operation.filter(|operation| *operation != "bisect") else {
        return Ok(());
    };
    let (here, pasted) = (shown(checkout.path()), quoted(checkout.path()));
    let begun = format!("a {operation} is in progress in '{here}'");
    let failure = Failure::new(format!("{begun}: its changes cannot be taken along"));
    let look = format!("finish or abort it: git -C {pasted} status");
    Err(failure.hint(look).hint(ALONE).into())
}

/// Returns whether it is nothing but what is inside of another repository.
fn stays(change: &Change) -> bool {
    change.is_repository() || (change.is_submodule && change.code[0] == b'.')
}

/// Names the changes that are such; none if there are none.
fn list(changes: &[Change], is_such: impl Fn(&Change) -> bool) -> Option<String> {
    let such = changes.iter().filter(|change| is_such(change));
    let names: Vec<String> = such.map(|change| shown(&change.path)).collect();
    (!names.is_empty()).then(|| first(&names))
}

/// Returns the first of `names`.
fn first(names: &[String]) -> String {
    let more = if names.len() > LISTED { ", …" } else { "" };
    names[..names.len().min(LISTED)].join(", ") + more
}
