//! Lands the first tasks of a chain: moves the target once, then removes each task as a cleanup does.

use anyhow::{Result, bail};

use super::chain::{self, Chain, LandTask};
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{Lock, ObjectId, Transaction, refs};
use crate::interrupt;
use crate::lifecycle::archive::KeptParts;
use crate::lifecycle::cleanup::facts::Facts;
use crate::lifecycle::cleanup::kept_work::prepare_archive;
use crate::lifecycle::cleanup::merge::TargetCommit;
use crate::lifecycle::cleanup::remove::{
    MarkedTask, Outcome, move_target, remove, run_files, stop_agent,
};
use crate::lifecycle::cleanup::target::Destination;
use crate::lifecycle::cleanup::unchanged::{
    SecondLook, TargetChange, is_unchanged, lock_merge, warn_of_stray_merge,
};
use crate::store::{self, Store, task_ref};
use crate::system::clock::this_second;
use crate::task::{MergeRecord, Removal, Rest, TaskId};

/// The fate of landed tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Landed {
    Removed,
    /// They stay as they are: `--keep`.
    Kept,
}

/// The tasks of a chain that land together.
pub(super) struct PrefixLanding<'a> {
    pub(super) flux: &'a Flux,
    pub(super) chain: &'a Chain,
    /// The tasks that land, in the order of the chain.
    pub(super) tasks: Vec<&'a LandTask>,
    /// Their commits, those of the chain or the same ones signed.
    pub(super) commits: &'a [ObjectId],
    pub(super) fate: Landed,
}

/// The result of a landing.
pub(super) enum LandingOutcome {
    /// The parts that are kept of each task, in order, or the error of its removal; none if the
    /// tasks stay.
    Done(Vec<Result<KeptParts>>),
    /// A task or the target has changed since the chain was built. Nothing has landed.
    Changed,
}

impl PrefixLanding<'_> {
    fn commit(&self, position: usize) -> &ObjectId {
        match position {
            0 => &self.chain.base,
            _ => &self.commits[position - 1],
        }
    }

    fn last(&self) -> &ObjectId {
        self.commit(self.commits.len())
    }

    /// Lands the tasks, under their locks and that of merges: stops their agents, marks their
    /// records in one transaction, moves the target once, and removes each task.
    ///
    /// # Errors
    /// If the target could not be moved; nothing has changed then, except that agents were stopped.
    pub(super) fn run(&self) -> Result<LandingOutcome> {
        let flux = self.flux;
        let mut ids: Vec<&TaskId> = self.tasks.iter().map(|it| &it.id).collect();
        // Two landings must take them in the same order. A cleanup takes the lock of merges last,
        // too.
        ids.sort_unstable();
        let locks = ids.iter().map(|id| flux.lock_task(id));
        let locks: Vec<Lock> = locks.collect::<Result<_>>()?;
        let Some(all) = self.observe()? else {
            return Ok(LandingOutcome::Changed);
        };
        let Some(target) = self.target_facts(&all) else {
            bail!("internal error: no target");
        };
        target.ensure_no_collision(flux, Some(self.last()))?;
        if self.fate == Landed::Removed {
            for facts in &all {
                let processes = &facts.processes;
                let must_stop = processes.must_stop() || processes.must_close_pane();
                if must_stop && !stop_agent(flux, facts)? {
                    return Ok(LandingOutcome::Changed);
                }
            }
        }
        let Some(queue) = lock_merge(flux, &all, SecondLook::Always)? else {
            return Ok(LandingOutcome::Changed);
        };
        let outcome = match self.fate {
            Landed::Kept => self.move_target(&target, &queue)?.map(|()| Vec::new()),
            Landed::Removed => self.remove(&all, &target, &queue)?,
        };
        drop(locks);
        Ok(outcome.map_or(LandingOutcome::Changed, LandingOutcome::Done))
    }

    /// Returns what is observed of each task now. `None` if a task or the target branch has changed
    /// since the chain of merges was built, or if a task would not land now.
    fn observe(&self) -> Result<Option<Vec<Facts>>> {
        let store = Store::load(&self.flux.repo, &self.flux.settings)?;
        if store.tip(&self.chain.branch) != Some(&self.chain.base) {
            return Ok(None);
        }
        let mut all = Vec::new();
        for (link, task) in self.chain.links.iter().zip(&self.tasks) {
            let (before, facts) = (&link.facts, chain::observe(self.flux, &store, task));
            match facts {
                Ok(facts) if facts.tip == before.tip && facts.oid == before.oid => all.push(facts),
                _ => return Ok(None),
            }
        }
        Ok(Some(all))
    }

    /// Returns the facts of the last task, with the chain's base as the tip of its merge target.
    fn target_facts(&self, all: &[Facts]) -> Option<Facts> {
        let mut facts = all.last()?.clone();
        if let Destination::Merge(into) = &mut facts.destination {
            into.tip = self.chain.base.clone();
        }
        Some(facts)
    }

    /// Moves the target; `None` if it, or where it is checked out, has changed since it was
    /// observed.
    fn move_target(&self, target: &Facts, queue: &Lock) -> Result<Option<()>> {
        interrupt::check()?;
        let ids = self.tasks.iter().map(|task| task.id.as_str());
        let ids: Vec<&str> = ids.collect();
        let to = TargetCommit {
            commit: self.last(),
            names: format!("'{}'", ids.join("', '")),
            action: format!("flux land {}", ids.join(" ")),
            retry: target.command.for_tasks(&ids.join(" "), ""),
        };
        let Err(error) = move_target(self.flux, target, &to, queue) else {
            let mut has_moved = self.has_moved();
            if has_moved.is_err() && interrupt::is_requested() {
                // It was the ^C.
                interrupt::clear();
                has_moved = self.has_moved();
            }
            if has_moved? {
                return Ok(Some(()));
            }
            warn_of_stray_merge(self.flux, target, self.last())?;
            return Ok(None);
        };
        interrupt::check()?;
        match TargetChange::find(self.flux, target)? {
            TargetChange::None => Err(error),
            TargetChange::Grown | TargetChange::Other => Ok(None),
        }
    }

    /// Returns whether the target contains the tasks now. After the move, that is not sure: git
    /// moves the branch that is checked out, which may have become another one, and a hook may have
    /// moved the target further.
    fn has_moved(&self) -> Result<bool> {
        let (repo, branch) = (&self.flux.repo, self.chain.branch.full());
        let Some(tip) = refs::list(repo.home(), &[&branch])?.remove(&branch) else {
            return Ok(false);
        };
        Ok(tip == *self.last() || repo.ahead_behind(self.last(), &tip)?.0 == 0)
    }

    /// Marks the records, moves the target and removes the tasks. `None` if the target or a record
    /// has moved.
    fn remove(
        &self,
        all: &[Facts],
        target: &Facts,
        queue: &Lock,
    ) -> Result<Option<Vec<Result<KeptParts>>>> {
        let flux = self.flux;
        let marked = self.mark(all)?;
        let mut marks = Transaction::default();
        let mut undo = Transaction::default();
        for task in &marked {
            let name = task_ref(&task.facts.task.id);
            marks = marks
                .verify(&task.facts.task.branch_ref(), &task.facts.tip)
                .update(&name, &task.oid, &task.facts.oid);
            undo = undo.update(&name, &task.facts.oid, &task.oid);
        }
        marks = marks.verify(&self.chain.branch.full(), &self.chain.base);
        if let Err(error) = marks.commit(&flux.repo, "flux land: marked", queue) {
            interrupt::check()?;
            return match self.observe()? {
                Some(_) => Err(error),
                None => Ok(None),
            };
        }
        match self.move_target(target, queue) {
            Ok(Some(())) => {}
            failed => {
                // ^C has reached git, too, but the records must not stay marked.
                let interrupted = interrupt::check();
                interrupt::clear();
                if let Err(error) = undo.commit(&flux.repo, "flux land: undone", queue) {
                    // The next command does it.
                    flux.ui.warn_of(&error);
                }
                interrupted?;
                return failed.map(|_| None);
            }
        }
        // The target has moved: a later ^C does not interrupt.
        interrupt::clear();
        let remove = |task: &MarkedTask| task.tear_down(flux, queue);
        Ok(Some(marked.iter().map(remove).collect()))
    }

    /// Writes the records of the tasks that land, without moving their refs.
    fn mark<'f>(&self, all: &'f [Facts]) -> Result<Vec<MarkedTask<'f>>> {
        let flux = self.flux;
        let mut marked = Vec::new();
        for (position, facts) in all.iter().enumerate() {
            let (removal, disposal) = prepare_archive(flux, facts)?;
            let removing = facts.task.with_removal(Removal {
                at: this_second(),
                into: Some(MergeRecord {
                    branch: self.chain.branch.to_string(),
                    from: self.commit(position).clone(),
                    to: self.commit(position + 1).clone(),
                    rest: Rest::default(),
                }),
                landing: Some(facts.tip.clone()),
                ..removal
            });
            let files = run_files(flux, &facts.task.id);
            let oid = store::write_update(&flux.repo, &facts.oid, &removing, &files)?;
            marked.push(MarkedTask {
                facts,
                removing,
                oid,
                disposal,
            });
        }
        Ok(marked)
    }
}

/// Removes a task whose target has all its changes, as a cleanup does. Returns `None`, without
/// removing it, if the target has moved. Fails if the task has changed.
pub(super) fn remove_integrated(flux: &Flux, facts: &Facts) -> Result<Option<KeptParts>> {
    let id = &facts.task.id;
    let lock = flux.lock_task(id)?;
    let processes = &facts.processes;
    let must_stop = processes.must_stop() || processes.must_close_pane();
    let is_unchanged = match must_stop {
        true => stop_agent(flux, facts)?,
        false => is_unchanged(flux, facts)?,
    };
    if is_unchanged {
        match remove(flux, facts, None, &lock)? {
            Outcome::Done(done) => return Ok(Some(done.kept)),
            Outcome::TargetMoved => return Ok(None),
            Outcome::Changed => {}
        }
    }
    bail!(
        Failure::new(format!("'{id}' has changed since the plan was made"))
            .hint(facts.command.with(id, ""))
    )
}
