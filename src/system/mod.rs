//! The operating system: files, locks and processes, whoever uses them.

pub(crate) mod captured;
pub(crate) mod deadline;
mod holder;
mod lock;
mod optional;
pub(crate) mod regular_file;
pub(crate) mod sharing;
pub(crate) mod version;
mod wait;

pub(crate) use lock::Lock;
pub(crate) use optional::optional;
pub(crate) use sharing::Sharing;
pub(crate) use wait::wait_until;
