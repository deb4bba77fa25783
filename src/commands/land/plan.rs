//! The plan of a landing: what would become of each task.

use std::mem;

use anyhow::{Error, Result};

use super::description::{describe, stays};
use super::refusal::{commits_files, ensure_committable, is_sent_back, refusal};
use crate::commands::cleanup::configuration::note_agreed;
use crate::commands::object::LandObject;
use crate::commands::table::Table;
use crate::context::Flux;
use crate::failure::{self, CONFLICTS, Failure, worst_exit_code};
use crate::lifecycle::cleanup::commit_files::FilesCommit;
use crate::lifecycle::cleanup::facts::Facts;
use crate::lifecycle::cleanup::options::{Agreed, Asking, Edits, Question};
use crate::lifecycle::cleanup::plan::Plan;
use crate::lifecycle::cleanup::unchanged::is_unchanged;
use crate::lifecycle::land::chain::{LandTask, Misfit, Readiness, ensure_begun};
use crate::lifecycle::land::finding::Tester;
use crate::lifecycle::land::forecast::Forecast;
use crate::lifecycle::land::groups::{LandGroup, group};
use crate::lifecycle::land::landing::Landed;
use crate::lifecycle::land::rounds::{forget, is_freed};
use crate::sanitize;
use crate::store::Store;
use crate::task::{State, TaskId};
use crate::ui::words::count;

/// The plans of all tasks that are to land, in their order.
pub(super) struct LandPlan {
    tasks: Vec<(LandTask, Plan)>,
    fate: Landed,
    /// The tasks that do not fit on those before them, as far as that was forecast.
    misfits: Vec<(TaskId, Misfit)>,
}

impl LandPlan {
    /// Plans the cleanup of each task, without changing anything.
    pub(super) fn make(flux: &Flux, store: &Store, tasks: Vec<LandTask>, fate: Landed) -> Self {
        let plan = |task: LandTask| {
            let mut plan = Plan::make(flux, store, &task.id, &task.options);
            if task.readiness != Readiness::Trial {
                plan.check_collisions(flux);
            }
            if let Some(Err(error)) = plan.forecast().map(ensure_begun) {
                plan.refuse("commits", error);
            }
            (task, plan)
        };
        let groups = group(store, tasks).into_iter();
        let ordered = groups.flat_map(|group| group.tasks);
        let tasks = ordered.map(plan).collect();
        Self {
            tasks,
            fate,
            misfits: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    pub(super) fn into_groups(self, store: &Store) -> Vec<LandGroup> {
        group(
            store,
            self.tasks.into_iter().map(|(task, _)| task).collect(),
        )
    }

    /// Returns the lines of a table with the plan of each task.
    pub(super) fn lines(&self) -> Vec<String> {
        let row = |(task, plan): &(LandTask, Plan)| {
            let into = plan.forecast().and_then(Facts::merge_target);
            let into = into.map_or_else(|| "?".to_owned(), |into| into.branch.to_string());
            vec![
                task.id.to_string(),
                sanitize::line(&into),
                self.describe(task, plan),
            ]
        };
        let table = Table {
            head: &["TASK", "TARGET", "PLAN"],
            rows: self.tasks.iter().map(row).collect(),
            ..Table::default()
        };
        // Untruncated, since the user agrees to it.
        table.lines(None)
    }

    /// Asks one question about all tasks that can land, unless there are none or the user cannot be
    /// asked. Fails if the user declines.
    pub(super) fn ask(&self, flux: &Flux) -> Result<()> {
        let lands = |plan: &Plan| plan.refusal().is_none() && !stays(plan, self.fate);
        let plans = || self.tasks.iter().map(|(_, plan)| plan);
        let number = plans().filter(|plan| lands(plan)).count();
        let commits = self
            .tasks
            .iter()
            .filter(|(task, plan)| commits_before(task, plan));
        let commits = commits.count();
        if number + commits == 0 || !flux.ui.can_ask() {
            return Ok(());
        }
        if number == 0 {
            let tasks = count(commits, "task");
            let question = format!("Commit the files of {tasks}, and send back?");
            return flux.ui.ensure_agreed(question, true);
        }
        let facts = plans().filter_map(|plan| plan.facts.as_ref());
        let unseen = match facts.filter_map(|facts| facts.unseen).sum() {
            0 => String::new(),
            unseen => format!(" ({} unseen)", count(unseen, "file")),
        };
        let question = format!("Land {}{unseen}?", count(number, "task"));
        flux.ui.ensure_agreed(question, true)
    }

    /// Adds the consents that the user has given with the one question to the options of the tasks.
    pub(super) fn agree(&mut self, flux: &Flux) {
        for (task, plan) in &mut self.tasks {
            let options = &mut task.options;
            if flux.ui.can_ask() {
                // A landing asks no further question.
                for consent in plan.consents(Agreed::Ask) {
                    options.agree(consent.question, &consent.finding);
                }
            }
            options.given.push(Question::Removal);
            options.asking = Asking::Nothing;
        }
    }

    /// Warns of each change of the shared configuration to which the options of a task agree,
    /// unless the task is refused. With `--keep-config`, records that the user has agreed to the
    /// changes.
    pub(super) fn note_configuration(&self, flux: &Flux) -> Result<()> {
        let mut warned = Vec::new();
        let mut able = self.tasks.iter();
        able.try_for_each(|(task, plan)| match plan.refusal() {
            Some(_) if !commits_before(task, plan) => Ok(()),
            _ => note_agreed(flux, &task.options, plan, &mut warned),
        })
    }

    /// Forgets how often landings have sent back a task that the command line names, or that was
    /// blocked until the user sent or typed something to its agent.
    pub(super) fn forget_rounds(&self, flux: &Flux, store: &Store) {
        for (task, plan) in &self.tasks {
            let Some(facts) = &plan.facts else { continue };
            let freed = match task.readiness {
                Readiness::Named => Ok(true),
                _ => is_freed(flux, store, &facts.task),
            };
            let done = freed.and_then(|is_freed| match is_freed {
                true => forget(flux, &facts.oid, &facts.task),
                false => Ok(()),
            });
            // It counts on, which stops no other task.
            if let Err(error) = done {
                flux.ui.warn_of(&error);
            }
        }
    }

    /// Commits the uncommitted files of the tasks, if `--commit` is given. If a task with such
    /// files is refused, other than to be sent back, or has changed since it was planned,
    /// commits none of them, and moves the task from the plan to the result, with the error.
    pub(super) fn commit_files(&mut self, flux: &Flux) -> Result<Vec<(TaskId, Error)>> {
        let mut refused = Vec::new();
        for (mut task, plan) in mem::take(&mut self.tasks) {
            match commit_planned(flux, &task, plan)? {
                Ok(plan) => {
                    task.options.uncommitted = Edits::Ask;
                    self.tasks.push((task, plan));
                }
                Err(error) => refused.push((task.id, error)),
            }
        }
        Ok(refused)
    }

    /// Forecasts the landing of the tasks that are not refused, and notes which of them do not fit on
    /// those before them. Describes how often the gate has to run if everything passes.
    pub(super) fn forecast(&mut self, flux: &Flux, tester: &Tester) -> Result<String> {
        let able = self
            .tasks
            .iter()
            .filter(|(_, plan)| plan.refusal().is_none());
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
        let forecasts = groups.iter().map(|group| Forecast::make(flux, group));
        let forecasts: Vec<Forecast> = forecasts.collect::<Result<_>>()?;
        let runs = forecasts.iter().map(|forecast| forecast.count_runs(tester));
        let runs = count(runs.sum::<Result<usize>>()?, "run");
        self.misfits = forecasts.into_iter().flat_map(|one| one.misfits).collect();
        Ok(format!("{runs} of the gate, if everything passes"))
    }

    /// Returns why a task does not fit on those before it, if that was forecast.
    fn misfit(&self, task: &LandTask) -> Option<Misfit> {
        let mut misfits = self.misfits.iter();
        misfits.find_map(|(id, misfit)| (*id == task.id).then_some(*misfit))
    }

    fn describe(&self, task: &LandTask, plan: &Plan) -> String {
        match self.misfit(task) {
            Some(Misfit::Conflict) => {
                "send back to its agent: it conflicts with a task before it".to_owned()
            }
            Some(_) => "refused: it lacks commits of a task before it".to_owned(),
            None => describe(task, plan, self.fate),
        }
    }

    pub(super) fn exit_code(&self) -> u8 {
        let code = |(task, plan): &(LandTask, Plan)| match self.misfit(task) {
            Some(Misfit::Conflict) => CONFLICTS,
            Some(_) => 1,
            None => refusal(task, plan).map_or(0, failure::exit_code),
        };
        match worst_exit_code(self.tasks.iter().map(code)) {
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
                    None if self.misfit(task) == Some(Misfit::Conflict) => "conflict",
                    None if self.misfit(task).is_some() => "refused",
                    None if stays(plan, self.fate) => "integrated",
                    None => "lands",
                    Some(_) if is_sent_back(task, plan) => "conflict",
                    Some(_) => "refused",
                },
                why: Some(self.describe(task, plan)),
                ..LandObject::default()
            }
        };
        self.tasks.iter().map(object).collect()
    }
}

/// Returns whether the files of a task are committed although it is sent back: `--commit`.
fn commits_before(task: &LandTask, plan: &Plan) -> bool {
    is_sent_back(task, plan) && commits_files(task, plan)
}

/// Commits the uncommitted files of a task if `--commit` is given and the task can land or is sent
/// back, and returns its plan. The inner error says that it can do neither, or has changed since it
/// was planned; nothing is committed then.
fn commit_planned(flux: &Flux, task: &LandTask, mut plan: Plan) -> Result<Result<Plan>> {
    let facts = plan.facts.clone().filter(|_| commits_files(task, &plan));
    let (Edits::Commit(message), Some(facts)) = (&task.options.uncommitted, facts) else {
        return Ok(Ok(plan));
    };
    plan = match ensure_committable(plan) {
        Ok(plan) => plan,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if plan.refusal().is_some() && facts.state == State::Working {
        let failure = Failure::new(format!(
            "the agent of '{}' is working, so its files were not committed",
            task.id
        ));
        return Ok(Err(failure
            .hint(format!("to wait for it: git flux wait {}", task.id))
            .into()));
    }
    let lock = flux.lock_task(&task.id)?;
    if !is_unchanged(flux, &facts)? {
        let failure = Failure::new(format!("'{}' has changed since the plan was made", task.id));
        let hint = format!("to see the state of the task: git flux status {}", task.id);
        return Ok(Err(failure.hint(hint).into()));
    }
    // The files may have other contents, or be larger.
    plan.decide(flux, &task.options);
    plan = match ensure_committable(plan) {
        Ok(plan) => plan,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let commit = FilesCommit {
        flux,
        facts: &facts,
        message,
        verify: task.options.verify,
        lock: &lock,
    };
    commit.make().map(|()| Ok(plan))
}
