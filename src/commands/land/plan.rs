//! The plan of a landing: what would become of each task.

use anyhow::Result;

use super::exit_code::worst;
use crate::commands::object::LandObject;
use crate::commands::table::Table;
use crate::context::Flux;
use crate::failure::{self, CONFLICTS};
use crate::git::MergePlan;
use crate::lifecycle::cleanup::check::Check;
use crate::lifecycle::cleanup::commit_files::FilesCommit;
use crate::lifecycle::cleanup::facts::Facts;
use crate::lifecycle::cleanup::options::{Agreed, Asking, Edits, Question};
use crate::lifecycle::cleanup::plan::Plan;
use crate::lifecycle::land::chain::{LandTask, Readiness};
use crate::lifecycle::land::finding::Tester;
use crate::lifecycle::land::forecast::count_runs;
use crate::lifecycle::land::groups::{LandGroup, group};
use crate::lifecycle::land::rounds;
use crate::sanitize;
use crate::store::Store;
use crate::ui::words::count;

/// The plans of all tasks that are to land, in their order.
pub(super) struct LandPlan(Vec<(LandTask, Plan)>);

impl LandPlan {
    /// Plans the cleanup of each task, without changing anything.
    pub(super) fn make(flux: &Flux, store: &Store, tasks: Vec<LandTask>) -> Self {
        let plan = |task: LandTask| {
            let mut plan = Plan::make(flux, store, &task.id, &task.options);
            plan.check_collisions(flux);
            (task, plan)
        };
        let groups = group(store, tasks).into_iter();
        let ordered = groups.flat_map(|group| group.tasks);
        Self(ordered.map(plan).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_groups(self, store: &Store) -> Vec<LandGroup> {
        group(store, self.0.into_iter().map(|(task, _)| task).collect())
    }

    /// Prints the plan as a table: on standard output if it is what was asked for, else on standard
    /// error.
    pub(super) fn print(&self, flux: &Flux, is_asked_for: bool) -> Result<()> {
        let row = |(task, plan): &(LandTask, Plan)| {
            let into = plan.forecast().and_then(Facts::merge_target);
            let into = into.map_or_else(|| "?".to_owned(), |into| into.branch.to_string());
            vec![task.id.to_string(), sanitize::line(&into), describe(plan)]
        };
        let table = Table {
            head: &["TASK", "TARGET", "PLAN"],
            rows: self.0.iter().map(row).collect(),
            ..Table::default()
        };
        // Untruncated, since the user agrees to it.
        for line in table.lines(None) {
            match is_asked_for {
                true => flux.ui.data(line)?,
                false => flux.ui.status(line),
            }
        }
        Ok(())
    }

    /// Asks one question about all tasks that can land, unless `--yes` is given or the user cannot
    /// be asked, and adds the consents to their options. Fails if the user declines.
    pub(super) fn agree(&mut self, flux: &Flux, is_agreed: bool) -> Result<()> {
        let able = self.0.iter().filter(|(_, plan)| plan.refusal().is_none());
        let number = able.count();
        if number > 0 && !is_agreed && flux.ui.can_ask() {
            let facts = self.0.iter().filter_map(|(_, plan)| plan.facts.as_ref());
            let unseen: usize = facts.filter_map(|facts| facts.unseen).sum();
            let unseen = match unseen {
                0 => String::new(),
                unseen => format!(" ({} unseen)", count(unseen, "file")),
            };
            let question = format!("Land {}{unseen}?", count(number, "task"));
            flux.ui.ensure_agreed(question, true)?;
        }
        for (task, plan) in &mut self.0 {
            let options = &mut task.options;
            if flux.ui.can_ask() {
                for consent in plan.consents(Agreed::Ask) {
                    // A landing asks no further question.
                    use Question::{LargeFiles, SuspendedJobs};
                    if !matches!(consent.question, LargeFiles | SuspendedJobs) {
                        options.agree(consent.question, &consent.finding);
                    }
                }
            }
            options.given.push(Question::Removal);
            options.asking = Asking::Nothing;
        }
        Ok(())
    }

    /// Forgets how often the named tasks were sent back.
    pub(super) fn forget_rounds(&self, flux: &Flux) -> Result<()> {
        let facts = |(task, plan): &(LandTask, Plan)| match task.readiness {
            Readiness::Named => plan.facts.clone(),
            _ => None,
        };
        for facts in self.0.iter().filter_map(facts) {
            rounds::forget(flux, &facts.oid, &facts.task)?;
        }
        Ok(())
    }

    /// Commits the uncommitted files of the tasks that can land, if `--commit` is given.
    pub(super) fn commit_files(&mut self, flux: &Flux) -> Result<()> {
        for (task, plan) in &mut self.0 {
            let Edits::Commit(message) = &task.options.uncommitted else {
                continue;
            };
            let facts = plan.facts.as_ref().filter(|_| plan.refusal().is_none());
            if let Some(facts) = facts.filter(|facts| !facts.uncommitted.is_empty()) {
                let lock = flux.lock_task(&task.id)?;
                let commit = FilesCommit {
                    flux,
                    facts,
                    message,
                    verify: task.options.verify,
                    lock: &lock,
                };
                commit.make()?;
            }
            task.options.uncommitted = Edits::Ask;
        }
        Ok(())
    }

    /// Describes how often the gate has to run if everything passes.
    pub(super) fn describe_runs(&self, flux: &Flux, tester: &Tester) -> Result<String> {
        let able = self.0.iter().filter(|(_, plan)| plan.refusal().is_none());
        let able = able.filter_map(|(_, plan)| plan.forecast());
        let mut groups: Vec<Vec<&Facts>> = Vec::new();
        for facts in able {
            let branch = |facts: &Facts| facts.merge_target().map(|into| into.branch.clone());
            let mut known = groups.iter_mut();
            match known.find(|group| branch(group[0]) == branch(facts)) {
                Some(group) => group.push(facts),
                None => groups.push(vec![facts]),
            }
        }
        let runs = groups.iter().map(|group| count_runs(flux, tester, group));
        let runs: usize = runs.sum::<Result<usize>>()?;
        let runs = count(runs, "run");
        Ok(format!("{runs} of the gate, if everything passes"))
    }

    pub(super) fn exit_code(&self) -> u8 {
        let code = |(_, plan): &(LandTask, Plan)| plan.refusal().map_or(0, failure::exit_code);
        match worst(self.0.iter().map(code)) {
            0 => 0,
            CONFLICTS => CONFLICTS,
            _ => 1,
        }
    }

    pub(super) fn objects(&self) -> Vec<LandObject> {
        let object = |(task, plan): &(LandTask, Plan)| {
            let into = plan.forecast().and_then(Facts::merge_target);
            LandObject {
                id: task.id.to_string(),
                into: into.map(|into| into.branch.to_string()),
                result: match plan.refusal() {
                    None => "lands",
                    Some(_) if is_conflict(plan) => "conflict",
                    Some(_) => "refused",
                },
                why: Some(describe(plan)),
                ..LandObject::default()
            }
        };
        self.0.iter().map(object).collect()
    }
}

/// Returns whether the first reason not to land is a conflict with the target.
fn is_conflict(plan: &Plan) -> bool {
    let into = plan.forecast().and_then(Facts::merge_target);
    let is_merge = |check: &Check| check.name == "merge";
    let mut refusing = plan.checks.iter().filter(|check| check.refusal().is_some());
    let conflicts = into.is_some_and(|into| matches!(into.merge, MergePlan::Conflicts { .. }));
    conflicts && refusing.next().is_some_and(is_merge)
}

/// Describes the plan of one task in a line.
fn describe(plan: &Plan) -> String {
    let text = match (plan.refusal(), plan.forecast()) {
        (Some(refusal), _) if is_conflict(plan) => format!("back: {refusal}"),
        (Some(refusal), _) => format!("refused: {refusal}"),
        (None, None) => "refused: internal error".to_owned(),
        (None, Some(facts)) => steps(plan, facts).join(", "),
    };
    sanitize::line(&text)
}

fn steps(plan: &Plan, facts: &Facts) -> Vec<String> {
    let mut steps = Vec::new();
    if !facts.uncommitted.is_empty() {
        steps.push(format!("commit {}", count(facts.uncommitted.len(), "file")));
    }
    if facts.processes.must_stop() {
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
