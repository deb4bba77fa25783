//! `git flux watch`: all tasks, live, with keys for what is done with them.

mod actions;
mod areas;
mod columns;
mod events;
mod foreground;
mod help;
mod keys;
mod lines;
mod model;
mod screen;
#[cfg(test)]
mod test_rows;
mod view;

use std::io::{self, IsTerminal as _};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self as terminal_events, Event as TerminalEvent};

use self::actions::{Action, FluxCommand};
use self::columns::Columns;
use self::events::{Event, Sources};
use self::foreground::{Outcome, run_command};
use self::view::View;
use super::list::reader::{Scope, TaskReader};
use crate::failure::{Failure, USAGE, replace_hint};
use crate::git::refusals::ALL_REPOSITORIES;
use crate::launcher::front::{is_own_stop, stop_with_group};
use crate::sanitize;
use crate::tmux::command::is_in_popup;
use crate::ui::Ui;
use crate::ui::held::HeldMessages;
use crate::ui::raw_terminal::{KeyMode, RawTerminal};

/// Show all tasks live, with keys to attach, review, land, …
#[derive(Debug, Args)]
#[command(override_usage = "git flux watch [<options>]")]
pub(crate) struct WatchArgs {
    /// show the tasks of all repositories with a pane on this tmux server
    #[arg(long)]
    all_repos: bool,
    /// show only task, state and time, without a screen
    #[arg(long)]
    compact: bool,
}

/// A running view.
struct Watch {
    messages: HeldMessages,
    terminal: RawTerminal,
    /// `None` while the view is hidden.
    display: Option<Terminal<CrosstermBackend<io::Stdout>>>,
    view: View,
    sources: Sources,
    events: Receiver<Event>,
}

impl WatchArgs {
    pub(crate) fn run(self) -> Result<()> {
        if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
            let failure = Failure::new("watch needs a terminal").code(USAGE);
            return Err(failure.hint("git flux list --follow --json").into());
        }
        // It starts while the tasks are read.
        let terminal = RawTerminal::new()?;
        let mut reader = TaskReader::new(Scope::of(self.all_repos))?;
        let mut view = View::new(match self.compact {
            true => Columns::Compact,
            false => Columns::All,
        });
        let rows = reader.read_states().map_err(|error| {
            replace_hint(error, ALL_REPOSITORIES, Some("git flux watch --all-repos"))
        })?;
        view.model.set_rows(rows.to_vec());
        let (sources, events) = Sources::start(reader)?;
        let mut watch = Watch {
            messages: HeldMessages::begin(),
            terminal,
            display: None,
            view,
            sources,
            events,
        };
        watch.show()?;
        let ended = watch.follow();
        watch.hide()?;
        ended
    }
}

impl Watch {
    fn show(&mut self) -> Result<()> {
        self.terminal.show()?;
        // A new one has nothing on its screen yet.
        self.display = Some(Terminal::new(CrosstermBackend::new(io::stdout()))?);
        self.draw()
    }

    fn hide(&mut self) -> Result<()> {
        self.display = None;
        self.sources.screen.select(None);
        self.terminal.hide()
    }

    fn draw(&mut self) -> Result<()> {
        if let Some(display) = &mut self.display {
            display.draw(|frame| self.view.draw(frame))?;
            self.sources.screen.select(self.view.shown_screen());
        }
        Ok(())
    }

    /// Handles events and draws the view until the user quits. Fails on ^C, SIGTERM and SIGHUP, and
    /// if the terminal is closed.
    fn follow(&mut self) -> Result<()> {
        loop {
            let event = match self.view.next_change() {
                Some(pause) => self.events.recv_timeout(pause),
                None => self
                    .events
                    .recv()
                    .map_err(|_| RecvTimeoutError::Disconnected),
            };
            let event = match event {
                Ok(event) => Some(event),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => bail!("could not watch the terminal"),
            };
            let others: Vec<Event> = self.events.try_iter().collect();
            for event in event.into_iter().chain(others) {
                if self.handle(event)? == Next::Quit {
                    return Ok(());
                }
            }
            self.view.messages.extend(self.messages.take());
            self.draw()?;
        }
    }

    fn handle(&mut self, event: Event) -> Result<Next> {
        match event {
            Event::Keys => return self.read_keys(),
            Event::Ended => return Err(Failure::declined("interrupted").into()),
            Event::Suspended if !is_own_stop() => self.suspend()?,
            // After SIGSTOP, a shell may have changed the modes of the terminal.
            Event::Continued if self.display.is_some() => self.show()?,
            Event::Suspended | Event::Continued | Event::Resized => {}
            Event::Rows(rows) => self.view.model.set_rows(rows),
            Event::LastLines(lines) => self.view.model.set_last_lines(lines),
            Event::Screen(shown) => self.view.set_screen(shown),
            Event::Trouble(message) => self.view.messages.push(message),
        }
        Ok(Next::Continue)
    }

    fn read_keys(&mut self) -> Result<Next> {
        self.sources.note_keys();
        while terminal_events::poll(Duration::ZERO)? {
            let action = match terminal_events::read()? {
                TerminalEvent::Key(key) => self.view.handle_key(key),
                TerminalEvent::Paste(text) => self.view.paste(&text),
                _ => Action::Nothing,
            };
            if self.act(action)? == Next::Quit {
                return Ok(Next::Quit);
            }
        }
        self.sources.expect_keys();
        Ok(Next::Continue)
    }

    fn act(&mut self, action: Action) -> Result<Next> {
        match action {
            Action::Nothing | Action::Refuse(_) => {}
            Action::Quit => return Ok(Next::Quit),
            Action::Interrupt => return Err(Failure::declined("interrupted").into()),
            Action::Suspend => self.suspend()?,
            Action::Redraw => {
                self.display = Some(Terminal::new(CrosstermBackend::new(io::stdout()))?);
            }
            Action::Run(command) => return self.run_command(&command),
        }
        Ok(Next::Continue)
    }

    /// Hides the view, runs a command, and shows the view again once the user has read what the
    /// command has printed. In a popup, which covers the panes, ends after an attach.
    fn run_command(&mut self, command: &FluxCommand) -> Result<Next> {
        let is_attach = command.args[0] == "attach";
        self.hide()?;
        if !is_attach {
            let words = shell_words::join(command.args.iter().map(|word| word.to_string_lossy()));
            Ui::default().data(format_args!("$ git flux {}", sanitize::line(&words)))?;
        }
        let outcome = run_command(command)?;
        self.sources.refresh();
        if outcome != Outcome::Done {
            self.wait_for_key()?;
        } else if is_attach && is_in_popup() {
            return Ok(Next::Quit);
        }
        self.show()?;
        Ok(Next::Continue)
    }

    fn wait_for_key(&mut self) -> Result<()> {
        let _mode = KeyMode::set()?;
        Ui::default().data("(press a key)")?;
        // Keys for the command may have sent an event.
        let before: Vec<Event> = self.events.try_iter().collect();
        for event in before {
            match event {
                Event::Keys => self.sources.note_keys(),
                event => drop(self.handle(event)?),
            }
        }
        self.sources.expect_keys();
        loop {
            match self.events.recv()? {
                Event::Keys => {
                    self.sources.note_keys();
                    self.sources.expect_keys();
                    return Ok(());
                }
                event => drop(self.handle(event)?),
            }
        }
    }

    /// Stops this process until a shell continues it.
    fn suspend(&mut self) -> Result<()> {
        let is_shown = self.display.is_some();
        self.hide()?;
        stop_with_group();
        if is_shown { self.show() } else { Ok(()) }
    }
}

/// The next step of the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Continue,
    Quit,
}
