//! Decides whether a task whose cleanup is refused is sent back to its agent.

use anyhow::{Error, Result};

use crate::git::MergePlan;
use crate::lifecycle::cleanup::check::Check;
use crate::lifecycle::cleanup::facts::Facts;
use crate::lifecycle::cleanup::options::Edits;
use crate::lifecycle::cleanup::plan::Plan;
use crate::lifecycle::land::chain::{LandTask, Readiness};

/// The checks, besides those before the check `merge`, that have to pass before a landing commits
/// the uncommitted files of a task that it sends back: a commit runs hooks.
const COMMIT_CHECKS: [&str; 4] = [
    "uncommitted",
    "repositories",
    "large files",
    "configuration",
];

fn is_commit_check(check: &Check) -> bool {
    COMMIT_CHECKS.contains(&check.name)
}

/// Returns whether a plan is refused because the task conflicts with its target, and no earlier
/// check refuses it.
fn is_conflict(plan: &Plan) -> bool {
    let into = plan.forecast().and_then(Facts::merge_target);
    let is_merge = |check: &Check| check.name == "merge";
    let mut refusing = plan.checks.iter().filter(|check| check.refusal().is_some());
    let conflicts = into.is_some_and(|into| matches!(into.merge, MergePlan::Conflicts { .. }));
    conflicts && refusing.next().is_some_and(is_merge)
}

/// Returns whether the uncommitted files of a task are to be committed: it has some, and `--commit`
/// is given.
pub(super) fn commits_files(task: &LandTask, plan: &Plan) -> bool {
    let has_files = |facts: &Facts| !facts.uncommitted.is_empty();
    matches!(task.options.uncommitted, Edits::Commit(_))
        && task.readiness != Readiness::Trial
        && plan.facts.as_ref().is_some_and(has_files)
}

/// Returns whether a task conflicts with its target and nothing else keeps it from being sent back.
pub(super) fn is_sent_back(task: &LandTask, plan: &Plan) -> bool {
    is_conflict(plan) && commit_refusal(task, plan).is_none()
}

/// Returns why a task does not land: a conflict, for which it is sent back, or another refusal.
pub(super) fn refusal<'p>(task: &LandTask, plan: &'p Plan) -> Option<&'p Error> {
    commit_refusal(task, plan).or(plan.refusal())
}

/// Returns why the uncommitted files of a task that conflicts may not be committed.
fn commit_refusal<'p>(task: &LandTask, plan: &'p Plan) -> Option<&'p Error> {
    let is_asked = is_conflict(plan) && commits_files(task, plan);
    let mut checks = plan.checks.iter().filter(|check| is_commit_check(check));
    checks.find_map(Check::refusal).filter(|_| is_asked)
}

/// Returns the plan of a task with uncommitted files, or fails if these may not be committed.
pub(super) fn ensure_committable(plan: Plan) -> Result<Plan> {
    match is_conflict(&plan) {
        true => plan.ensure(is_commit_check),
        false => plan.ensure_not_refused(),
    }
}
