//! The lines of a picker.
//!
//! Its library takes bytes for columns when it clears lines, and identifies the selected line by
//! its text: lines must be short enough and unique.

use std::collections::HashSet;

use console::{measure_text_width, truncate_str};

use crate::sanitize;

/// The sign before the selected line, and the last column, after which terminals wrap.
const SIGN_COLUMNS: usize = 3;
/// The columns that remain for a description before a name is shortened.
const MIN_COLUMNS: usize = 8;

/// Formats each row of name, state and description as a line that is narrower than `columns`. If
/// two lines would be equal, each begins with its number.
pub(super) fn lines(rows: &[[String; 3]], columns: usize) -> Vec<String> {
    let clean = |row: &[String; 3]| row.each_ref().map(|cell| sanitize::line(cell));
    let rows: Vec<[String; 3]> = rows.iter().map(clean).collect();
    let lines = aligned(&rows, columns, |_| String::new());
    if lines.iter().collect::<HashSet<_>>().len() < lines.len() {
        return aligned(&rows, columns, |at| format!("#{} ", at + 1));
    }
    lines
}

/// Formats the rows as lines with aligned columns, each after its `number`; shortens names, and
/// cuts lines that are too long.
fn aligned(rows: &[[String; 3]], columns: usize, number: impl Fn(usize) -> String) -> Vec<String> {
    let widest = |at: usize| rows.iter().map(|row| measure_text_width(&row[at])).max();
    let (name, state) = (widest(0).unwrap_or_default(), widest(1).unwrap_or_default());
    let limit = columns.saturating_sub(SIGN_COLUMNS + number(rows.len()).len());
    let room = limit.saturating_sub(state + 2 + 2 + MIN_COLUMNS);
    let name = name.min(room.max(MIN_COLUMNS));
    let line = |(at, [id, doing, title]): (usize, &[String; 3])| {
        let id = shortened(id, name);
        let gap = name.saturating_sub(measure_text_width(&id));
        let line = format!("{}{id}{:gap$}  {doing:state$}  {title}", number(at), "");
        let cut = |width| truncate_str(&line, width, "…").trim_end().to_owned();
        let mut lines = (0..=limit).rev().map(cut);
        lines.find(|it| it.len() <= columns).unwrap_or_default()
    };
    rows.iter().enumerate().map(line).collect()
}

/// Shortens a name to `width` columns: `…` replaces its middle, since names differ at their end.
/// Returns a name that fits unchanged.
fn shortened(name: &str, width: usize) -> String {
    if measure_text_width(name) <= width {
        return name.to_owned();
    }
    let kept = width.saturating_sub(1) / 2;
    let cut = name.char_indices().rev().take(kept).last();
    let end = &name[cut.map_or(name.len(), |(at, _)| at)..];
    let begin = width.saturating_sub(measure_text_width(end));
    truncate_str(name, begin, "…").into_owned() + end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: [&str; 3]) -> [String; 3] {
        cells.map(str::to_owned)
    }

    #[test]
    fn lines_fit_and_are_unique() {
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
    fn lines_have_numbers_if_rows_are_equal() {
        let same = row(["fix", "running", "Fix"]);
        let lines = lines(&[same.clone(), same], 40);
        assert_eq!(lines, ["#1 fix  running  Fix", "#2 fix  running  Fix"]);
    }
}
