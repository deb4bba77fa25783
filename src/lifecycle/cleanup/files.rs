//! The files that a removal is about: what becomes of them, and what they are called.

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

/// The size from which on a single untracked file is asked about: it goes into the
/// repository, and does not leave it soon.
const LARGE: u64 = 100 << 20;

/// Returns the untracked files that are [`LARGE`], with their sizes.
///
/// # Errors
/// When one of them cannot be looked at.
pub(super) fn large(facts: &Facts) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for change in facts
        .uncommitted
        .iter()
        .filter(|change| change.is_untracked())
    {
        let path = facts.task.worktree.join(&change.path);
        let metadata = path.symlink_metadata();
        let what = || format!("could not look at '{}'", path.display());
        let metadata = metadata.with_context(what)?;
        if metadata.is_file() && metadata.len() > LARGE {
            let size = HumanBytes(metadata.len());
            found.push(format!("'{}' has {size}", shown(&change.path)));
        }
    }
    Ok(found)
}

/// Names the uncommitted files that git itself does not show.
pub(super) fn overlooked(facts: &Facts) -> String {
    let files = facts.uncommitted.iter();
    match named(files.filter(|change| change.unhide_option.is_some())) {
        names if names.is_empty() => names,
        names => format!(", of which git was told to overlook {names}"),
    }
}

/// Fails if what `git add` does not take is among what would be committed.
///
/// # Errors
/// As it says.
pub(super) fn ensure_committable(facts: &Facts) -> Result<()> {
    let discard = format!("git flux cleanup {} --discard", facts.task.id);
    for change in &facts.uncommitted {
        let path = shown(&change.path);
        if let Some(hint) = reveal(change, &facts.task.worktree) {
            let what = format!("git was told to overlook '{path}', and does not commit it");
            bail!(Failure::new(what).hint(hint).hint(discard));
        }
        if change.is_repository() {
            let what = format!("'{path}' is a repository of its own, and cannot be committed here");
            bail!(Failure::new(what).hint(format!("move it, or: {discard}")));
        }
    }
    Ok(())
}

/// Names the ignored files as git does, directories with the number of files in them.
///
/// # Errors
/// When git fails.
pub(super) fn ignored(flux: &Flux, facts: &Facts) -> Result<String> {
    let is_below = |file: &Change| file.path.components().count() > 1;
    let directories = match facts.ignored.iter().any(is_below) {
        true => ls_files::list_ignored(&flux.repo.checkout(&facts.task.worktree)?)?,
        false => Vec::new(),
    };
    Ok(collapsed(&facts.ignored, directories))
}

/// The files, but for those in one of `directories` the directory with the number of them.
fn collapsed(files: &[Change], mut directories: Vec<PathBuf>) -> String {
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
    first(names.into_iter().map(|(path, number)| match number {
        0 => shown(path),
        number => format!("{} ({})", shown(path), count(number, "file")),
    }))
}

/// Names the first few files.
pub(super) fn named<'a>(changes: impl IntoIterator<Item = &'a Change>) -> String {
    first(changes.into_iter().map(|change| shown(&change.path)))
}

fn first(names: impl Iterator<Item = String>) -> String {
    const LISTED: usize = 8;
    let mut names: Vec<String> = names.take(LISTED + 1).collect();
    if names.len() > LISTED {
        names[LISTED] = "…".to_owned();
    }
    names.join(", ")
}

/// Returns the command after which git looks again at a change that it was told to overlook.
pub(super) fn reveal(change: &Change, worktree: &Path) -> Option<String> {
    let option = change.unhide_option?;
    let (worktree, path) = (quoted(worktree), quoted(&change.path));
    Some(format!("git -C {worktree} update-index {option} -- {path}"))
}

/// Names all files.
pub(super) fn listed<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> String {
    let names: Vec<String> = paths.map(|path| format!("'{}'", shown(path))).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_files_are_named_as_git_does() {
        let ignored = |path: &str| Change {
            code: *b"!!",
            path: path.into(),
            is_submodule: false,
            unhide_option: None,
        };
        let files = [".env", "a/x.log", "node_modules/a/b", "node_modules/c", "z"].map(ignored);
        let directories = ["node_modules/", "z"].map(PathBuf::from);
        assert_eq!(
            collapsed(&files, directories.to_vec()),
            ".env, a/x.log, node_modules/ (2 files), z"
        );
        assert_eq!(collapsed(&files[..1], Vec::new()), ".env");
    }
}
