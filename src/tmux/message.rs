//! A message to the program on a pane.

use std::process;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Tmux, pane};
use crate::interrupt;
use crate::task::Target;

/// How long a program may take to show what was pasted.
const PATIENCE: Duration = Duration::from_secs(5);

/// Pastes `text` to the program on the pane, and presses Enter once it shows there:
/// a program that shows something else, like a dialog, must not take it for an answer,
/// nor must a shell that shows it once the program has ended and nobody `listens`.
/// Returns whether it was submitted. `tmux set-buffer`, `tmux paste-buffer -p -r`
///
/// `text` is one line; whether the program has taken it is not known even then.
///
/// # Errors
/// When the pane is gone.
pub(crate) fn tell(
    target: &Target,
    text: &str,
    listens: impl Fn() -> Result<bool>,
) -> Result<bool> {
    let before = times(target, text)?;
    paste(target, text, &["-p"])?;
    let begun = Instant::now();
    let mut seen = Vec::new();
    loop {
        thread::sleep(Duration::from_millis(50));
        interrupt::check()?;
        let now = pane::capture(target, usize::MAX)?;
        // A program that is still painting may swallow the key.
        if now == seen && count(&now, text) > before {
            break;
        }
        if begun.elapsed() > PATIENCE {
            return Ok(false);
        }
        seen = now;
    }
    if !listens()? {
        return Ok(false);
    }
    // As a paste it gets there also while the pane is in copy mode, where a key would not.
    paste(target, "\r", &[])?;
    Ok(true)
}

fn paste(target: &Target, text: &str, options: &[&str]) -> Result<()> {
    let buffer = format!("flux-{}", process::id());
    Tmux::on(&target.socket, "set-buffer")
        .args(["-b", &buffer, "--", text])
        .then("paste-buffer")
        .args(options)
        .args(["-r", "-d", "-b", &buffer, "-t", &target.pane])
        .run()
}

fn times(target: &Target, text: &str) -> Result<usize> {
    Ok(count(&pane::capture(target, usize::MAX)?, text))
}

/// How often the beginning of `text` shows; the rest may be wrapped.
fn count(lines: &[String], text: &str) -> usize {
    let end = text.char_indices().nth(20).map_or(text.len(), |(at, _)| at);
    lines.join("\n").matches(&text[..end]).count()
}
