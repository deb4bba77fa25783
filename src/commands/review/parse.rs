//! Finds the comments in an edited file by comparing it with the original, so that code which looks
//! like a diff, or like a comment, is neither.

use anyhow::Result;

use super::file::{ReviewLine, Subject};
use crate::git::repo::patch::{ChangedLines, compare_lines};

/// A comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Comment {
    /// The line that it is about.
    pub(super) line: ReviewLine,
    pub(super) remark: Remark,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Remark {
    Text(String),
    /// Another line in place of this one, without its sign.
    Suggestion(String),
}

/// Returns the comments that were added to the lines of a file, in their order. White space at the
/// ends of lines is ignored.
pub(super) fn find_comments(original: &[ReviewLine], edited: &str) -> Result<Vec<Comment>> {
    let before = original.iter().flat_map(|line| [&*line.text, "\n"]);
    let before: String = before.collect();
    let edited: Vec<&str> = edited.lines().collect();
    let after = edited.iter().flat_map(|line| [line, "\n"]);
    let after: String = after.collect();
    let mut comments = Vec::new();
    for changed in compare_lines(before.as_bytes(), after.as_bytes())? {
        comments.extend(read_block(original, &edited, changed));
    }
    Ok(comments)
}

/// Reads one block of changed lines.
fn read_block(original: &[ReviewLine], edited: &[&str], changed: ChangedLines) -> Vec<Comment> {
    // An empty range begins behind its line.
    let first = match changed.old_lines {
        0 => changed.old_start,
        _ => changed.old_start - 1,
    };
    let old = &original[first..first + changed.old_lines];
    let new = match changed.new_lines {
        0 => return Vec::new(),
        lines => &edited[changed.new_start - 1..changed.new_start - 1 + lines],
    };
    let mut replaced = old;
    let mut about = &original[first.saturating_sub(1)];
    let (mut comments, mut text) = (Vec::new(), Vec::new());
    for line in new {
        let mut others = replaced.iter().enumerate();
        let found = others.find_map(|(at, old)| Some((at, find_suggestion(old, line)?)));
        let Some((at, suggestion)) = found else {
            text.push(*line);
            continue;
        };
        comments.extend(Comment::new(about, &std::mem::take(&mut text)));
        about = &replaced[at];
        replaced = &replaced[at + 1..];
        comments.push(Comment {
            line: about.clone(),
            remark: Remark::Suggestion(suggestion),
        });
    }
    comments.extend(Comment::new(about, &text));
    comments
}

/// Returns the line that is suggested in place of a line, without its sign; `None` unless it has the
/// same sign.
fn find_suggestion(old: &ReviewLine, new: &str) -> Option<String> {
    let Subject::Line(..) = old.subject else {
        return None;
    };
    let sign = old.text.chars().next()?;
    Some(new.strip_prefix(sign)?.trim_end().to_owned())
}

impl Comment {
    /// Returns the comment of some added lines; `None` if they are blank. In the head and at the end,
    /// `#` begins what is no comment.
    fn new(line: &ReviewLine, text: &[&str]) -> Option<Self> {
        let is_text = |text: &&&str| line.subject != Subject::Whole || !text.starts_with('#');
        let text: Vec<&str> = text.iter().filter(is_text).copied().collect();
        let text = text.join("\n");
        let text = text.trim_matches(['\n', '\r']).trim_end();
        let is_blank = text.trim().is_empty();
        (!is_blank).then(|| Self {
            line: line.clone(),
            remark: Remark::Text(text.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::repo::patch::Place;

    /// The original: a head, then a file with a hunk whose code looks like a diff.
    fn original() -> Vec<ReviewLine> {
        let line = |text: &str, subject| ReviewLine {
            text: text.to_owned(),
            subject,
        };
        vec![
            line("# head", Subject::Whole),
            line("--- a/f", Subject::File(0)),
            line("@@ -1,2 +1,3 @@", Subject::File(0)),
            line(" one", Subject::Line(0, Place::New(1))),
            line("-two", Subject::Line(0, Place::Old(2))),
            line("++++ b/f", Subject::Line(0, Place::New(2))),
            line("+@@ -1 +1 @@", Subject::Line(0, Place::New(3))),
        ]
    }

    #[track_caller]
    fn case(edited: &str, expected: &[&str]) {
        let found = find_comments(&original(), edited).unwrap();
        let shown = found.iter().map(|comment| match &comment.remark {
            Remark::Text(text) => format!("{} | {text}", comment.line.text),
            Remark::Suggestion(new) => format!("{} => {new}", comment.line.text),
        });
        assert_eq!(shown.collect::<Vec<_>>(), expected, "{edited}");
    }

    const TEXT: &str = "# head\n--- a/f\n@@ -1,2 +1,3 @@\n one\n-two\n++++ b/f\n+@@ -1 +1 @@\n";

    #[test]
    fn find_comments_reads_added_and_changed_lines_only() {
        case(TEXT, &[]);
        case("", &[]);
        case("# head\n one\n", &[]);
        case(&TEXT.replace('\n', "  \r\n"), &[]);
        case(&TEXT.replace(" one\n", " one\n\n\n"), &[]);
        case(
            &TEXT.replace(" one\n", " one\n\nwhy?\n  so\n\n"),
            &[" one | why?\n  so"],
        );
        case(&(TEXT.to_owned() + "last"), &["+@@ -1 +1 @@ | last"]);
        case(&("first\n".to_owned() + TEXT), &["# head | first"]);
        case(&TEXT.replace("# head", "# mine"), &[]);
        case(
            &TEXT.replace("@@ -1,2", "@@ -1,9"),
            &["--- a/f | @@ -1,9 +1,3 @@"],
        );
    }

    #[test]
    fn find_comments_reads_a_changed_line_as_a_suggestion() {
        case(&TEXT.replace(" one", " ONE"), &[" one => ONE"]);
        // Even one that looks like the head of a diff.
        case(
            &TEXT.replace("++++ b/f", "++++ b/g"),
            &["++++ b/f => +++ b/g"],
        );
        case(
            &TEXT.replace(" one\n", " ONE\nbecause\n"),
            &[" one => ONE", " one | because"],
        );
        // Without its sign, it is a comment on the line above.
        case(&TEXT.replace("-two\n", "why?\n"), &[" one | why?"]);
        case(
            &TEXT.replace("-two\n", "why?\n-2\n"),
            &[" one | why?", "-two => 2"],
        );
        case(
            &TEXT.replace("-two\n++++ b/f\n", "+x\n"),
            &["++++ b/f => x"],
        );
        let both = TEXT.replace("-two\n", "-2\n").replace("++++ b/f", "+3");
        case(&both, &["-two => 2", "++++ b/f => 3"]);
    }

    #[test]
    fn find_comments_reads_added_lines_that_look_like_a_diff_as_comments() {
        case(
            &TEXT.replace(" one\n", " one\n+added\n"),
            &[" one | +added"],
        );
        case(
            &TEXT.replace("-two\n", "-two\n@@ -1 +1 @@\n-x\n"),
            &["-two | @@ -1 +1 @@\n-x"],
        );
    }
}
