//! The comments as text: where each is, the line that it is about, and what it says.

use anyhow::Result;

use super::file::{ReviewFile, Subject};
use super::parse::{Comment, Remark};
use crate::git::repo::patch::{FilePatch, Place, find_line};
use crate::git::{ObjectId, Repo};
use crate::ui::shown;

/// The beginning of the message to an agent. It is no command of any.
const INTRODUCTION: &str = "Please address these comments on your changes.";

/// A comment, and where the line that it is about is now.
pub(super) struct PlacedComment<'a> {
    comment: &'a Comment,
    /// `src/login.rs:12`; `None` if it is about all files.
    place: Option<String>,
    /// The line has changed since.
    pub(super) is_stale: bool,
}

/// The files of a task as they are now.
pub(super) struct Present<'a> {
    /// It has the objects of the file that was edited.
    pub(super) before: &'a Repo,
    pub(super) objects: &'a Repo,
    pub(super) tree: &'a ObjectId,
}

impl Present<'_> {
    /// Finds where the lines are now that the comments are about. One that cannot be looked up, such
    /// as a commit of a submodule, counts as changed.
    pub(super) fn place<'a>(
        &self,
        file: &ReviewFile,
        comments: &'a [Comment],
    ) -> Vec<PlacedComment<'a>> {
        let place = |comment: &'a Comment| {
            let mut placed = file.place(comment);
            if let Subject::Line(_, Place::New(line)) = comment.line.subject
                && let Some(patch) = file.patch(comment.line.subject)
            {
                let name = shown(&patch.path);
                match self.find_line(patch, line as usize).unwrap_or(None) {
                    Some(line) => placed.place = Some(format!("{name}:{line}")),
                    None => {
                        placed.place = Some(format!("{name}:{line} (changed since)"));
                        placed.is_stale = true;
                    }
                }
            }
            placed
        };
        comments.iter().map(place).collect()
    }

    /// Returns where a line of a file is now; `None` if the line or the file has changed so that it is
    /// not there any more.
    fn find_line(&self, patch: &FilePatch, line: usize) -> Result<Option<usize>> {
        let now = self.objects.blob_at(self.tree, &patch.path)?;
        match (&patch.new, &now) {
            (old, now) if old == now => Ok(Some(line)),
            (Some(old), Some(now)) => {
                let (old, now) = (self.before.read_blob(old)?, self.objects.read_blob(now)?);
                find_line(&old, &now, line)
            }
            _ => Ok(None),
        }
    }
}

impl ReviewFile {
    /// Returns a comment with the place that its line had in this file.
    pub(super) fn place<'a>(&self, comment: &'a Comment) -> PlacedComment<'a> {
        let subject = comment.line.subject;
        let place = self.patch(subject).map(|patch| {
            let name = shown(&patch.path);
            match subject {
                Subject::Line(_, Place::Old(line)) => format!("{name}:{line} (removed)"),
                Subject::Line(_, Place::New(line)) => format!("{name}:{line}"),
                _ => name,
            }
        });
        PlacedComment {
            comment,
            place,
            is_stale: false,
        }
    }
}

impl PlacedComment<'_> {
    /// Returns the comment as text of several lines: its place, the line, and what it says.
    fn text(&self) -> String {
        let line = &self.comment.line;
        let mut text = self
            .place
            .iter()
            .fold(String::new(), |text, it| text + it + "\n");
        let quoted = match line.subject {
            Subject::Line(..) => line.text.get(1..).map(str::trim_end),
            Subject::Whole | Subject::File(_) => None,
        };
        match (&self.comment.remark, quoted) {
            (Remark::Text(remark), Some(quoted)) => {
                text += &format!("> {}\n{remark}\n", quote(quoted));
            }
            (Remark::Text(remark), None) => text += &format!("{remark}\n"),
            (Remark::Suggestion(new), quoted) => {
                text += &format!("> {}\n→ {new}\n", quote(quoted.unwrap_or_default()));
            }
        }
        text
    }
}

/// Returns the comments as text, as they are shown before they are sent.
pub(super) fn list(comments: &[PlacedComment]) -> String {
    let texts = comments.iter().map(PlacedComment::text);
    texts.collect::<Vec<_>>().join("\n")
}

/// Returns the message to the agent.
pub(super) fn message(comments: &[PlacedComment]) -> String {
    format!("{INTRODUCTION}\n\n{}", list(comments))
}

/// Returns a line of code, with a space behind each `@` that would name a file to an agent.
fn quote(code: &str) -> String {
    let mut text = String::with_capacity(code.len());
    let mut before = ' ';
    let mut rest = code.chars().peekable();
    while let Some(c) = rest.next() {
        text.push(c);
        let is_last = rest.peek().is_none_or(|next| next.is_whitespace());
        if c == '@' && !before.is_alphanumeric() && !is_last {
            text.push(' ');
        }
        before = c;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn quote_names_no_file_to_an_agent() {
        let quoted = quote("@Override me@x.y (@a) @ @");
        assert_eq!(quoted, "@ Override me@x.y (@ a) @ @");
    }
}
