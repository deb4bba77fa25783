//! The removal of one task: observe, decide, ask, do; and again as long as it changes meanwhile.

use anyhow::{Context as _, Error, Result, bail};

use super::args::Porcelain;
use super::consent::{NextStep, ask_consents, facts};
use super::{conflicts, words};
use crate::context::Flux;
use crate::failure::{self, Failure};
use crate::git::commit::CommitAll;
use crate::git::{Lock, MergePlan};
use crate::lifecycle::cleanup::facts::Facts;
use crate::lifecycle::cleanup::merge::{self, PreparedMerge};
use crate::lifecycle::cleanup::options::{Options, Uncommitted, Verify};
use crate::lifecycle::cleanup::plan::Plan;
use crate::lifecycle::cleanup::remove::{Outcome, is_unchanged, remove, stop_agent};
use crate::sanitize;
use crate::settings::Settings;
use crate::store::Store;
use crate::task::{Task, TaskId};
use crate::ui::quoted;
use crate::ui::words::count;

/// How often a task that keeps changing is looked at again.
const ATTEMPTS: usize = 5;

/// The removal of one task, whose lock is held.
pub(super) struct TaskRemoval<'a> {
    flux: &'a Flux,
    id: &'a TaskId,
    lock: &'a Lock,
    porcelain: Porcelain,
    /// What was wanted and agreed to before the task was locked.
    before: &'a Options,
    /// The same, with the answers since.
    options: Options,
    /// Held from the first merge that came too late, so that the next one does not.
    queue: Option<Lock>,
}

/// Locks a task and removes it. `seen` is what was seen just now, if it was.
///
/// # Errors
/// When it is refused or declined, or a step fails.
pub(super) fn remove_task(
    flux: &Flux,
    id: &TaskId,
    seen: Option<Store>,
    options: &Options,
    porcelain: Porcelain,
) -> Result<()> {
    let load = || Store::load(&flux.repo, &flux.settings);
    let (lock, store) = match flux.try_lock_task(id)? {
        Some(lock) => (lock, seen.map_or_else(load, Ok)?),
        // Whoever holds it changes what was seen before.
        None => (flux.lock_task(id)?, load()?),
    };
    let removal = TaskRemoval {
        flux,
        id,
        lock: &lock,
        porcelain,
        before: options,
        options: options.clone(),
        queue: None,
    };
    let done = removal.run(store);
    if done.is_err() {
        // It may have been gone by then.
        flux.tidy_run(id)?;
    }
    done
}

impl TaskRemoval<'_> {
    fn run(mut self, mut store: Store) -> Result<()> {
        let (flux, id) = (self.flux, self.id);
        for attempt in 0..ATTEMPTS {
            // The plan that was agreed to before is made again: what differs is asked about.
            let plan = Plan::make(flux, &store, id, &self.options);
            self.list_conflicts(&plan)?;
            if attempt == 0
                && let Some(facts) = plan.facts.as_ref().filter(|_| plan.refusal().is_none())
            {
                words::warn_of_dependents(flux, &store, &facts.task);
            }
            match ask_consents(flux, &mut self.options, plan)? {
                NextStep::Remove(plan) if self.carry_out(&plan)? => return Ok(()),
                NextStep::Remove(_) => {}
                NextStep::Resolve(plan, place) => {
                    return conflicts::start(flux, facts(&plan)?, place, self.lock);
                }
            }
            self.options.uncommitted = self.before.uncommitted.clone();
            store = Store::load(&flux.repo, &Settings::load(flux.repo.home())?)?;
        }
        let what = format!("'{id}' keeps changing; it was not removed");
        bail!(Failure::new(what).hint(format!("git flux attach {id}")))
    }

    /// Prints the files in conflict, for `--porcelain`.
    fn list_conflicts(&self, plan: &Plan) -> Result<()> {
        let mut checks = plan.checks.iter();
        let first = checks.find(|check| check.name == "merge" || check.refusal().is_some());
        let into = plan.facts.as_ref().and_then(Facts::into);
        let (Some("merge"), Some(MergePlan::Conflicts { files })) =
            (first.map(|check| check.name), into.map(|into| &into.merge))
        else {
            return Ok(());
        };
        for file in files {
            let path = file.path.as_os_str().as_encoded_bytes();
            let line = match self.porcelain {
                Porcelain::No => continue,
                Porcelain::Nul => [path, b"\0"].concat(),
                Porcelain::Lines => {
                    let path = String::from_utf8_lossy(path);
                    format!("{}\n", sanitize::line(&path)).into_bytes()
                }
            };
            self.flux.ui.bytes(&line)?;
        }
        Ok(())
    }

    /// Does what a plan says; `false` if the task has to be looked at again.
    fn carry_out(&mut self, plan: &Plan) -> Result<bool> {
        let facts = facts(plan)?;
        let message = match &self.options.uncommitted {
            Uncommitted::Commit(message) if !facts.uncommitted.is_empty() => message,
            _ => return self.merge_and_remove(facts),
        };
        let forecast = plan.forecast().context("there are no facts")?;
        forecast.ensure_no_collision(self.flux, None)?;
        if self.is_ready(facts, None)? {
            self.commit(facts, message)?;
        } else {
            self.forget_answers();
        }
        Ok(false)
    }

    fn merge_and_remove(&mut self, facts: &Facts) -> Result<bool> {
        let (flux, lock) = (self.flux, self.lock);
        // Whatever can refuse does so while the agent still runs.
        let made = merge::prepare(flux, facts, self.options.verify, lock)?;
        if facts.processes.must_stop() {
            facts.ensure_no_collision(flux, made.as_ref().map(|made| &made.commit))?;
        }
        if !self.is_ready(facts, made.as_ref())? {
            self.forget_answers();
            return Ok(false);
        }
        if made.is_some() && self.queue.is_none() {
            self.queue = Some(flux.lock_merge()?);
        }
        match remove(flux, facts, made.map(|made| made.commit), lock)? {
            Outcome::Done(done) => words::report_removal(flux, facts, &done).map(|()| true),
            Outcome::Changed => {
                self.queue = None;
                self.forget_answers();
                Ok(false)
            }
            Outcome::TargetMoved => Ok(false),
        }
    }

    /// Stops what runs, and returns whether the task still is what it was when it was looked at.
    fn is_ready(&self, facts: &Facts, made: Option<&PreparedMerge>) -> Result<bool> {
        if facts.processes.must_stop() || facts.processes.has_foreign_jobs() {
            return stop_agent(self.flux, facts);
        }
        // A question or a hook may have taken any time.
        let is_slow = self.flux.ui.can_ask() || made.is_some_and(|made| made.ran_hooks);
        Ok(!is_slow || is_unchanged(self.flux, facts)?)
    }

    /// Forgets what was agreed to of a task that has changed meanwhile.
    fn forget_answers(&mut self) {
        let what = format!("'{}' changed meanwhile; looking at it again", self.id);
        self.flux.ui.status(what);
        self.options = self.before.clone();
    }

    fn commit(&self, facts: &Facts, message: &str) -> Result<()> {
        let (flux, task) = (self.flux, &facts.task);
        let offered = words::default_message(task);
        let message = if message.trim().is_empty() {
            &offered
        } else {
            message
        };
        let checkout = flux.repo.checkout(&task.worktree)?;
        let hooks = merge::hooks_for_commit(flux, facts)?;
        let commit = CommitAll {
            tip: &facts.tip,
            message,
            verify: self.options.verify == Verify::All,
            hooks: hooks.as_deref(),
        };
        let committed = commit.make(&checkout, self.lock);
        if committed.map_err(|error| not_committed(error, task))? {
            let files = count(facts.uncommitted.len(), "file");
            let what = format!("committed {files} on '{}'", task.branch);
            flux.ui.status(what);
        }
        Ok(())
    }
}

/// The refusal of a commit that git or a hook does not make.
fn not_committed(error: Error, task: &Task) -> Error {
    let path = quoted(&task.worktree);
    let failure = Failure::new(format!("could not commit the changes of '{}'", task.id));
    let hint = format!("git -C {path} add --all && git -C {path} commit");
    failure::over(error, failure.hint(hint))
}
