//! Lands many tasks, tested together.
//!
//! A [`chain`] is made of the merges of several tasks on top of each other. The gate tests it, and
//! [`batch`] finds the longest part that passes, with few runs. That part lands by one move of the
//! target ([`landing`]), so the tree that was tested is the tree that lands.
//!
//! No queue is stored: a task has landed if its target contains it, and a tree is tested if it has a
//! verdict. After a crash, the next command finds the same.

pub(crate) mod back;
pub(crate) mod batch;
pub(crate) mod chain;
pub(crate) mod chain_refs;
pub(crate) mod finding;
pub(crate) mod forecast;
pub(crate) mod groups;
pub(crate) mod landing;
pub(crate) mod progress;
pub(crate) mod queue;
pub(crate) mod recovery;
pub(crate) mod results;
pub(crate) mod rounds;
mod signed;
pub(crate) mod state;
