//! The comments as text: where each is, the line that it is about, and what it says.

use std::borrow::Cow;

use anyhow::Result;

use super::file::{ReviewFile, Subject};
use super::parse::{Comment, Remark};
use crate::agent;
use crate::git::repo::patch::{FilePatch, Place, find_line};
use crate::git::{ObjectId, Repo};
use crate::tmux::composer::Composer;
use crate::ui::shown;

/// The beginning of the message to an agent. It is no command of any.
const INTRODUCTION: &str = "Please address these comments on your changes.";

/// The beginning, if a place or a suggestion has spaces that are not in the code.
const SPACED: &str = "Please address these comments on your changes. A space behind each @ was \
    added to the paths and suggestions: leave it out.";

/// The attitude of an agent to a message in which a word begins with `@`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mentions {
    Accepted,
    /// There is no way to type it as text.
    Refused,
}

impl Mentions {
    /// Returns whether a message to this agent can have words that begin with `@`. `Refused` if the
    /// agent would take each for the name of a file, and they cannot be escaped.
    pub(super) fn of(agent: &str) -> Self {
        let composer = agent::profile(agent).composer.as_ref();
        match composer.is_some_and(Composer::refuses_mentions) {
            true => Self::Refused,
            false => Self::Accepted,
        }
    }

    /// Returns a path or a suggestion as it can be sent to the agent: for [`Mentions::Refused`],
    /// with a space behind each `@` that the agent would take for the beginning of a file name.
    fn adapt(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::Accepted => text.into(),
            Self::Refused => quote(text).into(),
        }
    }
}

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
    /// Returns each comment with the present number of its line. A line that has changed or is gone
    /// keeps its old number, and is marked as changed; so is one that cannot be looked up, as in a
    /// submodule.
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
                        placed.place = Some(format!("{name}:{line} (has changed since)"));
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
    /// Returns a comment with the place that its line had in this file: `<path>:<line>`, for a
    /// deleted line `<path>:<line> (removed)`, for a whole file `<path>`, and nothing for all
    /// files.
    pub(super) fn place<'a>(&self, comment: &'a Comment) -> PlacedComment<'a> {
        let subject = comment.line.subject;
        let place = self.patch(subject).map(|patch| {
            let name = shown(&patch.path);
            match subject {
                Subject::Line(_, Place::Old(line)) => format!("{name}:{line} (deleted line)"),
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
    /// Returns the comment as text of several lines: its place, the line, and what it says, with
    /// `indent` before each line of that.
    fn text(&self, mentions: Mentions, indent: &str) -> String {
        let line = &self.comment.line;
        let place = self.place.iter();
        let mut text = place.fold(String::new(), |text, it| text + &mentions.adapt(it) + "\n");
        let quoted = match line.subject {
            Subject::Line(..) => line.text.get(1..).map(str::trim_end),
            Subject::Whole | Subject::File(_) => None,
        };
        match (&self.comment.remark, quoted) {
            (Remark::Text(remark), quoted) => {
                let quoted = quoted.map(|quoted| format!("> {}\n", quote(quoted)));
                text += &quoted.unwrap_or_default();
                for line in remark.split('\n') {
                    let indent = if line.is_empty() { "" } else { indent };
                    text += &format!("{indent}{line}\n");
                }
            }
            (Remark::Suggestion(new), quoted) => {
                let new = mentions.adapt(new);
                text += &format!("> {}\n→ {new}\n", quote(quoted.unwrap_or_default()));
            }
        }
        text
    }
}

/// Returns the comments as they are shown before they are sent: what they say is indented.
pub(super) fn list(comments: &[PlacedComment], mentions: Mentions) -> String {
    join(comments, mentions, "    ")
}

fn join(comments: &[PlacedComment], mentions: Mentions, indent: &str) -> String {
    let texts = comments
        .iter()
        .map(|comment| comment.text(mentions, indent));
    texts.collect::<Vec<_>>().join("\n")
}

/// Returns the message to the agent: an introduction, which tells of spaces added after `@` if
/// there are any, and the comments.
pub(super) fn message(comments: &[PlacedComment], mentions: Mentions) -> String {
    let text = join(comments, mentions, "");
    let introduction = match text == join(comments, Mentions::Accepted, "") {
        true => INTRODUCTION,
        false => SPACED,
    };
    format!("{introduction}\n\n{text}")
}

/// Returns the comments in a message that [`message`] has made; `None` if the text is another one.
pub(super) fn comments_in(text: &str) -> Option<&str> {
    let rest = |introduction: &str| text.strip_prefix(introduction)?.strip_prefix("\n\n");
    [INTRODUCTION, SPACED].into_iter().find_map(rest)
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
    use super::*;
    use crate::commands::review::file::ReviewLine;

    #[test]
    fn quote_names_no_file_to_an_agent() {
        let quoted = quote("@Override me@x.y (@a) @ @");
        assert_eq!(quoted, "@ Override me@x.y (@ a) @ @");
    }

    #[test]
    fn message_can_be_sent_to_each_agent() {
        let comment = |remark| Comment {
            line: ReviewLine {
                subject: Subject::Line(0, Place::New(1)),
                ..ReviewLine::whole("+@Override")
            },
            remark,
        };
        let remarks = [
            Remark::Suggestion("@Deprecated".to_owned()),
            Remark::Text("why?".to_owned()),
        ];
        let comments = remarks.map(comment);
        let placed = comments.iter().map(|comment| PlacedComment {
            comment,
            place: Some("@types/f.ts:1".to_owned()),
            is_stale: false,
        });
        let placed: Vec<_> = placed.collect();
        for name in ["claude", "codex", "gemini", "opencode"] {
            let message = message(&placed, Mentions::of(name));
            let composer = agent::profile(name).composer.as_ref().unwrap();
            assert!(composer.escape(&message).is_ok(), "{name}: {message}");
            let is_exact = message.contains("→ @Deprecated") && message.starts_with(INTRODUCTION);
            let is_spaced = message.contains("→ @ Deprecated") && message.starts_with(SPACED);
            assert!(is_exact != is_spaced, "{name}: {message}");
            assert_eq!(is_spaced, name == "gemini");
            let text = join(&placed, Mentions::of(name), "");
            assert_eq!(comments_in(&message), Some(&*text));
        }
        // Without such text, it is the same for all.
        let text = "src/f.ts:1".to_owned();
        let plain = [PlacedComment {
            comment: &comments[1],
            place: Some(text),
            is_stale: false,
        }];
        let message = message(&plain, Mentions::Refused);
        assert_eq!(
            message,
            format!("{INTRODUCTION}\n\nsrc/f.ts:1\n> @ Override\nwhy?\n")
        );
    }
}
