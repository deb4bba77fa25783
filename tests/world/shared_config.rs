//! The copies of the shared configuration, with which cleanup compares it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use super::World;

impl World {
    /// Lets changes of the configuration between two commands count, as in real life. Without it,
    /// they do not: most tests change something as the user, whom cleanup would ask about it.
    pub(crate) fn compare_config(&self) {
        self.compares_config.store(true, Ordering::Relaxed);
    }

    /// Removes the copies from starts of tasks that are older than a file of the configuration,
    /// unless `compare_config` was called.
    pub(super) fn forget_changed_config(&self) {
        if self.compares_config.load(Ordering::Relaxed) {
            return;
        }
        let roots = entries(self.root());
        let below = roots.iter().flat_map(|dir| entries(dir));
        for dir in roots.iter().cloned().chain(below) {
            for common in [dir.join(".git"), dir] {
                forget(&common);
            }
        }
    }
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(dir).into_iter().flatten().flatten();
    found.map(|entry| entry.path()).collect()
}

fn time(path: &Path) -> Option<SystemTime> {
    path.symlink_metadata().ok()?.modified().ok()
}

fn forget(common: &Path) {
    for run in entries(&common.join("flux/run")) {
        let copy = run.join("shared");
        let Some(made) = time(&copy) else { continue };
        let text = fs::read(&copy).unwrap_or_default();
        let text = serde_json::from_slice(&text).unwrap_or(serde_json::Value::Null);
        let mut dirs = vec![common.join("hooks"), common.join("info")];
        dirs.extend(text["hooks_dir"].as_str().map(PathBuf::from));
        let inside = dirs.iter().flat_map(|dir| entries(dir));
        let mut files: Vec<PathBuf> = inside.chain(dirs.iter().cloned()).collect();
        files.extend(["config", "config.worktree"].map(|name| common.join(name)));
        if files
            .iter()
            .filter_map(|file| time(file))
            .any(|at| at > made)
        {
            fs::remove_file(copy).ok();
        }
    }
}
