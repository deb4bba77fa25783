//! git: refs and working trees through `git`, objects and history through git2.
//!
//! git2 cannot read reftable and silently misplaces refs it writes there, runs
//! no hooks and no filters, and is wrong about sparse checkouts; `git` is right
//! about all of it. git2 is many times faster at walking history. So refs,
//! working trees, merges and configuration are git's, and `git2::Repository`
//! stays private to `repo.rs`.

pub(crate) mod admin;
pub(crate) mod carry;
pub(crate) mod changes;
pub(crate) mod checkout;
pub(crate) mod command;
pub(crate) mod commit;
mod died;
pub(crate) mod diff;
pub(crate) mod directory;
mod distrust;
pub(crate) mod drivers;
pub(crate) mod entries;
mod entry;
pub(crate) mod foreground;
pub(crate) mod forward;
pub(crate) mod fsmonitor;
mod gitfile;
pub(crate) mod glance;
mod harmless;
pub(crate) mod hide;
pub(crate) mod hooks;
pub(crate) mod in_use;
mod index;
pub(crate) mod integrated;
pub(crate) mod keep;
pub(crate) mod log;
pub(crate) mod marks;
pub(crate) mod merge;
pub(crate) mod merge_tree;
pub(crate) mod others;
pub(crate) mod overlooked;
pub(crate) mod own;
mod patience;
pub(crate) mod rebase;
pub(crate) mod records;
pub(crate) mod refs;
mod refusals;
pub(crate) mod repo;
pub(crate) mod same;
pub(crate) mod scratch;
mod scratch_index;
mod small_file;
pub(crate) mod snapshot;
pub(crate) mod submodules;
pub(crate) mod tool_files;
mod untouched;
pub(crate) mod worktree;

pub(crate) use changes::{Change, Ignored, changes};
pub(crate) use checkout::Checkout;
pub(crate) use command::Git;
pub(crate) use died::Died;
pub(crate) use distrust::Distrust;
pub(crate) use entry::Worktree;
pub(crate) use integrated::Integrated;
pub(crate) use merge::{MergePlan, Style, Unrelated};
pub(crate) use overlooked::all_changes;
pub(crate) use refs::Transaction;
pub(crate) use repo::Repo;

pub(crate) use crate::system::{Lock, Sharing, regular_file, version};
