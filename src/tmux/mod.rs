//! tmux. Targets are ids, never names or prefixes; commands are arguments, never text for a shell.

pub(crate) mod attach;
pub(crate) mod client;
pub(crate) mod command;
pub(crate) mod composer;
mod fields;
pub(crate) mod last_line;
pub(crate) mod message;
pub(crate) mod opened_pane;
pub(crate) mod own_pane;
pub(crate) mod pane;
pub(crate) mod placement;
pub(crate) mod screen;
mod typing;

pub(crate) use command::Tmux;
pub(crate) use placement::Placement;
