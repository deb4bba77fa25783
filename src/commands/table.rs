//! Tables that fit the terminal.

use console::{Alignment, measure_text_width, pad_str, truncate_str};

/// The room that the last column, which is a text to be read, is worth another column of.
const TEXT: usize = 12;
/// What is too little to be read.
const FEW: usize = 4;
/// The shortest name that is still of use.
const NAME: usize = 8;

/// Rows below a head. A cell may be coloured.
pub(super) struct Table<'a> {
    pub(super) head: &'a [&'a str],
    pub(super) rows: Vec<Vec<String>>,
    /// The columns that are left out if nothing is in them, and that may be, the first to go first: before
    /// the name in the first column is cut, or next to nothing is left of the text in the last.
    pub(super) spare: &'a [&'a str],
}

/// A column that is shown.
#[derive(Clone, Copy)]
struct Column {
    /// Its place in a row.
    at: usize,
    width: usize,
}

/// Returns the lines of a table of which no column is left out.
pub(super) fn lines<const N: usize>(
    head: [&str; N],
    rows: Vec<[String; N]>,
    limit: Option<usize>,
) -> Vec<String> {
    let table = Table {
        head: &head,
        rows: rows.into_iter().map(Vec::from).collect(),
        spare: &[],
    };
    table.lines(limit)
}

impl Table<'_> {
    /// Returns the lines of the table; what does not fit into `limit` columns is taken from the last cell
    /// as long as it has any, and then from the first, which is a name to be copied.
    pub(super) fn lines(&self, limit: Option<usize>) -> Vec<String> {
        let limit = limit.unwrap_or(usize::MAX);
        let mut columns = self.columns(limit);
        fit(&mut columns, limit);
        let rows = self.rows.iter().map(|row| line(row, &columns, limit));
        [line(self.head, &columns, limit)]
            .into_iter()
            .chain(rows)
            .collect()
    }

    /// Returns the columns that are shown, as wide as what is in them.
    fn columns(&self, limit: usize) -> Vec<Column> {
        let mut columns = Vec::new();
        for (at, head) in self.head.iter().enumerate() {
            let cells = self.rows.iter().map(|row| measure_text_width(&row[at]));
            let width = cells.max().unwrap_or_default();
            if width > 0 || !self.spare.contains(head) {
                let width = width.max(head.len());
                columns.push(Column { at, width });
            }
        }
        let last = columns.last().map_or(0, |column| column.width.min(TEXT));
        for name in self.spare {
            if before_last(&columns) + last > limit {
                columns.retain(|column| self.head[column.at] != *name);
            }
        }
        columns
    }
}

/// Returns the room that all columns but the last take, with the gaps.
fn before_last(columns: &[Column]) -> usize {
    let others = &columns[..columns.len() - 1];
    others.iter().map(|column| column.width + 2).sum()
}

/// Cuts the last column and then the first, so that all fit.
fn fit(columns: &mut [Column], limit: usize) {
    let others = before_last(columns) - columns[0].width;
    let room = limit.saturating_sub(others);
    columns[0].width = columns[0].width.min(room).max(NAME);
    let left = limit.saturating_sub(before_last(columns));
    if let Some(last) = columns.last_mut() {
        let is_useless = left < last.width.min(FEW);
        last.width = if is_useless { 0 } else { left.min(last.width) };
    }
}

fn line(cells: &[impl AsRef<str>], columns: &[Column], limit: usize) -> String {
    let mut line = String::new();
    for &Column { at, width } in columns {
        // Not even the sign that something is cut has room.
        let cell = if width == 0 { "" } else { cells[at].as_ref() };
        line += &pad_str(cell, width, Alignment::Left, Some("…"));
        line += "  ";
    }
    truncate_str(line.trim_end(), limit, "…").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(limit: usize, expected: [&str; 2]) {
        let head = ["TASK", "STATE", "AGE", "FILES", "DESCRIPTION"];
        let row = [
            "fix-the-login-5c3c4d",
            "exited(0)",
            "3m",
            "2",
            "Fix the login redirect",
        ];
        let table = Table {
            head: &head,
            rows: vec![row.map(str::to_owned).to_vec()],
            spare: &["AGE", "FILES"],
        };
        let lines = table.lines(Some(limit));
        assert_eq!(lines, expected, "{limit}");
        assert!(lines.iter().all(|line| measure_text_width(line) <= limit));
    }

    #[test]
    fn columns_that_can_be_spared_go_before_a_name_is_cut() {
        case(
            57,
            [
                "TASK                  STATE      AGE  FILES  DESCRIPTION",
                "fix-the-login-5c3c4d  exited(0)  3m   2      Fix the log…",
            ],
        );
        case(
            54,
            [
                "TASK                  STATE      FILES  DESCRIPTION",
                "fix-the-login-5c3c4d  exited(0)  2      Fix the login…",
            ],
        );
        case(
            40,
            [
                "TASK                  STATE      DESCRI…",
                "fix-the-login-5c3c4d  exited(0)  Fix th…",
            ],
        );
        case(
            30,
            ["TASK               STATE", "fix-the-login-5c…  exited(0)"],
        );
        case(18, ["TASK      STATE", "fix-the…  exited(…"]);
    }
}
