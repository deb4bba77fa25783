//! Errors about repositories that cannot be opened, with the command that fixes each.

use std::env;
use std::path::{Path, PathBuf};

use super::Git;
use crate::failure::Failure;
use crate::sanitize::{quoted, word};

/// The hint outside of any repository to the tasks of all.
pub(crate) const ALL_REPOSITORIES: &str =
    "the tasks of all repositories: git flux list --all-repos";

/// The hint outside of any repository to make one.
pub(crate) const NEW_REPOSITORY: &str = "git init && git commit --allow-empty -m 'Initial commit'";

/// Returns the error for a current directory outside of any repository, with git's own reason:
/// `git rev-parse`. In a worktree that was moved to the trash with its task, the error names that
/// task.
pub(super) fn no_repository() -> Failure {
    let here = env::current_dir().unwrap_or_default();
    if let Some((home, name)) = find_removed_task(&here) {
        let (home, name_word) = (quoted(&home), word(&name));
        let what = format!("this worktree was removed with the task '{name}'");
        let restore = format!("git -C {home} flux restore {name_word}");
        return Failure::new(what).hint(format!("cd {home}")).hint(restore);
    }
    let git = Git::reading(Path::new(".")).words("rev-parse");
    let result = git.outcome().ok();
    let message = result.map(|(_, output)| String::from_utf8_lossy(&output.stderr).into_owned());
    let first = message
        .as_deref()
        .and_then(|message| message.lines().next());
    let reason = first.and_then(|line| line.strip_prefix("fatal: "));
    let failure = Failure::new(reason.unwrap_or("not a git repository")).hint(ALL_REPOSITORIES);
    // Do not suggest a repository of the whole home directory.
    match env::home_dir().is_some_and(|home| here == home) {
        true => failure,
        false => failure.hint(NEW_REPOSITORY),
    }
}

/// Returns the main worktree (or bare repository) and the name of the removed task if `here` is in
/// a worktree in the trash, `<git-common-dir>/flux/trash/<name>/worktree`. Otherwise `None`.
fn find_removed_task(here: &Path) -> Option<(PathBuf, String)> {
    let task = |dir: &Path| {
        let place = dir.parent().filter(|_| dir.ends_with("worktree"))?;
        let name = place.file_name()?.to_str()?.to_owned();
        let trash = place.parent().filter(|dir| dir.ends_with("flux/trash"))?;
        let common_dir = trash.parent()?.parent()?;
        let home = common_dir.parent().filter(|_| common_dir.ends_with(".git"));
        Some((home.unwrap_or(common_dir).to_owned(), name))
    };
    here.ancestors().find_map(task)
}

/// Returns the error for a worktree in which git does not find its repository, because
/// `core.worktree` (`is_configured`) or the environment connects the two, not a `.git` in the
/// worktree.
pub(super) fn wrong_worktree(worktree: &Path, common_dir: &Path, is_configured: bool) -> Failure {
    let failure = Failure::new(format!(
        "the worktree '{}' has no link to the repository '{}'",
        worktree.display(),
        common_dir.display()
    ));
    if !is_configured {
        let hint = "git flux needs a worktree with its own .git: unset GIT_DIR GIT_WORK_TREE";
        return failure.hint(hint);
    }
    let link = worktree.join(".git");
    let dir = quoted(common_dir);
    let unset = format!("git --git-dir={dir} config --unset core.worktree");
    if link.symlink_metadata().is_ok() {
        return failure.hint(format!("to use its own .git: {unset}"));
    }
    let text = word(&format!("gitdir: {}", common_dir.display()));
    let echo = format!("echo {text} >{}", quoted(&link));
    failure
        .hint(format!("to add the link: {echo}"))
        .hint(format!("to no longer use that worktree: {unset}"))
}

/// Returns the directory to add to `safe.directory`: for a `common_dir` `<dir>/.git` its parent,
/// for another one itself, for `None` the nearest directory from the current one upwards that has a
/// `.git`.
pub(super) fn safe_directory(common_dir: Option<&Path>) -> PathBuf {
    let here = env::current_dir().unwrap_or_default();
    let mut tops = here.ancestors().filter(|dir| dir.join(".git").exists());
    let top = match common_dir {
        Some(dir) if dir.ends_with(".git") => dir.parent(),
        None => tops.next(),
        dir => dir,
    };
    top.unwrap_or(&here).to_owned()
}
