//! The only code for the terminal: data on standard output, messages on standard error.

pub(crate) mod closed_pipe;
pub(crate) mod colour;
mod directory;
pub(crate) mod held;
mod pick;
mod question;
pub(crate) mod raw_terminal;
pub(crate) mod styled;
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

pub(crate) use self::directory::with_directory;
use self::question::{QuestionTheme, wrap};
use crate::failure::{self, DECLINED, Failure};
pub(crate) use crate::sanitize::{exact_word, quoted, shown, word};
use crate::{interrupt, sanitize};

/// The terminal and its options.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ui {
    /// Prints only errors and warnings.
    pub(crate) quiet: bool,
}

impl Ui {
    /// Returns whether the user can be asked: standard input and standard error are terminals.
    pub(crate) fn can_ask(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Returns whether progress is shown: standard error is a terminal, and `--quiet` is not given.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    /// Returns whether emoji are printed: standard output is a terminal, and the locale (`LC_ALL`,
    /// `LC_CTYPE`, `LANG`) is UTF-8.
    pub(crate) fn has_emoji(&self) -> bool {
        let names = ["LC_ALL", "LC_CTYPE", "LANG"].iter();
        let mut locales = names.filter_map(env::var_os).filter(|it| !it.is_empty());
        let locale = locales.next().unwrap_or_default().to_ascii_lowercase();
        let is_utf8 = locale.to_string_lossy().replace('-', "").ends_with("utf8");
        io::stdout().is_terminal() && is_utf8
    }

    /// Returns the number of columns of the terminal on standard output; `None` if it is no
    /// terminal.
    pub(crate) fn width(&self) -> Option<usize> {
        let is_terminal = io::stdout().is_terminal();
        is_terminal.then(|| usize::from(Term::stdout().size().1))
    }

    /// Prints a line on standard output, also with `--quiet`. Fails if the reader has closed the
    /// pipe; `main` ignores this error.
    pub(crate) fn data(&self, line: impl Display) -> Result<()> {
        self.bytes(format!("{line}\n").as_bytes())
    }

    /// Prints a value as JSON on standard output, with control characters escaped.
    pub(crate) fn json(&self, value: &impl Serialize) -> Result<()> {
        let value = serde_json::to_value(value)?;
        self.data(sanitize::json(&format!("{value:#}")))
    }

    /// Prints a JSON text, which has no newlines, as a line on standard output, with control
    /// characters escaped.
    pub(crate) fn json_line(&self, json: &str) -> Result<()> {
        self.data(sanitize::json(json))
    }

    /// Prints bytes on standard output as they are, without a newline after them.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()?;
        Ok(())
    }

    /// Prints a message on standard error, with control characters escaped; nothing with `--quiet`.
    pub(crate) fn status(&self, message: impl Display) {
        if !self.quiet {
            print_line(sanitize::text(&message.to_string()));
        }
    }

    /// Prints a line of another program's output on standard error, indented, also with `--quiet`.
    pub(crate) fn quote(&self, line: impl Display) {
        print_line(format_args!("  {}", sanitize::line(&line.to_string())));
    }

    /// Returns whether standard output is a terminal, and the lines of a text, with four more for a
    /// question, do not fit on the screen.
    pub(crate) fn needs_pager(&self, text: &str) -> bool {
        let rows = usize::from(Term::stderr().size().0);
        io::stdout().is_terminal() && text.lines().count() + 4 > rows
    }

    /// Prints `hint: <message>` on standard error; nothing with `--quiet`. Adds `-C <dir>` to each
    /// `git flux` in the message if that would not work in the directory of the user's shell:
    /// [`with_directory`].
    pub(crate) fn hint(&self, message: impl Display) {
        if !self.quiet {
            print_labelled("hint", message);
        }
    }

    /// Prints `warning: <message>` on standard error as one line, also with `--quiet`.
    pub(crate) fn warning(&self, message: impl Display) {
        // Output of other programs may have several lines.
        let message = message.to_string();
        let lines: Vec<&str> = message.lines().collect();
        print_labelled("warning", lines.join("; "));
    }

    /// Prints an error as a warning, also with `--quiet`, and its hints, but not with `--quiet`.
    pub(crate) fn warn_of(&self, error: &anyhow::Error) {
        self.warning(format_args!("{error:#}"));
        failure::hints(error).for_each(|hint| self.hint(hint));
    }

    /// Asks the user a yes-or-no question, and returns whether the answer is yes; Enter gives
    /// `default`.
    ///
    /// # Errors
    /// An error with exit code 130 on ^C and Esc.
    pub(crate) fn confirm(&self, question: impl Display, default: bool) -> Result<bool> {
        let mut prompt = sanitize::line(&question.to_string());
        ask(|| {
            // A question that wraps would be drawn twice: print it before.
            if measure_text_width(&prompt) + ANSWER_COLUMNS > columns() {
                wrap(&prompt, columns()).iter().for_each(print_line);
                prompt.clear();
            }
            Confirm::with_theme(&QuestionTheme::default())
                .with_prompt(prompt)
                .default(default)
                .interact_opt()
                .inspect_err(|_| print_line(""))
        })
    }

    /// Asks the user a yes-or-no question; Enter gives `default`. Fails if the answer is no.
    ///
    /// # Errors
    /// An error with exit code 130 if the answer is no, and on ^C and Esc.
    pub(crate) fn ensure_agreed(&self, question: impl Display, default: bool) -> Result<()> {
        if self.confirm(question, default)? {
            return Ok(());
        }
        Err(Failure::declined("nothing was changed").into())
    }

    /// Lets the user select one of `items` in a menu, and returns its index.
    ///
    /// # Errors
    /// An error with exit code 130 on ^C and Esc.
    pub(crate) fn select(&self, question: impl Display, items: &[String]) -> Result<usize> {
        let prompt = sanitize::line(&question.to_string());
        let items: Vec<String> = items.iter().map(|item| sanitize::line(item)).collect();
        ask(|| {
            Select::with_theme(&ColorfulTheme::default())
                .with_prompt(prompt)
                .items(&items)
                .default(0)
                .interact_opt()
        })
    }

    /// Lets the user pick one of `rows` (name, state, description) by a fuzzy search, and returns
    /// its index.
    ///
    /// # Errors
    /// An error with exit code 130 on ^C and Esc.
    pub(crate) fn pick(&self, question: impl Display, rows: &[[String; 3]]) -> Result<usize> {
        let prompt = sanitize::line(&question.to_string());
        let items = pick::lines(rows, columns());
        ask(|| {
            FuzzySelect::with_theme(&ColorfulTheme::default())
                .with_prompt(prompt)
                .items(&items)
                .default(0)
                .interact_opt()
        })
    }

    /// Asks the user for a line of text, which begins as `offered`, and returns it. Esc does not
    /// cancel: it begins editing keys.
    ///
    /// # Errors
    /// An error with exit code 130 on ^C.
    pub(crate) fn input(&self, question: impl Display, offered: &str) -> Result<String> {
        let prompt = sanitize::line(&question.to_string());
        ask(|| {
            Input::with_theme(&ColorfulTheme::default())
                .with_prompt(prompt)
                .with_initial_text(sanitize::line(offered))
                .interact_text()
                .inspect_err(|_| print_line(""))
                .map(Some)
        })
    }

    /// Shows a spinner with a message, half a second from now, until the returned value is dropped.
    /// Returns `None` and shows nothing with `--quiet`, or if standard error is no terminal.
    pub(crate) fn spinner(&self, message: impl Display) -> Option<Spinner> {
        if !self.shows_progress() {
            return None;
        }
        // A full line could not be cleared after the echo of ^C.
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

/// Returns the number of columns of the terminal on standard error.
fn columns() -> usize {
    usize::from(Term::stderr().size().1)
}

/// The columns of sign and answer of a question.
const ANSWER_COLUMNS: usize = 16;

/// A spinner that disappears when dropped.
pub(crate) struct Spinner(ProgressBar);

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Fails with `attach needs a terminal` and a hint if standard input or standard output is no
/// terminal.
pub(crate) fn ensure_terminal(hint: impl Display) -> Result<()> {
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        return Ok(());
    }
    Err(Failure::new("attach needs a terminal").hint(hint).into())
}

/// Prints an error with its causes and hints on standard error; without the label `error:` if the
/// user has declined.
pub(crate) fn show(error: &anyhow::Error) {
    // The user knows that they declined.
    let is_declined = failure::exit_code(error) == DECLINED;
    for (label, line) in failure::lines(error) {
        match label {
            "error" if is_declined => print_line(sanitize::line(&line)),
            label => print_labelled(label, line),
        }
    }
}

fn print_labelled(label: &str, message: impl Display) {
    let message = message.to_string();
    let name = label.trim();
    let style = match name {
        "error" => Style::new().red().bold(),
        "warning" => Style::new().yellow().bold(),
        _ => Style::new().cyan(),
    };
    let message = match name {
        "hint" => sanitize::line(&with_directory(&message)),
        _ => sanitize::line(&message),
    };
    let label = colour::paint_stderr(name, style, format_args!("{label}:"));
    print_line(format_args!("{label} {message}"));
}

fn print_line(line: impl Display) {
    let Some(line) = held::hold(line) else { return };
    // Ignore that standard error is closed.
    drop(writeln!(io::stderr().lock(), "{line}"));
}

fn ask<T>(question: impl FnOnce() -> dialoguer::Result<Option<T>>) -> Result<T> {
    let keys = RawKeys::take();
    let answer = interrupt::with_failing_calls(question)?;
    drop(keys);
    match answer {
        Ok(Some(answer)) => return Ok(answer),
        Ok(None) => {}
        Err(dialoguer::Error::IO(error)) => {
            // A menu that ^C ends leaves the cursor hidden.
            drop(Term::stderr().show_cursor());
            if error.kind() != io::ErrorKind::Interrupted && !interrupt::is_requested() {
                return Err(error.into());
            }
        }
    }
    Err(Failure::declined("").into())
}

/// The terminal in which each key is a key, until it is dropped. Between two keys ^C would be a
/// signal, and the blocking read of the next key would not notice it; backspace would edit a line
/// that has nothing yet, and be lost.
struct RawKeys(Termios);

impl RawKeys {
    /// Ends signals by ^C, ^\ and ^Z, line editing and echo on the terminal of standard input, until
    /// the value is dropped, and discards keys typed before. `None`, without a change, if standard
    /// input is no terminal.
    fn take() -> Option<Self> {
        let before = termios::tcgetattr(io::stdin()).ok()?;
        let mut now = before.clone();
        let keys = LocalFlags::ISIG | LocalFlags::ICANON | LocalFlags::ECHO;
        now.local_flags.remove(keys);
        termios::tcsetattr(io::stdin(), SetArg::TCSADRAIN, &now).ok()?;
        // Input from before the question is no answer.
        termios::tcflush(io::stdin(), FlushArg::TCIFLUSH).ok();
        Some(Self(before))
    }
}

impl Drop for RawKeys {
    fn drop(&mut self) {
        // Ignore that the terminal is closed.
        termios::tcsetattr(io::stdin(), SetArg::TCSADRAIN, &self.0).ok();
    }
}
