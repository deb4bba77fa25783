//! Crashes: every call of git and tmux that `run` and `cleanup` make fails, or their caller is killed at it.
//!
//! The calls are found by recording a clean run, not by a list. Whatever happens, the next command that
//! changes anything leaves the task whole or gone, and nothing that was committed, staged, changed, untracked
//! or ignored is missing.

mod cleanup;
mod disk;
mod gate;
mod interrupt;
mod land;
mod land_disk;
mod matrix;
mod restore;
mod restore_disk;
mod run;
mod settled;
mod surroundings;
