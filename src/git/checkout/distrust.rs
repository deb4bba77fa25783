//! Why git is not run where others have written, and what mends it.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Error;

use crate::failure::Failure;
use crate::git::checkout::gitfile::leads_somewhere;
use crate::sanitize::{quoted, shown, word};

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
        match self {
            Self::Link(file) | Self::Common(file) => {
                write!(f, "'{}' does not lead to this repository", file.display())
            }
            Self::Back(file) => write!(f, "'{}' does not name the worktree", file.display()),
            Self::Head(file) | Self::Odd(file) => {
                write!(f, "'{}' is not what git makes it", file.display())
            }
            Self::Key { file, key } => {
                let file = file.display();
                write!(f, "'{file}' sets '{key}', which may name a program")
            }
            Self::Line { file, line } => {
                let file = file.display();
                write!(f, "line {line} of '{file}' is not understood")
            }
            Self::Named { home, key } => {
                let home = home.display();
                write!(
                    f,
                    "the configuration of '{home}' sets '{key}', which names a program"
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

    /// The refusal to run git at `path`, with what mends it.
    fn failure(&self, path: &Path) -> Failure {
        let place = shown(path);
        let refused = || Failure::new(format!("git is not run in '{place}'"));
        match self {
            Self::Link(link) => link_failure(link, path),
            Self::Back(_) => gone(path).hint(format!("git worktree repair {}", quoted(path))),
            Self::Common(file) => {
                let file = quoted(file);
                refused().hint(format!("rm -f {file} && echo ../.. >{file}"))
            }
            // Only who knows the branch can say what it has to be.
            Self::Head(_) => refused(),
            Self::Odd(file) if file.is_dir() => refused().hint(format!("ls -ld {}", quoted(file))),
            Self::Odd(file) => refused().hint(format!("mv {0} {0}.away", quoted(file))),
            Self::Key { file, key } => refused().hint(format!(
                "git config --file {} --unset-all {}",
                quoted(file),
                word(key)
            )),
            Self::Line { file, .. } => {
                refused().hint(format!("git config --file {} --edit", quoted(file)))
            }
            Self::Named { home, .. } => {
                refused().hint(format!("git -C {} flux list", quoted(home)))
            }
        }
    }
}

/// The failure of a directory that is not this repository's worktree.
fn gone(path: &Path) -> Failure {
    let place = shown(path);
    Failure::new(format!(
        "'{place}' is not a worktree of this repository any more"
    ))
    .hint("git worktree list")
}

/// The failure of a `.git` that does not lead to this repository.
fn link_failure(link: &Path, path: &Path) -> Failure {
    match link.symlink_metadata() {
        // A repository of its own: somebody's.
        Ok(found) if found.is_dir() => gone(path),
        Ok(found) if found.is_symlink() => gone(path).hint(format!(
            "mv {0} {0}.away && git worktree repair",
            quoted(link)
        )),
        // As it is in a copy of a repository, which names the worktrees of the original.
        Ok(_) if leads_somewhere(path) => {
            gone(path).hint("if it is the task's: git worktree repair")
        }
        _ => gone(path).hint("git worktree repair"),
    }
}

/// Adds to an error that git is not run at `path`, if it is a [`Distrust`].
pub(in crate::git) fn refused(error: Error, path: &Path) -> Error {
    let failure = error.downcast_ref::<Distrust>().map(|d| d.failure(path));
    match failure {
        Some(failure) => error.context(failure),
        None => error,
    }
}
