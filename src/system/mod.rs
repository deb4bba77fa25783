//! The operating system: files, locks, processes, programs, clock and disks.

pub(crate) mod captured;
pub(crate) mod clock;
pub(crate) mod deadline;
pub(crate) mod disk;
mod holder;
mod lock;
pub(crate) mod process;
pub(crate) mod program;
pub(crate) mod regular_file;
pub(crate) mod sharing;
pub(crate) mod temporary_dir;
pub(crate) mod version;
mod wait;

pub(crate) use lock::Lock;
pub(crate) use regular_file::none_if_missing;
pub(crate) use sharing::Sharing;
pub(crate) use wait::wait_until;
