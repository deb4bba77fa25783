//! Tables that fit the terminal.

use console::{Style, measure_text_width, truncate_str};

/// The room that the last column, which is a text to be read, is worth another column of.
const TEXT: usize = 12;
/// What is too little to be read.
const FEW: usize = 4;
/// The shortest name that is still of use.
const NAME: usize = 8;

/// Rows below a head.
pub(super) struct Table<'a> {
    pub(super) head: Vec<&'a str>,
    pub(super) rows: Vec<Vec<String>>,
    /// The columns that may be left out, the first to go first: before the name in the first column is cut,
    /// or next to nothing is left of the text in the last.
    pub(super) spare: &'a [&'a str],
}

/// A column that is shown.
#[derive(Clone, Copy)]
struct Column {
    /// Its place in a row.
    at: usize,
    width: usize,
}

/// Returns the lines of a table; what does not fit into `limit` columns is taken from the
/// last cell as long as it has any, and then from the first, which is a name to be copied. `style` is that of a row's cell.
pub(super) fn lines<const N: usize>(
    head: [&str; N],
    rows: &[[String; N]],
    limit: Option<usize>,
    style: impl Fn(usize, usize) -> Style,
) -> Vec<String> {
    let table = Table {
        head: head.to_vec(),
        rows: rows.iter().map(|row| row.to_vec()).collect(),
        spare: &[],
    };
    table.lines(limit, |row, at, text| {
        style(row, at).apply_to(text).to_string()
    })
}

impl Table<'_> {
    /// Returns the lines of the table in at most `limit` columns. `paint` colours a row's cell.
    pub(super) fn lines(
        &self,
        limit: Option<usize>,
        paint: impl Fn(usize, usize, &str) -> String,
    ) -> Vec<String> {
        let limit = limit.unwrap_or(usize::MAX);
        let mut columns = self.columns(limit);
        fit(&mut columns, limit);
        let mut lines = vec![line(&self.head, &columns, limit, |_, text| text.to_owned())];
        for (row, cells) in self.rows.iter().enumerate() {
            let painted = |at, text: &str| paint(row, at, text);
            lines.push(line(cells, &columns, limit, painted));
        }
        lines
    }

    /// Returns the columns that are shown, as wide as what is in them.
    fn columns(&self, limit: usize) -> Vec<Column> {
        let column = |(at, head): (usize, &&str)| {
            let cells = self.rows.iter().map(|row| measure_text_width(&row[at]));
            let width = cells.fold(head.len(), usize::max);
            Column { at, width }
        };
        let mut columns: Vec<Column> = self.head.iter().enumerate().map(column).collect();
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
        let is_cut = left < last.width;
        last.width = if is_cut && left < FEW {
            0
        } else {
            left.min(last.width)
        };
    }
}

fn line(
    cells: &[impl AsRef<str>],
    columns: &[Column],
    limit: usize,
    paint: impl Fn(usize, &str) -> String,
) -> String {
    let mut line = String::new();
    for &Column { at, width } in columns {
        // Not even the sign that something is cut has room.
        let cell = if width == 0 { "" } else { cells[at].as_ref() };
        let cell = truncate_str(cell, width, "…");
        let pad = width.saturating_sub(measure_text_width(&cell));
        line.push_str(&paint(at, &cell));
        line.push_str(&" ".repeat(pad + 2));
    }
    let line = line.trim_end();
    match limit {
        usize::MAX => line.to_owned(),
        limit => truncate_str(line, limit, "…").into_owned(),
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
            head: head.to_vec(),
            rows: vec![row.map(str::to_owned).to_vec()],
            spare: &["AGE", "FILES"],
        };
        let lines = table.lines(Some(limit), |_, _, text| text.to_owned());
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
