//! Files that others may have written: how they are read, why git is not run there, and what mends it.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Error, Result};

use crate::failure::Failure;
use crate::git::checkout::gitfile::link_of;
use crate::sanitize::{quoted, shown, word};
use crate::system::optional;
use crate::system::regular_file::read_file;

/// Why git is not run in a place: a file there is not what git writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Distrust {
    /// The `.git` of a worktree does not lead to what this repository keeps of it.
    Link(PathBuf),
    /// `gitdir` does not name the worktree.
    Back(PathBuf),
    /// `commondir` does not lead to this repository.
    Common(PathBuf),
    /// `HEAD` names neither a ref nor an object.
    Head(PathBuf),
    /// It is a link, or something else than it should be.
    Odd(PathBuf),
    /// A configuration file has a key that may name a program.
    Key { file: PathBuf, key: String },
    /// A configuration file has a line that is not understood, by its number.
    Line { file: PathBuf, line: usize },
    /// The repository is one that a pane names, and this key of its configuration a program.
    Named { home: PathBuf, key: String },
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.place().display();
        match self {
            Self::Link(_) | Self::Common(_) => {
                write!(f, "'{place}' does not lead to this repository")
            }
            Self::Back(_) => write!(f, "'{place}' does not name the worktree"),
            Self::Head(_) | Self::Odd(_) => write!(f, "'{place}' is not what git makes it"),
            Self::Key { key, .. } => write!(f, "'{place}' sets '{key}', which may name a program"),
            Self::Line { line, .. } => write!(f, "line {line} of '{place}' is not understood"),
            Self::Named { key, .. } => {
                write!(
                    f,
                    "the configuration of '{place}' sets '{key}', which names a program"
                )
            }
        }
    }
}

impl std::error::Error for Distrust {}

impl Distrust {
    /// Returns whether the directory is this repository's worktree all the same.
    pub(crate) fn is_ours(&self) -> bool {
        !matches!(self, Self::Link(_) | Self::Back(_))
    }

    /// The file that is not believed, or the repository.
    fn place(&self) -> &Path {
        match self {
            Self::Link(file) | Self::Back(file) | Self::Common(file) => file,
            Self::Head(file) | Self::Odd(file) => file,
            Self::Key { file, .. } | Self::Line { file, .. } => file,
            Self::Named { home, .. } => home,
        }
    }

    /// The refusal to run git at `path`, with what mends it.
    fn failure(&self, path: &Path) -> Failure {
        let refused = Failure::new(format!("git is not run in '{}'", shown(path)));
        let place = quoted(self.place());
        match self {
            Self::Link(link) => link_failure(link, path),
            Self::Back(_) => gone(path).hint(format!("git worktree repair {}", quoted(path))),
            Self::Common(_) => refused.hint(format!("rm -f {place} && echo ../.. >{place}")),
            // Only who knows the branch can say what it has to be.
            Self::Head(_) => refused,
            Self::Odd(file) if file.is_dir() => refused.hint(format!("ls -ld {place}")),
            Self::Odd(_) => refused.hint(format!("mv {place} {place}.away")),
            Self::Key { key, .. } => {
                let key = word(key);
                refused.hint(format!("git config --file {place} --unset-all {key}"))
            }
            Self::Line { .. } => refused.hint(format!("git config --file {place} --edit")),
            Self::Named { .. } => refused.hint(format!("git -C {place} flux list")),
        }
    }
}

/// The failure of a directory that is not this repository's worktree.
fn gone(path: &Path) -> Failure {
    let what = "is no longer a worktree of this repository";
    Failure::new(format!("'{}' {what}", shown(path))).hint("git worktree list")
}

/// The failure of a `.git` that does not lead to this repository.
fn link_failure(link: &Path, path: &Path) -> Failure {
    let found = link.symlink_metadata().ok();
    let link = quoted(link);
    match found {
        // A repository of its own: somebody's.
        Some(found) if found.is_dir() => gone(path),
        Some(found) if found.is_symlink() => {
            gone(path).hint(format!("mv {link} {link}.away && git worktree repair"))
        }
        // As it is in a copy of a repository, which names the worktrees of the original.
        Some(_) if link_of(path).is_some_and(|named| named.is_dir()) => {
            gone(path).hint("if it is the task's: git worktree repair")
        }
        _ => gone(path).hint("git worktree repair"),
    }
}

/// Adds to an error that git is not run at `path`, if it is a [`Distrust`].
pub(in crate::git) fn refused(error: Error, path: &Path) -> Error {
    match error.downcast_ref::<Distrust>().map(|d| d.failure(path)) {
        Some(failure) => error.context(failure),
        None => error,
    }
}

/// Takes it for none that something is not believed.
pub(in crate::git) fn believed<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Err(error) if error.is::<Distrust>() => Ok(None),
        found => found.map(Some),
    }
}

/// The most that is read of a file with a path or a configuration in it.
const SMALL: u64 = 1 << 20;

/// What is in a file that others may have put there; none if there is none.
///
/// # Errors
/// With a [`Distrust`] when it is a link, a pipe or endless, or when it cannot be read.
pub(in crate::git) fn read_small(file: &Path) -> Result<Option<Vec<u8>>> {
    match optional(file.symlink_metadata()) {
        Ok(None) => Ok(None),
        Ok(Some(found)) if found.is_file() && found.len() < SMALL => {
            let content = optional(read_file(file));
            content.with_context(|| format!("could not read '{}'", file.display()))
        }
        _ => Err(Distrust::Odd(file.to_owned()).into()),
    }
}
