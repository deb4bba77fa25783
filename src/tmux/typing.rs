//! Text for the program on a pane, as if it were typed or pasted there, and whether it shows.

use std::io::{Seek as _, Write as _};
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::Tmux;
use super::composer::SafeText;
use super::screen::Screen;
use crate::system::wait_until;
use crate::task::Target;

/// How many pastes a tmux client can say at once, in less than 16 KiB.
const MAX_PASTES: usize = 15;

/// How long to wait until the next look.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// How long another program may take to show what was pasted.
const ECHO_TIMEOUT: Duration = Duration::from_secs(1);

/// How many characters of a line are looked for; it may be wrapped.
const COMPARED_CHARS: usize = 20;

/// How long nothing may move on a pane that counts as still: longer than a picture of what moves is shown.
const STILL_TIME: Duration = Duration::from_millis(150);

/// How many bytes of one line a program shows as they are; of more it may show only that there is something.
const MAX_ECHOED_BYTES: usize = 400;

/// Types a message: in one paste, or in as many as the composer takes for typed text. A first
/// character that would be obeyed comes behind a space, which is erased before the rest comes.
/// `tmux has-session -t <pane> ; set-buffer -b <name> -- <piece> ; paste-buffer -p -r -d -b <name> ; …`
pub(super) fn type_text(target: &Target, typed: &SafeText) -> Result<()> {
    let mut rest = typed.text.as_str();
    let mut pastes = Vec::new();
    if typed.is_erased_space_first
        && let Some(first) = rest.chars().next()
    {
        rest = &rest[first.len_utf8()..];
        pastes.push((format!(" {first}"), &["-p"][..]));
        // To the beginning, delete, to the end.
        pastes.push(("\u{1}\u{1b}[3~\u{5}".to_owned(), &[]));
    }
    if let Some(longest) = typed.longest_paste {
        let pieces = split_text(rest, longest).into_iter();
        pastes.extend(pieces.map(|piece| (piece.to_owned(), &["-p"][..])));
        rest = "";
    }
    let name = buffer_name(target);
    for call in pastes.chunks(MAX_PASTES) {
        let tmux = Tmux::at(target, "has-session");
        let tmux = call.iter().fold(tmux, |tmux, (text, options)| {
            let tmux = tmux.then("set-buffer").args(["-b", &name, "--", text]);
            then_paste(tmux, target, options)
        });
        tmux.run()?;
    }
    match rest {
        "" => Ok(()),
        rest => paste(target, rest, &["-p"]),
    }
}

/// Cuts a text into pieces of no more than `longest` bytes and two lines.
fn split_text(text: &str, longest: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut from, mut lines) = (0, 0);
    for (at, c) in text.char_indices() {
        if at + c.len_utf8() - from > longest || lines == 2 {
            pieces.push(&text[from..at]);
            (from, lines) = (at, 0);
        }
        lines += usize::from(c == '\n');
    }
    pieces.push(&text[from..]);
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// Pastes text by one process: `tmux load-buffer -b <name> - ; paste-buffer -r -d -b <name>`
pub(super) fn paste(target: &Target, text: &str, options: &[&str]) -> Result<()> {
    let mut file = tempfile::tempfile().context("could not make a temporary file")?;
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    let tmux = Tmux::on(&target.socket, "load-buffer").input(file);
    let tmux = tmux.args(["-b", &buffer_name(target), "-"]);
    then_paste(tmux, target, options).run()
}

/// Returns a name that no other message to a pane of this server uses now.
fn buffer_name(target: &Target) -> String {
    format!("flux-{}-{}", process::id(), target.pane)
}

/// Adds the paste of the buffer, which goes with it.
fn then_paste(tmux: Tmux, target: &Target, options: &[&str]) -> Tmux {
    let tmux = tmux.then("paste-buffer").args(options);
    let tmux = tmux.args(["-r", "-d", "-b", &buffer_name(target)]);
    tmux.target(target.pane)
}

/// Waits until something shows, and stays: a program that is still painting may swallow a key.
pub(super) fn is_stable_within(
    patience: Duration,
    shows: impl Fn() -> Result<bool>,
) -> Result<bool> {
    let mut since: Option<Instant> = None;
    let lasts = wait_until(patience, POLL_INTERVAL, || {
        since = shows()?.then(|| since.unwrap_or_else(Instant::now));
        Ok(since.filter(|since| since.elapsed() >= POLL_INTERVAL))
    })?;
    Ok(lasts.is_some())
}

/// A pane before a text is typed there.
pub(super) struct PaneSnapshot<'a> {
    text: &'a str,
    /// What stands before the cursor in its row.
    typed: String,
    rows: Vec<String>,
    /// The text is long, and nothing moves on the pane: any change counts.
    is_any_change: bool,
}

impl<'a> PaneSnapshot<'a> {
    pub(super) fn new(target: &Target, first: &Screen, typed: &'a SafeText) -> Result<Self> {
        let text = typed.text.trim_end();
        let mut before = Self {
            text,
            typed: first.before_cursor(),
            rows: first.text(),
            is_any_change: false,
        };
        if text.contains('\n') || text.len() > MAX_ECHOED_BYTES {
            thread::sleep(STILL_TIME);
            let now = Screen::of(target)?.text();
            before.is_any_change = now == before.rows;
            before.rows = now;
        }
        Ok(before)
    }

    /// Returns whether the text shows soon, and stays.
    pub(super) fn is_echoed(&self, target: &Target) -> Result<bool> {
        is_stable_within(ECHO_TIMEOUT, || Ok(self.shows(&Screen::of(target)?)))
    }

    /// Returns whether the beginning or the end of the text shows once more than before, or its end
    /// before the cursor.
    fn shows(&self, screen: &Screen) -> bool {
        let (rows, typed) = (screen.text(), screen.before_cursor());
        let last = self.text.char_indices().nth_back(COMPARED_CHARS - 1);
        let last = last.map_or(self.text, |(at, _)| &self.text[at..]);
        let mut lines = self.text.lines();
        let mut ends = [lines.next(), lines.next_back()].into_iter().flatten();
        // A word may have been in what an empty one shows, and be there as often as before.
        typed != self.typed && typed.ends_with(last)
            || self.is_any_change && rows != self.rows
            || ends.any(|line| count_matches(&rows, line) > count_matches(&self.rows, line))
    }
}

/// Returns how often the beginning of `line` shows; the rest may be wrapped.
fn count_matches(rows: &[String], line: &str) -> usize {
    let beginning: String = line.trim().chars().take(COMPARED_CHARS).collect();
    match beginning.as_str() {
        "" => 0,
        beginning => rows.join("\n").matches(beginning).count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_at_lines_and_characters_and_nothing_is_lost() {
        for (text, longest, expected) in [
            ("", 9, &[][..]),
            ("a\nb", 9, &["a\nb"]),
            ("a\nb\n\nc\nd", 9, &["a\nb\n", "\nc\n", "d"]),
            ("ää", 3, &["ä", "ä"]),
        ] {
            assert_eq!(split_text(text, longest), expected, "{text}");
        }
    }
}
