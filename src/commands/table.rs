//! Tables that fit the terminal.

use std::iter;

use anyhow::Result;
use console::{Alignment, measure_text_width, pad_str, truncate_str};

use crate::ui::Ui;

/// The width of the last column, a text, below which optional columns are omitted.
const TEXT_WIDTH: usize = 12;
/// The width below which a text is useless.
const MIN_TEXT_WIDTH: usize = 4;
/// The width below which a name is useless.
const MIN_NAME_WIDTH: usize = 8;

/// Rows below a head. A cell may be coloured.
#[derive(Default)]
pub(super) struct Table<'a> {
    pub(super) head: &'a [&'a str],
    pub(super) rows: Vec<Vec<String>>,
    /// The columns that are omitted if they are empty or, in this order, if the terminal is too narrow.
    pub(super) optional: &'a [&'a str],
}

/// The widths to which a table is narrowed.
#[derive(Clone, Copy)]
pub(super) struct Narrow<'a> {
    /// The width of the last column below which the optional columns of the table are omitted.
    pub(super) text_width: usize,
    /// The last columns that are omitted, in this order, each once the first column has been cut to
    /// the width beside it. Without any, the last column is cut before the first one.
    pub(super) last: &'a [(&'a str, usize)],
}

#[derive(Clone, Copy)]
struct Column {
    index: usize,
    width: usize,
}

impl Table<'_> {
    /// Prints the table on standard output in one write, since it may have thousands of lines. On a
    /// terminal, omits optional columns and cuts cells to fit its width.
    pub(super) fn print(&self, ui: &Ui) -> Result<()> {
        ui.data(self.lines(ui.width()).join("\n"))
    }

    /// Returns the lines of the table, with the head first, at most `limit` columns wide (`None`:
    /// any width). Omits optional columns that are empty or have no room, then cuts the last cell,
    /// then the first, which is a name to copy.
    pub(super) fn lines(&self, limit: Option<usize>) -> Vec<String> {
        let narrow = Narrow {
            text_width: TEXT_WIDTH,
            last: &[],
        };
        self.narrow_lines(limit.unwrap_or(usize::MAX), narrow)
    }

    /// Returns the lines as [`Table::lines`] does, but omits and cuts as `narrow` says.
    pub(super) fn narrow_lines(&self, limit: usize, narrow: Narrow<'_>) -> Vec<String> {
        let mut columns = self.columns(limit, narrow);
        let least = self.least_width(&columns, narrow);
        fit(&mut columns, limit, least);
        let head = self.head.iter().map(|&cell| cell.to_owned()).collect();
        let line = |cells: &Vec<String>| {
            let mut line = String::new();
            for &Column { index, width } in &columns {
                // There is no room even for `…`.
                let cell = if width == 0 { "" } else { &cells[index] };
                line += &pad_str(cell, width, Alignment::Left, Some("…"));
                line += "  ";
            }
            truncate_str(line.trim_end(), limit, "…").into_owned()
        };
        iter::once(&head).chain(&self.rows).map(line).collect()
    }

    /// Returns the columns to show, as wide as their content: omits optional ones that are empty
    /// and, in the order of `optional` and then of `narrow`, those for which there is no room.
    fn columns(&self, limit: usize, narrow: Narrow<'_>) -> Vec<Column> {
        let mut columns = Vec::new();
        for (index, head) in self.head.iter().enumerate() {
            let cells = self.rows.iter().map(|row| measure_text_width(&row[index]));
            let width = cells.max().unwrap_or_default();
            if width > 0 || !self.optional.contains(head) {
                let width = width.max(head.len());
                columns.push(Column { index, width });
            }
        }
        let last = columns
            .last()
            .map_or(0, |column| column.width.min(narrow.text_width));
        for name in self.optional {
            if width_before_last(&columns) + last > limit {
                columns.retain(|column| self.head[column.index] != *name);
            }
        }
        for (name, first) in narrow.last {
            let cut = columns[0].width.saturating_sub(*first);
            let least = self.least_width(&columns, narrow);
            if width_before_last(&columns) - cut + least > limit {
                columns.retain(|column| self.head[column.index] != *name);
            }
        }
        columns
    }

    /// Returns the width that the last one of `columns` keeps while the first one is cut.
    fn least_width(&self, columns: &[Column], narrow: Narrow<'_>) -> usize {
        match columns.last() {
            _ if narrow.last.is_empty() => 0,
            Some(last) if last.index + 1 == self.head.len() => last.width.min(TEXT_WIDTH),
            Some(last) => last.width,
            None => 0,
        }
    }
}

/// Returns the width of all columns of a table but the last, with the gaps after them.
fn width_before_last(columns: &[Column]) -> usize {
    let others = &columns[..columns.len() - 1];
    others.iter().map(|column| column.width + 2).sum()
}

/// Reduces the widths of a table's columns until a line takes at most `limit` cells: that of the last
/// column to no less than `least`, then of the first to no less than 8, then of the last to 0 if fewer
/// than 4 cells are left for a longer text. A line may stay wider.
fn fit(columns: &mut [Column], limit: usize, least: usize) {
    let others = width_before_last(columns) - columns[0].width;
    let room = limit.saturating_sub(others + least);
    columns[0].width = columns[0].width.min(room).max(MIN_NAME_WIDTH);
    let left = limit.saturating_sub(width_before_last(columns));
    if let Some(last) = columns.last_mut() {
        let is_useless = left < last.width.min(MIN_TEXT_WIDTH);
        last.width = if is_useless { 0 } else { left.min(last.width) };
    }
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
            optional: &["AGE", "FILES"],
        };
        let lines = table.lines(Some(limit));
        assert_eq!(lines, expected, "{limit}");
        assert!(lines.iter().all(|line| measure_text_width(line) <= limit));
    }

    #[test]
    fn lines_omits_optional_columns_before_it_cuts_a_name() {
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
