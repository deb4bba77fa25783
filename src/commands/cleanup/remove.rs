//! Removes one task: plans, asks and acts; repeats that if the task changes meanwhile.

use anyhow::{Context as _, Result, bail};

use super::args::Porcelain;
use super::consent::{NextStep, ask_consents, facts};
use super::{configuration, conflicts, words};
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{Lock, MergePlan};
use crate::lifecycle::cleanup::commit_files::FilesCommit;
use crate::lifecycle::cleanup::facts::Facts;
use crate::lifecycle::cleanup::merge::{self, PreparedMerge};
use crate::lifecycle::cleanup::options::{
    Agreed, CommitRules, Edits, GateUse, Options, Question, Signing,
};
use crate::lifecycle::cleanup::plan::Plan;
use crate::lifecycle::cleanup::remove::{Outcome, remove, stop_agent};
use crate::lifecycle::cleanup::tested;
use crate::lifecycle::cleanup::unchanged::{SecondLook, is_unchanged, lock_merge};
use crate::lifecycle::gate::agreed;
use crate::sanitize;
use crate::settings::Settings;
use crate::store::Store;
use crate::task::TaskId;

/// The number of attempts for a task that keeps changing.
const ATTEMPTS: usize = 5;

/// The removal of one locked task.
pub(super) struct TaskRemoval<'a> {
    flux: &'a Flux,
    id: &'a TaskId,
    lock: &'a Lock,
    porcelain: Porcelain,
    /// The options and consents before the task was locked.
    before: &'a Options,
    /// [`Self::before`], with the answers since.
    options: Options,
    /// The queue of merges, locked from the first attempt to merge until something is asked or
    /// tested.
    queue: Option<Lock>,
    /// The changes of the shared configuration that were warned of.
    warned: Vec<String>,
}

/// Merges and removes a task under its lock, after asking for the consents that are not given;
/// waits for another command that holds the lock. Instead, may start a merge that stops at
/// conflicts, and fail. `seen` are the tasks, if they were just loaded.
pub(super) fn remove_task(
    flux: &Flux,
    id: &TaskId,
    seen: Option<Store>,
    options: &Options,
    porcelain: Porcelain,
) -> Result<()> {
    let load = || Store::load(&flux.repo, &flux.settings);
    let (lock, store) = match flux.try_lock_task(id)? {
        Some(lock) => {
            // Another command may have removed the task, with its run directory, since then.
            let seen = seen.filter(|_| flux.run_dir(id).is_used());
            (lock, seen.map_or_else(load, Ok)?)
        }
        // The holder of the lock changes the task.
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
        warned: Vec::new(),
    };
    let done = removal.run(store);
    if done.is_err() {
        // The task may already have been removed.
        flux.remove_stale_run_dir(id)?;
    }
    done
}

impl TaskRemoval<'_> {
    fn run(mut self, mut store: Store) -> Result<()> {
        let (flux, id) = (self.flux, self.id);
        for attempt in 0..ATTEMPTS {
            // The plan is made again; different findings are asked about.
            let mut plan = Plan::make(flux, &store, id, &self.options);
            self.list_conflicts(&plan)?;
            if attempt == 0
                && let Some(facts) = plan.facts.as_ref().filter(|_| plan.refusal().is_none())
            {
                words::warn_of_dependents(flux, &store, &facts.task);
            }
            self.leave_queue(&plan);
            self.test_planned(&mut plan)?;
            match ask_consents(flux, &mut self.options, plan)? {
                NextStep::Remove(plan) => {
                    configuration::note_agreed(flux, &self.options, &plan, &mut self.warned)?;
                    if self.carry_out(&plan)? {
                        return Ok(());
                    }
                }
                NextStep::Resolve(plan, place) => {
                    conflicts::start_merge(flux, facts(&plan)?, place, self.lock)?;
                    self.forget_answers();
                }
            }
            self.options.uncommitted = self.before.uncommitted.clone();
            store = Store::load(&flux.repo, &Settings::load(flux.repo.home())?)?;
        }
        let what = format!("'{id}' keeps changing; it was not removed");
        bail!(Failure::new(what).hint(format!("to look at it: git flux attach {id}")))
    }

    /// Prints the files in conflict on standard output, if `--porcelain` is given and a conflict is
    /// the first reason not to remove the task.
    fn list_conflicts(&self, plan: &Plan) -> Result<()> {
        let mut checks = plan.checks.iter();
        let first = checks.find(|check| check.name == "merge" || check.refusal().is_some());
        let into = plan.facts.as_ref().and_then(Facts::merge_target);
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

    /// With `--gate`, runs the gate on the planned merge, and decides the plan again. Fails if the
    /// gate does not pass. Does nothing if the plan is refused, or before the user has said what to
    /// do with conflicts and uncommitted files.
    fn test_planned(&self, plan: &mut Plan) -> Result<()> {
        let is_open = plan
            .consents(Agreed::Ask)
            .any(|open| open.question < Question::OtherBranch);
        if self.options.gate == GateUse::Shown || plan.refusal().is_some() || is_open {
            return Ok(());
        }
        if let Some(facts) = plan.forecast().filter(|_| !plan.is_update()) {
            if self.options.given.contains(&Question::Configuration) {
                agreed::agree(self.flux)?;
            }
            tested::ensure_planned(self.flux, facts)?;
            plan.decide(self.flux, &self.options);
        }
        Ok(())
    }

    /// Commits the uncommitted files, if the plan says so, or else merges and removes the task.
    /// Returns `true` if it was removed, `false` if a new plan is needed, as after the commit.
    fn carry_out(&mut self, plan: &Plan) -> Result<bool> {
        let facts = facts(plan)?;
        let message = match &self.options.uncommitted {
            Edits::Commit(message) if !facts.uncommitted.is_empty() => message,
            _ => return self.merge_and_remove(facts),
        };
        let forecast = plan
            .forecast()
            .context("internal error: no facts despite passing checks")?;
        forecast.ensure_no_collision(self.flux, None)?;
        if self.stop_and_recheck(facts, None)? {
            let commit = FilesCommit {
                flux: self.flux,
                facts,
                message,
                verify: self.options.verify,
                lock: self.lock,
            };
            commit.make()?;
        } else {
            self.forget_answers();
        }
        Ok(false)
    }

    fn merge_and_remove(&mut self, facts: &Facts) -> Result<bool> {
        let (flux, lock) = (self.flux, self.lock);
        // Everything that can refuse comes before the agent is stopped.
        let rules = CommitRules {
            verify: self.options.verify,
            signing: Signing::Configured,
        };
        let made = merge::prepare(flux, facts, rules, lock)?;
        if let (GateUse::Required, Some(made)) = (self.options.gate, &made) {
            tested::ensure_commit(flux, self.id, &made.commit)?;
        }
        if facts.processes.must_stop() {
            facts.ensure_no_collision(flux, made.as_ref().map(|made| &made.commit))?;
        }
        if !self.stop_and_recheck(facts, made.as_ref())?
            || !self.enter_queue(facts, made.as_ref())?
        {
            self.forget_answers();
            return Ok(false);
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

    /// Releases the lock of merges, unless the plan can be carried out at once: no other command may
    /// have to wait for an answer or for the gate.
    fn leave_queue(&mut self, plan: &Plan) {
        let asks = plan.is_update() || plan.consents(Agreed::Ask).next().is_some();
        if asks || self.options.gate == GateUse::Required {
            self.queue = None;
        }
    }

    /// Takes the lock of merges, if something is to be merged. Returns whether the task is unchanged
    /// after the wait, if there was one.
    fn enter_queue(&mut self, facts: &Facts, made: Option<&PreparedMerge>) -> Result<bool> {
        if made.is_some() && self.queue.is_none() {
            self.queue = lock_merge(self.flux, [facts], SecondLook::AfterWait)?;
            return Ok(self.queue.is_some());
        }
        Ok(true)
    }

    /// Stops the agent or closes the task's pane if necessary, but never in the caller's own pane,
    /// and returns whether the task is unchanged since it was observed. Returns `true` without a
    /// check if nothing was stopped, no question was possible, and no hook or gate ran.
    fn stop_and_recheck(&self, facts: &Facts, made: Option<&PreparedMerge>) -> Result<bool> {
        if facts.processes.must_stop() || facts.processes.must_close_pane() {
            return stop_agent(self.flux, facts);
        }
        // The task may have changed during a question, a hook or the gate.
        let is_tested = self.options.gate == GateUse::Required;
        let ran_hooks = made.is_some_and(|made| made.ran_hooks);
        let is_slow = self.flux.ui.can_ask() || ran_hooks || is_tested;
        Ok(!is_slow || is_unchanged(self.flux, facts)?)
    }

    /// Forgets the answers of the user about a task that has changed, and prints that it is checked
    /// again.
    fn forget_answers(&mut self) {
        let what = format!("'{}' or its target has changed; planning again", self.id);
        self.flux.ui.status(what);
        self.options = self.before.clone();
    }
}
