//! The verdicts of the gate about a task and about its merge.

use anyhow::{Error, Result, bail};

use super::check::Verdict;
use super::facts::Facts;
use super::options::{GateUse, Options};
use super::target::MergeTarget;
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::MergePlan;
use crate::lifecycle::gate::subject::Candidate;
use crate::lifecycle::gate::verdicts::Verdicts;
use crate::lifecycle::gate::{self, Gate, agreed};
use crate::task::{GateVerdict, ObjectId, TaskId};

/// The reason of the check `gate` if there is no gate.
pub(crate) const NO_GATE: &str = "untested, there is no gate";

/// Returns the verdict of the check `gate`: [`NO_GATE`] if there is no gate, `None` if it cannot be read;
/// each of these refuses if `--gate` is given. With `--gate`, the check refuses if the gate fails on what would be merged, and
/// passes if that is not known yet: [`ensure_planned`] finds it out.
pub(super) fn judge(flux: &Flux, options: &Options, facts: &Facts) -> Option<Verdict> {
    let is_required = options.gate == GateUse::Required;
    match find(flux, facts) {
        Ok(None) if is_required => Some(Verdict::Refused(no_gate().into())),
        Ok(None) => Some(Verdict::Ok(NO_GATE.to_owned())),
        Err(error) if is_required => Some(Verdict::Refused(error)),
        Err(_) => None,
        Ok(Some(known)) => Some(known.judge(&facts.task.id, is_required)),
    }
}

fn no_gate() -> Failure {
    Failure::new("no gate is configured").hint("git config flux.gate '<command>'")
}

/// The known verdicts about a task.
struct Known {
    task: GateVerdict,
    merge: KnownMerge,
}

/// The known verdict about a merge.
enum KnownMerge {
    /// Nothing is merged, or the result is the task's tree.
    Same,
    Tree(GateVerdict),
    /// A merge driver decides about the tree.
    Unknown,
}

/// Finds the known verdicts about a task and its merge; `None` without a gate.
fn find(flux: &Flux, facts: &Facts) -> Result<Option<Known>> {
    let Some(gate) = Gate::read(flux)? else {
        return Ok(None);
    };
    let verdicts = Verdicts::of(flux, &gate)?;
    let own = flux.repo.tree_of(&facts.tip)?;
    let merge = match facts.merge_target().map(|into| &into.merge) {
        Some(MergePlan::Drivers { .. }) => KnownMerge::Unknown,
        Some(merge) => match merge.tree(&flux.repo, &facts.tip)? {
            Some(tree) if tree != own => KnownMerge::Tree(verdicts.look_up(tree)),
            _ => KnownMerge::Same,
        },
        None => KnownMerge::Same,
    };
    Ok(Some(Known {
        task: verdicts.look_up(own),
        merge,
    }))
}

impl Known {
    fn judge(&self, id: &TaskId, is_required: bool) -> Verdict {
        let decisive = match &self.merge {
            KnownMerge::Same => &self.task,
            KnownMerge::Tree(verdict) => verdict,
            KnownMerge::Unknown => return Verdict::Ok(self.describe()),
        };
        match is_required && !decisive.is_none() && !decisive.is_passed() {
            true => Verdict::Refused(refusal(id, decisive)),
            false => Verdict::Ok(self.describe()),
        }
    }

    fn describe(&self) -> String {
        let task = self.task.label();
        match &self.merge {
            KnownMerge::Same => task,
            KnownMerge::Tree(merged) => format!("{task}, merged {}", merged.label()),
            KnownMerge::Unknown => format!("{task}, merged untested"),
        }
    }
}

/// Returns the error that what would be merged has not passed the gate.
fn refusal(id: &TaskId, verdict: &GateVerdict) -> Error {
    let failed = verdict.failed_command().filter(|_| !verdict.is_none());
    let failure = Failure::new(match failed {
        Some(failed) => format!("the merge of '{id}' does not pass the gate: {failed}"),
        None => format!("the merge of '{id}' does not pass the gate: {verdict}"),
    });
    let log = verdict.log.as_deref().map(gate::log_hint);
    failure.hints(log).into()
}

/// Runs the gate on the planned merge of a task, if its tree is known but no verdict about it. Fails if
/// the gate does not pass, if it has changed and the user has not agreed to that, or on ^C. Does nothing
/// if nothing is merged.
pub(crate) fn ensure_planned(flux: &Flux, facts: &Facts) -> Result<()> {
    let Some(into) = facts.merge_target() else {
        return Ok(());
    };
    let Some(tree) = into.merge.tree(&flux.repo, &facts.tip)? else {
        return Ok(());
    };
    let commit = planned_commit(flux, facts, into, &tree)?;
    ensure_passed(flux, &facts.task.id, &Candidate { commit, tree })
}

/// Writes a commit with the tree of the planned merge, which no ref points to.
fn planned_commit(
    flux: &Flux,
    facts: &Facts,
    into: &MergeTarget,
    tree: &ObjectId,
) -> Result<ObjectId> {
    match flux.repo.tree_of(&facts.tip)? == *tree {
        true => Ok(facts.tip.clone()),
        false => flux.repo.write_commit(tree, &[&into.tip, &facts.tip]),
    }
}

/// Runs the gate on the commit that a merge has made, unless its verdict is known. Fails if it does not
/// pass, or on ^C.
pub(crate) fn ensure_commit(flux: &Flux, id: &TaskId, commit: &ObjectId) -> Result<()> {
    ensure_passed(flux, id, &Candidate::of(flux, commit.clone())?)
}

fn ensure_passed(flux: &Flux, id: &TaskId, candidate: &Candidate) -> Result<()> {
    let Some(gate) = Gate::read(flux)? else {
        bail!(no_gate());
    };
    // Also for a known verdict, which may be that of a weaker gate.
    agreed::ensure_agreed(flux)?;
    let verdict = gate::test(flux, &gate, candidate)?;
    match verdict.is_passed() {
        true => Ok(()),
        false => Err(refusal(id, &verdict)),
    }
}
