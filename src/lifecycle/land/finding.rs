//! Answers of the gate about the commits of a chain.

use std::collections::BTreeMap;

use anyhow::Result;

use super::batch::{GateAnswer, RunKind};
use crate::context::Flux;
use crate::lifecycle::gate::subject::Candidate;
use crate::lifecycle::gate::verdicts::Verdicts;
use crate::lifecycle::gate::{self, Gate};
use crate::task::{GateState, GateVerdict, ObjectId};

/// The reason why a tree does not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GateFinding {
    /// The command and its status, or why there is no verdict.
    pub(crate) why: String,
    /// The file with the output.
    pub(crate) log: Option<String>,
}

/// The gate of a landing.
pub(crate) struct Tester<'a> {
    flux: &'a Flux,
    /// `None` if nothing is tested.
    gate: Option<Gate>,
    /// Red verdicts that are not confirmed, by tree.
    unconfirmed: BTreeMap<ObjectId, GateVerdict>,
    /// The number of times that the gate has run.
    pub(crate) runs: usize,
}

impl<'a> Tester<'a> {
    /// Creates the tester of a gate or, if `gate` is `None`, one that tests nothing.
    pub(crate) fn new(flux: &'a Flux, gate: Option<Gate>) -> Self {
        Self {
            flux,
            gate,
            unconfirmed: BTreeMap::new(),
            runs: 0,
        }
    }

    /// Returns whether there is a gate.
    pub(crate) fn has_gate(&self) -> bool {
        self.gate.is_some()
    }

    /// Returns a line with the commands of the gate: `gate: 'make', then 'make test'`.
    /// `None` if there is no gate.
    pub(crate) fn describe_run(&self) -> Option<String> {
        let gate = self.gate.as_ref()?;
        let commands = gate.command_texts().join("', then '");
        Some(format!("gate: '{commands}'"))
    }

    /// Returns whether the tree of a commit is known to pass. Runs nothing.
    pub(crate) fn is_known_green(&self, commit: &ObjectId) -> Result<bool> {
        let Some(gate) = &self.gate else {
            return Ok(true);
        };
        let tree = self.flux.repo.tree_of(commit)?;
        let known = Verdicts::of(self.flux, gate)?.find(&tree);
        Ok(known.is_some_and(|known| known.is_passed()))
    }

    /// Returns the answer of the gate about the tree of a commit, from its verdict or else from a
    /// run. Warns if the gate is flaky. Without a gate, everything passes.
    pub(crate) fn test(
        &mut self,
        commit: &ObjectId,
        kind: RunKind,
    ) -> Result<GateAnswer<GateFinding>> {
        let Some(gate) = &self.gate else {
            return Ok(GateAnswer::Green);
        };
        let candidate = Candidate::of(self.flux, commit.clone())?;
        let red = self.unconfirmed.get(&candidate.tree).cloned();
        let verdict = match (kind, red) {
            (RunKind::First, Some(red)) => red,
            (kind, red) => {
                let tested = match (kind, &red) {
                    (RunKind::Confirm, Some(red)) => {
                        gate::confirm(self.flux, gate, &candidate, red)?
                    }
                    _ => gate::try_once(self.flux, gate, &candidate)?,
                };
                self.runs += usize::from(tested.has_run);
                self.note(&candidate.tree, kind, &tested.verdict);
                tested.verdict
            }
        };
        Ok(answer(&verdict))
    }

    /// Remembers a red verdict that is not confirmed yet, and warns of one that is flaky.
    fn note(&mut self, tree: &ObjectId, kind: RunKind, verdict: &GateVerdict) {
        self.unconfirmed.remove(tree);
        match (verdict.state, kind) {
            (GateState::Red, RunKind::First) => {
                self.unconfirmed.insert(tree.clone(), verdict.clone());
            }
            (GateState::Flaky, RunKind::Confirm) => {
                self.flux.ui.warning(format_args!("the gate is {verdict}"));
            }
            _ => {}
        }
    }
}

fn answer(verdict: &GateVerdict) -> GateAnswer<GateFinding> {
    let why = match (&verdict.command, verdict.status, &verdict.why) {
        (_, _, Some(why)) => why.clone(),
        (Some(command), Some(status), None) => format!("'{command}' failed (status {status})"),
        _ => verdict.to_string(),
    };
    let log = verdict.log.clone();
    match verdict.state {
        GateState::Green | GateState::Flaky => GateAnswer::Green,
        GateState::Red => GateAnswer::Red(GateFinding { why, log }),
        GateState::None => GateAnswer::Unknown(GateFinding { why, log }),
    }
}
