//! `git flux land --watch`: lands tasks as they become ready.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result};

use super::LandArgs;
use super::plan::LandPlan;
use super::report::{Report, Trial};
use crate::commands::load_recovered;
use crate::commands::task_watch::{TaskWatch, own_tasks};
use crate::context::Flux;
use crate::failure::Failure;
use crate::interrupt;
use crate::lifecycle::land::chain::LandTask;
use crate::lifecycle::land::groups::order;
use crate::run::RunDir;
use crate::store::Store;
use crate::task::{ObjectId, Task, TaskId};
use crate::ui::{self, Ui};

/// The watch for tasks that become ready.
struct LandWatch<'a> {
    args: &'a LandArgs,
    tasks: TaskWatch,
    /// The tasks that did not land, with the commits of their branches and targets then.
    failed: BTreeMap<TaskId, [Option<ObjectId>; 2]>,
    /// The tasks that were left out because of unseen files.
    unseen: BTreeMap<TaskId, Option<usize>>,
}

impl LandArgs {
    /// Lands the tasks that are ready, and from then on each one that becomes ready. After one
    /// question, asks nothing more. Ends only on ^C, and with an error.
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
            failed: BTreeMap::new(),
            unseen: BTreeMap::new(),
        };
        let runs = flux.repo.runs_dir();
        fs::create_dir_all(&runs)
            .with_context(|| Failure::new(format!("could not make '{}'", runs.display())))?;
        watch.tasks.wakeups.watch.watch_run(&RunDir(runs))?;
        // Only once: it would see each start before its record, as if that had been killed.
        load_recovered(flux)?;
        loop {
            watch.tasks.wakeups.note_observation();
            // The configuration of a branch may have changed.
            let flux = Flux::open(Ui::default())?;
            let mut store = Store::load(&flux.repo, &flux.settings)?;
            // A change before a directory was watched causes no event.
            while watch.tasks.follow(&flux, &store) {
                store = Store::load(&flux.repo, &flux.settings)?;
            }
            let tasks: Vec<&Task> = own_tasks(&flux, &store).collect();
            watch.tasks.watch_terminals(&tasks);
            watch.land(&flux, &store)?;
            watch.tasks.wakeups.wait(None)?;
        }
    }
}

impl LandWatch<'_> {
    /// Lands the tasks that are ready now, except those that did not land before and are the same.
    fn land(&mut self, flux: &Flux, store: &Store) -> Result<()> {
        let state = |task: &LandTask| Self::state(store, &task.id);
        let selection = self.args.select(flux, store)?;
        // Only once.
        if self.unseen != selection.unseen {
            selection.report_unseen(flux);
        }
        self.unseen = selection.unseen;
        let mut tasks = selection.tasks;
        tasks.retain(|task| self.failed.get(&task.id) != Some(&state(task)));
        if tasks.is_empty() {
            return Ok(());
        }
        let before: Vec<TaskId> = tasks.iter().map(|task| task.id.clone()).collect();
        let mut plan = LandPlan::make(flux, store, order(flux, store, tasks)?, self.args.fate());
        plan.agree(flux);
        self.args.note_configuration(flux, &plan)?;
        let mut report = Report::new(flux, Trial::No);
        report.refuse(plan.commit_files(flux)?);
        let done = self.args.land(flux, store, plan, &mut report);
        if let Err(error) = done {
            interrupt::check()?;
            ui::show(&error);
        }
        // Those that have landed are gone, or have moved the target.
        let after = Store::load(&flux.repo, &flux.settings)?;
        for id in before {
            self.failed.insert(id.clone(), Self::state(&after, &id));
        }
        Ok(())
    }

    fn state(store: &Store, id: &TaskId) -> [Option<ObjectId>; 2] {
        let mut tasks = store.readable();
        let task = tasks.find(|task| task.id == *id);
        let tip = task.and_then(|task| store.tip(&task.branch));
        let target = task.and_then(|task| store.tip(task.into.as_ref()?));
        [tip.cloned(), target.cloned()]
    }
}
