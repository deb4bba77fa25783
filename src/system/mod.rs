//! The operating system: files, locks and processes, whoever uses them.

pub(crate) mod captured;
pub(crate) mod deadline;
mod holder;
mod lock;
pub(crate) mod regular_file;
pub(crate) mod sharing;
pub(crate) mod version;

pub(crate) use lock::Lock;
pub(crate) use sharing::Sharing;
