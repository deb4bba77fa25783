//! The lines of a picker, as its library can draw them.
//!
//! It takes a line's bytes for its columns when it clears what it drew, and finds the one that was
//! picked by its text: lines must be short enough, and no two the same.

use console::{measure_text_width, truncate_str};

use crate::sanitize;

/// The sign before the line that is picked, and the last column, after which terminals wrap.
const SIGN: usize = 3;
/// What a description is left with before a name is shortened.
const DESCRIPTION: usize = 8;

/// A line for each row of name, state and description, for a terminal of this many columns.
pub(super) fn lines(rows: &[[String; 3]], columns: usize) -> Vec<String> {
    let rows: Vec<[String; 3]> = rows
        .iter()
        .map(|row| row.clone().map(|cell| sanitize::line(&cell)))
        .collect();
    let lines = aligned(&rows, columns, "");
    let mut sorted: Vec<&String> = lines.iter().collect();
    sorted.sort();
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return aligned(&rows, columns, "#");
    }
    lines
}

/// The rows in columns; with a `sign` each is numbered.
fn aligned(rows: &[[String; 3]], columns: usize, sign: &str) -> Vec<String> {
    let number = |at: usize| match sign {
        "" => String::new(),
        sign => format!("{sign}{} ", at + 1),
    };
    let widest = |at: usize| rows.iter().map(|row| measure_text_width(&row[at])).max();
    let state = widest(1).unwrap_or_default();
    let limit = columns.saturating_sub(SIGN + number(rows.len()).len());
    let name = limit
        .saturating_sub(state + 2 + 2 + DESCRIPTION)
        .max(DESCRIPTION);
    let name = widest(0).unwrap_or_default().min(name);
    let line = |(at, [id, doing, title]): (usize, &[String; 3])| {
        let id = shortened(id, name);
        let gap = name.saturating_sub(measure_text_width(&id));
        let start = format!("{}{id}{:gap$}  {doing:state$}  ", number(at), "");
        let mut width = limit;
        loop {
            let line = format!("{start}{title}");
            let line = truncate_str(&line, width, "…").trim_end().to_owned();
            if line.len() <= columns || width == 0 {
                return line;
            }
            width -= 1;
        }
    };
    rows.iter().enumerate().map(line).collect()
}

/// A name with its end, which is what tells two of them apart.
fn shortened(name: &str, width: usize) -> String {
    let length = measure_text_width(name);
    if length <= width {
        return name.to_owned();
    }
    let end: String = name
        .chars()
        .rev()
        .take(width.saturating_sub(1) / 2)
        .collect();
    let end: String = end.chars().rev().collect();
    let begin = width.saturating_sub(1 + measure_text_width(&end));
    truncate_str(name, begin + 1, "…").into_owned() + &end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: [&str; 3]) -> [String; 3] {
        cells.map(str::to_owned)
    }

    #[test]
    fn lines_fit_and_no_two_are_the_same() {
        let long = "a-very-long-name-of-a-task-of-fifty-characters-";
        let rows = [
            row([
                &format!("{long}343524"),
                "running",
                "Add OAuth authentication",
            ]),
            row([
                &format!("{long}5c3c4d"),
                "exited(0)",
                "修复登录页面上的错误，然后写测试",
            ]),
            row(["x", "interrupted", "a\x1b[31m\tb\u{202e}"]),
        ];
        for columns in [20, 30, 40, 80, 200] {
            let lines = lines(&rows, columns);
            for (at, line) in lines.iter().enumerate() {
                assert!(measure_text_width(line) < columns - 2, "{columns}: {line}");
                assert!(line.len() <= columns, "{columns}: {line}");
                assert!(
                    lines[at + 1..].iter().all(|other| other != line),
                    "{lines:?}"
                );
                assert!(!line.contains('\x1b'));
            }
        }
        assert_eq!(
            lines(&rows[..2], 40),
            [
                "a-very-l…-343524  running    Add OA…",
                "a-very-l…-5c3c4d  exited(0)  修复…",
            ]
        );
    }

    #[test]
    fn the_same_twice_is_numbered() {
        let same = row(["fix", "running", "Fix"]);
        let lines = lines(&[same.clone(), same], 40);
        assert_eq!(lines, ["#1 fix  running  Fix", "#2 fix  running  Fix"]);
    }
}
