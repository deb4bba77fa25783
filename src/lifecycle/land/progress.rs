//! Shows which tasks a running `git flux land` tests and lands: by a file in their run directories.

use std::fs;
use std::path::PathBuf;

use crate::context::Flux;
use crate::run::RunDir;
use crate::system::Lock;
use crate::task::TaskId;

/// The marks of tasks, which are removed when this is dropped.
pub(super) struct ProgressMarks(Vec<PathBuf>);

impl ProgressMarks {
    /// Deletes the marks of tasks that killed landings have left: during the next landing, it would
    /// seem to land those tasks. The caller holds the lock of landings, and has set no marks yet.
    pub(super) fn sweep(flux: &Flux) {
        let runs = fs::read_dir(flux.repo.runs_dir()).into_iter().flatten();
        for run in runs.flatten() {
            drop(fs::remove_file(RunDir(run.path()).landing()));
        }
    }

    /// Marks tasks as being tested and landed. Best effort: only `list` and `wait` read the marks.
    pub(super) fn set<'a>(flux: &Flux, ids: impl Iterator<Item = &'a TaskId>) -> Self {
        let files: Vec<PathBuf> = ids.map(|id| flux.run_dir(id).landing()).collect();
        for file in &files {
            drop(fs::write(file, ""));
        }
        Self(files)
    }
}

impl Drop for ProgressMarks {
    fn drop(&mut self) {
        for file in &self.0 {
            // The task may have been removed.
            drop(fs::remove_file(file));
        }
    }
}

/// Returns whether a running `git flux land` tests or lands the task.
pub(crate) fn is_landing(flux: &Flux, id: &TaskId) -> bool {
    // A killed command leaves the file.
    flux.run_dir(id).landing().exists() && Lock::is_held(&flux.landing_lock())
}
