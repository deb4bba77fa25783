//! A message to the program on a pane.

use std::io::{Seek as _, Write as _};
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::{Tmux, pane};
use crate::interrupt;
use crate::task::Target;

/// How long a program may take to show what was pasted.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long it may take to say that it has got the message.
const ANSWER: Duration = Duration::from_secs(3);

const PAUSE: Duration = Duration::from_millis(50);

/// How long nothing may move on a pane that counts as still.
const STILL: Duration = Duration::from_millis(400);

/// How many bytes of one line a program shows as they are; of more it may show only that there is something.
const SHORT: usize = 400;

/// What has become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// The pane does not show it: it was not submitted, and may stand where it was pasted.
    Unseen,
    /// It was submitted.
    Submitted,
    /// It was, and the program says that it has got it.
    Confirmed,
}

/// Pastes `text` to the program on the pane, and presses Enter once it shows there:
/// a program that shows something else, like a dialog, must not take it for an answer,
/// nor must a shell that shows it once the program has ended and nobody `listens`.
/// `tmux load-buffer -`, `tmux paste-buffer -p -r`
///
/// What a terminal would obey arrives as text. Where nobody can say that it `arrived`, it
/// is submitted at best.
///
/// # Errors
/// When the pane is gone.
pub(crate) fn tell(
    target: &Target,
    text: &str,
    listens: impl Fn() -> Result<bool>,
    arrived: Option<impl Fn() -> Result<bool>>,
) -> Result<Told> {
    let text = harmless(text);
    let shown = match shown(target, &text, &listens)? {
        Some(shown) if listens()? => shown,
        _ => return Ok(Told::Unseen),
    };
    let stands = cursor(target)?;
    // As a paste it gets there also while the pane is in copy mode, where a key would not.
    paste(target, "\r", &[])?;
    let Some(arrived) = arrived else {
        return Ok(Told::Submitted);
    };
    if within(ANSWER, &arrived)? {
        return Ok(Told::Confirmed);
    }
    // A program that was still painting may have swallowed the key. But where anything moved
    // since, the message was taken, and another key may answer what the program asks by now.
    let moved = cursor(target)? != stands || pane::capture(target, usize::MAX)? != shown;
    if moved || !listens()? {
        return Ok(Told::Submitted);
    }
    paste(target, "\r", &[])?;
    Ok(match within(ANSWER, &arrived)? {
        true => Told::Confirmed,
        false => Told::Submitted,
    })
}

/// Pastes if somebody `listens`, and waits until that shows: its beginning or its end; or, of
/// much text, that anything does on a pane where nothing moved before. What the pane shows
/// then, once it is still; nothing if the text does not.
fn shown(
    target: &Target,
    text: &str,
    listens: impl Fn() -> Result<bool>,
) -> Result<Option<Vec<String>>> {
    let first = pane::capture(target, usize::MAX)?;
    thread::sleep(STILL);
    let before = pane::capture(target, usize::MAX)?;
    let long = (text.contains('\n') || text.len() > SHORT) && first == before;
    // A shell that is there instead would run it, line by line.
    if !listens()? {
        return Ok(None);
    }
    paste(target, text, &["-p"])?;
    let mut seen = Vec::new();
    let ends = [text.lines().next(), text.lines().next_back()];
    let shows = |now: &[String]| {
        let more = |line: &&str| count(now, line) > count(&before, line);
        ends.iter().flatten().any(more) || (long && now != before.as_slice())
    };
    // Twice: a program that is still painting may swallow the key.
    let mut times = 0;
    let shown = within(PATIENCE, || {
        let now = pane::capture(target, usize::MAX)?;
        times = if shows(&now) { times + 1 } else { 0 };
        let still = now == seen || times > 3;
        seen = now;
        Ok(times > 1 && still)
    })?;
    Ok(shown.then_some(seen))
}

/// Where the cursor is: `tmux display-message -p`
fn cursor(target: &Target) -> Result<String> {
    Tmux::on(&target.socket, "display-message")
        .args(["-p", "-t", &target.pane])
        .args(["#{cursor_x},#{cursor_y},#{history_size}"])
        .output()
}

/// Asks `holds` until it does, or patience ends.
fn within(patience: Duration, mut holds: impl FnMut() -> Result<bool>) -> Result<bool> {
    let begun = Instant::now();
    loop {
        thread::sleep(PAUSE);
        interrupt::check()?;
        if holds()? {
            return Ok(true);
        }
        if begun.elapsed() > patience {
            return Ok(false);
        }
    }
}

/// Without anything that would end a paste, or be a key: newlines and tabs are text.
fn harmless(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let mut out = String::with_capacity(text.len());
    for c in text.trim_end().chars() {
        match c {
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

fn paste(target: &Target, text: &str, options: &[&str]) -> Result<()> {
    let buffer = format!("flux-{}", process::id());
    let mut file = tempfile::tempfile().context("could not make a temporary file")?;
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Tmux::on(&target.socket, "load-buffer")
        .input(file)
        .args(["-b", &buffer, "-"])
        .then("paste-buffer")
        .args(options)
        .args(["-r", "-d", "-b", &buffer, "-t", &target.pane])
        .run()
}

/// How often the beginning of `line` shows; the rest may be wrapped.
fn count(lines: &[String], line: &str) -> usize {
    let line = line.trim();
    if line.is_empty() {
        return 0;
    }
    let end = line.char_indices().nth(20).map_or(line.len(), |(at, _)| at);
    lines.join("\n").matches(&line[..end]).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_text_whatever_is_in_it() {
        assert_eq!(harmless("a\r\n\tb\n"), "a\n\tb");
        assert_eq!(harmless("\u{1b}[201~\rrm"), "\\u{1b}[201~\\u{d}rm");
        assert_eq!(harmless("\u{9b}31m\u{7f}\0"), "\\u{9b}31m\\u{7f}\\u{0}");
        assert_eq!(harmless("👨\u{200d}👩"), "👨\u{200d}👩");
    }
}
