//! Typing and pasting text into a pane, and waiting until the pane shows it.

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

/// The number of pastes that one tmux client can send, in less than 16 KiB.
const MAX_PASTES: usize = 15;

pub(super) const INTERVAL: Duration = Duration::from_millis(50);

/// The time limit for a program without a known composer to show a text.
const ECHO_TIMEOUT: Duration = Duration::from_secs(1);

/// The number of characters of a line to search for; the rest may be wrapped.
const PREFIX: usize = 20;

/// A pane that does not change for this long is still. Longer than a frame of an animation.
const STILL_TIME: Duration = Duration::from_millis(150);

/// A program may not show a longer line in full.
const MAX_ECHO: usize = 400;

/// Types a message into a pane in one or several pastes, without Enter: `tmux has-session -t <pane>
/// ; set-buffer -b <name> -- <piece> ; paste-buffer -p -r -d -b <name> -t <pane>`, or `tmux
/// load-buffer -` for a text that need not be split.
pub(super) fn type_text(target: &Target, typed: &SafeText) -> Result<()> {
    let mut rest = typed.text.as_str();
    let mut pastes = Vec::new();
    if typed.is_erased_space_first
        && let Some(first) = rest.chars().next()
    {
        rest = &rest[first.len_utf8()..];
        pastes.push((format!(" {first}"), &["-p"][..]));
        // Home, Delete, End.
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

/// Splits a text into pieces of at most `longest` bytes and at most two lines.
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

/// Pastes text into a pane, with more options of `paste-buffer`, in one process: `tmux load-buffer
/// -b <name> - ; paste-buffer <options> -r -d -b <name> -t <pane>`
pub(super) fn paste(target: &Target, text: &str, options: &[&str]) -> Result<()> {
    let mut file = tempfile::tempfile().context("could not make a temporary file")?;
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    let tmux = Tmux::on(&target.socket, "load-buffer").input(file);
    let tmux = tmux.args(["-b", &buffer_name(target), "-"]);
    then_paste(tmux, target, options).run()
}

/// Returns the name of the tmux buffer that this process uses for a pane: `flux-<pid>-<pane>`.
fn buffer_name(target: &Target) -> String {
    format!("flux-{}-{}", process::id(), target.pane)
}

/// Adds a tmux command that pastes the buffer into a pane and deletes it, without running it:
/// `paste-buffer <options> -r -d -b <name> -t <pane>`
fn then_paste(tmux: Tmux, target: &Target, options: &[&str]) -> Tmux {
    let tmux = tmux.then("paste-buffer").args(options);
    let tmux = tmux.args(["-r", "-d", "-b", &buffer_name(target)]);
    tmux.target(target.pane)
}

/// Waits until `shows` has returned `true` for 50 ms, at most for `timeout`. Returns whether it
/// has; fails on ^C. A program may ignore keys while it redraws.
pub(super) fn wait_until_stable(
    timeout: Duration,
    shows: impl Fn() -> Result<bool>,
) -> Result<bool> {
    let mut since: Option<Instant> = None;
    let lasts = wait_until(timeout, INTERVAL, || {
        since = shows()?.then(|| since.unwrap_or_else(Instant::now));
        Ok(since.filter(|since| since.elapsed() >= INTERVAL))
    })?;
    Ok(lasts.is_some())
}

/// The state of a pane before a text is typed.
pub(super) struct Baseline<'a> {
    text: &'a str,
    /// The text before the cursor.
    typed: String,
    rows: Vec<String>,
    /// The text is long and the pane is still, so any change is an echo.
    is_any_change: bool,
}

impl<'a> Baseline<'a> {
    pub(super) fn new(target: &Target, first: &Screen, typed: &'a SafeText) -> Result<Self> {
        let text = typed.text.trim_end();
        let mut before = Self {
            text,
            typed: first.before_cursor(),
            rows: first.text(),
            is_any_change: false,
        };
        if text.contains('\n') || text.len() > MAX_ECHO {
            thread::sleep(STILL_TIME);
            let now = Screen::of(target)?.text();
            before.is_any_change = now == before.rows;
            before.rows = now;
        }
        Ok(before)
    }

    /// Waits at most a second until the pane shows the typed text for 50 ms, and returns whether it
    /// does.
    pub(super) fn wait_for_echo(&self, target: &Target) -> Result<bool> {
        wait_until_stable(ECHO_TIMEOUT, || Ok(self.shows(&Screen::of(target)?)))
    }

    /// Returns whether the screen shows the typed text: the beginning of its first or last line
    /// occurs more often than before the typing, or the text before the cursor has changed and ends
    /// as the typed text does. For a long text or one of several lines, any change is enough if the
    /// screen did not change in a short time before the typing.
    fn shows(&self, screen: &Screen) -> bool {
        let (rows, typed) = (screen.text(), screen.before_cursor());
        let last = self.text.char_indices().nth_back(PREFIX - 1);
        let last = last.map_or(self.text, |(at, _)| &self.text[at..]);
        let mut lines = self.text.lines();
        let mut ends = [lines.next(), lines.next_back()].into_iter().flatten();
        // A placeholder that contained the text may have disappeared.
        typed != self.typed && typed.ends_with(last)
            || self.is_any_change && rows != self.rows
            || ends.any(|line| {
                // The rest may be wrapped.
                let line: String = line.trim().chars().take(PREFIX).collect();
                let count = |rows: &[String]| rows.join("\n").matches(&line).count();
                !line.is_empty() && count(&rows) > count(&self.rows)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_text_cuts_at_lines_and_characters() {
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
