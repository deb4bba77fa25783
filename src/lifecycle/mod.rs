//! Starts, observes and removes tasks.
//!
//! # The record
//!
//! A task is a record in `refs/flux/tasks/<id>`: branch, base, worktree, agent and phase (starting, active,
//! removing). It is written before anything else of the task exists, and deleted last, so whatever a crash
//! leaves has a record. The record stores intent. The actual state is in refs, worktrees, panes and run
//! files; it is observed, never stored.
//!
//! # Start
//!
//! [`start`] runs every start: `run` creates a task, [`restore`] restores one from the archive, [`adopt`] makes
//! an existing worktree a task, and [`resume`] starts its agent again, or opens a shell. Each checks first all
//! that can fail, then runs its steps under the task's lock. If a step fails, all are rolled back.
//!
//! # Observation
//!
//! [`observe`] returns the state of tasks. [`recipient`] sends messages, [`mod@pane`] finds the pane, [`stop`]
//! stops the agent. [`owner`], [`other_machine`] and [`copied_repository`] recognize tasks of other users,
//! machines and repositories; [`conflicts`] finds tasks that change the same lines; [`repositories`] finds all
//! repositories of the tmux server. [`damage`] lists commands that repair a task; one is [`adopt`]. [`shared_config`]
//! compares the configuration that worktrees share. [`work`] is what a task has as objects, and [`review`] what of
//! that the user has not looked at.
//!
//! # Removal
//!
//! A [`cleanup`] plans first: it collects facts and checks them, and each check passes, asks or refuses.
//! [`branch_uses`] finds where a branch is in use. Then it makes the merge in a temporary repository, moves
//! the target branch, and `teardown` removes worktree, configuration, and in one transaction branch, base and
//! record, which are kept in the [`archive`].
//!
//! [`stash`] has the entries of a task's own stash, from cleanup to restore. [`stash_pins`] keeps those of the
//! shared stash from loss while agents run. A [`gate`] tests a tree with the user's commands, in a worktree of its own.
//!
//! A rollback of a start is the same teardown. [`recover`], which commands that change something run first,
//! completes or rolls back each task whose last command died, and reports it. [`gc`] deletes what is no longer
//! needed.

pub(crate) mod adopt;
pub(crate) mod archive;
pub(crate) mod branch_uses;
mod cache_file;
pub(crate) mod cleanup;
pub(crate) mod conflicts;
pub(crate) mod copied_repository;
pub(crate) mod damage;
pub(crate) mod disposal;
pub(crate) mod gate;
pub(crate) mod gc;
mod hook_effects;
pub(crate) mod land;
pub(crate) mod observe;
pub(crate) mod other_machine;
pub(crate) mod owner;
pub(crate) mod pane;
pub(crate) mod recipient;
pub(crate) mod recover;
pub(crate) mod repositories;
pub(crate) mod restore;
pub(crate) mod resume;
pub(crate) mod review;
pub(crate) mod shared_config;
pub(crate) mod start;
pub(crate) mod stash;
pub(crate) mod stash_pins;
pub(crate) mod state_dir;
pub(crate) mod stop;
pub(crate) mod teardown;
pub(crate) mod work;
