//! Tables that fit the terminal.

use console::{Style, measure_text_width, truncate_str};

/// The room that the last column, which is a text to be read, is worth another column of.
const TEXT: usize = 12;
/// What is too little to be read.
const FEW: usize = 4;
/// The shortest name that is still of use.
const NAME: usize = 8;

/// The lines of a table; what does not fit into `limit` columns is taken from the
/// last cell as long as it has any, and then from the first, which is a name to be copied. `style` is that of a row's cell.
pub(super) fn lines<const N: usize>(
    head: [&str; N],
    rows: &[[String; N]],
    limit: Option<usize>,
    style: impl Fn(usize, usize) -> Style,
) -> Vec<String> {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.to_vec()).collect();
    fitted(&head, &rows, limit, &[], |row, at, text| {
        style(row, at).apply_to(text).to_string()
    })
}

/// The lines of a table, some of whose columns may be left out in the order of `spare`: before the name in
/// the first one is cut, or next to nothing is left of the text in the last. `paint` colours a row's cell.
pub(super) fn fitted(
    head: &[&str],
    rows: &[Vec<String>],
    limit: Option<usize>,
    spare: &[&str],
    paint: impl Fn(usize, usize, &str) -> String,
) -> Vec<String> {
    let limit = limit.unwrap_or(usize::MAX);
    let width = |at: usize| {
        let cells = rows.iter().map(|row| measure_text_width(&row[at]));
        cells.fold(head[at].len(), usize::max)
    };
    let mut columns: Vec<(usize, usize)> = (0..head.len()).map(|at| (at, width(at))).collect();
    let last = width(head.len() - 1).min(TEXT);
    let needed = |columns: &[(usize, usize)]| {
        let gaps = 2 * (columns.len() - 1);
        let (_, others) = columns.split_last().unwrap_or((&(0, 0), &[]));
        others.iter().map(|(_, width)| width).sum::<usize>() + gaps
    };
    for name in spare {
        if needed(&columns) + last > limit {
            columns.retain(|(at, _)| head[*at] != *name);
        }
    }
    let end = columns.len() - 1;
    let others = needed(&columns) - columns[0].1;
    columns[0].1 = columns[0].1.min(limit.saturating_sub(others)).max(NAME);
    let left = limit.saturating_sub(others + columns[0].1);
    columns[end].1 = match left < columns[end].1 && left < FEW {
        true => 0,
        false => left.min(columns[end].1),
    };
    let line = |cells: &[&str], paint: &dyn Fn(usize, &str) -> String| {
        let mut line = String::new();
        for &(at, width) in &columns {
            // Not even the sign that something is cut has room.
            let cell = if width == 0 { "" } else { cells[at] };
            let cell = truncate_str(cell, width, "…");
            let pad = width.saturating_sub(measure_text_width(&cell));
            line.push_str(&paint(at, &cell));
            line.push_str(&" ".repeat(pad + 2));
        }
        let line = line.trim_end().to_owned();
        match limit {
            usize::MAX => line,
            limit => truncate_str(&line, limit, "…").into_owned(),
        }
    };
    let head = line(head, &|_, text| text.to_owned());
    let rows = rows.iter().enumerate().map(|(row, cells)| {
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        line(&cells, &|at, text| paint(row, at, text))
    });
    std::iter::once(head).chain(rows).collect()
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
        let row = row.map(str::to_owned).to_vec();
        let plain = |_, _, text: &str| text.to_owned();
        let lines = fitted(&head, &[row], Some(limit), &["AGE", "FILES"], plain);
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
