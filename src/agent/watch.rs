//! Being told when something happens in a run, without asking again and again.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::mpsc::Sender;
use std::thread;

use anyhow::{Context as _, Result};
use nix::fcntl::{Flock, FlockArg};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use super::run::RunDir;
use crate::git::regular_file::open_file;

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
pub(crate) fn run(dir: &RunDir, happened: &Sender<()>) -> Result<Watch> {
    let (tell, alive) = (happened.clone(), dir.alive());
    let mut followed = None;
    let mut files = notify::recommended_watcher(move |_| {
        // The launcher may have come only now, or another one.
        followed = follow(&alive, followed, &tell);
        // Nobody listens any more: that is no error.
        tell.send(()).ok();
    })
    .context("could not watch files")?;
    files
        .watch(&dir.0, RecursiveMode::NonRecursive)
        .with_context(|| format!("could not watch '{}'", dir.0.display()))?;
    follow(&dir.alive(), None, happened);
    Ok(Watch { _files: files })
}

/// Sends when the launcher ends that holds the lock `alive`, unless that is the one that is
/// `followed` already; returns the file's inode, if there is one.
fn follow(alive: &Path, followed: Option<u64>, happened: &Sender<()>) -> Option<u64> {
    let alive = open_file(alive).ok()?;
    let inode = alive.metadata().ok()?.ino();
    if followed != Some(inode) {
        let happened = happened.clone();
        thread::spawn(move || {
            let ended = Flock::lock(alive, FlockArg::LockShared);
            if ended.is_ok() {
                happened.send(()).ok();
            }
        });
    }
    Some(inode)
}
