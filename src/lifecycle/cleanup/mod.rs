//! The removal of a task: what it would come to, as a value, and how it is done.

pub(crate) mod check;
pub(crate) mod facts;
pub(crate) mod into;
pub(crate) mod merge;
pub(crate) mod obstacle;
pub(crate) mod remove;
pub(in crate::lifecycle) mod scratch;
pub(crate) mod worktree;
