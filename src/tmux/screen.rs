//! The screen of a pane.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use nix::fcntl::OFlag;
use nix::sys::termios::{self, LocalFlags};

use super::Tmux;
use super::fields::Fields;
use crate::task::Target;

/// The text of a pane at one moment, with its cursor.
pub(crate) struct Screen {
    pub(crate) rows: Vec<Row>,
    /// The row of the cursor.
    pub(crate) cursor: usize,
    column: usize,
    pub(crate) title: String,
    tty: PathBuf,
}

/// A row of characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row(Vec<(char, Paint)>);

/// The attributes of a character by which hints and columns are recognized.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Paint {
    is_faint: bool,
    is_reversed: bool,
    colour: u32,
}

/// The fields of a pane whose text is captured.
const FIELDS: &str = "cursor_x cursor_y pane_tty pane_title";

/// Captures the visible text of a pane with its colours as escape sequences, which are not to be
/// trusted, and its terminal device: the same commands as [`Screen::of`].
///
/// # Errors
/// If tmux fails, or another pane has this id by now.
pub(crate) fn capture_colours(target: &Target) -> Result<(String, PathBuf)> {
    let fields = Fields::new(FIELDS);
    let out = ask(target, &fields)?;
    let ([_, _, tty, _], shown) = read(target, &fields, &out)?;
    Ok((shown.to_owned(), tty.into()))
}

fn ask(target: &Target, fields: &Fields<4>) -> Result<String> {
    let ask = Tmux::at(target, "display-message").arg("-p");
    let ask = ask.arg(fields.format()).then("capture-pane");
    ask.args(["-p", "-e"]).target(target.pane).output()
}

/// Returns a pane's cursor column, cursor row, terminal and title, and the text after them, from
/// the output of [`ask`]. Fails if another pane has the id of `target` by now.
fn read<'a>(target: &Target, fields: &Fields<4>, out: &'a str) -> Result<([&'a str; 4], &'a str)> {
    let (record, shown) = fields.read_first(out)?;
    let process = |it: &Target| (it.server_pid, it.server_start, it.pane_pid);
    let now = record.target(target.kind);
    if now.as_ref().map(process) != Some(process(target)) {
        bail!("the pane '{}' was replaced by another one", target.pane);
    }
    Ok((record.values, shown))
}

impl Screen {
    /// Captures the visible text of a pane with its attributes, cursor, terminal and title: `tmux
    /// display-message -p -t <pane> <format> ; capture-pane -p -e -t <pane>`
    ///
    /// # Errors
    /// If tmux fails, or another pane has this id by now.
    pub(crate) fn of(target: &Target) -> Result<Self> {
        let fields = Fields::new(FIELDS);
        let out = ask(target, &fields)?;
        let ([column, row, tty, title], shown) = read(target, &fields, &out)?;
        Ok(Self {
            rows: parse_rows(shown),
            cursor: row.parse().context("tmux printed no cursor position")?,
            column: column.parse().context("tmux printed no cursor position")?,
            title: title.to_owned(),
            tty: tty.into(),
        })
    }

    #[cfg(test)]
    pub(crate) fn showing(rows: Vec<Row>, cursor: usize) -> Self {
        let (title, tty) = (String::new(), PathBuf::new());
        Self {
            rows,
            cursor,
            column: 0,
            title,
            tty,
        }
    }

    /// Returns whether the pane's terminal is in canonical mode, in which the terminal edits lines:
    /// then the program has no input field of its own. `false` if the terminal cannot be opened.
    pub(crate) fn is_in_canonical_mode(&self) -> bool {
        is_canonical(&self.tty).unwrap_or(false)
    }

    /// Returns the text before the cursor in its row; after wide characters, too much of it.
    pub(crate) fn before_cursor(&self) -> String {
        let row = self.rows.get(self.cursor).map(Row::text);
        row.unwrap_or_default().chars().take(self.column).collect()
    }

    /// Returns the text of all rows of the screen, each without spaces at its end.
    pub(crate) fn text(&self) -> Vec<String> {
        let text = |row: &Row| row.text().trim_end().to_owned();
        self.rows.iter().map(text).collect()
    }
}

fn is_canonical(tty: &Path) -> Result<bool> {
    let flags = OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
    let mut options = File::options();
    let tty = options.read(true).custom_flags(flags.bits()).open(tty)?;
    let flags = termios::tcgetattr(tty)?.local_flags;
    Ok(flags.contains(LocalFlags::ICANON))
}

impl Row {
    pub(crate) fn text(&self) -> String {
        self.0.iter().map(|(c, _)| c).collect()
    }

    /// Returns the text that the user has typed in a row, after its first `skipped` characters.
    /// Omits hints of the program: faint characters, and the inverted one under the cursor before
    /// them.
    pub(crate) fn without_hints(&self, skipped: usize) -> String {
        let cells = self.0.get(skipped..).unwrap_or_default();
        let nexts = cells.iter().skip(1).map(Some).chain([None]);
        let typed = cells.iter().zip(nexts).filter(|((_, paint), next)| {
            let is_before_hint = next.is_some_and(|(c, next)| next.is_faint && !c.is_whitespace());
            !(paint.is_faint || paint.is_reversed && is_before_hint)
        });
        let text: String = typed.map(|((c, _), _)| c).collect();
        text.trim_end().to_owned()
    }

    pub(crate) fn is_blank(&self) -> bool {
        self.text().trim().is_empty()
    }

    /// Returns whether the row begins, apart from spaces, with a horizontal line: three of `─`,
    /// `━`, `▄` or `▀`.
    pub(crate) fn is_rule(&self) -> bool {
        let text = self.text();
        let text = text.trim_start();
        let mut lines = ["───", "▄▄▄", "▀▀▀", "━━━"].iter();
        lines.any(|line| text.starts_with(line))
    }

    /// Returns the part of the row after a `┃`, before which only spaces are, up to the last
    /// character with the same background colour as the first: another column may follow. `None` if
    /// there is no such `┃`.
    pub(crate) fn behind_bar(&self) -> Option<Self> {
        let bar = self.0.iter().position(|(c, _)| !c.is_whitespace())?;
        let (_, rest) = self.0.split_at(bar + 1);
        let colour = rest.first().map(|(_, paint)| paint.colour);
        let is_same = |(_, paint): &(char, Paint)| Some(paint.colour) == colour;
        let end = rest.iter().rposition(is_same).map_or(0, |last| last + 1);
        (self.0[bar].0 == '┃').then(|| Self(rest[..end].to_vec()))
    }
}

/// Parses the output of `tmux capture-pane -e` into rows of characters, each with its faint and
/// reverse attributes and its background colour.
pub(crate) fn parse_rows(shown: &str) -> Vec<Row> {
    let mut paint = Paint::default();
    let row = |line: &str| {
        let mut parts = line.split('\u{1b}');
        let first = parts.next().unwrap_or_default();
        let mut cells: Vec<_> = first.chars().map(|c| (c, paint)).collect();
        for part in parts {
            let mut text = part.chars();
            // SGR: ESC [ <numbers> m
            if text.next() == Some('[') {
                text.find(|c| ('@'..='~').contains(c));
                let numbers = part[1..part.len() - text.as_str().len()].strip_suffix('m');
                paint = numbers.map_or(paint, |numbers| paint.apply_sgr(numbers));
            }
            cells.extend(text.map(|c| (c, paint)));
        }
        Row(cells)
    };
    shown.lines().map(row).collect()
}

impl Paint {
    fn apply_sgr(mut self, numbers: &str) -> Self {
        let mut numbers = numbers.split(';');
        while let Some(number) = numbers.next() {
            match number {
                "" | "0" => self = Self::default(),
                "2" => self.is_faint = true,
                "22" => self.is_faint = false,
                "7" => self.is_reversed = true,
                "27" => self.is_reversed = false,
                // A colour: 5 and one number, or 2 and three numbers.
                "38" | "48" | "58" => {
                    let count = if numbers.next() == Some("5") { 1 } else { 3 };
                    let parts = numbers.by_ref().take(count);
                    let colour = parts.fold(count as u32, |all, part| {
                        all << 8 | part.parse().unwrap_or(0)
                    });
                    if number == "48" {
                        self.colour = colour;
                    }
                }
                "49" => self.colour = 0,
                _ => {
                    if let Ok(colour @ (40..=47 | 100..=107)) = number.parse() {
                        self.colour = colour;
                    }
                }
            }
        }
        self
    }
}
