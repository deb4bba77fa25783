//! Finds the comments in an edited file by comparing it with the original, so that code which looks
//! like a diff, or like a comment, is neither.

use std::mem;

use anyhow::Result;

use super::file::{ReviewLine, Subject};
use super::pairs::pair_lines;
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

/// The end of a line of white space when lines are compared. No line of the original has it.
const BLANK: &str = "\u{1}";

/// The beginning of the line below one without a newline. Code begins with a sign.
const NO_NEWLINE: char = '\\';

/// Returns the comments that were added to the lines of a file, in their order. White space at the
/// ends of lines is ignored.
pub(super) fn find_comments(original: &[ReviewLine], edited: &str) -> Result<Vec<Comment>> {
    let before = original.iter().flat_map(|line| comparable(&line.text));
    let before: String = before.collect();
    let edited: Vec<&str> = edited.lines().collect();
    let after: String = edited.iter().flat_map(|line| comparable(line)).collect();
    let mut comments = Vec::new();
    for changed in compare_lines(before.as_bytes(), after.as_bytes())? {
        let changed = move_above_blank_lines(original, &edited, changed);
        comments.extend(read_block(original, &edited, changed));
    }
    Ok(comments)
}

/// Returns the parts of a line that are compared: the line, a mark if it has only white space, and
/// a newline. The mark distinguishes a blank line of code, ` `, from an empty line that the user
/// has added.
fn comparable(line: &str) -> [&str; 3] {
    let line = line.trim_end_matches('\r');
    let is_blank = line.trim().is_empty() && !line.is_empty();
    [line, if is_blank { BLANK } else { "" }, "\n"]
}

/// Moves added lines up past each blank line above them that equals their last line, which leaves
/// the edited text the same. The comment is then about the code above: editors that indent add such
/// blank lines.
fn move_above_blank_lines(
    original: &[ReviewLine],
    edited: &[&str],
    mut added: ChangedLines,
) -> ChangedLines {
    while added.old_lines == 0 && added.old_start > 0 {
        let above = comparable(&original[added.old_start - 1].text);
        if above[1].is_empty() || above != comparable(edited[added.new_start + added.new_lines - 2])
        {
            break;
        }
        added.old_start -= 1;
        added.new_start -= 1;
    }
    added
}

/// Returns the comments in a range of changed lines: a suggestion for each changed line of code,
/// and the added lines between these as comments on the line above. Deleted lines make no comment.
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
    let above = &original[..first.max(1)];
    // Such a line is about the line of code above it.
    let mut lines = above.iter().rev();
    let is_code = |line: &&ReviewLine| !line.text.starts_with(NO_NEWLINE);
    let mut about = lines.find(is_code).unwrap_or(&original[0]);
    let (mut comments, mut text) = (Vec::new(), Vec::new());
    let mut pairs = pair_lines(old, new).into_iter().peekable();
    for (at, line) in new.iter().enumerate() {
        let Some((changed, _)) = pairs.next_if(|(_, new)| *new == at) else {
            text.push(*line);
            continue;
        };
        comments.extend(Comment::new(about, &mem::take(&mut text)));
        about = &old[changed];
        comments.extend(find_suggestion(about, line).map(|suggestion| Comment {
            line: about.clone(),
            remark: Remark::Suggestion(suggestion),
        }));
    }
    comments.extend(Comment::new(about, &text));
    comments
}

/// Returns the code that the line `new` suggests in place of the line `old`, without the sign,
/// which is a space, `+` or `-`. `None` if `old` is no line of code, or if `new` has another sign
/// or the same code.
fn find_suggestion(old: &ReviewLine, new: &str) -> Option<String> {
    let Subject::Line(..) = old.subject else {
        return None;
    };
    let sign = old.text.chars().next()?;
    let suggestion = new.strip_prefix(sign)?.trim_end();
    let is_same = old.text.strip_prefix(sign)?.trim_end() == suggestion;
    (!is_same).then(|| unescape(suggestion, old))
}

/// Returns a suggestion in which each `\u{…}` that the file shows for an invisible character of
/// `line` is that character again. Keeps the `\u{…}` of control characters, and those that are in
/// the code itself.
fn unescape(suggestion: &str, line: &ReviewLine) -> String {
    let raw = line.raw.as_deref().unwrap_or_default();
    let escapes = raw.chars().filter(|c| !c.is_control()).map(|c| {
        let escape = c.escape_unicode().to_string();
        (c.to_string(), escape)
    });
    let is_shown =
        |(_, escape): &(String, String)| line.text.contains(escape) && !raw.contains(escape);
    escapes
        .filter(is_shown)
        .fold(suggestion.to_owned(), |text, (raw, escape)| {
            text.replace(&escape, &raw)
        })
}

impl Comment {
    /// Returns the comment on `line` with the text `text`, by lines; `None` if they are blank. If
    /// `line` is in the head or at the end of the edited file, leaves out lines that begin with
    /// `#`.
    pub(super) fn new(line: &ReviewLine, text: &[impl AsRef<str>]) -> Option<Self> {
        let is_text = |text: &&str| line.subject != Subject::Whole || !text.starts_with('#');
        let text = text.iter().map(AsRef::as_ref).filter(is_text);
        let text: Vec<&str> = text.skip_while(|line| line.trim().is_empty()).collect();
        let text = text.join("\n");
        let text = text.trim_end();
        (!text.is_empty()).then(|| Self {
            line: line.clone(),
            remark: Remark::Text(text.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::repo::patch::Place;
    use crate::sanitize;

    /// The original: a head, then a file with a hunk whose code looks like a diff.
    fn original() -> Vec<ReviewLine> {
        let line = |text: &str, subject| ReviewLine {
            subject,
            ..ReviewLine::whole(text)
        };
        vec![
            ReviewLine::whole("# head"),
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
        case_of(&original(), edited, expected);
    }

    #[track_caller]
    fn case_of(original: &[ReviewLine], edited: &str, expected: &[&str]) {
        let found = find_comments(original, edited).unwrap();
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
    fn find_comments_distinguishes_deleted_and_changed_lines() {
        let end = "\u{c}\n#\n#\n";
        let code = " f\n+let a = 1;\n+let b = compute(x);\n";
        let case = |edited: &str, expected: &[&str]| {
            code_case([code, &format!("{edited}{end}")], expected);
        };
        let changed = "+let b = compute(x); => let b = compute(y);";
        case(" f\n+let b = compute(y);\n", &[changed]);
        case(
            " f\n+let a = 1;\n+1 nice\n+let b = compute(y);\n",
            &["+let a = 1; | +1 nice", changed],
        );
        case(
            " f\nhow?\n+let b = compute(y);\nwhy?\n",
            &[" f | how?", changed, "+let b = compute(x); | why?"],
        );
        case(" f\n+let a = 2;\n", &["+let a = 1; => let a = 2;"]);
        // It is no part of what was deleted.
        case(" f\n+1 nice\n", &[" f | +1 nice"]);
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

    /// Compares edited code, which is between a head and the end of a file, with its original.
    #[track_caller]
    fn code_case([code, edited]: [&str; 2], expected: &[&str]) {
        let mut original = vec![ReviewLine::whole("# head"), ReviewLine::whole("")];
        let lines = code.split_terminator('\n').zip(1..);
        original.extend(lines.map(|(text, at)| ReviewLine {
            subject: match text.starts_with(NO_NEWLINE) {
                true => Subject::File(0),
                false => Subject::Line(0, Place::New(at)),
            },
            ..ReviewLine::whole(text)
        }));
        original.extend(["\u{c}", "#", "#"].map(ReviewLine::whole));
        let edited = format!("# head\n\n{edited}");
        case_of(&original, &edited, expected);
    }

    const FUNCTION: &str = " f\n+}\n \n def g():\n";
    const LAST: &str = " a\n+last\n";
    const SPACED: &str = " a\n \n b\n";

    #[test]
    fn find_comments_takes_no_blank_line_of_the_code_for_an_added_one() {
        let end = "\u{c}\n#\n#\n";
        let edited = format!(" f\n+}}\n\nwhy?\n\n \n def g():\n{end}");
        code_case([FUNCTION, &edited], &["+} | why?"]);
        code_case(
            [LAST, &format!(" a\n+last\n\nwhy?\n{end}")],
            &["+last | why?"],
        );
        code_case(
            [LAST, &format!(" a\n+last\n\n# TODO x\n{end}")],
            &["+last | # TODO x"],
        );
        let edited = format!(" a\n\nfirst\n\n \n\nsecond\n b\n{end}");
        code_case([SPACED, &edited], &[" a | first", "  | second"]);
        // Below the end it is about all files.
        code_case([LAST, &format!(" a\n+last\n{end}\nfine\n")], &["# | fine"]);
        // Editors that indent put the sign of the line above before an empty line.
        let edited = format!(" a\n \n why?\n \n b\n{end}");
        code_case([SPACED, &edited], &[" a |  why?"]);
        // Other white space.
        let edited = format!(" a\n\nwhy?\n\n \t\n b\n{end}");
        code_case([" a\n \t\r\n b\n", &edited], &[" a | why?"]);
        let edited = format!(" a\n \n b\n{end}");
        code_case([" a\n \t\n b\n", &edited], &[]);
    }

    #[test]
    fn find_comments_allows_an_editor_to_strip_all_lines() {
        let strip = |text: &str| -> String {
            let lines = text.lines().flat_map(|line| [line.trim_end(), "\n"]);
            lines.collect()
        };
        let end = "\u{c}\n#\n#\n";
        for code in [FUNCTION, LAST, SPACED] {
            code_case([code, &strip(&format!("{code}{end}"))], &[]);
        }
        let edited = format!(" f\n+}}\n\nwhy?\n\n \n def g():\n{end}");
        code_case([FUNCTION, &strip(&edited)], &["+} | why?"]);
        let edited = format!(" f\n+}}\n \nwhy?\n def g():\nso?\n{end}");
        code_case(
            [FUNCTION, &strip(&edited)],
            &["+} | why?", " def g(): | so?"],
        );
        for text in ["why?", "# TODO x"] {
            let edited = strip(&format!(" a\n+last\n\n{text}\n{end}"));
            code_case([LAST, &edited], &[&format!("+last | {text}")]);
        }
        let edited = strip(&format!(" a\n\nfirst\n\n \n\nsecond\n b\n{end}"));
        code_case([SPACED, &edited], &[" a | first\n\n\n\nsecond"]);
    }

    #[test]
    fn find_comments_finds_a_line_without_newline() {
        let mark = "\\ No newline at end of file\n";
        let (code, end) = (format!("-old\n{mark}+last\n{mark}"), "\u{c}\n#\n#\n");
        let edited = format!("-old\n{mark}why?\n+last\n{mark}and this?\n{end}");
        code_case([&code, &edited], &["-old | why?", "+last | and this?"]);
    }

    #[test]
    fn find_comments_suggests_invisible_characters_as_they_are() {
        #[track_caller]
        fn case(raw: &str, edited: &str, expected: &str) {
            let line = ReviewLine {
                raw: Some(raw.to_owned()),
                subject: Subject::Line(0, Place::New(1)),
                ..ReviewLine::whole(&sanitize::code(raw))
            };
            let found = find_comments(std::slice::from_ref(&line), edited).unwrap();
            let remark = Remark::Suggestion(expected.to_owned());
            assert_eq!(found, [Comment { line, remark }]);
        }
        case("+a👨\u{200d}👩", "+b👨\\u{200d}👩", "b👨\u{200d}👩");
        case("+\u{feff}a\u{feff}", "+b\\u{feff}", "b\u{feff}");
        // Text of the user, or of the code.
        case("+a\u{200d}", "+\\u{200c}", "\\u{200c}");
        case("+'\\u{200d}'\u{200d}", "+'\\u{200d}'", "'\\u{200d}'");
        // Characters that a terminal would obey.
        case("+a\u{1b}\u{200d}", "+b\\u{1b}", "b\\u{1b}");
    }
}
