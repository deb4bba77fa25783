//! The files that a removal is about: what becomes of them, and what they are called.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use indicatif::HumanBytes;

use super::facts::Facts;
use super::obstacle::reveal;
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::{Change, others};
use crate::ui::shown;
use crate::ui::words::count;

/// The size from which on a single untracked file is asked about: it goes into the
/// repository, and does not leave it soon.
const LARGE: u64 = 100 << 20;

/// Returns the untracked files that are [`LARGE`], with their sizes.
///
/// # Errors
/// When one of them cannot be looked at.
pub(super) fn large(facts: &Facts) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for change in facts.uncommitted.iter().filter(|change| change.untracked()) {
        let path = facts.task.worktree.join(&change.path);
        let metadata = path
            .symlink_metadata()
            .with_context(|| format!("could not look at '{}'", path.display()))?;
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
    let files = files.filter(|change| change.overlooked.is_some()).cloned();
    match files.collect::<Vec<Change>>().as_slice() {
        [] => String::new(),
        files => format!(", of which git was told to overlook {}", named(files)),
    }
}

/// Fails if what `git add` does not take is among what would be committed.
///
/// # Errors
/// As it says.
pub(super) fn ensure_committable(facts: &Facts) -> Result<()> {
    let worktree = &facts.task.worktree;
    let mut files = facts.uncommitted.iter();
    let hidden = files.find_map(|change| Some((change, reveal(change, worktree)?)));
    if let Some((change, hint)) = hidden {
        return Err(Failure::new(format!(
            "git was told to overlook '{}', and does not commit it",
            shown(&change.path)
        ))
        .hint(hint)
        .hint(format!("git flux cleanup {} --discard", facts.task.id))
        .into());
    }
    let mut files = facts.uncommitted.iter();
    let Some(nested) = files.find(|change| change.is_repository()) else {
        return Ok(());
    };
    Err(Failure::new(format!(
        "'{}' is a repository of its own, and cannot be committed here",
        shown(&nested.path)
    ))
    .hint(format!(
        "move it, or: git flux cleanup {} --discard",
        facts.task.id
    ))
    .into())
}

/// Names the ignored files as git does, directories with the number of files in them.
///
/// # Errors
/// When git fails.
pub(super) fn ignored(flux: &Flux, facts: &Facts) -> Result<String> {
    let is_below = |file: &Change| file.path.components().count() > 1;
    let directories = match facts.ignored.iter().any(is_below) {
        true => others::ignored(&flux.repo.checkout(&facts.task.worktree)?)?,
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
    let name = |(path, number): &(&Path, usize)| match number {
        0 => shown(path),
        number => format!("{} ({})", shown(path), count(*number, "file")),
    };
    first(&names.iter().map(name).collect::<Vec<_>>())
}

/// Names the first few files.
pub(super) fn named(changes: &[Change]) -> String {
    let names: Vec<String> = changes.iter().map(|c| shown(&c.path)).collect();
    first(&names)
}

fn first(names: &[String]) -> String {
    const LISTED: usize = 8;
    let more = match names.len() > LISTED {
        true => ", …",
        false => "",
    };
    format!("{}{more}", names[..names.len().min(LISTED)].join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_files_are_named_as_git_does() {
        let ignored = |path: &str| Change {
            code: *b"!!",
            path: path.into(),
            submodule: false,
            overlooked: None,
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
