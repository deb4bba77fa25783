//! Gates: commands that a tree must pass before it lands. A verdict belongs to a tree and to what was run.
//!
//! [`Gate::read`] reads the gate from the configuration. [`subject`] finds the tree of a task; [`test()`]
//! returns its verdict, which is either known ([`verdicts`]) or found by a run in the [`scratch`] worktree.

#[expect(clippy::module_inception, reason = "a file is named after its type")]
mod gate;
mod group;
mod log;
mod run;
pub(crate) mod scratch;
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
use crate::task::GateVerdict;

/// Returns the verdict of the gate about a tree: the known one, or else runs the gate, after waiting
/// for others. A verdict that is none is not kept. Fails on ^C, or if the gate cannot be run.
pub(crate) fn test(flux: &Flux, gate: &Gate, candidate: &Candidate) -> Result<GateVerdict> {
    let verdicts = Verdicts::of(flux, gate)?;
    let known = || verdicts.find(&candidate.tree);
    if let Some(known) = known() {
        return Ok(known);
    }
    let scratch = ScratchWorktree::take(flux)?;
    // Another git flux may have tested it meanwhile.
    if let Some(known) = known() {
        return Ok(known);
    }
    let verdict = GateRun::new(flux, gate, &scratch, candidate)?.decide()?;
    if !verdict.is_none() {
        verdicts.add(&candidate.tree, &verdict)?;
    }
    Ok(verdict)
}
