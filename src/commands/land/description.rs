//! Describes the plan of a landing.

use crate::git::MergePlan;
use crate::lifecycle::cleanup::check::Check;
use crate::lifecycle::cleanup::facts::Facts;
use crate::lifecycle::cleanup::plan::Plan;
use crate::lifecycle::land::chain::Readiness;
use crate::lifecycle::land::landing::Landed;
use crate::sanitize;
use crate::ui::words::count;

/// Returns whether a landing leaves a task as it is: its target has all its changes already, and
/// landed tasks are kept (`--keep`).
pub(super) fn stays(plan: &Plan, fate: Landed) -> bool {
    let is_integrated = |facts: &Facts| facts.nothing_to_merge().is_some();
    fate == Landed::Kept && plan.forecast().is_some_and(is_integrated)
}

/// Describes the plan of one task in a line. For a trial, names only what is merged and tested.
pub(super) fn describe(plan: &Plan, fate: Landed, readiness: Readiness) -> String {
    let is_trial = readiness == Readiness::Trial;
    let text = match (plan.refusal(), plan.forecast()) {
        (Some(refusal), _) if is_conflict(plan) && is_trial => {
            format!("would be sent back: {refusal}")
        }
        (Some(refusal), _) if is_conflict(plan) => format!("send back: {refusal}"),
        (Some(refusal), _) => format!("refused: {refusal}"),
        (None, None) => "refused: internal error".to_owned(),
        (None, Some(facts)) => {
            let mut steps = match is_trial {
                true => Vec::new(),
                false => first_steps(plan, facts, fate),
            };
            steps.push(merge_step(facts, readiness));
            steps.extend(facts.unseen_note());
            steps.join(", ")
        }
    };
    sanitize::line(&text)
}

/// Describes what happens before a task is merged.
fn first_steps(plan: &Plan, facts: &Facts, fate: Landed) -> Vec<String> {
    let mut steps = Vec::new();
    if !facts.uncommitted.is_empty() {
        steps.push(format!("commit {}", count(facts.uncommitted.len(), "file")));
    }
    if fate == Landed::Removed && facts.processes.must_stop() {
        steps.push(format!("stop {}", facts.processes.name_stopped(&plan.id)));
    }
    steps
}

/// Describes the merge of a task: of its commits and, in a trial, of its uncommitted files, which
/// are not committed.
fn merge_step(facts: &Facts, readiness: Readiness) -> String {
    let into = match (facts.nothing_to_merge(), facts.merge_target()) {
        (Some(why), _) => return format!("merge nothing: {why}"),
        (None, None) => return "merge nothing".to_owned(),
        (None, Some(into)) => into.style.into_str(),
    };
    let (commits, files) = (facts.commits(), facts.uncommitted.len());
    // One commit would have the uncommitted files.
    let parts = match (readiness, files, commits) {
        (Readiness::Trial, 1.., ..=1) => count(files, "uncommitted file"),
        (Readiness::Trial, 1.., _) => {
            let commits = count(commits - 1, "commit");
            format!("{commits} and {}", count(files, "uncommitted file"))
        }
        _ => count(commits, "commit"),
    };
    format!("{into} {parts}")
}

/// Returns whether a plan is refused because the task conflicts with its target, and no earlier
/// check refuses it.
pub(super) fn is_conflict(plan: &Plan) -> bool {
    let into = plan.forecast().and_then(Facts::merge_target);
    let is_merge = |check: &Check| check.name == "merge";
    let mut refusing = plan.checks.iter().filter(|check| check.refusal().is_some());
    let conflicts = into.is_some_and(|into| matches!(into.merge, MergePlan::Conflicts { .. }));
    conflicts && refusing.next().is_some_and(is_merge)
}
