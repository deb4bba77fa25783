//! Plans a cleanup before anything changes. Planning takes no lock, asks nothing and prints
//! nothing, so there can be plans of several tasks.

use anyhow::{Error, Result};

use super::check::{Check, Checks, Consent, Verdict};
use super::decision::Decision;
use super::facts::Facts;
use super::options::{Agreed, Options, Question};
use crate::context::Flux;
use crate::git::MergePlan;
use crate::store::Store;
use crate::task::TaskId;

/// The planned cleanup of one task.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) id: TaskId,
    /// In order of precedence.
    pub(crate) checks: Vec<Check>,
    /// None if a check could not be made.
    pub(crate) facts: Option<Facts>,
    /// The facts after uncommitted files are committed, if `--commit` is given.
    committed: Option<Facts>,
    /// The number of checks that do not depend on answers; they come first.
    observed: usize,
}

impl Plan {
    /// Observes a task, and plans its cleanup: all checks with their verdicts. It never fails: an
    /// error, such as an unreadable record, becomes a check that refuses.
    pub(crate) fn make(flux: &Flux, store: &Store, id: &TaskId, options: &Options) -> Self {
        let stored = store.find(&flux.repo, id);
        let observed = stored.and_then(|stored| Facts::observe(flux, store, stored, options));
        let (checks, facts) = observed.unwrap_or_else(|error| {
            let mut checks = Checks::default();
            checks.add("record", Verdict::Refused(error));
            (checks, None)
        });
        let mut plan = Self {
            id: id.clone(),
            observed: checks.0.len(),
            checks: checks.0,
            facts,
            committed: None,
        };
        plan.decide(flux, options);
        plan
    }

    /// Decides again about the facts observed before, with other options or answers: replaces all
    /// checks that depend on them.
    pub(crate) fn decide(&mut self, flux: &Flux, options: &Options) {
        self.checks.truncate(self.observed);
        self.committed = None;
        for check in &mut self.checks {
            if let Verdict::NeedsConsent(consent) = &mut check.verdict {
                consent.agreed = options.agreed(consent.question, &consent.finding);
            }
        }
        let Some(facts) = &self.facts else { return };
        let mut decision = Decision {
            flux,
            options,
            facts,
            checks: Checks(std::mem::take(&mut self.checks)),
            committed: None,
        };
        decision.decide();
        self.committed = decision.committed;
        self.checks = decision.checks.0;
    }

    /// Adds the check `collisions`: the merge would overwrite no file in the target branch's
    /// worktree. May wait 5 seconds for a locked index. Does nothing without facts, or if
    /// [`Self::is_update`].
    pub(crate) fn check_collisions(&mut self, flux: &Flux) {
        // The removal of one task leaves that to git, which is faster.
        let Some(forecast) = self.forecast().filter(|_| !self.is_update()) else {
            return;
        };
        let why = match forecast.merge_target().map(|into| &into.merge) {
            Some(MergePlan::Drivers { .. }) => "not known before the merge is made",
            _ => "the merge would overwrite no local file",
        };
        let mut checks = Checks::default();
        checks.add_result("collisions", forecast.ensure_no_collision(flux, None), why);
        self.checks.extend(checks.0);
    }

    /// Adds a check that refuses.
    pub(crate) fn refuse(&mut self, name: &'static str, error: Error) {
        let verdict = Verdict::Refused(error);
        self.checks.push(Check { name, verdict });
    }

    /// Returns the facts at the time of the merge: with `--commit`, those after the commit, else
    /// those observed. `None` if they could not be determined.
    pub(crate) fn forecast(&self) -> Option<&Facts> {
        self.committed.as_ref().or(self.facts.as_ref())
    }

    /// Returns whether the plan is to merge the target branch into the task's worktree, to resolve
    /// conflicts there, instead of removing the task.
    pub(crate) fn is_update(&self) -> bool {
        let mut agreed = self.consents(Agreed::Yes);
        agreed.any(|consent| consent.question == Question::Conflicts)
    }

    /// Returns the consents that the plan needs and whose state is `agreed`.
    pub(crate) fn consents(&self, agreed: Agreed) -> impl Iterator<Item = &Consent> {
        let consents = self.checks.iter().filter_map(Check::consent);
        consents.filter(move |consent| consent.agreed == agreed)
    }

    /// Returns the error of the first check that refuses, or whose consent is missing and cannot be
    /// asked for. `None` if no check refuses.
    pub(crate) fn refusal(&self) -> Option<&Error> {
        self.checks.iter().find_map(Check::refusal)
    }

    /// Returns the plan, or fails with the error of the first check that refuses, or whose consent
    /// is missing and cannot be asked for.
    pub(crate) fn ensure_not_refused(self) -> Result<Self> {
        self.ensure(|_| true)
    }

    /// Returns the plan, or fails with the error of the first check that refuses among those that
    /// `is_needed` selects.
    pub(crate) fn ensure(mut self, is_needed: impl Fn(&Check) -> bool) -> Result<Self> {
        let is_refusing = |check: &Check| is_needed(check) && check.agreed() == Agreed::No;
        let Some(at) = self.checks.iter().position(is_refusing) else {
            return Ok(self);
        };
        match self.checks.swap_remove(at).verdict {
            Verdict::Refused(refusal) | Verdict::NeedsConsent(Consent { refusal, .. }) => {
                Err(refusal)
            }
            Verdict::Ok(_) => Ok(self),
        }
    }
}
