//! Answers of the gate about the commits of a chain.

use anyhow::Result;

use super::batch::{GateAnswer, RunKind};
use crate::task::ObjectId;

/// The reason why a tree does not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GateFinding {
    /// The command and its status, or why there is no verdict.
    pub(crate) why: String,
    /// The file with the output.
    pub(crate) log: Option<String>,
}

/// The answer about a commit, and whether the gate ran for it.
pub(crate) struct Tested {
    pub(crate) answer: GateAnswer<GateFinding>,
    pub(crate) has_run: bool,
}

/// Tests the tree of a commit, or finds its verdict.
pub(crate) type Tester<'a> = dyn FnMut(&ObjectId, RunKind) -> Result<Tested> + 'a;
