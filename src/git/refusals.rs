//! Why a repository is not opened, and what mends it.

use std::env;
use std::path::{Path, PathBuf};

use super::Git;
use crate::failure::Failure;
use crate::sanitize::{quoted, word};

/// The refusal where there is no repository, in git's words: `git rev-parse`. In a worktree that was moved to
/// the trash, it says so.
pub(super) fn no_repository() -> Failure {
    let here = env::current_dir().unwrap_or_default();
    if let Some((home, name)) = find_removed_task(&here) {
        let (home, name_word) = (quoted(&home), word(&name));
        let what = format!("this worktree was removed with the task '{name}'");
        let restore = format!("git -C {home} flux restore {name_word}");
        return Failure::new(what).hint(format!("cd {home}")).hint(restore);
    }
    let asked = Git::reading(Path::new("."), "rev-parse").outcome().ok();
    let said = asked.map(|(_, output)| String::from_utf8_lossy(&output.stderr).into_owned());
    let first = said.as_deref().and_then(|said| said.lines().next());
    let reason = first.and_then(|line| line.strip_prefix("fatal: "));
    let everywhere = "the tasks of all repositories: git flux list --everywhere";
    let failure = Failure::new(reason.unwrap_or("not a git repository")).hint(everywhere);
    // Nobody wants one of all their files.
    match env::home_dir().is_some_and(|home| here == home) {
        true => failure,
        false => failure.hint("git init && git commit --allow-empty -m 'Initial commit'"),
    }
}

/// The main worktree and the name of the removed task whose worktree in the trash has the directory `here`.
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

/// The refusal of a worktree that does not lead to its repository, as core.worktree or the environment has it.
pub(super) fn wrong_worktree(worktree: &Path, common_dir: &Path, is_configured: bool) -> Failure {
    let failure = Failure::new(format!(
        "the worktree '{}' does not lead to the repository '{}' by itself",
        worktree.display(),
        common_dir.display()
    ));
    if !is_configured {
        let hint = "git flux needs a worktree with a .git of its own: unset GIT_DIR GIT_WORK_TREE";
        return failure.hint(hint);
    }
    let link = worktree.join(".git");
    let dir = quoted(common_dir);
    let unset = format!("git --git-dir={dir} config --unset core.worktree");
    if link.symlink_metadata().is_ok() {
        return failure.hint(unset);
    }
    let text = word(&format!("gitdir: {}", common_dir.display()));
    let echo = format!("echo {text} >{}", quoted(&link));
    failure.hint(echo).hint(unset)
}

/// The directory that git wants to be safe, to which `common_dir` belongs, or where the caller is.
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
