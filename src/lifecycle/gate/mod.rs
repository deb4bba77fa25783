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
pub(crate) use self::log::{log_hint, open_log};
use self::run::GateRun;
use self::scratch::ScratchWorktree;
use self::subject::Candidate;
use self::verdicts::Verdicts;
use crate::context::Flux;
use crate::task::{GateState, GateVerdict};

/// Returns the verdict of the gate about a tree: the known one or, after waiting until no other
/// process runs the gate, that of a new run. Keeps the new one, unless its state is `None`. Fails
/// on ^C, or if the gate cannot be run.
pub(crate) fn test(flux: &Flux, gate: &Gate, candidate: &Candidate) -> Result<GateVerdict> {
    let retries = flux.settings.gate_retries()?;
    let call = (gate, candidate);
    let tested = find_or_run(flux, call, |run| run.decide(None, retries), |_| true)?;
    Ok(tested.verdict)
}

/// Returns the verdict of the gate about a tree, as [`test()`] does, but for a landing, and after
/// at most one run. Does not keep a red verdict that [`confirm`] is to confirm.
pub(crate) fn try_once(flux: &Flux, gate: &Gate, candidate: &Candidate) -> Result<TestedTree> {
    let retries = flux.settings.gate_retries()?;
    let call = (gate, candidate);
    let is_final = |it: &GateVerdict| it.state != GateState::Red || retries == 0;
    find_or_run(flux, call, |run| run.decide(None, 0), is_final)
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
    let call = (gate, candidate);
    find_or_run(flux, call, |run| run.decide(failed, retries), |_| true)
}

/// The verdict about a tree, and whether the gate has just run.
#[derive(Debug)]
pub(crate) struct TestedTree {
    pub(crate) verdict: GateVerdict,
    pub(crate) has_run: bool,
}

/// Returns the known verdict about a tree or, after waiting until no other process runs the gate,
/// the one that `decide` returns for a new run. Keeps it if `is_final` says so and its state is not
/// `None`. Fails if the gate's configuration has changed without the user's consent.
fn find_or_run(
    flux: &Flux,
    (gate, candidate): (&Gate, &Candidate),
    decide: impl FnOnce(&GateRun) -> Result<GateVerdict>,
    is_final: impl FnOnce(&GateVerdict) -> bool,
) -> Result<TestedTree> {
    let verdicts = Verdicts::of(flux, gate)?;
    let known = || {
        verdicts.find(&candidate.tree).map(|verdict| TestedTree {
            verdict,
            has_run: false,
        })
    };
    if let Some(known) = known() {
        return Ok(known);
    }
    agreed::ensure_agreed(flux)?;
    let scratch = ScratchWorktree::take(flux)?;
    // Another git flux may have tested it meanwhile.
    if let Some(known) = known() {
        return Ok(known);
    }
    let verdict = decide(&GateRun::new(flux, gate, &scratch, candidate)?)?;
    // While the lock is held: the next process that gets it looks for the verdict first.
    if !verdict.is_none() && is_final(&verdict) {
        verdicts.add(&candidate.tree, &verdict)?;
    }
    Ok(TestedTree {
        verdict,
        has_run: true,
    })
}
