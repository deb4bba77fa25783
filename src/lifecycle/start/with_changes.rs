//! `git flux run --with-changes`

use anyhow::{Context as _, Result};

use crate::context::Flux;
use crate::failure::Failure;
use crate::git::changes::Head;
use crate::git::transplant::{DirtyWorktree, Stash, Transplant};
use crate::git::{Change, Checkout, Ignored, ObjectId, Repo};
use crate::ui::{quoted, shown};

/// The maximal number of files in a message.
const MAX_SHOWN: usize = 8;

const LEAVE_OUT: &str = "leave out --with-changes";

/// Returns the uncommitted changes of the current worktree, without ignored files and nested
/// repositories, as a stash on `onto`; `None`, after a message, if there are none. Fails during a
/// merge or rebase, or if they do not apply to `onto`, named `base` in errors.
pub(super) fn find(flux: &Flux, onto: &ObjectId, base: Option<&str>) -> Result<Option<Stash>> {
    let none = || Failure::new("not in a worktree: there are no changes to copy").hint(LEAVE_OUT);
    let here = flux.repo.current().with_context(none)?;
    let checkout = flux.repo.checkout(here)?;
    ensure_no_operation(&checkout)?;
    let _spinner = flux.ui.spinner("reading your changes");
    let (head, changes) = Head::status(&checkout, Ignored::LeftOut)?;
    if let Some(names) = list_paths(&changes, Change::is_conflicted) {
        let what = format!("cannot copy files with conflicts: {names}");
        let look = format!("git -C {} status", quoted(here));
        return Err(Failure::new(what).hint(look).hint(LEAVE_OUT).into());
    }
    let is_nested = |change: &Change| change.is_repository() || change.is_submodule;
    if let Some(names) = list_paths(&changes, is_nested) {
        flux.ui.warning(format_args!(
            "changes in nested repositories are not copied: {names}"
        ));
    }
    if changes.iter().all(is_inside_repository) {
        flux.ui.status("There are no uncommitted changes to copy.");
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
    let what = base.unwrap_or("the start of the task");
    let files = join(&files);
    let failure = Failure::new(format!("your changes do not apply to '{what}': {files}"));
    let failure = failure.hint("leave out either --base or --with-changes");
    let look = format!(
        "to see how '{what}' differs: git diff HEAD {}",
        &onto[..onto.len().min(9)]
    );
    Err(failure.hint(look).into())
}

/// Fails if an operation such as a merge or rebase is in progress in the worktree. A bisect is
/// allowed: it has no uncommitted state.
fn ensure_no_operation(checkout: &Checkout) -> Result<()> {
    let operation = Repo::operation(checkout)?;
    let Some(operation) = operation.filter(|operation| *operation != "bisect") else {
        return Ok(());
    };
    let (here, pasted) = (shown(checkout.path()), quoted(checkout.path()));
    let what = format!("cannot copy changes: a {operation} is in progress in '{here}'");
    let failure = Failure::new(what);
    let look = format!("to see how to finish or abort it: git -C {pasted} status");
    Err(failure.hint(look).hint(LEAVE_OUT).into())
}

/// Returns whether a change is only inside a nested repository or submodule. `false` for a
/// submodule with a staged commit.
fn is_inside_repository(change: &Change) -> bool {
    change.is_repository() || (change.is_submodule && change.code[0] == b'.')
}

/// Returns the paths of the changes for which `matches` is true, as text: at most eight, separated
/// by commas. `None` if there are none.
fn list_paths(changes: &[Change], matches: impl Fn(&Change) -> bool) -> Option<String> {
    let found = changes.iter().filter(|change| matches(change));
    let names: Vec<String> = found.map(|change| shown(&change.path)).collect();
    (!names.is_empty()).then(|| join(&names))
}

fn join(names: &[String]) -> String {
    let more = if names.len() > MAX_SHOWN { ", …" } else { "" };
    names[..names.len().min(MAX_SHOWN)].join(", ") + more
}
