//! What is printed.

use std::time::Duration;

use crate::measure::Times;

/// Something that must not be exceeded.
#[derive(Clone, Copy)]
pub(crate) struct Bar(pub(crate) f64);

impl Bar {
    /// Whether it holds by the median and by the minimum. Where these disagree, the machine is too busy to tell.
    fn verdict(self, median: f64, minimum: f64) -> String {
        let word = match (median <= self.0, minimum <= self.0) {
            (true, true) => "ok",
            (false, false) => "over",
            _ => "noisy",
        };
        format!("<= {}  {word}", self.0)
    }
}

/// Milliseconds.
fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn both(times: &Times) -> String {
    format!("{:.1} ({:.1})", ms(times.median()), ms(times.minimum()))
}

/// Prints a row: what, how long it takes, how long the same takes by hand, and the ratio.
pub(crate) fn ratio(what: &str, times: &Times, by_hand: &Times, bar: Option<Bar>) {
    let median = ms(times.median()) / ms(by_hand.median());
    let minimum = ms(times.minimum()) / ms(by_hand.minimum());
    let verdict = bar.map(|bar| bar.verdict(median, minimum));
    row(&[
        what.to_owned(),
        both(times),
        both(by_hand),
        format!("{median:.2} ({minimum:.2})"),
        verdict.unwrap_or_default(),
    ]);
}

/// Prints a row: what, and how long it takes with more and more tasks, each with its own bar or none.
pub(crate) fn growth(what: &str, steps: &[(Times, Option<Bar>)]) {
    let verdicts = steps.iter().filter_map(|(times, bar)| {
        let verdict = (*bar)?.verdict(ms(times.median()), ms(times.minimum()));
        Some(verdict)
    });
    let verdicts: Vec<_> = verdicts.collect();
    let cells = steps.iter().map(|(times, _)| both(times));
    let all = [what.to_owned()].into_iter().chain(cells);
    row(&all.chain([verdicts.join(", ")]).collect::<Vec<_>>());
}

/// Prints a row: what, the processes it starts and those by hand, and its peak memory.
pub(crate) fn weight(
    what: &str,
    processes: [usize; 2],
    by_hand: &str,
    kilobytes: Option<u64>,
    bar: Bar,
) {
    let megabytes = kilobytes.map(|k| k as f64 / 1024.0);
    row(&[
        what.to_owned(),
        processes[0].to_string(),
        processes[1].to_string(),
        by_hand.to_owned(),
        megabytes.map_or("unknown".to_owned(), |m| format!("{m:.1}")),
        megabytes.map_or_else(String::new, |m| bar.verdict(m, m)),
    ]);
}

/// Prints the head of a table. Rows follow as they come: what is interrupted has shown what it has.
pub(crate) fn head(cells: &[&str]) {
    println!();
    row(&cells
        .iter()
        .map(|&cell| cell.to_owned())
        .collect::<Vec<_>>());
}

/// Prints one row: the first column to the left, the others to the right but for the last.
fn row(cells: &[String]) {
    let columns = cells.len();
    let mut line = String::new();
    for (at, cell) in cells.iter().enumerate() {
        line += &match at {
            0 => format!("{cell:31}"),
            // Long enough for the cells there are.
            _ if at + 1 < columns => format!("{cell:>16}"),
            _ => format!("   {cell}"),
        };
    }
    println!("{}", line.trim_end());
}
