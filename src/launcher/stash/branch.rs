//! `git stash branch`: the branch is the repository's, the entry the task's.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use anyhow::{Context as _, Result};

use super::StashCall;
use crate::launcher::foreground_child::status;

/// The exit status 1, as waitpid(2) returns it.
const FAILED: i32 = 1 << 8;

impl StashCall {
    /// Runs `git stash branch <name> [<entry>]` in git's own steps: check out a new branch at the
    /// entry's base in the worktree, then apply the entry, and drop it if it has a number.
    pub(super) fn branch(&self, args: &[OsString]) -> Result<ExitStatus> {
        let has_options = args[1..].iter().any(is_option);
        let commit = self.stash.resolve(args.get(2).map(OsString::as_os_str))?;
        let (Some(branch), Some(commit), false) = (args.get(1), commit, has_options) else {
            // git refuses it, or shows its help.
            return self.run_stash(args);
        };
        let mut checkout = self.git();
        checkout.args(&self.options.0).args(["checkout", "-b"]);
        checkout.arg(branch).arg(format!("{commit}^1"));
        let switched = status(&mut checkout).context("could not start git")?;
        if !switched.success() {
            return Ok(ExitStatus::from_raw(FAILED));
        }
        self.stash.prepare(&self.worktree, &self.options)?;
        let verb = match self.args.commit() {
            Some(_) => "apply",
            None => "pop",
        };
        let words = [verb, "--index"].map(OsString::from);
        let entry = args.get(2).cloned();
        self.run_stash(&words.into_iter().chain(entry).collect::<Vec<_>>())
    }
}

fn is_option(arg: &OsString) -> bool {
    arg.to_string_lossy().starts_with('-')
}
