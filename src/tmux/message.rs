//! A message to the program on a pane.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::composer::{Composer, Content, SafeText, clearing_keys};
use super::screen::Screen;
use super::typing::{POLL_INTERVAL, PaneSnapshot, is_stable_within, paste, type_text};
use crate::system::wait_until;
use crate::task::Target;

/// How long a program whose composer is known may take to show what was pasted, or cleared.
const ECHO_TIMEOUT: Duration = Duration::from_secs(10);

/// How long it may show no composer while it paints.
const COMPOSER_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a program may take to take a message out of its composer, once Enter was pressed.
const SUBMIT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long it may take to say that it has got the message.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(3);

/// How long what is typed may take to have its effect, where nothing tells.
const SETTLE_TIME: Duration = Duration::from_millis(400);

/// As a paste it gets there also while the pane is in copy mode, where a key would not.
const ENTER: &str = "\r";

/// The program that a message goes to.
pub(crate) struct Receiver<'a> {
    pub(crate) target: &'a Target,
    /// Where it shows what is typed; none if that is not known.
    pub(crate) composer: Option<&'a Composer>,
    /// What it was told before: it puts that back into its composer when it is interrupted.
    pub(crate) previous_messages: &'a [String],
    /// Returns whether it still reads what is typed: a shell that is there once the program has ended
    /// must not take the message for a command.
    pub(crate) is_listening: &'a dyn Fn() -> Result<bool>,
    /// Returns whether it says that it has got the message; none where it cannot say that.
    pub(crate) is_confirmed: Option<&'a dyn Fn() -> Result<bool>>,
}

/// What has become of a message. Only the last three have reached the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// The program asks something by now, or is not in front any more; nothing was typed.
    NotListening,
    /// The pane shows no composer; nothing was typed.
    NoComposer,
    /// Something stands in the composer that is not git flux's to clear; nothing was typed.
    HasDraft,
    /// The pane did not show it, so Enter was not pressed, and it was cleared.
    NotShown,
    /// Enter was pressed, the program did not take it, and it was cleared.
    NotTaken,
    /// It was not submitted, and may stand where it was typed.
    Stuck,
    /// It was submitted.
    Submitted,
    /// It was, and is out of the composer.
    Taken,
    /// It was, and the program says that it has got it.
    Confirmed,
}

/// Replaces what would end a paste, or be a key: newlines and tabs are text.
pub(crate) fn escape_keys(text: &str) -> String {
    let escape_keys = |c: char| match c {
        '\n' | '\t' => c.to_string(),
        c if c.is_control() => c.escape_unicode().to_string(),
        c => c.to_string(),
    };
    let text = text.replace("\r\n", "\n");
    text.trim_end().chars().map(escape_keys).collect()
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
    pub(crate) fn deliver(&self, typed: &SafeText) -> Result<Delivery> {
        let screen = Screen::of(self.target)?;
        match self.composer.filter(|_| !screen.has_line_editor()) {
            Some(composer) => self.compose(composer, &screen, typed),
            None => self.send_blindly(&screen, typed),
        }
    }

    fn is_confirmed(&self) -> Result<bool> {
        self.is_confirmed
            .map_or(Ok(false), |is_confirmed| is_confirmed())
    }

    /// Returns what a composer holds; `None` if the pane does not show it.
    fn read_composer(&self, composer: &Composer) -> Result<Option<Content>> {
        Screen::of(self.target).map(|screen| composer.read(&screen))
    }

    /// [`Self::deliver`] by way of a composer that can be read.
    fn compose(&self, composer: &Composer, first: &Screen, typed: &SafeText) -> Result<Delivery> {
        match self.prepare_composer(composer, first)? {
            Some(Content::Empty) if (self.is_listening)()? => {}
            Some(Content::Empty) => return Ok(Delivery::NotListening),
            Some(Content::Text(_) | Content::Command(_)) => return Ok(Delivery::HasDraft),
            None => return Ok(Delivery::NoComposer),
        }
        let delivery = match self.type_message(composer, typed)? {
            true => self.submit(composer, typed)?,
            false => Delivery::NotShown,
        };
        if delivery == Delivery::Taken {
            return self.await_confirmation(delivery);
        }
        let is_entered = delivery == Delivery::NotTaken;
        if is_entered && self.is_confirmed()? {
            return Ok(Delivery::Confirmed);
        }
        let is_cleared = self.clear_composer(composer, &typed.text)?;
        // A slow program has come to the key before it came to those that clear.
        if is_entered && self.is_confirmed()? {
            return Ok(Delivery::Confirmed);
        }
        Ok(if is_cleared {
            delivery
        } else {
            Delivery::Stuck
        })
    }

    /// Waits for the program to say that it has got a message that was submitted.
    fn await_confirmation(&self, delivery: Delivery) -> Result<Delivery> {
        let Some(is_confirmed) = self.is_confirmed else {
            return Ok(delivery);
        };
        let check = || Ok(is_confirmed()?.then_some(Delivery::Confirmed));
        Ok(wait_until(CONFIRM_TIMEOUT, POLL_INTERVAL, check)?.unwrap_or(delivery))
    }

    /// Types a message into an empty composer, with the keys that come before Enter. Returns whether
    /// it stands there.
    fn type_message(&self, composer: &Composer, typed: &SafeText) -> Result<bool> {
        type_text(self.target, typed)?;
        let mut is_shown = self.is_echoed(composer, typed)?;
        for keys in &typed.keys {
            // What they are for, such as a list that is put together, may come up late.
            thread::sleep(SETTLE_TIME);
            if is_shown && (self.is_listening)()? {
                paste(self.target, keys, &[])?;
                is_shown = self.is_echoed(composer, typed)?;
            }
        }
        Ok(is_shown)
    }

    /// Waits until a text stands in the composer, and stays there.
    fn is_echoed(&self, composer: &Composer, typed: &SafeText) -> Result<bool> {
        is_stable_within(ECHO_TIMEOUT, || {
            let content = self.read_composer(composer)?;
            Ok(content.is_some_and(|content| composer.holds(&content, &typed.text)))
        })
    }

    /// Presses Enter as long as the text stands in the composer, twice at most.
    fn submit(&self, composer: &Composer, typed: &SafeText) -> Result<Delivery> {
        let mut delivery = Delivery::NotShown;
        for _ in 0..2 {
            if !(self.is_listening)()? {
                break;
            }
            delivery = Delivery::NotTaken;
            paste(self.target, ENTER, &[])?;
            let mut last = None;
            let taken = wait_until(SUBMIT_TIMEOUT, POLL_INTERVAL, || {
                last = self.read_composer(composer)?;
                let is_taken = matches!(last, None | Some(Content::Empty));
                Ok(is_taken.then_some(Delivery::Taken))
            })?;
            if let Some(taken) = taken {
                return Ok(taken);
            }
            // The key was swallowed, or something else was done with it.
            if !last.is_some_and(|content| composer.holds(&content, &typed.text)) {
                break;
            }
        }
        Ok(delivery)
    }

    /// Waits for a composer to be shown, and clears it if it holds what the program was told before:
    /// returns what it holds then, `None` if none is shown.
    fn prepare_composer(&self, composer: &Composer, first: &Screen) -> Result<Option<Content>> {
        let mut content = composer.read(first);
        if content.is_none() {
            // A screen that is being painted shows none for a moment.
            content = wait_until(COMPOSER_TIMEOUT, POLL_INTERVAL, || {
                self.read_composer(composer)
            })?;
        }
        let mut told = self.previous_messages.iter();
        if let Some(found @ Content::Text(_)) = &content
            && let Some(text) = told.find(|text| composer.shows(found, text))
            && (self.is_listening)()?
            && self.clear_composer(composer, text)?
        {
            return Ok(Some(Content::Empty));
        }
        Ok(content)
    }

    /// Clears the composer with `text` in it. Returns whether it is empty then.
    fn clear_composer(&self, composer: &Composer, text: &str) -> Result<bool> {
        for _ in 0..2 {
            // What shows no composer may be a dialog, where keys are answers.
            if self.read_composer(composer)?.is_none() || !(self.is_listening)()? {
                return Ok(false);
            }
            paste(self.target, &clearing_keys(text), &[])?;
            let is_empty = |content: &Content| *content == Content::Empty;
            let empty = || Ok(self.read_composer(composer)?.filter(is_empty));
            if wait_until(ECHO_TIMEOUT, POLL_INTERVAL, empty)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// [`Self::deliver`] to a program whose composer is not known: once the pane shows the text.
    fn send_blindly(&self, first: &Screen, typed: &SafeText) -> Result<Delivery> {
        let before = PaneSnapshot::new(self.target, first, typed)?;
        // A shell that is there instead would run it, line by line.
        if !(self.is_listening)()? {
            return Ok(Delivery::NotListening);
        }
        paste(self.target, &typed.text, &["-p"])?;
        let is_shown = before.is_echoed(self.target)?;
        if !(self.is_listening)()? {
            return Ok(Delivery::Stuck);
        }
        if !is_shown {
            paste(self.target, &clearing_keys(&typed.text), &[])?;
            return Ok(Delivery::NotShown);
        }
        paste(self.target, ENTER, &[])?;
        self.await_confirmation(Delivery::Submitted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_text_whatever_is_in_it() {
        assert_eq!(escape_keys("a\r\n\tb\n"), "a\n\tb");
        assert_eq!(escape_keys("\u{1b}[201~\rrm"), "\\u{1b}[201~\\u{d}rm");
        assert_eq!(escape_keys("\u{9b}31m\u{7f}\0"), "\\u{9b}31m\\u{7f}\\u{0}");
        assert_eq!(escape_keys("👨\u{200d}👩"), "👨\u{200d}👩");
    }
}
