//! Checks and names the files of a task that is to be removed.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use indicatif::HumanBytes;

use super::facts::Facts;
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{Change, ls_files};
use crate::ui::words::count;
use crate::ui::{quoted, shown};

/// The size above which an untracked file needs a consent: it would stay in the repository.
const LARGE_FILE_BYTES: u64 = 100 << 20;

/// Describes the untracked files of the task's worktree that are larger than 100 MiB, each with its
/// size; empty if there are none.
pub(super) fn find_large(facts: &Facts) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let untracked = facts.uncommitted.iter().filter(|one| one.is_untracked());
    for change in untracked {
        let path = facts.task.worktree.join(&change.path);
        let metadata = path.symlink_metadata();
        let what = || format!("could not read '{}'", path.display());
        let metadata = metadata.with_context(what)?;
        if metadata.is_file() && metadata.len() > LARGE_FILE_BYTES {
            let size = HumanBytes(metadata.len());
            found.push(format!("'{}' has {size}", shown(&change.path)));
        }
    }
    Ok(found)
}

/// Returns `, which git status does not show …: <names>` for the uncommitted files that are marked
/// assume-unchanged or skip-worktree; empty if there are none.
pub(super) fn name_hidden(facts: &Facts) -> String {
    let files = facts.uncommitted.iter();
    match name_files(files.filter(|change| change.unhide_option.is_some())) {
        names if names.is_empty() => names,
        names => {
            format!(", which git status does not show (assume-unchanged or skip-worktree): {names}")
        }
    }
}

/// Fails if one of the uncommitted files is marked assume-unchanged or skip-worktree, so that
/// `git add` would skip it, or is another repository.
pub(super) fn ensure_committable(facts: &Facts) -> Result<()> {
    let discard = facts.command.cleanup_with(&facts.task.id, "--discard");
    for change in &facts.uncommitted {
        let path = shown(&change.path);
        if let Some(hint) = reveal_command(change, &facts.task.worktree) {
            let mark = change.unhide_option.and_then(|no| no.strip_prefix("--no-"));
            let mark = mark.unwrap_or("unchanged");
            let what = format!("git commit would leave out '{path}': it is marked {mark}");
            let show = format!("to remove the mark: {hint}");
            let discard = format!("{}: {discard}", facts.destination.purposes()[1]);
            bail!(Failure::new(what).hint(show).hint(discard));
        }
        if change.is_repository() {
            let what = format!("'{path}' is another repository and cannot be committed here");
            bail!(Failure::new(what).hint(format!("move it, or: {discard}")));
        }
    }
    Ok(())
}

/// Names the ignored files of the task's worktree; a directory that is ignored as a whole is named
/// once, with its number of files. At most eight names, then `…`; empty if there are none.
pub(super) fn name_ignored(flux: &Flux, facts: &Facts) -> Result<String> {
    let is_below = |file: &Change| file.path.components().count() > 1;
    let directories = match facts.ignored.iter().any(is_below) {
        true => ls_files::list_ignored(&flux.repo.checkout(&facts.task.worktree)?)?,
        false => Vec::new(),
    };
    Ok(collapse_directories(&facts.ignored, directories))
}

/// Names files, but one of `directories` once for all files in it, with their number:
/// `target/ (12 files)`. At most eight names, then `…`.
fn collapse_directories(files: &[Change], mut directories: Vec<PathBuf>) -> String {
    directories.retain(|path| path.as_os_str().as_bytes().ends_with(b"/"));
    let mut names: Vec<(&Path, usize)> = Vec::new();
    for Change { path, .. } in files {
        let directory = directories.iter().find(|dir| path.starts_with(dir));
        match (directory, names.last_mut()) {
            (Some(dir), Some((last, number))) if dir == last => *number += 1,
            (Some(dir), _) => names.push((dir, 1)),
            (None, _) => names.push((path, 0)),
        }
    }
    name_first(names.into_iter().map(|(path, number)| match number {
        0 => shown(path),
        number => format!("{} ({})", shown(path), count(number, "file")),
    }))
}

/// Names the first eight files, without quotes; `…` stands for more. Empty if there are none.
pub(super) fn name_files<'a>(changes: impl IntoIterator<Item = &'a Change>) -> String {
    name_first(changes.into_iter().map(|change| shown(&change.path)))
}

fn name_first(names: impl Iterator<Item = String>) -> String {
    const LISTED: usize = 8;
    let mut names: Vec<String> = names.take(LISTED + 1).collect();
    if names.len() > LISTED {
        names[LISTED] = "…".to_owned();
    }
    names.join(", ")
}

/// Returns the shell command that clears assume-unchanged or skip-worktree of a file, with
/// `git update-index`; `None` if the file has neither. Runs nothing.
pub(super) fn reveal_command(change: &Change, worktree: &Path) -> Option<String> {
    let option = change.unhide_option?;
    let (worktree, path) = (quoted(worktree), quoted(&change.path));
    Some(format!("git -C {worktree} update-index {option} -- {path}"))
}

/// Returns all paths, each in single quotes, separated by commas.
pub(super) fn quote_paths<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> String {
    let names: Vec<String> = paths.map(|path| format!("'{}'", shown(path))).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_ignored_counts_the_files_in_directories() {
        let ignored = |path: &str| Change {
            code: *b"!!",
            path: path.into(),
            kind: None,
            is_submodule: false,
            unhide_option: None,
        };
        let files = [".env", "a/x.log", "node_modules/a/b", "node_modules/c", "z"].map(ignored);
        let directories = ["node_modules/", "z"].map(PathBuf::from);
        assert_eq!(
            collapse_directories(&files, directories.to_vec()),
            ".env, a/x.log, node_modules/ (2 files), z"
        );
        assert_eq!(collapse_directories(&files[..1], Vec::new()), ".env");
    }
}
