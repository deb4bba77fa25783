//! `git flux land --watch`: lands tasks as they become ready.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Instant;

use anyhow::{Context as _, Result};

use super::LandArgs;
use super::failed::{FailedTasks, Reason, Tips};
use super::plan::LandPlan;
use super::report::{Report, Trial};
use crate::commands::load_recovered;
use crate::commands::task_watch::{TaskWatch, own_tasks};
use crate::context::Flux;
use crate::failure::Failure;
use crate::interrupt;
use crate::lifecycle::land::chain::LandTask;
use crate::lifecycle::land::groups::{order, target};
use crate::lifecycle::land::results::TargetMove;
use crate::run::RunDir;
use crate::store::Store;
use crate::task::{BranchName, Task, TaskId};
use crate::ui::{self, Ui};

/// The watch for tasks that become ready.
struct LandWatch<'a> {
    args: &'a LandArgs,
    tasks: TaskWatch,
    failed: FailedTasks,
    /// The tasks that were left out because of unseen files.
    unseen: BTreeMap<TaskId, Option<usize>>,
    /// The moves of the targets so far.
    moves: Vec<TargetMove>,
}

impl LandArgs {
    /// Lands the tasks that are ready, and from then on each one that becomes ready. Asks one
    /// question at the start, and nothing later. Never returns `Ok`: ^C and errors end it.
    pub(super) fn land_on(&self, flux: &Flux) -> Result<()> {
        if flux.ui.can_ask() && !self.yes {
            let question = "Land tasks as they become ready, and stop their agents?";
            flux.ui.ensure_agreed(question, true)?;
        }
        let args = Self {
            yes: self.yes || flux.ui.can_ask(),
            ready: true,
            ..self.clone()
        };
        let mut watch = LandWatch {
            args: &args,
            tasks: TaskWatch::new()?,
            failed: FailedTasks::default(),
            unseen: BTreeMap::new(),
            moves: Vec::new(),
        };
        let runs = flux.repo.runs_dir();
        fs::create_dir_all(&runs)
            .with_context(|| Failure::new(format!("could not make '{}'", runs.display())))?;
        watch.tasks.wakeups.watch.watch_run(&RunDir(runs))?;
        // Only once: it would see each start before its record, as if that had been killed.
        load_recovered(flux)?;
        loop {
            let done = watch.step();
            if done.is_err() {
                self.hint_at_undo(flux, &watch.moves);
                return done;
            }
        }
    }
}

impl LandWatch<'_> {
    /// Lands the tasks that are ready, and waits for the next event.
    fn step(&mut self) -> Result<()> {
        self.tasks.wakeups.note_observation();
        // The configuration of a branch may have changed.
        let flux = Flux::open(Ui::default())?;
        let mut store = Store::load(&flux.repo, &flux.settings)?;
        // A change before a directory was watched causes no event.
        while self.tasks.follow(&flux, &store) {
            store = Store::load(&flux.repo, &flux.settings)?;
        }
        let tasks: Vec<&Task> = own_tasks(&flux, &store).collect();
        self.tasks.watch_terminals(&tasks);
        self.land(&flux, &store)?;
        let next_try = self.failed.next_try(Instant::now());
        self.tasks.wakeups.wait(next_try).map(drop)
    }

    /// Lands the tasks that are ready now, except those that did not land before and are not due.
    fn land(&mut self, flux: &Flux, store: &Store) -> Result<()> {
        let selection = self.args.select(flux, store)?;
        // Only once.
        if self.unseen != selection.unseen {
            selection.report_unseen(flux);
        }
        self.unseen = selection.unseen;
        let (mut tasks, mut tried, now) = (selection.tasks, Vec::new(), Instant::now());
        tasks.retain(|task| {
            let one = Tried::of(store, task);
            let is_due = self.failed.is_due(&one.id, &one.tips(store), now);
            tried.extend(is_due.then_some(one));
            is_due
        });
        if tasks.is_empty() {
            return Ok(());
        }
        let mut plan = LandPlan::make(flux, store, order(flux, store, tasks)?, self.args.fate());
        plan.agree(flux);
        self.args.note_configuration(flux, &plan)?;
        plan.forget_rounds(flux, store);
        // Each landing of another task lets a task that does not pass be tried again.
        let told = tried
            .iter()
            .filter(|one| self.failed.has_failed(&one.id, &one.tips(store)));
        let told: BTreeSet<TaskId> = told.map(|one| one.id.clone()).collect();
        let mut report = Report::new(flux, Trial::No).without_told(told);
        report.refuse(plan.commit_files(flux)?);
        // While the gate runs, a task or its target may change: nothing is known about those commits.
        let before = Store::load(&flux.repo, &flux.settings)?;
        let done = self.args.land(flux, store, plan, &mut report);
        for one in report.moves().iter().cloned() {
            one.add_to(&mut self.moves);
        }
        if let Err(error) = done {
            interrupt::check()?;
            ui::show(&error);
        }
        let after = Store::load(&flux.repo, &flux.settings)?;
        for one in tried {
            let result = report.result_of(&one.id);
            self.note(
                one.id.clone(),
                result,
                [one.tips(&before), one.tips(&after)],
            );
        }
        Ok(())
    }

    /// Notes the result of a try, with the commits before and after it.
    fn note(&mut self, id: TaskId, result: Option<&str>, [before, after]: [Tips; 2]) {
        let now = Instant::now();
        match result {
            _ if before.branch != after.branch => self.failed.forget(&id),
            // It has moved the target, and is left in place or could not be removed.
            Some("landed" | "integrated") => self.failed.note(id, after, Reason::Commits, now),
            Some("red" | "conflict") => self.failed.note(id, before, Reason::Commits, now),
            _ => self.failed.note(id, before, Reason::Other, now),
        }
    }
}

/// A task that is to land, and the branch on which.
struct Tried {
    id: TaskId,
    target: Option<BranchName>,
}

impl Tried {
    fn of(store: &Store, task: &LandTask) -> Self {
        Self {
            id: task.id.clone(),
            target: target(store, task),
        }
    }

    fn tips(&self, store: &Store) -> Tips {
        Tips::of(store, &self.id, self.target.as_ref())
    }
}
