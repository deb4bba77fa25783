//! How a task comes, lives and goes: the story. What the files here do is told in them.
//!
//! # The record
//!
//! A task is a record in `refs/flux/tasks/<id>`. It says what was *meant*: branch, base, worktree, agent,
//! and how far the task has come (starting, active, removing). It is written before anything else of the
//! task exists, and removed after everything else is gone. So whatever a crash leaves has a record that
//! says so. What *is* shows in refs, worktrees, panes and run files; it is observed, and never stored.
//!
//! # A task comes
//!
//! There is one way up, [`start`]. `run` makes a task whole, [`restore`] brings one back from the
//! archive, [`adopt`] makes one of a worktree that is there, and [`resume`] starts its agent again, or opens a
//! shell for it. Each prepares a plan first, where all that can fail is settled, and
//! then makes its steps under the task's lock. If one fails, all are undone.
//!
//! # It lives
//!
//! [`observe`] tells what it does: it works, waits, has ended. Everything that looks at a task asks
//! there. [`recipient`] says who gets a message, [`mod@pane`] finds the pane, [`stop`] ends the agent.
//! What may be somebody else's, in the same repository or beside it, is told by [`owner`],
//! [`other_machine`] and [`elsewhere`]; [`everywhere`] looks at all repositories of the tmux server.
//! Where something is missing, [`broken`] names the ways out, and to [`adopt`] is one of them.
//!
//! # It goes
//!
//! A [`cleanup`] decides first. Its `plan` is a value: the facts, and what each check makes of them (in
//! order, to be agreed to, or refused); nothing has changed yet. [`checked_out`] says where a branch is in
//! use. Then the merge is made apart from all worktrees, the branch is moved, and the task takes the one
//! way down, `teardown`: worktree, configuration, then branch, base and record in one transaction, which
//! keeps what they stood at in the [`archive`].
//!
//! Undoing a start that failed is the same teardown. So is what [`recover`] does, before any command that
//! changes something: each task whose last command died becomes whole or gone, and the user is told.

pub(crate) mod adopt;
pub(crate) mod archive;
pub(crate) mod branch_uses;
pub(crate) mod broken;
pub(crate) mod cleanup;
pub(crate) mod disposal;
pub(crate) mod elsewhere;
pub(crate) mod everywhere;
mod hook_effects;
pub(crate) mod observe;
pub(crate) mod other_machine;
pub(crate) mod owner;
pub(crate) mod pane;
pub(crate) mod recipient;
pub(crate) mod recover;
pub(crate) mod restore;
pub(crate) mod resume;
pub(crate) mod start;
pub(crate) mod stop;
pub(crate) mod teardown;
