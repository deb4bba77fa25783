//! The only terminal code: data on standard output, talk on standard error,
//! questions only where both can be answered.

pub(crate) mod colour;
mod here;
mod pick;
pub(crate) mod words;

use std::env;
use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use console::{Style, Term, measure_text_width, truncate_str};
use dialoguer::theme::ColorfulTheme;
use dialoguer::{Confirm, FuzzySelect, Input, Select};
use indicatif::ProgressBar;
use nix::sys::termios::{self, FlushArg, LocalFlags, SetArg, Termios};
use serde::Serialize;

pub(crate) use self::here::pasted;
use crate::failure::{self, DECLINED, Failure};
pub(crate) use crate::sanitize::{quoted, shown, word};
use crate::{interrupt, sanitize};

/// How this program speaks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ui {
    /// Says only what went wrong.
    pub(crate) quiet: bool,
}

impl Ui {
    /// Whether questions can be asked: standard input and standard error are terminals.
    pub(crate) fn can_ask(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Whether what is said beside data is shown on a terminal.
    pub(crate) fn is_shown(&self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    /// Whether what standard output goes to shows emoji: a UTF-8 terminal.
    pub(crate) fn emoji(&self) -> bool {
        let names = ["LC_ALL", "LC_CTYPE", "LANG"].iter();
        let mut locales = names.filter_map(env::var_os).filter(|it| !it.is_empty());
        let locale = locales.next().unwrap_or_default().to_ascii_lowercase();
        let is_utf8 = locale.to_string_lossy().replace('-', "").ends_with("utf8");
        io::stdout().is_terminal() && is_utf8
    }

    /// The width of the terminal on standard output, if it is one.
    pub(crate) fn width(&self) -> Option<usize> {
        let is_terminal = io::stdout().is_terminal();
        is_terminal.then(|| usize::from(Term::stdout().size().1))
    }

    /// Prints data: one line.
    pub(crate) fn data(&self, line: impl Display) -> Result<()> {
        self.bytes(format!("{line}\n").as_bytes())
    }

    /// Prints data for programs, the fields of objects by name, harmless should it reach a terminal.
    pub(crate) fn json(&self, value: &impl Serialize) -> Result<()> {
        let value = serde_json::to_value(value)?;
        self.data(sanitize::json(&format!("{value:#}")))
    }

    /// Prints data as it is.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()?;
        Ok(())
    }

    /// Says what has happened.
    pub(crate) fn status(&self, message: impl Display) {
        if !self.quiet {
            say(sanitize::text(&message.to_string()));
        }
    }

    /// Shows what another program has said, also when quiet: it explains a failure.
    pub(crate) fn quote(&self, line: impl Display) {
        say(format_args!("  {}", sanitize::line(&line.to_string())));
    }

    /// Whether a text is too long for the terminal, and standard output is one for a pager.
    pub(crate) fn pages(&self, text: &str) -> bool {
        let rows = usize::from(Term::stderr().size().0);
        io::stdout().is_terminal() && text.lines().count() + 4 > rows
    }

    /// Says what to do next.
    pub(crate) fn hint(&self, message: impl Display) {
        if !self.quiet {
            labelled("hint", message);
        }
    }

    /// Says what is not as it should be, though it did not stop anything.
    pub(crate) fn warning(&self, message: impl Display) {
        // Of what another program has said in several lines, one is made.
        let message = message.to_string();
        let lines: Vec<&str> = message.lines().collect();
        labelled("warning", lines.join("; "));
    }

    /// Asks yes or no.
    ///
    /// # Errors
    /// On ^C and Esc: exit code 130.
    pub(crate) fn confirm(&self, question: impl Display, default: bool) -> Result<bool> {
        let mut prompt = sanitize::line(&question.to_string());
        asked(|| {
            // A question that wraps is drawn twice: its text goes before it then.
            if measure_text_width(&prompt) + ANSWER > columns() {
                say(&prompt);
                prompt.clear();
            }
            Confirm::with_theme(&ColorfulTheme::default())
                .with_prompt(prompt)
                .default(default)
                .interact_opt()
                .inspect_err(|_| say(""))
        })
    }

    /// Asks whether to go on, which the user has to say.
    ///
    /// # Errors
    /// When the user declines: exit code 130.
    pub(crate) fn ensure_agreed(&self, question: impl Display) -> Result<()> {
        if self.confirm(question, false)? {
            return Ok(());
        }
        Err(Failure::declined("nothing was changed").into())
    }

    /// Asks which of `items`; returns its place.
    ///
    /// # Errors
    /// On ^C and Esc: exit code 130.
    pub(crate) fn select(&self, question: impl Display, items: &[String]) -> Result<usize> {
        let prompt = sanitize::line(&question.to_string());
        let items: Vec<String> = items.iter().map(|item| sanitize::line(item)).collect();
        asked(|| {
            Select::with_theme(&ColorfulTheme::default())
                .with_prompt(prompt)
                .items(&items)
                .default(0)
                .interact_opt()
        })
    }

    /// Asks which of `rows` (name, state, description), found by typing parts of them; returns its place.
    ///
    /// # Errors
    /// On ^C and Esc: exit code 130.
    pub(crate) fn pick(&self, question: impl Display, rows: &[[String; 3]]) -> Result<usize> {
        let prompt = sanitize::line(&question.to_string());
        let items = pick::lines(rows, columns());
        asked(|| {
            FuzzySelect::with_theme(&ColorfulTheme::default())
                .with_prompt(prompt)
                .items(&items)
                .default(0)
                .interact_opt()
        })
    }

    /// Asks for a line of text, with one offered. Esc, which starts the keys that edit it, is no way out.
    ///
    /// # Errors
    /// On ^C: exit code 130.
    pub(crate) fn input(&self, question: impl Display, offered: &str) -> Result<String> {
        let prompt = sanitize::line(&question.to_string());
        asked(|| {
            Input::with_theme(&ColorfulTheme::default())
                .with_prompt(prompt)
                .with_initial_text(sanitize::line(offered))
                .interact_text()
                .inspect_err(|_| say(""))
                .map(Some)
        })
    }

    /// Shows that something takes time, from half a second on, on a terminal.
    pub(crate) fn spinner(&self, message: impl Display) -> Option<Spinner> {
        if !self.is_shown() {
            return None;
        }
        // A line that is full cannot be taken back once ^C has been echoed after it.
        let room = columns().saturating_sub(8);
        let message = sanitize::line(&message.to_string());
        let message = truncate_str(&message, room, "…").into_owned();
        let bar = ProgressBar::new_spinner().with_message(message);
        let late = bar.clone();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(500));
            if !late.is_finished() {
                late.enable_steady_tick(Duration::from_millis(100));
            }
        });
        Some(Spinner(bar))
    }
}

/// The width of the terminal on standard error.
fn columns() -> usize {
    usize::from(Term::stderr().size().1)
}

/// The room that a question needs for its sign and its answer.
const ANSWER: usize = 16;

/// A sign of life that appears only if it is still wanted after a while, and goes away when dropped.
pub(crate) struct Spinner(ProgressBar);

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Fails where there is no terminal that could go to a pane: `hint` is what to do instead.
pub(crate) fn ensure_terminal(hint: impl Display) -> Result<()> {
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        return Ok(());
    }
    Err(Failure::new("attach needs a terminal").hint(hint).into())
}

/// Shows an error with its causes and hints on standard error.
pub(crate) fn show(error: &anyhow::Error) {
    // That the user said no is no error of theirs.
    let is_declined = failure::code(error) == DECLINED;
    for (label, line) in failure::lines(error) {
        match label {
            "error" if is_declined => say(sanitize::line(&line)),
            label => labelled(label, line),
        }
    }
}

fn labelled(label: &str, message: impl Display) {
    let message = message.to_string();
    let name = label.trim();
    let style = match name {
        "error" => Style::new().red().bold(),
        "warning" => Style::new().yellow().bold(),
        _ => Style::new().cyan(),
    };
    let message = match name {
        "hint" => sanitize::line(&pasted(&message)),
        _ => sanitize::line(&message),
    };
    let label = colour::paint_stderr(name, style, format_args!("{label}:"));
    say(format_args!("{label} {message}"));
}

fn say(line: impl Display) {
    // Where standard error is gone there is nobody to tell.
    drop(writeln!(io::stderr().lock(), "{line}"));
}

fn asked<T>(ask: impl FnOnce() -> dialoguer::Result<Option<T>>) -> Result<T> {
    let keys = Keys::take();
    interrupt::check()?;
    let answer = ask();
    drop(keys);
    match answer {
        Ok(Some(answer)) => return Ok(answer),
        Ok(None) => {}
        Err(dialoguer::Error::IO(error)) => {
            // A menu that ^C ends leaves the cursor hidden.
            drop(Term::stderr().show_cursor());
            if error.kind() != io::ErrorKind::Interrupted && !interrupt::requested() {
                return Err(error.into());
            }
        }
    }
    Err(Failure::declined("").into())
}

/// The terminal with ^C as a key like others, until it is dropped. A question's answer is read
/// key by key, and in between ^C would be a signal that the reading of the next key, which
/// waits for as long as it takes, knows nothing of.
struct Keys(Termios);

impl Keys {
    /// None where there is no terminal.
    fn take() -> Option<Self> {
        let before = termios::tcgetattr(io::stdin()).ok()?;
        let mut now = before.clone();
        now.local_flags.remove(LocalFlags::ISIG);
        termios::tcsetattr(io::stdin(), SetArg::TCSADRAIN, &now).ok()?;
        // What was typed before the question was there is no answer to it.
        termios::tcflush(io::stdin(), FlushArg::TCIFLUSH).ok();
        Some(Self(before))
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // Where the terminal is gone nothing is to be put back.
        termios::tcsetattr(io::stdin(), SetArg::TCSADRAIN, &self.0).ok();
    }
}
