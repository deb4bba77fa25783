//! Gates: commands that a tree must pass before it lands. A verdict belongs to a tree and to what was run.
//!
//! [`Gate::read`] reads the gate from the configuration. [`subject`] finds the tree of a task; [`test()`]
//! returns its verdict, which is either known ([`verdicts`]) or found by a run in the [`scratch`] worktree.

pub(crate) mod agreed;
#[expect(clippy::module_inception, reason = "a file is named after its type")]
mod gate;
mod group;
pub(super) mod log;
mod run;
pub(crate) mod scratch;
pub(crate) mod scratch_removal;
pub(crate) mod subject;
pub(crate) mod verdicts;

use anyhow::Result;

pub(crate) use self::gate::Gate;
pub(crate) use self::log::open_log;
use self::run::GateRun;
use self::scratch::ScratchWorktree;
use self::subject::Candidate;
use self::verdicts::Verdicts;
use crate::context::Flux;
use crate::failure::Verb;
use crate::task::{GateState, GateVerdict, ObjectId};

/// Returns the verdict of the gate about a tree: the known one, or else runs the gate, after waiting
/// for others. A verdict that is none is not kept. Fails on ^C, or if the gate cannot be run.
pub(crate) fn test(flux: &Flux, gate: &Gate, candidate: &Candidate) -> Result<GateVerdict> {
    let retries = flux.settings.gate_retries()?;
    let call = (Verb::Gate, gate, candidate);
    let tested = find_or_run(flux, call, |run| run.decide(None, retries))?;
    tested.keep(flux, gate)
}

/// Returns the verdict of the gate about a tree, as [`test()`] does, but for a landing runs the gate only once: a
/// red verdict of that run is to be confirmed by [`confirm`], and not kept.
pub(crate) fn try_once(flux: &Flux, gate: &Gate, candidate: &Candidate) -> Result<TestedTree> {
    let call = (Verb::Land, gate, candidate);
    let tested = find_or_run(flux, call, |run| run.decide(None, 0))?;
    let is_red = tested.verdict.state == GateState::Red;
    if !is_red || !tested.has_run || flux.settings.gate_retries()? == 0 {
        tested.clone().keep(flux, gate)?;
    }
    Ok(tested)
}

/// Runs the gate again on a tree about which [`try_once`] has returned the red verdict `red`, and
/// returns the verdict: red, or flaky if the gate passes now. Runs nothing if a verdict is known, or
/// if `flux.gateRetries` is 0.
pub(crate) fn confirm(
    flux: &Flux,
    gate: &Gate,
    candidate: &Candidate,
    red: &GateVerdict,
) -> Result<TestedTree> {
    let failed = red.command.clone().zip(red.status);
    let retries = flux.settings.gate_retries()?.saturating_sub(1);
    let call = (Verb::Land, gate, candidate);
    let tested = find_or_run(flux, call, |run| run.decide(failed, retries))?;
    tested.clone().keep(flux, gate)?;
    Ok(tested)
}

/// The verdict about a tree, and whether the gate has just run.
#[derive(Clone, Debug)]
pub(crate) struct TestedTree {
    tree: ObjectId,
    pub(crate) verdict: GateVerdict,
    pub(crate) has_run: bool,
}

impl TestedTree {
    /// Keeps the verdict, unless it is none or known, and returns it.
    fn keep(self, flux: &Flux, gate: &Gate) -> Result<GateVerdict> {
        if self.has_run && !self.verdict.is_none() {
            Verdicts::of(flux, gate)?.add(&self.tree, &self.verdict)?;
        }
        Ok(self.verdict)
    }
}

/// Returns the known verdict about a tree, or else calls `decide` with a run of the gate, after
/// waiting for others. Fails if the gate has changed and the user has not agreed to that; the hint
/// names the command.
fn find_or_run(
    flux: &Flux,
    (command, gate, candidate): (Verb, &Gate, &Candidate),
    decide: impl FnOnce(&GateRun) -> Result<GateVerdict>,
) -> Result<TestedTree> {
    let verdicts = Verdicts::of(flux, gate)?;
    let tested = |verdict, has_run| TestedTree {
        tree: candidate.tree.clone(),
        verdict,
        has_run,
    };
    if let Some(known) = verdicts.find(&candidate.tree) {
        return Ok(tested(known, false));
    }
    agreed::ensure_agreed(flux, command)?;
    let scratch = ScratchWorktree::take(flux)?;
    // Another git flux may have tested it meanwhile.
    if let Some(known) = verdicts.find(&candidate.tree) {
        return Ok(tested(known, false));
    }
    let verdict = decide(&GateRun::new(flux, gate, &scratch, candidate)?)?;
    Ok(tested(verdict, true))
}
