//! How a task comes to be and ceases to be.
//!
//! There is one way up, [`start`], and one way down, [`teardown`]. The record is
//! written before anything else of a task exists and removed after everything
//! else is gone, so whatever a crash leaves behind has a record that says so.
//! Undoing a failed start, cleaning up and recovering from a crash are the same
//! descent.

pub(crate) mod adopt;
pub(crate) mod archive;
pub(crate) mod broken;
pub(crate) mod check;
pub(crate) mod checked_out;
mod conclude;
mod disk;
pub(crate) mod elsewhere;
pub(crate) mod everywhere;
mod fate;
mod hook_effects;
pub(crate) mod into;
pub(crate) mod leftovers;
pub(crate) mod loss;
pub(crate) mod merge;
pub(crate) mod observe;
pub(crate) mod obstacle;
pub(crate) mod other_machine;
pub(crate) mod owner;
pub(crate) mod pane;
pub(crate) mod plan;
pub(crate) mod recipient;
pub(crate) mod recover;
pub(crate) mod rejoin;
pub(crate) mod remove;
pub(crate) mod reopen;
pub(crate) mod restore;
pub(crate) mod resume;
mod scratch;
pub(crate) mod start;
pub(crate) mod stop;
mod teardown;

pub(crate) use fate::ensure_not_elsewhere;
pub(crate) use into::Into;
pub(crate) use pane::close;
pub(crate) use teardown::Kept;

use fate::Worktree;
use teardown::descend;

pub(crate) use crate::context::Flux;
use crate::git::Lock;
