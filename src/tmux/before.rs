//! A pane before a text is typed there, to see that the text shows.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::screen::Screen;
use crate::interrupt;
use crate::task::Target;

/// How often there is a look at the pane of another one until it does.
const LOOKS: usize = 5;

/// How many characters of a line are looked for; it may be wrapped.
const SHOWN: usize = 20;

/// How long nothing may move on a pane that counts as still: longer than a picture of what moves is shown.
const STILL: Duration = Duration::from_millis(150);

/// How many bytes of one line a program shows as they are; of more it may show only that there is something.
const SHORT: usize = 400;

/// How long to wait until the next look.
const PAUSE: Duration = Duration::from_millis(50);

/// A pane before a text is typed there.
pub(super) struct Before {
    /// What stands before the cursor in its row.
    typed: String,
    rows: Vec<String>,
    /// The text is long, and nothing moves on the pane: any change counts.
    is_any_change: bool,
}

impl Before {
    pub(super) fn typing(target: &Target, first: &Screen, text: &str) -> Result<Self> {
        let typed = first.before_cursor();
        let rows = first.text();
        if !text.contains('\n') && text.len() <= SHORT {
            let is_any_change = false;
            return Ok(Self {
                typed,
                rows,
                is_any_change,
            });
        }
        thread::sleep(STILL);
        let now = Screen::of(target)?.text();
        Ok(Self {
            typed,
            is_any_change: now == rows,
            rows: now,
        })
    }

    /// Returns whether the text shows soon, and does so at the next look: a program that is still
    /// painting may swallow the key.
    pub(super) fn is_shown_soon(&self, target: &Target, text: &str) -> Result<bool> {
        let mut times = 0;
        for _ in 0..LOOKS {
            interrupt::check()?;
            thread::sleep(PAUSE);
            let is_shown = self.shows(&Screen::of(target)?, text);
            times = if is_shown { times + 1 } else { 0 };
            if times > 1 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns whether the beginning or the end of the text shows once more than before, or its end
    /// before the cursor.
    fn shows(&self, screen: &Screen, text: &str) -> bool {
        let rows = screen.text();
        let more = |line: &&str| count(&rows, line) > count(&self.rows, line);
        let ends = [text.lines().next(), text.lines().next_back()];
        let typed = screen.before_cursor();
        let text = text.trim_end();
        let last = text.char_indices().nth_back(SHOWN - 1);
        let last = last.map_or(text, |(at, _)| &text[at..]);
        // A word may have been in what an empty one shows, and be there as often as before.
        let is_at_cursor = typed != self.typed && typed.ends_with(last);
        let has_changed = self.is_any_change && rows != self.rows;
        is_at_cursor || has_changed || ends.iter().flatten().any(more)
    }
}

/// How often the beginning of `line` shows; the rest may be wrapped.
fn count(lines: &[String], line: &str) -> usize {
    let line = line.trim();
    if line.is_empty() {
        return 0;
    }
    let end = line
        .char_indices()
        .nth(SHOWN)
        .map_or(line.len(), |(at, _)| at);
    lines.join("\n").matches(&line[..end]).count()
}
