//! Patience with other gits at work in the same repository.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use rand::RngExt as _;

use super::Git;
use crate::interrupt;

/// How long git waits for the locks of refs where it changes something, in ms: many tasks come
/// and go at once, and git's own patience with one reftable is a tenth of a second.
pub(super) const LOCKS: [&str; 6] = [
    "-c",
    "reftable.lockTimeout=20000",
    "-c",
    "core.filesRefLockTimeout=20000",
    "-c",
    "core.packedRefsTimeout=20000",
];

/// How often [`patiently`] asks: for some two seconds, and longer where everything is slow.
const ATTEMPTS: u32 = 15;

/// Runs a command that looks at all worktrees, again if it fails: every such git
/// dies while another one is half way through `git worktree add`, and no lock of
/// ours keeps a stranger from that.
///
/// # Errors
/// When it fails [`ATTEMPTS`] times.
pub(super) fn patiently(git: impl Fn() -> Git) -> Result<Vec<u8>> {
    let mut pause = Duration::from_millis(10);
    for _ in 1..ATTEMPTS {
        if let Ok(said) = git().output() {
            return Ok(said);
        }
        interrupt::check()?;
        thread::sleep(pause.mul_f64(rand::rng().random_range(0.5..1.5)));
        pause = (pause * 2).min(Duration::from_millis(200));
    }
    git().output()
}
