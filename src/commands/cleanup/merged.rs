//! `git flux cleanup --merged`: the tasks whose work is there already.

use anyhow::Result;

use super::in_order;
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{Integrated, MergePlan, ObjectId, Style, refs};
use crate::lifecycle::cleanup::check::{Check, Verdict};
use crate::lifecycle::cleanup::facts::Facts;
use crate::lifecycle::cleanup::options::{Agreed, Branch, Options, Uncommitted};
use crate::lifecycle::cleanup::plan::Plan;
use crate::lifecycle::cleanup::target::Destination;
use crate::store::{Store, Stored};
use crate::ui::word;

/// Plans the cleanup of the tasks that are merged, and of those of which that cannot be told.
///
/// # Errors
/// When they would be merged into what is no branch.
pub(super) fn merged(flux: &Flux, store: &Store, options: &Options) -> Result<Vec<Plan>> {
    if let Branch::Merge {
        into: Some(into), ..
    } = &options.branch
    {
        ensure_branch(flux, store, refs::short(into))?;
    }
    let tasks = in_order(flux, store);
    let tasks = tasks.filter(|stored| may_be_merged(flux, store, stored, &options.branch));
    let plans = tasks.map(|stored| Plan::make(flux, store, &stored.id, options));
    Ok(plans.filter(|plan| is_meant(plan, options)).collect())
}

/// Returns whether the work of a task may be in its target, as far as that is known at first sight.
fn may_be_merged(flux: &Flux, store: &Store, stored: &Stored, branch: &Branch) -> bool {
    let Ok(task) = &stored.task else { return true };
    match branch {
        Branch::MergedIn { commit, .. } => store
            .tip(&task.branch)
            .is_some_and(|tip| *tip != task.base && has(flux, commit, tip)),
        // One that goes nowhere is merged nowhere.
        Branch::Merge { into, .. } => into.is_some() || task.into.is_some(),
        Branch::Discard => task.into.is_some(),
    }
}

/// Returns whether a task is among those that are meant: not one that is not merged, and not one
/// of which that is known and something else refuses.
fn is_meant(plan: &Plan, options: &Options) -> bool {
    let Some(facts) = plan.outlook() else {
        return true;
    };
    let is_unread = facts.unread.is_some() && options.uncommitted != Uncommitted::Discard;
    let is_left_out = |check: &Check| match &check.verdict {
        Verdict::Ok(_) => false,
        Verdict::NeedsConsent(consent) => {
            consent.agreed == Agreed::No && !consent.question.is_joint()
        }
        Verdict::Refused(_) => true,
    };
    is_merged(facts) && (is_unread || !plan.checks.iter().any(is_left_out))
}

/// # Errors
/// When there is no such branch.
fn ensure_branch(flux: &Flux, store: &Store, into: &str) -> Result<()> {
    if store.tip(store.resolve(into)?).is_some() {
        return Ok(());
    }
    let hint = match flux.repo.resolve(into)? {
        Some(_) => format!("git flux cleanup --merged={}", word(into)),
        None => "git branch".to_owned(),
    };
    Err(Failure::new(format!("there is no branch '{into}'"))
        .hint(hint)
        .into())
}

/// Returns whether a commit has the work of a branch; where that cannot be told, it has not.
fn has(flux: &Flux, commit: &ObjectId, tip: &ObjectId) -> bool {
    let plan = MergePlan::make(&flux.repo, commit, tip, Style::Merge);
    matches!(plan, Ok(MergePlan::UpToDate(how)) if how != Integrated::Cancelled)
}

/// Returns whether the target has the work of a task that has any. One whose commits undo
/// each other has none that could be there.
fn is_merged(facts: &Facts) -> bool {
    match &facts.destination {
        Destination::MergedIn { .. } => true,
        Destination::Merge(into) => {
            let is_there = |how| how != Integrated::Cancelled && !facts.has_no_commits();
            matches!(into.merge, MergePlan::UpToDate(how) if is_there(how))
        }
        Destination::Dropped => false,
    }
}
