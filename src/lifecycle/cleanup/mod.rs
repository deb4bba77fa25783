//! Plans and carries out the removal of a task.
//!
//! A [`Plan`](plan::Plan) is made from [`Facts`](facts::Facts) and [`Options`](options::Options). It lists checks:
//! each passes, refuses or needs a consent. An option gives the consent, or an answer, which is
//! added to the options. Without a terminal, a missing consent refuses. `--dry-run`, `--json`,
//! `--all`, `--merged` and the removal itself use the same plan.

pub(crate) mod called_command;
pub(crate) mod check;
pub(crate) mod commit_files;
mod configuration;
pub(crate) mod conflict_merge;
mod decision;
pub(crate) mod facts;
mod files;
pub(in crate::lifecycle) mod kept_work;
pub(crate) mod merge;
mod obstacle;
pub(crate) mod options;
pub(crate) mod plan;
pub(crate) mod processes;
pub(crate) mod remove;
pub(in crate::lifecycle) mod scratch;
pub(crate) mod target;
pub(crate) mod tested;
#[cfg(test)]
mod tests;
pub(crate) mod unchanged;
pub(crate) mod worktree;
