//! The operating system: its processes, programs, clock and disks.

pub(crate) mod clock;
pub(crate) mod disk;
pub(crate) mod process;
pub(crate) mod program;
