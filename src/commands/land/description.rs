//! Describes the plan of a landing.

use super::refusal::{commits_files, is_sent_back, refusal};
use crate::lifecycle::cleanup::facts::Facts;
use crate::lifecycle::cleanup::plan::Plan;
use crate::lifecycle::land::chain::{LandTask, Readiness};
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
pub(super) fn describe(task: &LandTask, plan: &Plan, fate: Landed) -> String {
    let is_trial = task.readiness == Readiness::Trial;
    let steps = match (refusal(task, plan), plan.forecast()) {
        (Some(why), _) if is_sent_back(task, plan) && is_trial => {
            vec![format!("would be sent back: {why}")]
        }
        (Some(why), facts) if is_sent_back(task, plan) => {
            let facts = facts.filter(|_| commits_files(task, plan));
            let send_back = format!("send back to its agent: {why}");
            facts
                .map(commit_step)
                .into_iter()
                .chain([send_back])
                .collect()
        }
        (Some(why), _) => vec![format!("refused: {why}")],
        (None, None) => vec!["refused: internal error".to_owned()],
        (None, Some(facts)) => {
            let mut steps = match is_trial {
                true => Vec::new(),
                false => first_steps(plan, facts, fate),
            };
            steps.push(merge_step(facts, task.readiness));
            steps.extend(facts.unseen_note());
            steps
        }
    };
    sanitize::line(&steps.join(", "))
}

fn commit_step(facts: &Facts) -> String {
    format!("commit {}", count(facts.uncommitted.len(), "file"))
}

/// Describes what happens before a task is merged.
fn first_steps(plan: &Plan, facts: &Facts, fate: Landed) -> Vec<String> {
    let mut steps = Vec::new();
    if !facts.uncommitted.is_empty() {
        steps.push(commit_step(facts));
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
    match readiness {
        Readiness::Trial => format!("try to {into} {parts}"),
        _ => format!("{into} {parts}"),
    }
}
