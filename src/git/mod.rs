//! git: refs and working trees through `git`, objects and history through git2.
//!
//! git2 cannot read reftable and silently misplaces refs it writes there, runs
//! no hooks and no filters, and is wrong about sparse checkouts; `git` is right
//! about all of it. git2 is many times faster at walking history. So refs,
//! working trees, merges and configuration are git's, and `git2::Repository`
//! stays private to `repo.rs`.

pub(crate) mod changes;
pub(crate) mod checkout;
pub(crate) mod command;
pub(crate) mod completion;
pub(crate) mod conflicts;
pub(crate) mod foreground;
pub(crate) mod hooks;
pub(crate) mod identity;
pub(crate) mod log;
pub(crate) mod ls_tree;
pub(crate) mod merge;
pub(crate) mod refs;
pub(crate) mod refusals;
pub(crate) mod repo;
pub(crate) mod scratch;
pub(crate) mod shared_config;
pub(crate) mod task_stash;
pub(crate) mod worktree;

pub(crate) use crate::system::{Lock, Sharing, regular_file};
pub(crate) use crate::task::ObjectId;
pub(crate) use changes::assume_unchanged::{full_status, whole_status};
pub(crate) use changes::{Change, Ignored, changes, diff, ls_files, snapshot, transplant};
pub(crate) use checkout::Checkout;
pub(crate) use checkout::distrust::Distrust;
pub(crate) use command::{Git, GitKilled, records};
pub(crate) use merge::{
    Integrated, MergePlan, Style, Unrelated, commit, drivers, fast_forward, rebase, space,
};
pub(crate) use refs::{Transaction, marks};
pub(crate) use repo::Repo;
pub(crate) use task_stash::TaskStash;
pub(crate) use worktree::{
    Worktree, admin, detached, entries, exclude, in_use, submodules, tool_files, trash,
    worktree_lock, worktree_refs,
};
