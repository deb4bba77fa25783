//! The removal of a task: what it would come to, and how it is done.
//!
//! A [`Plan`](plan::Plan) is made of [`Facts`](facts::Facts) and [`Options`](options::Options): a list of checks,
//! each in order, refused, or in need of a consent. Options give it, or an answer that becomes one
//! of the options; off a terminal what is not given refuses. `--dry-run`, `--json`, `--all`,
//! `--merged` and the removal itself read the same plan.

pub(crate) mod check;
mod decision;
pub(crate) mod facts;
mod files;
pub(crate) mod merge;
mod obstacle;
pub(crate) mod options;
pub(crate) mod plan;
pub(crate) mod processes;
pub(crate) mod remove;
pub(in crate::lifecycle) mod scratch;
pub(crate) mod target;
#[cfg(test)]
mod tests;
pub(crate) mod worktree;
