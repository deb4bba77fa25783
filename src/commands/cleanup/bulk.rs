//! Several tasks at once: one plan, one question, and each task on its own.

use anyhow::Result;
use console::Style;

use super::words::intent;
use super::{Cleanup, choose_own};
use crate::commands::table;
use crate::failure::{self, DECLINED, Failure};
use crate::lifecycle::Flux;
use crate::lifecycle::cleanup::facts::Plan;
use crate::sanitize;
use crate::store::{Store, Stored};
use crate::task::TaskId;
use crate::ui;
use crate::ui::words::count;

/// What is to become of one of several tasks, or why nothing is.
pub(super) type Outlook = (TaskId, Result<Plan>);

impl Cleanup {
    /// The tasks that are meant: none for the one that is picked.
    pub(super) fn several(&self, flux: &Flux, store: &Store) -> Result<Option<Vec<Outlook>>> {
        let outlook = |id: &TaskId| {
            let plan = self.outlook(flux, store, id);
            (id.clone(), plan.and_then(|plan| self.unasked(plan)))
        };
        if self.all {
            let every = in_order(flux.own_tasks(store));
            return Ok(Some(every.map(|stored| outlook(&stored.id)).collect()));
        }
        if self.merged.is_some() {
            return Ok(Some(self.merged(flux, store)?));
        }
        if self.tasks.len() < 2 {
            return Ok(None);
        }
        let mut ids: Vec<TaskId> = Vec::new();
        for name in &self.tasks {
            let id = &choose_own(flux, store, Some(name), "cleanup")?.id;
            if !ids.contains(id) {
                ids.push(id.clone());
            }
        }
        Ok(Some(ids.iter().map(outlook).collect()))
    }

    /// Removes several tasks. One that is refused does not stop the others.
    ///
    /// # Errors
    /// When any of them is refused, with the highest exit code of all.
    pub(super) fn bulk(&self, flux: &Flux, mut tasks: Vec<Outlook>) -> Result<()> {
        if tasks.is_empty() && !self.json {
            flux.ui.status("no task to remove");
            return Ok(());
        }
        if self.json {
            let store = Store::load(&flux.repo, &flux.settings)?;
            let ids: Vec<TaskId> = tasks.into_iter().map(|(id, _)| id).collect();
            return self.foretell(flux, &store, &ids);
        }
        let rows: Vec<[String; 2]> = tasks
            .iter()
            .map(|(id, plan)| [id.to_string(), self.row(plan)])
            .collect();
        // Whole, however long: it is what is agreed to.
        let lines = table::lines(["TASK", "PLAN"], &rows, None, |_, _| Style::new());
        for line in lines {
            if self.dry_run {
                flux.ui.data(line)?;
            } else {
                flux.ui.status(line);
            }
        }
        if self.dry_run {
            flux.ui.status("Nothing was done.");
            return Ok(());
        }
        let doable = tasks.iter().filter(|(_, plan)| plan.is_ok()).count();
        if doable > 0 && flux.ui.can_ask() && !self.yes {
            let question = match doable {
                1 => "Do that with 1 task?".to_owned(),
                many => format!("Do that with {many} tasks?"),
            };
            let stops = |(_, plan): &(_, Result<Plan>)| plan.as_ref().is_ok_and(Plan::must_stop);
            let harmless = !self.discard_branch && !tasks.iter().any(stops);
            if !flux.ui.confirm(question, harmless)? {
                return Err(Failure::declined("nothing was changed").into());
            }
        }
        // The pane we stand in goes with its task: the very last thing.
        tasks.sort_by_key(|(_, plan)| plan.as_ref().is_ok_and(|plan| plan.inside));
        let agreed = Self {
            // Where somebody was asked, stopping agents was part of it.
            yes: self.yes || flux.ui.can_ask(),
            ..self.clone()
        };
        let (all, mut worst, mut refused) = (tasks.len(), 0, 0);
        for (id, plan) in tasks {
            // One task's merge may have moved the target of the next.
            let done = plan.and_then(|_| agreed.one(flux, None, &id, true));
            let Err(error) = done else { continue };
            let code = failure::code(&error);
            if code == DECLINED {
                return Err(error);
            }
            ui::show(&error);
            worst = worst.max(code);
            refused += 1;
        }
        if refused == 0 {
            return Ok(());
        }
        Err(
            Failure::new(format!("{refused} of {all} tasks were not removed"))
                .code(worst)
                .into(),
        )
    }

    /// Refuses what would have to be asked about for each task.
    pub(super) fn unasked(&self, plan: Plan) -> Result<Plan> {
        let id = &plan.task.id;
        self.ensure_read(&plan)?;
        if let Some(doubt) = plan.doubt.as_ref().filter(|_| !self.gone) {
            return Err(Failure::new(doubt)
                .hint(format!("git flux cleanup {id}"))
                .into());
        }
        if self.discard || (plan.uncommitted.is_empty() && !plan.missing) {
            return Ok(plan);
        }
        if plan.missing {
            return Err(Failure::new(format!("the worktree of '{id}' is gone"))
                .hint(format!("git flux cleanup {id}"))
                .into());
        }
        if self.commit.is_some() {
            return Ok(plan);
        }
        let files = count(plan.uncommitted.len(), "uncommitted file");
        Err(Failure::new(format!("'{id}' has {files}"))
            .hint(format!("git flux cleanup {id}"))
            .into())
    }

    fn row(&self, plan: &Result<Plan>) -> String {
        sanitize::line(&match plan {
            Ok(plan) => {
                let mut deeds = intent(plan, self.discard, self.commit.is_some());
                // That it is removed goes without saying.
                deeds.pop();
                deeds.join(", ")
            }
            Err(error) => format!("refused: {error}"),
        })
    }
}

/// The tasks in the order of `git flux list`.
pub(super) fn in_order<'a>(
    tasks: impl Iterator<Item = &'a Stored>,
) -> impl Iterator<Item = &'a Stored> {
    let mut tasks: Vec<&Stored> = tasks.collect();
    tasks.sort_by_key(|stored| stored.created());
    tasks.into_iter()
}
