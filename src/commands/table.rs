//! Tables that fit the terminal.

use console::{Style, measure_text_width, truncate_str};

/// The lines of a table; what does not fit into `limit` columns is taken from the
/// last cell as long as it has any, and then from the first, which is a name to be copied. `style` is that of a row's cell.
pub(super) fn lines<const N: usize>(
    head: [&str; N],
    rows: &[[String; N]],
    limit: Option<usize>,
    style: impl Fn(usize, usize) -> Style,
) -> Vec<String> {
    let mut widths = head.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(measure_text_width(cell));
        }
    }
    let limit = limit.unwrap_or(usize::MAX);
    let others: usize = widths[1..N - 1].iter().sum::<usize>() + 2 * (N - 1);
    widths[0] = widths[0].min(limit.saturating_sub(others)).max(8);
    widths[N - 1] = limit.saturating_sub(others + widths[0]).min(widths[N - 1]);
    let line = |cells: &[String; N], style: &dyn Fn(usize) -> Style| {
        let mut line = String::new();
        for (at, (cell, &width)) in cells.iter().zip(&widths).enumerate() {
            let cell = truncate_str(cell, width, "…");
            let pad = width.saturating_sub(measure_text_width(&cell));
            line.push_str(&style(at).apply_to(&cell).to_string());
            line.push_str(&" ".repeat(pad + 2));
        }
        let line = line.trim_end().to_owned();
        if limit == usize::MAX {
            line
        } else {
            truncate_str(&line, limit, "").into_owned()
        }
    };
    let head = line(&head.map(str::to_owned), &|_| Style::new());
    let rows = rows
        .iter()
        .enumerate()
        .map(|(row, cells)| line(cells, &|at| style(row, at)));
    std::iter::once(head).chain(rows).collect()
}
