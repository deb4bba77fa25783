//! Patience with other gits at work in the same repository.

use std::time::Duration;

use anyhow::Result;

use crate::git::Git;
use crate::system::wait_until;

/// How often [`patiently`] asks: for some two seconds, and longer where everything is slow.
const ATTEMPTS: u32 = 15;

/// The longest pause between two attempts.
const PAUSE: Duration = Duration::from_millis(200);

/// Runs a command that looks at all worktrees, again if it fails: every such git
/// dies while another one is half way through `git worktree add`, and no lock of
/// ours keeps a stranger from that.
///
/// # Errors
/// When it fails [`ATTEMPTS`] times.
pub(in crate::git) fn patiently(git: impl Fn() -> Git) -> Result<Vec<u8>> {
    let mut attempts = 0;
    let said = wait_until(Duration::MAX, PAUSE, || {
        attempts += 1;
        match git().output() {
            Err(_) if attempts < ATTEMPTS => Ok(None),
            said => said.map(Some),
        }
    })?;
    Ok(said.unwrap_or_default())
}
