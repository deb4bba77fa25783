//! The keys of the view, and what they do.

use std::path::PathBuf;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::actions::{Action, Pause, command, refuse_message, run_new, send};
use super::help::COMMANDS;
use super::model::{Model, Move, TaskKey, repository_of};

/// The receiver of the keys.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Input {
    #[default]
    Tasks,
    /// The filter, which is applied while it is typed.
    Filter,
    /// A message to a task, which stays the receiver if another one is selected meanwhile.
    Message(TaskKey, String),
    /// The description of a new task, and the directory in which the command runs that starts it.
    Description(PathBuf, String),
    /// The help is shown.
    Help,
}

impl Input {
    /// Handles a key of the terminal. `page` is the number of tasks on a screen.
    pub(super) fn handle(&mut self, key: KeyEvent, model: &mut Model, page: usize) -> Action {
        if key.kind == KeyEventKind::Release {
            return Action::Nothing;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return self.control(key.code, model, page);
        }
        match self {
            Self::Tasks => self.task_key(key.code, model, page),
            Self::Help => {
                *self = Self::Tasks;
                Action::Nothing
            }
            Self::Filter | Self::Message(..) | Self::Description(..) => {
                self.text_key(key.code, model)
            }
        }
    }

    fn control(&mut self, key: KeyCode, model: &mut Model, page: usize) -> Action {
        match key {
            KeyCode::Char('c') => return Action::Interrupt,
            KeyCode::Char('z') => return Action::Suspend,
            KeyCode::Char('l') => return Action::Redraw,
            KeyCode::Char('u') if *self != Self::Tasks => self.set_text(model, String::new()),
            // Some terminals send it for Backspace.
            KeyCode::Char('h') => return self.text_key(KeyCode::Backspace, model),
            // Text has one receiver, and the help hides the tasks.
            _ if !matches!(self, Self::Tasks | Self::Filter) => {}
            KeyCode::Char('f' | 'd') => model.select(Move::Down(page)),
            KeyCode::Char('b' | 'u') => model.select(Move::Up(page)),
            KeyCode::Char('n') => model.select(Move::Down(1)),
            KeyCode::Char('p') => model.select(Move::Up(1)),
            _ => {}
        }
        Action::Nothing
    }

    fn task_key(&mut self, key: KeyCode, model: &mut Model, page: usize) -> Action {
        match key {
            KeyCode::Char('q') => return Action::Quit,
            KeyCode::Char('?') => *self = Self::Help,
            KeyCode::Char('/') => *self = Self::Filter,
            KeyCode::Esc => model.set_filter(""),
            KeyCode::Up | KeyCode::Char('k') => model.select(Move::Up(1)),
            KeyCode::Down | KeyCode::Char('j') => model.select(Move::Down(1)),
            KeyCode::PageUp => model.select(Move::Up(page)),
            KeyCode::PageDown => model.select(Move::Down(page)),
            KeyCode::Home | KeyCode::Char('g') => model.select(Move::First),
            KeyCode::End | KeyCode::Char('G') => model.select(Move::Last),
            KeyCode::Char('s') => return self.begin_message(model),
            KeyCode::Enter => return command(model, "attach", Pause::OnFailure),
            KeyCode::Char('n') => {
                let home = model.noticed().map(|key| key.home.clone());
                *self = Self::Description(home.unwrap_or_default(), String::new());
            }
            KeyCode::Char(c) => {
                if let Some((_, name, pause, _)) = COMMANDS.iter().find(|(key, ..)| *key == c) {
                    return command(model, name, *pause);
                }
            }
            _ => {}
        }
        Action::Nothing
    }

    fn begin_message(&mut self, model: &Model) -> Action {
        let Some(key) = model.noticed() else {
            return Action::Nothing;
        };
        if let Some(why) = model.find(key).and_then(refuse_message) {
            return Action::Refuse(why);
        }
        *self = Self::Message(key.clone(), String::new());
        Action::Nothing
    }

    fn text_key(&mut self, key: KeyCode, model: &mut Model) -> Action {
        let mut text = self.text(model);
        match (key, &*self) {
            (KeyCode::Esc, Self::Filter) => {
                model.set_filter("");
                *self = Self::Tasks;
            }
            (KeyCode::Esc, _) | (KeyCode::Enter, Self::Filter) => *self = Self::Tasks,
            (KeyCode::Enter, Self::Description(home, _)) => {
                let action = run_new(home, &text);
                *self = Self::Tasks;
                return action;
            }
            (KeyCode::Enter, Self::Message(key, _)) => {
                let action = send(model, key, &text);
                // The text for a task that is gone is not lost.
                if matches!(action, Action::Run(_)) {
                    *self = Self::Tasks;
                }
                return action;
            }
            (KeyCode::Up, Self::Filter) => model.select(Move::Up(1)),
            (KeyCode::Down, Self::Filter) => model.select(Move::Down(1)),
            (KeyCode::Backspace, _) => {
                text.pop();
                self.set_text(model, text);
            }
            (KeyCode::Char(c), _) => {
                text.push(c);
                self.set_text(model, text);
            }
            _ => {}
        }
        Action::Nothing
    }

    /// Handles text that was pasted: it is never taken for keys.
    pub(super) fn paste(&mut self, pasted: &str, model: &mut Model) -> Action {
        if !matches!(self, Self::Tasks | Self::Help) {
            let text = self.text(model) + &pasted.replace(['\r', '\n'], " ");
            self.set_text(model, text);
        }
        Action::Nothing
    }

    /// Returns the text that is being typed.
    pub(super) fn text(&self, model: &Model) -> String {
        match self {
            Self::Filter => model.filter().to_owned(),
            Self::Message(_, text) | Self::Description(_, text) => text.clone(),
            Self::Tasks | Self::Help => String::new(),
        }
    }

    /// Returns what is shown before the text that is being typed; `None` if none is.
    pub(super) fn prompt(&self) -> Option<String> {
        match self {
            Self::Filter => Some("/".to_owned()),
            Self::Message(key, _) => Some(format!("to {}: ", key.id)),
            Self::Description(home, _) => Some(match repository_of(home) {
                name if name.is_empty() => "new task: ".to_owned(),
                name => format!("new task in {name}: "),
            }),
            Self::Tasks | Self::Help => None,
        }
    }

    fn set_text(&mut self, model: &mut Model, text: String) {
        match self {
            Self::Filter => model.set_filter(&text),
            Self::Message(_, typed) | Self::Description(_, typed) => *typed = text,
            Self::Tasks | Self::Help => {}
        }
    }
}

#[cfg(test)]
mod tests;
