//! A message to the program on a pane.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::composer::{Composer, Content, Typed, clearing};
use super::screen::Screen;
use super::typing::{paste, type_text};
use crate::interrupt;
use crate::task::Target;

/// How long a program whose composer is known may take to show what was pasted, or cleared.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often there is a look at the pane of another one until it does.
const LOOKS: usize = 5;

/// How long it may show no composer while it paints.
const SHOWS: Duration = Duration::from_secs(2);

/// How long a program may take to take a message out of its composer, once Enter was pressed.
const TAKES: Duration = Duration::from_secs(3);

/// How long it may take to say that it has got the message.
const ANSWER: Duration = Duration::from_secs(3);

/// How many characters of a line are looked for; it may be wrapped.
const SHOWN: usize = 20;

/// How long what is typed may take to have its effect, where nothing tells.
const SETTLES: Duration = Duration::from_millis(400);

/// How long nothing may move on a pane that counts as still: longer than a picture of what moves is shown.
const STILL: Duration = Duration::from_millis(150);

const PAUSE: Duration = Duration::from_millis(50);

/// How many bytes of one line a program shows as they are; of more it may show only that there is something.
const SHORT: usize = 400;

/// As a paste it gets there also while the pane is in copy mode, where a key would not.
const ENTER: &str = "\r";

/// The program that a message goes to.
pub(crate) struct Receiver<'a> {
    pub(crate) target: &'a Target,
    /// Where it shows what is typed; none if that is not known.
    pub(crate) composer: Option<&'a Composer>,
    /// What it was told before: it puts that back into its composer when it is interrupted.
    pub(crate) told_before: &'a [String],
}

/// What has become of a message. Only the last three have reached the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// The program asks something by now, or is not in front any more; nothing was typed.
    NotListening,
    /// The pane shows no composer; nothing was typed.
    NoComposer,
    /// Something stands in the composer that is not git flux's to clear; nothing was typed.
    Draft(String),
    /// The pane did not show it, so Enter was not pressed; or it was if it `is_entered`, and the
    /// program did not take the message. What was typed is cleared, unless it `is_left`.
    NotTaken { is_entered: bool, is_left: bool },
    /// It was submitted.
    Submitted,
    /// It was, and is out of the composer.
    Taken,
    /// It was, and the program says that it has got it.
    Confirmed,
}

/// Types `text` for the program on the pane, and presses Enter once it shows there: a program
/// that shows something else, like a dialog, must not take it for an answer, nor must a shell
/// that shows it once the program has ended and nothing `listens`.
/// `tmux load-buffer -`, `tmux paste-buffer -p -r`
///
/// What a terminal would obey arrives as text. Where no program can say that it `arrived`, it
/// is submitted at best.
///
/// # Errors
/// When the pane is gone.
pub(crate) fn deliver(
    receiver: &Receiver,
    typed: &Typed,
    listens: impl Fn() -> Result<bool>,
    arrived: Option<impl Fn() -> Result<bool>>,
) -> Result<Delivery> {
    let screen = Screen::of(receiver.target)?;
    match receiver.composer.filter(|_| !screen.has_line_editor()) {
        Some(composer) => compose(receiver, composer, &screen, typed, listens, arrived),
        None => type_unseen(receiver.target, &screen, &typed.text, listens, arrived),
    }
}

/// Replaces what would end a paste, or be a key: newlines and tabs are text.
pub(crate) fn harmless(text: &str) -> String {
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

/// [`deliver`] by way of a composer that can be read.
fn compose(
    receiver: &Receiver,
    composer: &Composer,
    first: &Screen,
    typed: &Typed,
    listens: impl Fn() -> Result<bool>,
    arrived: Option<impl Fn() -> Result<bool>>,
) -> Result<Delivery> {
    let target = receiver.target;
    let read = || look(target, composer);
    match emptied(receiver, composer, first, &listens)? {
        Some(Content::Empty) if listens()? => {}
        Some(Content::Empty) => return Ok(Delivery::NotListening),
        Some(Content::Text(text) | Content::Other(text)) => return Ok(Delivery::Draft(text)),
        _ => return Ok(Delivery::NoComposer),
    }
    type_text(target, typed)?;
    let is_there = |content: &Option<Content>| {
        let content = content.as_ref();
        content.is_some_and(|content| composer.holds(content, &typed.text))
    };
    // Twice: a program that is still painting may swallow the key.
    let stands = || {
        let mut times = 0;
        within(PATIENCE, || {
            times = if is_there(&read()?) { times + 1 } else { 0 };
            Ok(times > 1)
        })
    };
    let mut is_ready = stands()?;
    for keys in &typed.keys {
        // What they are for, such as a list that is put together, may come up late.
        thread::sleep(SETTLES);
        if is_ready && listens()? {
            paste(target, keys, &[])?;
            is_ready = stands()?;
        }
    }
    let mut is_entered = false;
    for _ in 0..2 {
        if !is_ready || !listens()? {
            break;
        }
        is_entered = true;
        paste(target, ENTER, &[])?;
        let mut last = None;
        let is_taken = within(TAKES, || {
            last = read()?;
            Ok(matches!(last, None | Some(Content::Empty)))
        })?;
        if is_taken {
            return Ok(match arrived {
                Some(arrived) if within(ANSWER, &arrived)? => Delivery::Confirmed,
                _ => Delivery::Taken,
            });
        }
        // The key was swallowed, or something else was done with it.
        is_ready = is_there(&last);
    }
    let has_arrived = || arrived.as_ref().map_or(Ok(false), |arrived| arrived());
    if is_entered && has_arrived()? {
        return Ok(Delivery::Confirmed);
    }
    let is_left = !cleared(receiver, composer, &typed.text, &listens)?;
    // A slow program has come to the key before it came to those that clear.
    Ok(match is_entered && has_arrived()? {
        true => Delivery::Confirmed,
        false => Delivery::NotTaken {
            is_entered,
            is_left,
        },
    })
}

/// Waits for a composer to be shown, and clears it if it holds what the program was told before:
/// returns what it holds then, `None` if none is shown.
fn emptied(
    receiver: &Receiver,
    composer: &Composer,
    first: &Screen,
    listens: impl Fn() -> Result<bool>,
) -> Result<Option<Content>> {
    let read = || look(receiver.target, composer);
    let mut content = composer.read(first);
    if content.is_none() {
        // A screen that is being painted shows none for a moment.
        within(SHOWS, || {
            content = read()?;
            Ok(content.is_some())
        })?;
    }
    let Some(found @ Content::Text(_)) = &content else {
        return Ok(content);
    };
    let mut told_before = receiver.told_before.iter();
    if let Some(text) = told_before.find(|text| composer.shows(found, text))
        && listens()?
        && cleared(receiver, composer, text, listens)?
    {
        return Ok(Some(Content::Empty));
    }
    Ok(content)
}

fn look(target: &Target, composer: &Composer) -> Result<Option<Content>> {
    Screen::of(target).map(|screen| composer.read(&screen))
}

/// Clears the composer with `text` in it. Returns whether it is empty then.
fn cleared(
    receiver: &Receiver,
    composer: &Composer,
    text: &str,
    listens: impl Fn() -> Result<bool>,
) -> Result<bool> {
    let read = || look(receiver.target, composer);
    for _ in 0..2 {
        // What shows no composer may be a dialog, where keys are answers.
        if read()?.is_none() || !listens()? {
            return Ok(false);
        }
        paste(receiver.target, &clearing(text), &[])?;
        if within(PATIENCE, || Ok(read()? == Some(Content::Empty)))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// [`deliver`] to a program whose composer is not known: once the pane shows the beginning or the
/// end of the text; or, of much text, that anything does on a pane where nothing moved before.
fn type_unseen(
    target: &Target,
    first: &Screen,
    text: &str,
    listens: impl Fn() -> Result<bool>,
    arrived: Option<impl Fn() -> Result<bool>>,
) -> Result<Delivery> {
    let first_typed = first.before_cursor();
    let mut before = first.text();
    let mut is_long = text.contains('\n') || text.len() > SHORT;
    if is_long {
        thread::sleep(STILL);
        let now = Screen::of(target)?.text();
        is_long = now == before;
        before = now;
    }
    // A shell that is there instead would run it, line by line.
    if !listens()? {
        return Ok(Delivery::NotListening);
    }
    paste(target, text, &["-p"])?;
    let ends = [text.lines().next(), text.lines().next_back()];
    let last: Vec<char> = text.trim_end().chars().collect();
    let last: String = last[last.len().saturating_sub(SHOWN)..].iter().collect();
    let shows = |screen: &Screen| {
        let now = screen.text();
        let more = |line: &&str| count(&now, line) > count(&before, line);
        let typed = screen.before_cursor();
        // A word may have been in what an empty one shows, and be there as often as before.
        let is_at_cursor = typed != first_typed && typed.ends_with(&last);
        is_at_cursor || ends.iter().flatten().any(more) || (is_long && now != before)
    };
    // Twice: a program that is still painting may swallow the key.
    let mut times = 0;
    for _ in 0..LOOKS {
        interrupt::check()?;
        thread::sleep(PAUSE);
        times = if shows(&Screen::of(target)?) {
            times + 1
        } else {
            0
        };
        if times > 1 {
            break;
        }
    }
    if !listens()? {
        return Ok(Delivery::NotTaken {
            is_entered: false,
            is_left: true,
        });
    }
    if times < 2 {
        paste(target, &clearing(text), &[])?;
        return Ok(Delivery::NotTaken {
            is_entered: false,
            is_left: false,
        });
    }
    paste(target, ENTER, &[])?;
    let Some(arrived) = arrived else {
        return Ok(Delivery::Submitted);
    };
    Ok(match within(ANSWER, arrived)? {
        true => Delivery::Confirmed,
        false => Delivery::Submitted,
    })
}

/// Asks `holds` until it does, or patience ends.
fn within(patience: Duration, mut holds: impl FnMut() -> Result<bool>) -> Result<bool> {
    let begun = Instant::now();
    loop {
        interrupt::check()?;
        if holds()? {
            return Ok(true);
        }
        if begun.elapsed() > patience {
            return Ok(false);
        }
        thread::sleep(PAUSE);
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
