//! Being told when something happens in a run, without asking again and again.

use std::fs::File;
use std::sync::mpsc::Sender;
use std::thread;

use anyhow::{Context as _, Result};
use nix::fcntl::{Flock, FlockArg};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use super::launch::RunDir;

/// Ends the watch when it is dropped.
pub(crate) struct Watch {
    _files: RecommendedWatcher,
}

/// Sends whenever a file of the run changes (its agent has said something, or has ended), and
/// when its launcher ends, in whatever way: the launcher holds a lock as long as it lives, which
/// the kernel takes from it.
///
/// # Errors
/// When the directory cannot be watched.
pub(crate) fn run(dir: &RunDir, happened: Sender<()>) -> Result<Watch> {
    let tell = happened.clone();
    let mut files = notify::recommended_watcher(move |_| {
        // Nobody listens any more: that is no error.
        tell.send(()).ok();
    })
    .context("could not watch files")?;
    files
        .watch(&dir.0, RecursiveMode::NonRecursive)
        .with_context(|| format!("could not watch '{}'", dir.0.display()))?;
    if let Ok(alive) = File::open(dir.alive()) {
        thread::spawn(move || {
            let ended = Flock::lock(alive, FlockArg::LockShared);
            if ended.is_ok() {
                happened.send(()).ok();
            }
        });
    }
    Ok(Watch { _files: files })
}
