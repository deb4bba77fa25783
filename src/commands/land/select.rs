//! Selects the tasks that are to land.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::LandArgs;
use crate::commands::choose_own;
use crate::context::Flux;
use crate::failure::Verb;
use crate::lifecycle::cleanup::called_command::{CalledCommand, commit_option, flag, into_option};
use crate::lifecycle::cleanup::options::{
    Asking, Branch, Conflicts, Edits, GateUse, Options, Question, Verify,
};
use crate::lifecycle::gate::Gate;
use crate::lifecycle::land::chain::{LandTask, Readiness, is_ready};
use crate::lifecycle::land::groups::find_redirect;
use crate::lifecycle::observe;
use crate::lifecycle::review::count_unseen;
use crate::store::{Store, StoredTask};
use crate::task::{BranchName, Changes, LandState, Status, Task, TaskId};
use crate::ui::words::count;

/// The tasks that the command line selects.
pub(super) struct Selection {
    /// The oldest first.
    pub(super) tasks: Vec<LandTask>,
    /// The tasks that would be ready, but have unseen files, which `flux.landUnseen` leaves out; with
    /// the number of these files, if it is known.
    pub(super) unseen: BTreeMap<TaskId, Option<usize>>,
}

impl Selection {
    /// Prints each task that is left out because of unseen files, with their number and
    /// `git flux review`.
    pub(super) fn report_unseen(&self, flux: &Flux) {
        for (id, files) in &self.unseen {
            let files = files.map_or_else(
                || "it is not known whether you have seen its files".to_owned(),
                |files| format!("{} unseen", count(files, "file")),
            );
            flux.ui.status(format_args!("'{id}' is left out: {files}"));
            flux.ui.hint(format_args!("git flux review {id}"));
        }
    }
}

impl LandArgs {
    /// Returns the tasks that the command line selects.
    pub(super) fn select(&self, flux: &Flux, store: &Store) -> Result<Selection> {
        let readiness = match (self.check, self.tasks.is_empty(), self.all) {
            (true, ..) => Readiness::Trial,
            (_, false, _) => Readiness::Named,
            (.., true) => Readiness::All,
            _ => Readiness::Ready,
        };
        let mut unseen = BTreeMap::new();
        let mut selected: Vec<&StoredTask> = if !self.tasks.is_empty() {
            self.named(flux, store)?
        } else if self.all {
            flux.own_tasks(store).collect()
        } else {
            self.ready_tasks(flux, store)?
        };
        if readiness == Readiness::Ready && !flux.settings.lands_unseen()? {
            unseen = find_unseen(flux, store, &selected);
            selected.retain(|stored| !unseen.contains_key(&stored.id));
        }
        selected.sort_by_key(|stored| stored.created());
        let mut tasks = Vec::new();
        for stored in selected {
            tasks.push(LandTask {
                id: stored.id.clone(),
                options: self.options(flux, store, stored)?,
                readiness,
            });
        }
        Ok(Selection { tasks, unseen })
    }

    fn named<'a>(&self, flux: &Flux, store: &'a Store) -> Result<Vec<&'a StoredTask>> {
        let (mut ids, mut named) = (BTreeSet::new(), Vec::new());
        for name in &self.tasks {
            let stored = choose_own(flux, store, Some(name), Verb::Land)
                .map_err(|error| self.called_command(flux).complete_hints(error))?;
            if ids.insert(&stored.id) {
                named.push(stored);
            }
        }
        Ok(named)
    }

    /// Returns this user's tasks that have changes to land and whose agents are done, ended or
    /// idle. Leaves out tasks with uncommitted files, unless `--commit` or `--check` is given, and,
    /// except with `--check`, those that landings have sent back to their agents too often.
    fn ready_tasks<'a>(&self, flux: &Flux, store: &'a Store) -> Result<Vec<&'a StoredTask>> {
        let own: Vec<&StoredTask> = flux.own_tasks(store).collect();
        let tasks: Vec<&Task> = own
            .iter()
            .filter_map(|one| one.task.as_ref().ok())
            .collect();
        let observed = observe::observe_tasks(flux, store, &tasks)?.into_iter();
        let statuses: Vec<Status> = observed.map(|one| one.status).collect();
        let is_chosen = |status: &&Status| {
            // The plan refuses what cannot be read, and says why.
            let is_committed = status.changes.is_none_or(Changes::is_none);
            let may_commit = self.commit.is_some() || self.check;
            let tip = store.tip(&status.task.branch);
            let has_work = tip.is_some_and(|tip| *tip != status.task.base) || !is_committed;
            let is_free = self.check || status.land != Some(LandState::Blocked);
            is_ready(&status.state) && (is_committed || may_commit) && has_work && is_free
        };
        let chosen = statuses.iter().filter(is_chosen);
        let chosen: BTreeSet<&TaskId> = chosen.map(|status| &status.task.id).collect();
        Ok(own
            .into_iter()
            .filter(|one| chosen.contains(&one.id))
            .collect())
    }

    /// Returns this command as hints repeat it. A gate that cannot be read counts as one.
    pub(super) fn called_command(&self, flux: &Flux) -> CalledCommand {
        let values = [
            self.into.as_deref().map(into_option),
            self.styles.option(),
            self.commit.as_deref().map(commit_option),
        ];
        let flags = [
            (self.keep, "--keep"),
            (self.check, "--check"),
            (self.keep_config, "--keep-config"),
            (self.no_gate, "--no-gate"),
        ];
        let mut command = CalledCommand::land(values.into_iter().chain(flags.map(flag)).flatten());
        command.is_tested = !self.no_gate && !matches!(Gate::read(flux), Ok(None));
        command
    }

    /// Returns the options for planning and landing a task. If its target branch is gone and has
    /// landed on another branch, the task lands on that one, and this is printed.
    fn options(&self, flux: &Flux, store: &Store, stored: &StoredTask) -> Result<Options> {
        let mut into = self.into.as_deref().map(BranchName::typed);
        if let (None, Ok(task)) = (&into, &stored.task)
            && let Some(redirect) = find_redirect(flux, store, task)?
        {
            let (id, gone, to) = (&task.id, &redirect.gone, &redirect.to);
            let what = format!("'{gone}' has landed, so '{id}' lands on '{to}'");
            flux.ui.status(what);
            into = Some(redirect.to);
        }
        let uncommitted = match &self.commit {
            Some(message) => Edits::Commit(message.clone()),
            None if self.check => Edits::Commit(String::new()),
            None => Edits::Ask,
        };
        // The plan names each target, and a warning each change of the configuration that runs
        // nothing.
        let mut given = vec![Question::OtherBranch, Question::PlainConfiguration];
        given.extend(self.keep_config.then_some(Question::Configuration));
        // Nothing ends with a trial, or where the tasks stay.
        let ends_nothing = self.check || self.keep;
        if self.yes || ends_nothing {
            given.extend(Question::BY_YES);
        }
        if ends_nothing {
            given.extend([Question::SuspendedJobs, Question::AgentEnded]);
        }
        // A trial stores nothing.
        given.extend(self.check.then_some(Question::LargeFiles));
        Ok(Options {
            command: self.called_command(flux),
            uncommitted,
            branch: Branch::Merge {
                into,
                style: self.styles.chosen(&flux.settings)?,
            },
            conflicts: Conflicts::Ask,
            given,
            verify: Verify::All,
            gate: GateUse::Shown,
            asking: match flux.ui.can_ask() {
                true => Asking::Once,
                false => Asking::Nothing,
            },
            answers: Vec::new(),
        })
    }
}

/// Returns the tasks with files that the user has not seen, and the number of these files. A task
/// whose number is not known is included, with `None`.
fn find_unseen(
    flux: &Flux,
    store: &Store,
    tasks: &[&StoredTask],
) -> BTreeMap<TaskId, Option<usize>> {
    let tasks = tasks.iter().filter_map(|stored| stored.task.as_ref().ok());
    let counts = tasks.map(|task| (task.id.clone(), count_unseen(flux, store, task)));
    counts.filter(|(_, count)| *count != Some(0)).collect()
}
