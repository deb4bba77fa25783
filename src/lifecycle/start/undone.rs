//! What the way back of a start has left, in words.

use std::path::PathBuf;

use anyhow::Result;

use super::plan::{Origin, Start};
use crate::failure::Failure;
use crate::ui::shown;

/// What a roll-back has left of a start.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Undone {
    /// Nothing.
    All,
    /// Its worktree, in the trash: something was in it.
    Kept(PathBuf),
    /// Nothing, and the worktree was no more where it was made.
    Missing,
    /// All of it, since the worktree is not as it was made any more.
    Left,
}

impl Start {
    fn verb(&self) -> &'static str {
        match self.origin {
            Origin::New { .. } => "start",
            Origin::Archive(_) => "restore",
            Origin::Worktree => "adopt",
            Origin::Task(_) if self.has_agent() => "resume",
            Origin::Task(_) => "open a session for",
        }
    }

    /// The refusal of a start of which nothing is left.
    pub(super) fn refusal(&self) -> Failure {
        let what = format!("could not {} '{}'", self.verb(), self.task.id);
        Failure::new(match self.origin {
            Origin::New { .. } => format!("{what}; nothing was left behind"),
            Origin::Archive(_) => format!("{what}; it can be restored still"),
            Origin::Worktree => format!("{what}; nothing was changed"),
            Origin::Task(_) => what,
        })
    }

    /// The refusal of a start that the user has interrupted, and of which nothing is left.
    pub(super) fn interruption(&self) -> Failure {
        let id = &self.task.id;
        Failure::declined(match self.origin {
            Origin::New { .. } => format!("interrupted; nothing is left of '{id}'"),
            Origin::Archive(_) => format!("interrupted; '{id}' can be restored still"),
            Origin::Worktree => "interrupted; nothing was changed".to_owned(),
            Origin::Task(_) => format!("interrupted; '{id}' is not running"),
        })
    }

    /// The refusal of a start whose roll-back came to this.
    pub(super) fn refusal_after(&self, undone: Result<Undone>) -> Failure {
        let id = &self.task.id;
        let what = format!("could not {} '{id}'", self.verb());
        let worktree = shown(&self.task.worktree);
        match undone {
            Ok(Undone::All) => self.refusal(),
            Ok(Undone::Kept(path)) => Failure::new(format!(
                "{what}; what was in its worktree is in '{}'",
                shown(&path)
            )),
            Ok(Undone::Missing) => Failure::new(format!(
                "{what}; its worktree was not in '{worktree}' any more"
            )),
            Ok(Undone::Left) => Failure::new(format!(
                "{what}; it is left as it is, since its worktree is not as it was made"
            ))
            .hint(format!("git flux status {id}")),
            Err(undo) => {
                let failure = Failure::new(format!("{what}, nor undo it: {undo:#}"));
                match self.origin {
                    Origin::Task(_) => failure,
                    _ => failure.hint(
                        "the next command that changes anything tries again: git flux cleanup",
                    ),
                }
            }
        }
    }
}
