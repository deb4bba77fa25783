//! Describes the plan of a landing.

use crate::git::MergePlan;
use crate::lifecycle::cleanup::check::Check;
use crate::lifecycle::cleanup::facts::Facts;
use crate::lifecycle::cleanup::plan::Plan;
use crate::lifecycle::land::landing::Landed;
use crate::sanitize;
use crate::ui::words::count;

/// Returns whether a landing leaves a task as it is: its target has all its changes already, and
/// landed tasks are kept (`--keep`).
pub(super) fn stays(plan: &Plan, fate: Landed) -> bool {
    let is_integrated = |facts: &Facts| facts.nothing_to_merge().is_some();
    fate == Landed::Kept && plan.forecast().is_some_and(is_integrated)
}

/// Describes the plan of one task in a line.
pub(super) fn describe(plan: &Plan, fate: Landed) -> String {
    let text = match (plan.refusal(), plan.forecast()) {
        (Some(refusal), _) if is_conflict(plan) => format!("send back: {refusal}"),
        (Some(refusal), _) => format!("refused: {refusal}"),
        (None, None) => "refused: internal error".to_owned(),
        (None, Some(facts)) => steps(plan, facts, fate).join(", "),
    };
    sanitize::line(&text)
}

fn steps(plan: &Plan, facts: &Facts, fate: Landed) -> Vec<String> {
    let mut steps = Vec::new();
    if !facts.uncommitted.is_empty() {
        steps.push(format!("commit {}", count(facts.uncommitted.len(), "file")));
    }
    if fate == Landed::Removed && facts.processes.must_stop() {
        steps.push(format!("stop {}", facts.processes.name_stopped(&plan.id)));
    }
    steps.push(match (facts.nothing_to_merge(), facts.merge_target()) {
        (Some(why), _) => format!("merge nothing: {why}"),
        (None, Some(into)) => {
            let commits = count(facts.commits(), "commit");
            format!("{} {commits}", into.style.into_str())
        }
        (None, None) => "merge nothing".to_owned(),
    });
    steps.extend(facts.unseen_note());
    steps
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
