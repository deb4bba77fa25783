//! The view: the tasks, the screen of the selected one, and a line of help.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::actions::Action;
use super::areas::{Areas, split_rows};
use super::columns::{Columns, seconds_to_change, table_lines};
use super::help::{help_end, help_line, help_lines};
use super::keys::Input;
use super::model::{Model, REACTION};
use super::screen::{Selected, Shown};
use crate::sanitize;
use crate::ui::styled::styled_lines;
use crate::ui::words::count;

/// All that is shown.
pub(super) struct View {
    pub(super) model: Model,
    /// The screen that was read last.
    screen: Option<Shown>,
    /// The messages that were printed and not read yet.
    pub(super) messages: Vec<String>,
    /// The reason why the last key has done nothing.
    refusal: Option<String>,
    /// The time of the last key of a text whose beginning was refused.
    ignored: Option<Instant>,
    columns: Columns,
    input: Input,
    /// The first task that is shown.
    first: usize,
    /// The number of tasks that have room.
    page: usize,
    shows_screen: bool,
    /// The first line of the help that is shown.
    help_first: usize,
    /// The first line of the rest of the help, if that has no room.
    help_rest: Option<usize>,
}

impl View {
    pub(super) fn new(columns: Columns) -> Self {
        Self {
            model: Model::default(),
            screen: None,
            messages: Vec::new(),
            refusal: None,
            ignored: None,
            columns,
            input: Input::default(),
            first: 0,
            page: 1,
            shows_screen: false,
            help_first: 0,
            help_rest: None,
        }
    }

    /// Handles a key of the terminal and returns what to do. If a message could not be begun,
    /// ignores further keys, except with Ctrl, until none was pressed for [`REACTION`]: the user
    /// may still type the message, and its letters would be taken for commands.
    pub(super) fn handle_key(&mut self, key: KeyEvent) -> Action {
        let is_typed_on = self.ignored.is_some_and(|at| at.elapsed() < REACTION);
        if is_typed_on && key.modifiers != KeyModifiers::CONTROL {
            self.ignored = Some(Instant::now());
            return Action::Nothing;
        }
        self.ignored = None;
        self.messages.clear();
        self.refusal = None;
        if self.turns_help_page(key) {
            return Action::Nothing;
        }
        // A text has its receiver already.
        let is_unnoticed = self.input == Input::Tasks && self.model.is_just_replaced();
        self.model.note_key();
        let message = match self.input.handle(key, &mut self.model, self.page) {
            Action::Run(_) if is_unnoticed => {
                "another task has just been selected: press the key again".to_owned()
            }
            Action::Refuse(why) => {
                self.ignored = (self.input == Input::Tasks).then(Instant::now);
                why
            }
            action => return action,
        };
        self.refusal = Some(message.clone());
        self.messages.push(message);
        Action::Nothing
    }

    /// Shows the rest of the help, if there is any and the key is neither Esc, `q` nor one with
    /// Ctrl. Returns whether it was.
    fn turns_help_page(&mut self, key: KeyEvent) -> bool {
        if self.input != Input::Help {
            (self.help_first, self.help_rest) = (0, None);
        }
        let is_other = key.modifiers.contains(KeyModifiers::CONTROL)
            || key.kind == KeyEventKind::Release
            || matches!(key.code, KeyCode::Esc | KeyCode::Char('q'));
        let rest = self.help_rest.take_if(|_| !is_other);
        self.help_first = rest.unwrap_or(self.help_first);
        rest.is_some()
    }

    pub(super) fn paste(&mut self, text: &str) -> Action {
        self.refusal = None;
        self.input.paste(text, &mut self.model)
    }

    /// Replaces the screen that is shown, and the last line of its task if the agent is alive.
    pub(super) fn set_screen(&mut self, shown: Shown) {
        let lines = shown.lines.iter().map(ToString::to_string);
        let text = lines.collect::<Vec<_>>().join("\n");
        self.model.set_screen(&shown.key, &text);
        self.screen = Some(shown);
    }

    /// Returns the task whose screen is shown, with its pane.
    pub(super) fn shown_screen(&self) -> Option<Selected> {
        let selected = self.model.selected().filter(|_| self.shows_screen)?;
        Some(Selected {
            key: selected.key.clone(),
            target: selected.target()?.clone(),
        })
    }

    /// Returns the time until what is shown changes without an event.
    pub(super) fn next_change(&self) -> Option<Duration> {
        let now = Timestamp::now();
        let shown = self.model.shown().into_iter();
        let ages = shown.filter_map(|one| Some(seconds_to_change(one.since()?, now)));
        ages.min()
            .and_then(|seconds| seconds.try_into().ok())
            .map(Duration::from_secs)
    }

    pub(super) fn draw(&mut self, frame: &mut Frame<'_>) {
        let areas = match self.columns {
            Columns::All if !self.model.is_empty() => {
                Areas::with_screen(frame.area(), self.model.shown().len())
            }
            _ => Areas::without_screen(frame.area()),
        };
        self.shows_screen = areas.screen.is_some() && self.input != Input::Help;
        if self.input == Input::Help {
            return self.draw_help_page(frame);
        }
        self.draw_tasks(frame, areas.tasks);
        if let Some(area) = areas.screen {
            self.draw_screen(frame, area);
        }
        self.draw_help(frame, areas.help);
    }

    fn draw_tasks(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let shown = self.model.shown();
        if shown.is_empty() {
            let text = if self.model.is_empty() {
                "no tasks: 'n' starts one"
            } else {
                "no task matches the filter"
            };
            frame.render_widget(Paragraph::new(text), area);
            return;
        }
        let lines = table_lines(&shown, self.columns, area.width.into());
        self.page = usize::from(area.height).saturating_sub(1).max(1);
        let selected = self.model.selected_index();
        let last_first = shown.len().saturating_sub(self.page);
        let least = (selected + 1).saturating_sub(self.page);
        self.first = self.first.clamp(least, selected.max(least)).min(last_first);
        let rows = lines[1..]
            .iter()
            .enumerate()
            .skip(self.first)
            .take(self.page);
        let mut drawn = vec![Line::styled(lines[0].clone(), Modifier::BOLD)];
        drawn.extend(rows.map(|(at, text)| {
            let mut line = styled_lines(text).swap_remove(0);
            if at == selected {
                let room = usize::from(area.width).saturating_sub(line.width());
                line.push_span(" ".repeat(room));
                line = line.patch_style(Style::new().add_modifier(Modifier::REVERSED));
            }
            line
        }));
        frame.render_widget(Paragraph::new(drawn), area);
    }

    fn draw_screen(&self, frame: &mut Frame<'_>, area: Rect) {
        let Some(selected) = self.model.selected() else {
            return;
        };
        let (head, area) = split_rows(area, 1);
        let title = format!("── {} ", selected.key.id);
        let rule = "─".repeat(usize::from(head.width).saturating_sub(title.chars().count()));
        frame.render_widget(Line::from(title + &rule), head);
        let shown = self
            .screen
            .as_ref()
            .filter(|shown| shown.key == selected.key);
        let Some(shown) = shown else { return };
        let is_blank =
            |line: &Line<'_>| line.spans.iter().all(|span| span.content.trim().is_empty());
        let end = shown.lines.iter().rposition(|line| !is_blank(line));
        let lines = &shown.lines[..end.map_or(0, |end| end + 1)];
        let first = lines.len().saturating_sub(area.height.into());
        frame.render_widget(Paragraph::new(lines[first..].to_vec()), area);
    }

    fn draw_help_page(&mut self, frame: &mut Frame<'_>) {
        let area = frame.area();
        let lines = help_lines(area.width.into()).into_iter();
        let mut lines: Vec<Line<'_>> = lines.skip(self.help_first).collect();
        let room = usize::from(area.height).saturating_sub(1).max(1);
        let has_more = lines.len() > room;
        self.help_rest = has_more.then_some(self.help_first + room);
        lines.truncate(room);
        lines.push(Line::from(help_end(has_more)));
        frame.render_widget(Paragraph::new(lines), area);
    }

    fn draw_help(&self, frame: &mut Frame<'_>, area: Rect) {
        let prompt = self.input.prompt();
        let message = match &prompt {
            Some(_) => self.refusal.as_ref(),
            None => self.messages.last(),
        };
        if let Some(message) = message {
            return frame.render_widget(styled_lines(message).swap_remove(0), area);
        }
        let Some(prompt) = prompt else {
            return frame.render_widget(self.help_line(area.width.into()), area);
        };
        // The end of what is typed stays visible.
        let line = sanitize::line(&(prompt + &self.input.text(&self.model)));
        let width = Line::from(line.as_str()).width();
        let room = usize::from(area.width).saturating_sub(1);
        let hidden = width.saturating_sub(room);
        let visible: String = line.chars().skip(hidden).collect();
        let column = u16::try_from(width.min(room)).unwrap_or_default();
        frame.render_widget(Line::from(visible), area);
        frame.set_cursor_position(Position::new(area.x + column, area.y));
    }

    fn help_line(&self, width: usize) -> Line<'static> {
        let filter = self.model.filter();
        if filter.is_empty() {
            return Line::from(help_line(width));
        }
        let tasks = count(self.model.shown().len(), "task");
        let filter = sanitize::line(filter);
        Line::from(format!("{tasks} with '{filter}'; Esc shows all"))
    }
}

#[cfg(test)]
mod tests;
