//! The run directory, by whose files commands, launcher and hooks communicate.

pub(crate) mod begin;
pub(crate) mod dir;
pub(crate) mod events;
pub(crate) mod file;
pub(crate) mod launch;
pub(crate) mod launcher;
mod own_git;
pub(crate) mod schedule;
pub(crate) mod stash_notes;
mod user_message;
pub(crate) mod watch;

pub(crate) use dir::RunDir;
