//! The directory of a run: its files are what the command that starts a task, the launcher in its
//! pane and the hooks of its agent tell each other.

pub(crate) mod dir;
pub(crate) mod events;
pub(crate) mod file;
pub(crate) mod launch;
pub(crate) mod launcher;
pub(crate) mod poll_schedule;
pub(crate) mod watch;

pub(crate) use dir::RunDir;
