//! What `git flux run` says that its user may not expect.

use std::path::Path;

use crate::context::Flux;
use crate::store::Store;
use crate::task::Task;
use crate::ui::word;

/// Files that a project needs and git does not track, and directories of the same kind.
const NEEDED: [&str; 3] = [".env", "node_modules", ".venv"];

/// Says which of [`NEEDED`] the new worktree has not, though the main worktree has them, unless something
/// is configured that makes a worktree ready.
pub(super) fn lacking(flux: &Flux, task: &Task) {
    let home = flux.repo.home();
    let settings = &flux.settings;
    let is_there = |dir: &Path, name: &str| dir.join(name).symlink_metadata().is_ok();
    let is_made_ready = !settings.copy().is_empty()
        || !settings.setup().is_empty()
        || [".worktreeinclude", ".worktree-init"]
            .iter()
            .any(|name| is_there(home, name));
    let lacks = |name: &&str| is_there(home, name) && !is_there(&task.worktree, name);
    let lacking: Vec<&str> = NEEDED.into_iter().filter(lacks).collect();
    if is_made_ready || lacking.is_empty() {
        return;
    }
    let what = format!("not in the new worktree: {}", lacking.join(", "));
    let command = if lacking.contains(&".env") {
        "to copy .env from now on: git config --add flux.copy .env"
    } else {
        "to set it up from now on: git config --add flux.setup '<command>'"
    };
    flux.ui.hint(format_args!("{what}; {command}"));
}

/// Warns of a task that starts from the branch of another one, and goes back to it.
pub(super) fn from_other_task(flux: &Flux, store: &Store, task: &Task) {
    let tasks = store
        .tasks
        .iter()
        .filter_map(|stored| stored.task.as_ref().ok());
    let mut tasks = tasks.filter(|other| task.into.as_ref() == Some(&other.branch));
    let Some(other) = tasks.next() else { return };
    flux.ui.warning(format_args!(
        "this task starts from '{}', the branch of the task '{}', and will be merged into it",
        other.branch, other.id
    ));
    if let Some(into) = &other.into {
        let into = word(into);
        flux.ui.hint(format_args!(
            "to start from '{into}': git flux run --base {into} \"<what is to be done>\""
        ));
    }
}
