//! A task in detail, for people.

use anyhow::Result;
use console::{Style, truncate_str};

use super::health::health;
use crate::context::Flux;
use crate::git::Change;
use crate::lifecycle::start::ports;
use crate::sanitize;
use crate::task::{Changes, Divergence, Layout, State, Status};
use crate::ui::words::count;
use crate::ui::{Ui, shown};

/// How many changed files are shown.
const FILES: usize = 20;

/// What the pane of a task shows.
pub(super) enum PaneView {
    Lines(Vec<String>),
    Closed,
    Unknown,
}

/// Everything that is shown of a task.
pub(super) struct Detail {
    pub(super) status: Status,
    pub(super) files: Vec<Change>,
    pub(super) screen: PaneView,
    /// Commands, and what they are for.
    pub(super) next: Vec<(String, &'static str)>,
}

/// A line with a name.
type Field = (&'static str, String);

impl Detail {
    pub(super) fn print(&self, flux: &Flux) -> Result<()> {
        let ui = &flux.ui;
        let task = &self.status.task;
        title(ui, &format!("{}  {}", task.id, sanitize::line(&task.title)))?;
        for (name, value) in [self.agent(flux), self.place(), self.work()].concat() {
            let name = format!("{name}:");
            ui.data(format_args!("{name:<10} {}", sanitize::line(&value)))?;
        }
        for file in self.files.iter().take(FILES) {
            ui.data(format_args!("  {} {}", code(file), shown(&file.path)))?;
        }
        if self.files.len() > FILES {
            ui.data(format_args!("  … and {} more", self.files.len() - FILES))?;
        }
        self.print_screen(ui)?;
        self.print_next(ui)
    }

    /// Returns how its agent does.
    fn agent(&self, flux: &Flux) -> Vec<Field> {
        let (task, state) = (&self.status.task, &self.status.state);
        let run = flux.run_dir(&task.id);
        let mut fields = Vec::new();
        fields.extend(self.status.owner.clone().map(|owner| ("Owner", owner)));
        fields.push(("State", health(&self.status)));
        if *state == State::Unknown {
            // One of the two is why.
            let errors = [run.running().err(), run.exit().err()];
            let why = errors.into_iter().flatten();
            fields.extend(why.map(|error| ("Why", format!("{error:#}"))));
        }
        let is_lost = *state == State::Lost && self.status.found.guess;
        if *state == State::RunningElsewhere || is_lost {
            let running = run.running().ok().flatten();
            let machine = running.and_then(|running| running.machine);
            fields.extend(machine.map(|machine| ("Machine", machine.to_string())));
        }
        fields.push(("Agent", task.agent.clone()));
        fields
    }

    /// Returns where it is.
    fn place(&self) -> Vec<Field> {
        let task = &self.status.task;
        let mut fields = Vec::new();
        if let Some(target) = &task.target {
            let place = match target.kind {
                Layout::Session => format!("session {}", target.session),
                Layout::Pane => format!("pane {} in session {}", target.pane, target.session),
                Layout::Window => format!("window {} in session {}", target.window, target.session),
            };
            let why = match self.screen {
                PaneView::Lines(_) => "",
                PaneView::Closed => " (closed)",
                PaneView::Unknown => " (unknown)",
            };
            fields.push(("Target", place + why));
        }
        fields.push(("Worktree", shown(&task.worktree)));
        let stays = match task.existing {
            Some(_) => " (stays when the task goes)",
            None => "",
        };
        fields.push(("Branch", format!("{}{stays}", task.branch)));
        fields.push(("Base", task.base[..task.base.len().min(12)].to_owned()));
        if let Some(first) = task.port {
            let last = first.saturating_add(ports::SIZE - 1);
            fields.push(("Ports", format!("{first} to {last}")));
        }
        fields
    }

    /// Returns what it has done.
    fn work(&self) -> Vec<Field> {
        let mut fields = Vec::new();
        if let Some(Divergence { ahead, behind }) = self.status.divergence {
            let against = self.status.task.into.as_deref().unwrap_or("its base");
            let commits = format!("{ahead} ahead of {against}, {behind} behind");
            fields.push(("Commits", commits));
        }
        let changes = match self.status.changes.map(Changes::none) {
            Some(true) => "none uncommitted".to_owned(),
            Some(false) => format!("{} uncommitted", count(self.files.len(), "file")),
            None => "unknown".to_owned(),
        };
        fields.push(("Changes", changes));
        fields
    }

    fn print_screen(&self, ui: &Ui) -> Result<()> {
        let PaneView::Lines(lines) = &self.screen else {
            return Ok(());
        };
        if lines.is_empty() {
            return Ok(());
        }
        ui.data("")?;
        title(ui, "Screen")?;
        let width = ui
            .width()
            .map_or(usize::MAX, |width| width.saturating_sub(2));
        for line in lines {
            let line = sanitize::line(line);
            ui.data(format_args!("  {}", truncate_str(&line, width, "…")))?;
        }
        Ok(())
    }

    fn print_next(&self, ui: &Ui) -> Result<()> {
        ui.data("")?;
        title(ui, "Next")?;
        let width = self.next.iter().map(|(command, _)| command.len()).max();
        let width = width.unwrap_or_default();
        for (command, what) in &self.next {
            ui.data(format_args!("  {command:<width$}  {what}"))?;
        }
        Ok(())
    }
}

fn title(ui: &Ui, text: &str) -> Result<()> {
    ui.data(Style::new().bold().apply_to(text))
}

/// Returns the two letters of `git status --short`.
pub(super) fn code(change: &Change) -> String {
    let letters = change.code.into_iter().map(char::from);
    letters.map(|c| if c == '.' { ' ' } else { c }).collect()
}
