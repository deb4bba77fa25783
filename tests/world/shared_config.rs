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

    /// Removes the copies from starts of tasks that are older than a change of the configuration,
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

/// Returns whether a configuration file differs from that in a copy in other sections than those of branches.
fn has_other_config(common: &Path, copy: &serde_json::Value) -> bool {
    ["config", "config.worktree"].iter().any(|name| {
        let files = copy["files"].as_array().into_iter().flatten();
        let mut copied = files.filter(|file| file["path"] == **name);
        let copied = copied.next();
        let copied = copied.and_then(|file| file["content"]["whole"].as_str());
        let now = fs::read_to_string(common.join(name)).unwrap_or_default();
        without_branches(&now) != without_branches(copied.unwrap_or_default())
    })
}

fn without_branches(text: &str) -> Vec<&str> {
    let mut is_branch = false;
    let others = text.lines().filter(|line| {
        if line.starts_with('[') {
            is_branch = line.starts_with("[branch \"");
        }
        !is_branch
    });
    others.collect()
}

fn forget(common: &Path) {
    for run in entries(&common.join("flux/run")) {
        let copy = run.join("shared");
        let Some(made) = time(&copy) else { continue };
        let text = fs::read(&copy).unwrap_or_default();
        let text = serde_json::from_slice(&text).unwrap_or(serde_json::Value::Null);
        let mut dirs = vec![common.join("hooks"), common.join("info")];
        dirs.extend(text["hooksDir"].as_str().map(PathBuf::from));
        let inside = dirs.iter().flat_map(|dir| entries(dir));
        let mut files = inside.chain(dirs.iter().cloned());
        let is_newer = files.any(|file| time(&file).is_some_and(|at| at > made));
        if is_newer || has_other_config(common, &text) {
            fs::remove_file(copy).ok();
        }
    }
}
