//! `git flux cleanup`

mod args;
mod bulk;
pub(super) mod configuration;
mod conflicts;
mod consent;
mod dry_run;
mod options;
mod remove;
#[cfg(test)]
mod tests;
mod words;

use std::slice;

use anyhow::{Result, bail};
use clap::Args;
use clap_complete::ArgValueCompleter;

use self::args::Mode;
use super::styles::Styles;
use super::{candidates, choose_own, load_recovered};
use crate::context::Flux;
use crate::failure::{Failure, Verb};
use crate::lifecycle::cleanup::options::Options;
use crate::lifecycle::cleanup::plan::Plan;
use crate::lifecycle::copied_repository::find_original;
use crate::lifecycle::teardown::drop_from_copy;
use crate::store::{Store, StoredTask};
use crate::task::TaskId;
use crate::ui::{Ui, shown};

/// Merge a task back and remove its worktree, branch and pane
#[derive(Clone, Debug, Args)]
#[command(override_usage = "git flux cleanup [<options>] [<task>...]")]
pub(crate) struct CleanupArgs {
    /// dry run: only print the checks and what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// agree to the merge and to stopping the agent, never to losing work
    #[arg(short, long)]
    yes: bool,
    /// the tasks: each its id or a part of it, its branch or its worktree
    #[arg(value_name = "<task>", add = ArgValueCompleter::new(candidates::further_tasks))]
    tasks: Vec<String>,
    /// remove all tasks
    #[arg(long, conflicts_with_all = ["tasks", "merged"])]
    all: bool,
    /// remove all tasks that are merged, or that this commit contains
    #[arg(long, value_name = "commit", num_args = 0..=1, require_equals = true, default_missing_value = "", conflicts_with_all = ["tasks", "discard_branch"], add = ArgValueCompleter::new(candidates::commits))]
    merged: Option<String>,
    /// merge into this branch instead of the one the task started from
    #[arg(long, value_name = "branch", conflicts_with = "discard_branch", add = ArgValueCompleter::new(candidates::branches))]
    into: Option<String>,
    #[command(flatten)]
    styles: Styles,
    /// commit uncommitted files first
    #[arg(long, value_name = "message", num_args = 0..=1, require_equals = true, default_missing_value = "", conflicts_with = "discard")]
    commit: Option<String>,
    /// do not merge uncommitted files; they can be restored
    #[arg(long)]
    discard: bool,
    /// remove the entries of the task's stash; they can be restored
    #[arg(long)]
    discard_stash: bool,
    /// drop the branch without a merge; it can be restored
    #[arg(long, conflicts_with = "styles")]
    discard_branch: bool,
    /// on conflicts, merge the branch into the task's worktree
    #[arg(long, conflicts_with_all = ["discard_branch", "rebase"])]
    update: bool,
    /// bypass the hooks that can refuse a commit or a merge
    #[arg(long)]
    no_verify: bool,
    /// run the gate on the merge first, and refuse if it does not pass
    #[arg(long, conflicts_with_all = ["discard_branch", "update"])]
    gate: bool,
    /// agree that an agent started on another machine has ended
    #[arg(long)]
    gone: bool,
    /// keep what changed in the configuration that worktrees share
    #[arg(long)]
    keep_config: bool,
    /// machine-readable output of the dry run, which it implies
    #[arg(long, conflicts_with = "porcelain")]
    json: bool,
    /// machine-readable output: the files in conflict, one per line
    #[arg(long)]
    porcelain: bool,
    /// terminate records of --porcelain with a NUL character
    #[arg(short = 'z', requires = "porcelain")]
    nul: bool,
}

impl CleanupArgs {
    pub(crate) fn run(self) -> Result<()> {
        let flux = Flux::open(Ui::default())?;
        let (mode, options) = (self.mode(), self.options(&flux)?);
        let store = match mode {
            Mode::Removal(_) => load_recovered(&flux)?,
            Mode::DryRun | Mode::Json => Store::load(&flux.repo, &flux.settings)?,
        };
        if self.all || self.merged.is_some() || self.tasks.len() > 1 {
            let plans = self.make_plans(&flux, &store, &options)?;
            return bulk::run(&flux, plans, &options, mode);
        }
        let name = self.tasks.first().map(String::as_str);
        let stored = self.choose(&flux, &store, name)?;
        if self.drop_copy(&flux, &store, stored, mode)? {
            return Ok(());
        }
        let id = stored.id.clone();
        if let Mode::Removal(porcelain) = mode {
            // Picking it may have taken any time.
            let seen = name.map(|_| store);
            return remove::remove_task(&flux, &id, seen, &options, porcelain);
        }
        let mut plan = Plan::make(&flux, &store, &id, &options);
        plan.check_collisions(&flux);
        match mode {
            Mode::Json => dry_run::print_json(&flux, slice::from_ref(&plan), &options)?,
            Mode::DryRun | Mode::Removal(_) => dry_run::print(&flux, &plan, &options)?,
        }
        dry_run::ensure_removable(plan)
    }

    /// With `--discard-branch`, drops a task whose worktree belongs to the repository that this one
    /// was copied from; asks first only on a terminal without `--yes`. A dry run only prints;
    /// `--json` fails. Returns `false`, without a change, in any other case.
    fn drop_copy(
        &self,
        flux: &Flux,
        store: &Store,
        stored: &StoredTask,
        mode: Mode,
    ) -> Result<bool> {
        let task = stored.readable()?;
        let find = || find_original(flux, task);
        let original = self.discard_branch.then(find).flatten();
        let Some(original) = original else {
            return Ok(false);
        };
        let (id, branch, place) = (&task.id, &task.branch, shown(&original));
        let ui = &flux.ui;
        let what = format!("'{id}' and its branch '{branch}' from this repository alone");
        if matches!(mode, Mode::Json) {
            let why = format!("no JSON for dropping {what}");
            let dry_run = format!("git flux cleanup {id} -n --discard-branch");
            bail!(Failure::new(why).hint(dry_run));
        }
        if matches!(mode, Mode::DryRun) {
            ui.data(format_args!("would drop {what}"))?;
            ui.status("Nothing was done.");
            return Ok(true);
        }
        if ui.can_ask() && !self.yes {
            ui.status(format_args!(
                "The worktree and the agent of '{id}' belong to '{place}' and are kept."
            ));
            ui.ensure_agreed(format_args!("Drop {what}?"), false)?;
        }
        let lock = flux.lock_task(id)?;
        let kept = drop_from_copy(flux, stored, store.tip(branch), &lock)?;
        ui.status(format_args!("dropped {what}"));
        if let Some(name) = &kept.archive {
            ui.hint(format_args!("to restore the task: git flux restore {name}"));
        }
        Ok(true)
    }

    /// Returns the task that `name` or the user selects. The hints of an error repeat the options.
    fn choose<'a>(
        &self,
        flux: &Flux,
        store: &'a Store,
        name: Option<&str>,
    ) -> Result<&'a StoredTask> {
        choose_own(flux, store, name, Verb::Cleanup)
            .map_err(|error| self.called_command().complete_hints(error))
    }

    /// Plans the cleanup of the tasks that `--all`, `--merged` or their names select, each once,
    /// without changing anything.
    fn make_plans(&self, flux: &Flux, store: &Store, options: &Options) -> Result<Vec<Plan>> {
        let mut ids: Vec<&TaskId> = Vec::new();
        if self.all {
            ids.extend(bulk::sort_tasks(flux, store).map(|stored| &stored.id));
        }
        for name in &self.tasks {
            let id = &self.choose(flux, store, Some(name))?.id;
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        let make = |id| Plan::make(flux, store, id, options);
        let mut plans = match self.merged {
            Some(_) => bulk::plan_merged(flux, store, options)?,
            None => ids.into_iter().map(make).collect(),
        };
        for plan in &mut plans {
            plan.check_collisions(flux);
        }
        Ok(plans)
    }
}
