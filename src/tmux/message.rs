//! A message to the program on a pane.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::before::Before;
use super::composer::{Composer, Content, Typed, clearing};
use super::screen::Screen;
use super::typing::{paste, type_text};
use crate::interrupt;
use crate::task::Target;

/// How long a program whose composer is known may take to show what was pasted, or cleared.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long it may show no composer while it paints.
const SHOWS: Duration = Duration::from_secs(2);

/// How long a program may take to take a message out of its composer, once Enter was pressed.
const TAKES: Duration = Duration::from_secs(3);

/// How long it may take to say that it has got the message.
const ANSWER: Duration = Duration::from_secs(3);

/// How long what is typed may take to have its effect, where nothing tells.
const SETTLES: Duration = Duration::from_millis(400);

/// How long to wait until the next look.
const PAUSE: Duration = Duration::from_millis(50);

/// As a paste it gets there also while the pane is in copy mode, where a key would not.
const ENTER: &str = "\r";

/// The program that a message goes to.
pub(crate) struct Receiver<'a> {
    pub(crate) target: &'a Target,
    /// Where it shows what is typed; none if that is not known.
    pub(crate) composer: Option<&'a Composer>,
    /// What it was told before: it puts that back into its composer when it is interrupted.
    pub(crate) told_before: &'a [String],
    /// Returns whether it still reads what is typed: a shell that is there once the program has ended
    /// must not take the message for a command.
    pub(crate) listens: &'a dyn Fn() -> Result<bool>,
    /// Returns whether it says that it has got the message; none where it cannot say that.
    pub(crate) arrived: Option<&'a dyn Fn() -> Result<bool>>,
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

impl Receiver<'_> {
    /// Types a message, and presses Enter once it shows on the pane: a program that shows something
    /// else, like a dialog, must not take it for an answer.
    /// `tmux load-buffer -`, `tmux paste-buffer -p -r`
    ///
    /// What a terminal would obey arrives as text. Where no program can say that it has arrived, it
    /// is submitted at best.
    ///
    /// # Errors
    /// When the pane is gone.
    pub(crate) fn deliver(&self, typed: &Typed) -> Result<Delivery> {
        let screen = Screen::of(self.target)?;
        match self.composer.filter(|_| !screen.has_line_editor()) {
            Some(composer) => self.compose(composer, &screen, typed),
            None => self.type_unseen(&screen, &typed.text),
        }
    }

    fn listens(&self) -> Result<bool> {
        (self.listens)()
    }

    fn has_arrived(&self) -> Result<bool> {
        self.arrived.map_or(Ok(false), |arrived| arrived())
    }

    /// Returns what a composer holds; `None` if the pane does not show it.
    fn look(&self, composer: &Composer) -> Result<Option<Content>> {
        Screen::of(self.target).map(|screen| composer.read(&screen))
    }

    /// [`Self::deliver`] by way of a composer that can be read.
    fn compose(&self, composer: &Composer, first: &Screen, typed: &Typed) -> Result<Delivery> {
        match self.emptied(composer, first)? {
            Some(Content::Empty) if self.listens()? => {}
            Some(Content::Empty) => return Ok(Delivery::NotListening),
            Some(Content::Text(text) | Content::Other(text)) => return Ok(Delivery::Draft(text)),
            _ => return Ok(Delivery::NoComposer),
        }
        let mut is_entered = false;
        if self.type_in(composer, typed)? {
            match self.submit(composer, &typed.text)? {
                Submitted::Taken => return self.taken(),
                Submitted::NotTaken => is_entered = true,
                Submitted::NotEntered => {}
            }
        }
        if is_entered && self.has_arrived()? {
            return Ok(Delivery::Confirmed);
        }
        let is_left = !self.cleared(composer, &typed.text)?;
        // A slow program has come to the key before it came to those that clear.
        if is_entered && self.has_arrived()? {
            return Ok(Delivery::Confirmed);
        }
        Ok(Delivery::NotTaken {
            is_entered,
            is_left,
        })
    }

    fn taken(&self) -> Result<Delivery> {
        if self.arrived.is_some() && within(ANSWER, || self.has_arrived())? {
            return Ok(Delivery::Confirmed);
        }
        Ok(Delivery::Taken)
    }

    /// Types a message into an empty composer, with the keys that come before Enter. Returns whether
    /// it stands there.
    fn type_in(&self, composer: &Composer, typed: &Typed) -> Result<bool> {
        type_text(self.target, typed)?;
        let mut stands = self.stands(composer, &typed.text)?;
        for keys in &typed.keys {
            // What they are for, such as a list that is put together, may come up late.
            thread::sleep(SETTLES);
            if stands && self.listens()? {
                paste(self.target, keys, &[])?;
                stands = self.stands(composer, &typed.text)?;
            }
        }
        Ok(stands)
    }

    /// Waits until a text stands in the composer, and does so at the next look: a program that is
    /// still painting may swallow the key.
    fn stands(&self, composer: &Composer, text: &str) -> Result<bool> {
        let mut times = 0;
        within(PATIENCE, || {
            let content = self.look(composer)?;
            let is_there = content.is_some_and(|content| composer.holds(&content, text));
            times = if is_there { times + 1 } else { 0 };
            Ok(times > 1)
        })
    }

    /// Presses Enter as long as the text stands in the composer, twice at most.
    fn submit(&self, composer: &Composer, text: &str) -> Result<Submitted> {
        let mut stands = true;
        let mut submitted = Submitted::NotEntered;
        for _ in 0..2 {
            if !stands || !self.listens()? {
                break;
            }
            submitted = Submitted::NotTaken;
            paste(self.target, ENTER, &[])?;
            let mut last = None;
            let is_taken = within(TAKES, || {
                last = self.look(composer)?;
                Ok(matches!(last, None | Some(Content::Empty)))
            })?;
            if is_taken {
                return Ok(Submitted::Taken);
            }
            // The key was swallowed, or something else was done with it.
            stands = last.is_some_and(|content| composer.holds(&content, text));
        }
        Ok(submitted)
    }

    /// Waits for a composer to be shown, and clears it if it holds what the program was told before:
    /// returns what it holds then, `None` if none is shown.
    fn emptied(&self, composer: &Composer, first: &Screen) -> Result<Option<Content>> {
        let mut content = composer.read(first);
        if content.is_none() {
            // A screen that is being painted shows none for a moment.
            within(SHOWS, || {
                content = self.look(composer)?;
                Ok(content.is_some())
            })?;
        }
        let Some(found @ Content::Text(_)) = &content else {
            return Ok(content);
        };
        let mut told_before = self.told_before.iter();
        if let Some(text) = told_before.find(|text| composer.shows(found, text))
            && self.listens()?
            && self.cleared(composer, text)?
        {
            return Ok(Some(Content::Empty));
        }
        Ok(content)
    }

    /// Clears the composer with `text` in it. Returns whether it is empty then.
    fn cleared(&self, composer: &Composer, text: &str) -> Result<bool> {
        for _ in 0..2 {
            // What shows no composer may be a dialog, where keys are answers.
            if self.look(composer)?.is_none() || !self.listens()? {
                return Ok(false);
            }
            paste(self.target, &clearing(text), &[])?;
            if within(
                PATIENCE,
                || Ok(self.look(composer)? == Some(Content::Empty)),
            )? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// [`Self::deliver`] to a program whose composer is not known: once the pane shows the text.
    fn type_unseen(&self, first: &Screen, text: &str) -> Result<Delivery> {
        let before = Before::typing(self.target, first, text)?;
        // A shell that is there instead would run it, line by line.
        if !self.listens()? {
            return Ok(Delivery::NotListening);
        }
        paste(self.target, text, &["-p"])?;
        let is_shown = before.is_shown_soon(self.target, text)?;
        let is_entered = false;
        if !self.listens()? {
            let is_left = true;
            return Ok(Delivery::NotTaken {
                is_entered,
                is_left,
            });
        }
        if !is_shown {
            paste(self.target, &clearing(text), &[])?;
            let is_left = false;
            return Ok(Delivery::NotTaken {
                is_entered,
                is_left,
            });
        }
        paste(self.target, ENTER, &[])?;
        if self.arrived.is_some() && within(ANSWER, || self.has_arrived())? {
            return Ok(Delivery::Confirmed);
        }
        Ok(Delivery::Submitted)
    }
}

/// What came of Enter.
enum Submitted {
    /// It was not pressed.
    NotEntered,
    /// It was, and the message is still in the composer.
    NotTaken,
    /// The composer is empty, or not shown any more.
    Taken,
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
