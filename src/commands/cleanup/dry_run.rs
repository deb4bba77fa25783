//! Prints `--dry-run` and `--json`: each check with its reason, and the steps.

use anyhow::{Result, bail};
use console::Style;

use super::conflicts::not_removed;
use super::words::list_steps;
use crate::commands::object::{CheckObject, CleanupObject, ConflictObject};
use crate::commands::table::Table;
use crate::context::Flux;
use crate::failure;
use crate::git::MergePlan;
use crate::git::merge::merge_tree::Conflict;
use crate::lifecycle::cleanup::check::Check;
use crate::lifecycle::cleanup::facts::Facts;
use crate::lifecycle::cleanup::options::{Agreed, Options};
use crate::lifecycle::cleanup::plan::Plan;
use crate::lifecycle::stash_pins::warn_of_removed_entries;
use crate::sanitize;

/// Returns `ok`, `asks` or `refuses` for a check, with the style to print it in.
fn check_result(check: &Check) -> (&'static str, Style) {
    match check.agreed() {
        Agreed::No => ("refuses", Style::new().red()),
        Agreed::Ask => ("asks", Style::new().yellow()),
        Agreed::Yes => ("ok", Style::new().green()),
    }
}

/// Prints the checks of a plan as a table and, if no check refuses, the steps. Does not fail if a
/// check refuses.
pub(super) fn print(flux: &Flux, plan: &Plan, options: &Options) -> Result<()> {
    let row = |check: &Check| {
        let (result, style) = check_result(check);
        let why = sanitize::line(&check.reason());
        let result = style.apply_to(result).to_string();
        vec![check.name.to_owned(), result, why]
    };
    let table = Table {
        head: &["CHECK", "RESULT", "WHY"],
        rows: plan.checks.iter().map(row).collect(),
        ..Table::default()
    };
    table.print(&flux.ui)?;
    if plan.refusal().is_none() {
        for step in list_steps(plan, options) {
            flux.ui.data(sanitize::line(&format!("would {step}")))?;
        }
    }
    if let Some(facts) = &plan.facts {
        warn_of_removed_entries(&flux.ui, &plan.id, &facts.stash.removed);
    }
    flux.ui.status("Nothing was done.");
    Ok(())
}

/// Fails as the cleanup itself would: if a check refuses, or if it would only start a merge that
/// stops at conflicts.
pub(super) fn ensure_removable(plan: Plan) -> Result<()> {
    let plan = plan.ensure_not_refused()?;
    match plan.facts.as_ref().filter(|_| plan.is_update()) {
        Some(facts) => bail!(not_removed(facts, &facts.task.worktree, true)),
        None => Ok(()),
    }
}

/// Prints plans as a JSON array on standard output.
pub(super) fn print_json(flux: &Flux, plans: &[Plan], options: &Options) -> Result<()> {
    let plans = plans.iter().map(|plan| object(plan, options));
    flux.ui.json(&plans.collect::<Vec<_>>())
}

fn object(plan: &Plan, options: &Options) -> CleanupObject {
    let check = |check: &Check| CheckObject {
        check: check.name,
        result: check_result(check).0,
        why: check.reason(),
        hints: check
            .refusal()
            .map_or_else(Vec::new, |error| failure::hints(error).collect()),
    };
    let into = plan.forecast().and_then(Facts::merge_target);
    let conflicts = match into.map(|into| &into.merge) {
        Some(MergePlan::Conflicts { files }) => &files[..],
        _ => &[],
    };
    let conflict = |file: &Conflict| ConflictObject {
        path: Some(file.path.clone()),
        kind: file.kind.clone(),
    };
    CleanupObject {
        id: plan.id.to_string(),
        checks: plan.checks.iter().map(check).collect(),
        into: into.map(|into| into.branch.to_string()),
        style: into.map(|into| into.style.into_str()),
        commits: plan.forecast().map(Facts::commits),
        conflicts: conflicts.iter().map(conflict).collect(),
        would: plan.refusal().is_none().then(|| list_steps(plan, options)),
    }
}
