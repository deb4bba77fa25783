//! Reasons not to run git in a worktree whose files an agent may have written, with fixes.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Error, Result};

use crate::failure::Failure;
use crate::git::checkout::gitfile::read_gitfile;
use crate::sanitize::{quoted, shown, word};
use crate::system::none_if_missing;
use crate::system::regular_file::read_file;

/// A file that is not as git writes it, so that git must not run there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Distrust {
    /// `.git` does not name an administrative directory of this repository.
    GitFile(PathBuf),
    /// `gitdir` names another worktree.
    GitDir(PathBuf),
    /// `commondir` names another repository.
    CommonDir(PathBuf),
    /// `HEAD` names neither a ref nor an object.
    Head(PathBuf),
    /// A symbolic link, pipe or other unexpected file.
    FileType(PathBuf),
    /// A key in a configuration file that may name a program.
    Key { file: PathBuf, key: String },
    /// The number of an unknown line in a configuration file.
    Line { file: PathBuf, line: usize },
    /// A repository found through a pane, and a key of its configuration that names a program.
    Program { home: PathBuf, key: String },
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.place().display();
        match self {
            Self::GitFile(_) | Self::CommonDir(_) => {
                write!(f, "'{place}' points to another repository")
            }
            Self::GitDir(_) => write!(f, "'{place}' names another worktree"),
            Self::Head(_) | Self::FileType(_) => write!(f, "'{place}' was not written by git"),
            Self::Key { key, .. } => write!(f, "'{place}' sets '{key}', which may name a program"),
            Self::Line { line, .. } => write!(f, "line {line} of '{place}' is unknown"),
            Self::Program { key, .. } => write!(f, "'{place}' sets '{key}', which names a program"),
        }
    }
}

impl std::error::Error for Distrust {}

impl Distrust {
    /// Returns `false` for [`Distrust::GitFile`] and [`Distrust::GitDir`], with which the directory
    /// is not connected to this repository, otherwise `true`. Reads no file.
    pub(crate) fn is_ours(&self) -> bool {
        !matches!(self, Self::GitFile(_) | Self::GitDir(_))
    }

    /// Returns the path of the wrong file, or of the repository whose configuration names a
    /// program.
    fn place(&self) -> &Path {
        match self {
            Self::GitFile(file) | Self::GitDir(file) | Self::CommonDir(file) => file,
            Self::Head(file) | Self::FileType(file) => file,
            Self::Key { file, .. } | Self::Line { file, .. } => file,
            Self::Program { home, .. } => home,
        }
    }

    /// Returns the error that git does not run in the worktree at `path`. The hint, if there is
    /// one, is a command that fixes or shows the wrong file.
    fn failure(&self, path: &Path) -> Failure {
        let why = match self {
            Self::Head(_) => ": its HEAD is missing or damaged",
            _ => "",
        };
        let refused = Failure::new(format!("refusing to run git in '{}'{why}", shown(path)));
        let place = quoted(self.place());
        match self {
            Self::GitFile(link) => link_failure(link, path),
            Self::GitDir(_) => gone(path).hint(format!("git worktree repair {}", quoted(path))),
            Self::CommonDir(_) => refused.hint(format!("rm -f {place} && echo ../.. >{place}")),
            // Only the user knows which branch HEAD has to name.
            Self::Head(_) => refused.hint(format!("echo 'ref: refs/heads/<branch>' >{place}")),
            Self::FileType(file) if file.is_dir() => refused.hint(format!("ls -ld {place}")),
            Self::FileType(_) => refused.hint(format!("mv {place} {place}.away")),
            Self::Key { key, .. } => {
                let key = word(key);
                refused.hint(format!("git config --file {place} --unset-all {key}"))
            }
            Self::Line { .. } => refused.hint(format!("git config --file {place} --edit")),
            Self::Program { .. } => refused.hint(format!("git -C {place} flux list")),
        }
    }
}

/// Returns the error that the directory at `path` is no longer a worktree of this repository, with
/// the hint `git worktree list`.
fn gone(path: &Path) -> Failure {
    let what = "is no longer a worktree of this repository";
    Failure::new(format!("'{}' {what}", shown(path))).hint("git worktree list")
}

/// Returns the error for a worktree at `path` whose `.git`, at `link`, is missing or names another
/// repository. Adds a hint with `git worktree repair`, unless `link` is a directory: a separate
/// repository.
fn link_failure(link: &Path, path: &Path) -> Failure {
    let found = link.symlink_metadata().ok();
    let link = quoted(link);
    match found {
        // A separate repository has nothing to fix.
        Some(found) if found.is_dir() => gone(path),
        Some(found) if found.is_symlink() => {
            gone(path).hint(format!("mv {link} {link}.away && git worktree repair"))
        }
        // A copied repository still names the worktrees of the original.
        Some(_) if read_gitfile(path).is_some_and(|named| named.is_dir()) => {
            gone(path).hint("if it has the task's files: git worktree repair")
        }
        _ => gone(path).hint("git worktree repair"),
    }
}

/// Adds the refusal to run git at `path`, with a hint, to an error that is a [`Distrust`]; returns
/// any other error unchanged.
pub(in crate::git) fn refused(error: Error, path: &Path) -> Error {
    match error.downcast_ref::<Distrust>().map(|d| d.failure(path)) {
        Some(failure) => error.context(failure),
        None => error,
    }
}

/// Turns an error that is a [`Distrust`] into `None`, and a value into `Some`; returns any other
/// error unchanged.
pub(in crate::git) fn trusted<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Err(error) if error.is::<Distrust>() => Ok(None),
        found => found.map(Some),
    }
}

/// The maximum size of a file with a path or a configuration.
const MAX_BYTES: u64 = 1 << 20;

/// Reads a file that an agent may have written; `None` if it does not exist.
///
/// # Errors
/// With a [`Distrust`] if it is a symbolic link, a pipe, a directory or 1 MiB or longer.
pub(in crate::git) fn read_small(file: &Path) -> Result<Option<Vec<u8>>> {
    match none_if_missing(file.symlink_metadata()) {
        Ok(None) => Ok(None),
        Ok(Some(found)) if found.is_file() && found.len() < MAX_BYTES => {
            let content = none_if_missing(read_file(file));
            content.with_context(|| format!("could not read '{}'", file.display()))
        }
        _ => Err(Distrust::FileType(file.to_owned()).into()),
    }
}
