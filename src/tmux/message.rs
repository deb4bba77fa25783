//! Messages to the program in a pane.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::composer::{Composer, Content, SafeText};
use super::screen::Screen;
use super::typing::{Baseline, INTERVAL, paste, type_text, wait_until_stable};
use crate::system::wait_until;
use crate::task::Target;

/// The time limit for a composer to show a pasted or cleared text.
const ECHO_TIMEOUT: Duration = Duration::from_secs(10);

/// The time limit for a composer to appear while the program redraws.
const COMPOSER_TIMEOUT: Duration = Duration::from_secs(2);

/// The time limit for the composer to become empty after Enter.
const SUBMIT_TIMEOUT: Duration = Duration::from_secs(3);

/// The time limit for the program to confirm the message.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(3);

/// The time for the effect of a key that cannot be observed.
const SETTLE_TIME: Duration = Duration::from_millis(400);

/// Pasted, because a key would not reach the program in copy mode.
const ENTER: &str = "\r";

/// A program that receives a message.
pub(crate) struct Receiver<'a> {
    pub(crate) target: &'a Target,
    /// `None` if unknown.
    pub(crate) composer: Option<&'a Composer>,
    /// Earlier messages, which an interrupted program puts back into its composer.
    pub(crate) earlier: &'a [SafeText],
    /// Returns `false` once the program has ended or asks a question. A shell must not run the
    /// message as a command.
    pub(crate) is_ready: &'a dyn Fn() -> Result<bool>,
    /// Returns whether the program has confirmed the message; `None` if it cannot.
    pub(crate) confirmed: Option<&'a dyn Fn() -> Result<bool>>,
}

/// The result of a message. Only the last three mean that it was submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// The program asks a question or has ended; nothing was typed.
    NotListening,
    /// The pane shows no composer; nothing was typed.
    NoComposer,
    /// The composer contains a draft of the user; nothing was typed.
    HasDraft,
    /// The pane did not show the text. It was cleared, without Enter.
    NotShown,
    /// The text remained in the composer after Enter, and was cleared.
    NotTaken,
    /// The text was not submitted, and may still be in the composer.
    Stuck,
    /// Enter was pressed.
    Submitted,
    /// The text has left the composer.
    Taken,
    /// The program has confirmed the message.
    Confirmed,
}

/// Prepares a message to be typed: removes spaces and newlines at its end, and writes control
/// characters except newlines and tabs as `\u{…}`, because they would be keys or end the paste.
pub(crate) fn escape_keys(text: &str) -> String {
    let escape = |c: char| match c {
        '\n' | '\t' => c.to_string(),
        c if c.is_control() => c.escape_unicode().to_string(),
        c => c.to_string(),
    };
    let text = text.replace("\r\n", "\n");
    text.trim_end().chars().map(escape).collect()
}

impl Receiver<'_> {
    /// Types a message into a pane, and presses Enter once the pane shows it. Returns how far that
    /// succeeded; each step waits at most ten seconds, or fails on ^C. `tmux load-buffer -`,
    /// `tmux paste-buffer -p -r`
    pub(crate) fn deliver(&self, typed: &SafeText) -> Result<Delivery> {
        let screen = Screen::of(self.target)?;
        match self.composer.filter(|_| !screen.is_in_canonical_mode()) {
            Some(composer) => self.compose(composer, &screen, typed),
            None => self.send_blindly(&screen, typed),
        }
    }

    fn is_confirmed(&self) -> Result<bool> {
        self.confirmed.map_or(Ok(false), |confirmed| confirmed())
    }

    /// Captures the pane and reads what the agent's input field contains; `None` if the pane shows
    /// no input field.
    fn read(&self, composer: &Composer) -> Result<Option<Content>> {
        Screen::of(self.target).map(|screen| composer.read(&screen))
    }

    /// Types and submits a message through an agent's input field, and checks each step on the
    /// screen. Types nothing if the field has a draft or the agent is not ready; clears the field
    /// if the message is not submitted.
    fn compose(&self, composer: &Composer, first: &Screen, typed: &SafeText) -> Result<Delivery> {
        match self.prepare(composer, first)? {
            Some(Content::Empty) if (self.is_ready)()? => {}
            Some(Content::Empty) => return Ok(Delivery::NotListening),
            Some(_) => return Ok(Delivery::HasDraft),
            None => return Ok(Delivery::NoComposer),
        }
        let delivery = match self.type_in(composer, typed)? {
            true => self.submit(composer, typed)?,
            false => Delivery::NotShown,
        };
        if delivery == Delivery::Taken {
            return self.confirm(delivery);
        }
        let is_entered = delivery == Delivery::NotTaken;
        if is_entered && self.is_confirmed()? {
            return Ok(Delivery::Confirmed);
        }
        let is_empty = self.clear(composer, typed)?;
        // A slow program may have handled Enter only now, before the keys that clear.
        if is_entered && self.is_confirmed()? {
            return Ok(Delivery::Confirmed);
        }
        Ok(if is_empty { delivery } else { Delivery::Stuck })
    }

    /// Waits at most three seconds until the agent confirms a submitted message, and returns
    /// `Confirmed` then; otherwise `delivery`. Does not wait if the agent cannot confirm messages.
    fn confirm(&self, delivery: Delivery) -> Result<Delivery> {
        let Some(confirmed) = self.confirmed else {
            return Ok(delivery);
        };
        let check = || Ok(confirmed()?.then_some(Delivery::Confirmed));
        Ok(wait_until(CONFIRM_TIMEOUT, INTERVAL, check)?.unwrap_or(delivery))
    }

    /// Types a message into an empty input field, then the keys that must precede Enter. Waits
    /// until the field shows the message, at most ten seconds each time, and returns whether it
    /// does.
    fn type_in(&self, composer: &Composer, typed: &SafeText) -> Result<bool> {
        type_text(self.target, typed)?;
        let mut is_shown = self.wait_for_echo(composer, typed)?;
        for keys in &typed.keys {
            // The keys may close a list, which may open late.
            thread::sleep(SETTLE_TIME);
            if is_shown && (self.is_ready)()? {
                paste(self.target, keys, &[])?;
                is_shown = self.wait_for_echo(composer, typed)?;
            }
        }
        Ok(is_shown)
    }

    /// Waits at most ten seconds until the input field shows a message and keeps it for 50 ms.
    /// Returns whether it does.
    fn wait_for_echo(&self, composer: &Composer, typed: &SafeText) -> Result<bool> {
        wait_until_stable(ECHO_TIMEOUT, || {
            let content = self.read(composer)?;
            Ok(content.is_some_and(|content| composer.holds(&content, typed)))
        })
    }

    /// Presses Enter, and once more if the input field still contains the message after three
    /// seconds. Returns `Taken` if the field became empty or disappeared, `NotTaken` if not, and
    /// `NotShown` if the agent was not ready.
    fn submit(&self, composer: &Composer, typed: &SafeText) -> Result<Delivery> {
        let mut delivery = Delivery::NotShown;
        for _ in 0..2 {
            if !(self.is_ready)()? {
                break;
            }
            delivery = Delivery::NotTaken;
            paste(self.target, ENTER, &[])?;
            let mut last = None;
            let taken = wait_until(SUBMIT_TIMEOUT, INTERVAL, || {
                last = self.read(composer)?;
                let is_taken = matches!(last, None | Some(Content::Empty));
                Ok(is_taken.then_some(Delivery::Taken))
            })?;
            if let Some(taken) = taken {
                return Ok(taken);
            }
            // Try again only if the key had no effect.
            if !last.is_some_and(|content| composer.holds(&content, typed)) {
                break;
            }
        }
        Ok(delivery)
    }

    /// Waits at most two seconds for an input field, and returns its content; `None` if none
    /// appears. Clears a field that contains an earlier message, which an interrupted agent puts
    /// back there.
    fn prepare(&self, composer: &Composer, first: &Screen) -> Result<Option<Content>> {
        let mut content = composer.read(first);
        if content.is_none() {
            content = wait_until(COMPOSER_TIMEOUT, INTERVAL, || self.read(composer))?;
        }
        let mut texts = self.earlier.iter();
        if let Some(found) = &content
            && let Some(text) = texts.find(|text| composer.shows(found, text))
            && (self.is_ready)()?
            && self.clear(composer, text)?
        {
            return Ok(Some(Content::Empty));
        }
        Ok(content)
    }

    /// Deletes `text` from the input field with keys, in at most two attempts of ten seconds.
    /// Returns whether the field is empty then; `false` without waiting if there is no field, or if
    /// the agent is not ready.
    fn clear(&self, composer: &Composer, typed: &SafeText) -> Result<bool> {
        for _ in 0..2 {
            // In a dialog, the keys would be answers.
            if self.read(composer)?.is_none() || !(self.is_ready)()? {
                return Ok(false);
            }
            paste(self.target, &typed.clearing_keys(), &[])?;
            let is_empty = |content: &Content| *content == Content::Empty;
            let empty = || Ok(self.read(composer)?.filter(is_empty));
            if wait_until(ECHO_TIMEOUT, INTERVAL, empty)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Pastes a message into a pane without a known input field, and presses Enter if the pane
    /// shows the message within a second; otherwise types keys that delete it. Pastes nothing, and
    /// types no key, once the agent is not ready.
    fn send_blindly(&self, first: &Screen, typed: &SafeText) -> Result<Delivery> {
        let before = Baseline::new(self.target, first, typed)?;
        // A shell would run the text.
        if !(self.is_ready)()? {
            return Ok(Delivery::NotListening);
        }
        paste(self.target, &typed.text, &["-p"])?;
        let is_shown = before.wait_for_echo(self.target)?;
        if !(self.is_ready)()? {
            return Ok(Delivery::Stuck);
        }
        if !is_shown {
            paste(self.target, &typed.clearing_keys(), &[])?;
            return Ok(Delivery::NotShown);
        }
        paste(self.target, ENTER, &[])?;
        self.confirm(Delivery::Submitted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_keys_escapes_control_characters() {
        assert_eq!(escape_keys("a\r\n\tb\n"), "a\n\tb");
        assert_eq!(escape_keys("\u{1b}[201~\rrm"), "\\u{1b}[201~\\u{d}rm");
        assert_eq!(escape_keys("\u{9b}31m\u{7f}\0"), "\\u{9b}31m\\u{7f}\\u{0}");
        assert_eq!(escape_keys("👨\u{200d}👩"), "👨\u{200d}👩");
    }
}
