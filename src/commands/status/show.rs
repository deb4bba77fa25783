//! A task in detail, for people.

use std::fmt::Display;

use anyhow::Result;
use console::{Style, truncate_str};

use crate::context::Flux;
use crate::git::Change;
use crate::lifecycle::damage::Damage;
use crate::lifecycle::resume::can_resume;
use crate::lifecycle::start::ports;
use crate::sanitize;
use crate::store::Stored;
use crate::system::clock::seconds;
use crate::task::{Changes, Divergence, Layout, State, Status, Why};
use crate::ui::words::{age, count};
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
    pub(super) next: Vec<Next>,
}

/// A line with a name.
type Field = (&'static str, String);

impl Detail {
    pub(super) fn print(&self, flux: &Flux) -> Result<()> {
        let ui = &flux.ui;
        let task = &self.status.task;
        title(ui, format!("{}  {}", task.id, sanitize::line(&task.title)))?;
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
        ui.data("")?;
        title(ui, "Next")?;
        let width = self.next.iter().map(|(command, _)| command.len()).max();
        let width = width.unwrap_or_default();
        for (command, what) in &self.next {
            ui.data(format_args!("  {command:<width$}  {what}"))?;
        }
        Ok(())
    }

    /// Returns how its agent does.
    fn agent(&self, flux: &Flux) -> Vec<Field> {
        let Status {
            task, state, owner, ..
        } = &self.status;
        let run = flux.run_dir(&task.id);
        let mut fields = Vec::new();
        fields.extend(owner.clone().map(|owner| ("Owner", owner)));
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
            let session = &target.session;
            let place = match target.kind {
                Layout::Session => format!("session {session}"),
                Layout::Pane => format!("pane {} in session {session}", target.pane),
                Layout::Window => format!("window {} in session {session}", target.window),
            };
            let why = match self.screen {
                PaneView::Lines(_) => "",
                PaneView::Closed => " (closed)",
                PaneView::Unknown => " (unknown)",
            };
            fields.push(("Target", place + why));
        }
        let stays = task
            .existing
            .as_ref()
            .map_or("", |_| " (stays when the task goes)");
        fields.push(("Worktree", shown(&task.worktree)));
        fields.push(("Branch", format!("{}{stays}", task.branch)));
        fields.push(("Base", task.base.short().to_owned()));
        if let Some(first) = task.port {
            let last = first.saturating_add(ports::BLOCK_SIZE - 1);
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
        let lines = match &self.screen {
            PaneView::Lines(lines) if !lines.is_empty() => lines,
            _ => return Ok(()),
        };
        ui.data("")?;
        title(ui, "Screen")?;
        let width = ui.width().unwrap_or(usize::MAX).saturating_sub(2);
        for line in lines {
            let line = sanitize::line(line);
            ui.data(format_args!("  {}", truncate_str(&line, width, "…")))?;
        }
        Ok(())
    }
}

fn title(ui: &Ui, text: impl Display) -> Result<()> {
    ui.data(Style::new().bold().apply_to(text))
}

/// Returns the two letters of `git status --short`.
pub(super) fn code(change: &Change) -> String {
    let letters = change.code.into_iter().map(char::from);
    letters.map(|c| if c == '.' { ' ' } else { c }).collect()
}

/// Returns the state in a sentence.
fn health(status: &Status) -> String {
    let now = seconds();
    let ago = |then: u64| age(now.saturating_sub(then));
    // And since when, if that is known.
    let since = |what: &str| match status.found.since {
        Some(since) => format!("{what}, since {}", ago(since)),
        None => what.to_owned(),
    };
    let is_guess = status.found.guess;
    let text = match &status.state {
        State::Running(Some(since)) => return format!("running for {}", ago(*since)),
        State::Ended(exit) => return format!("{exit}, {} ago", ago(exit.at)),
        State::Waiting(Some(Why::Permission)) => return since("waiting for permission"),
        State::Waiting(Some(Why::Question)) => return since("waiting for an answer"),
        State::Waiting(None) => return since("waiting for you"),
        State::Working if is_guess => "working, by the look of it: its window has just changed",
        State::Working => return since("working"),
        State::Done => return since("done with its turn"),
        State::Failed => return since("failed: it gave up its turn"),
        State::RunningElsewhere => "running elsewhere: its launcher cannot be seen from here",
        State::Interrupted => "interrupted in its turn: it waits for what it is told",
        State::Idle => "idle: no agent was started in it",
        State::Lost if is_guess => "lost, unless it runs on the machine that it was started on",
        State::Lost => "lost: its process is gone, and nobody saw it end",
        State::Incomplete => {
            return format!(
                "incomplete: a git flux died while {} it, and the next command that changes anything settles it",
                status.task.phase.into_str()
            );
        }
        State::NoWorktree if status.unlooked.is_some() => {
            "broken: its worktree does not lead to this repository"
        }
        State::NoWorktree => "broken: its worktree is gone",
        State::NoBranch => "broken: its branch is gone",
        State::Elsewhere => "elsewhere: its worktree belongs to another repository",
        State::Unknown => "unknown: what its launcher left cannot be read",
        other => other.name(),
    };
    text.to_owned()
}

/// A command, and what it is for.
type Next = (String, &'static str);

/// Returns the commands that come next.
///
/// # Errors
/// When it cannot be told what is missing, or whether the agent could go on.
pub(super) fn next(flux: &Flux, status: &Status, stored: &Stored) -> Result<Vec<Next>> {
    let task = stored.readable()?;
    let id = &task.id;
    if matches!(status.state, State::NoWorktree | State::NoBranch)
        && let Some(broken) = Damage::find(flux, task)?
    {
        let ways = broken.repairs.into_iter();
        return Ok(ways.map(|(what, command)| (command, what)).collect());
    }
    let run = |verb: &str, what| (format!("git flux {verb} {id}"), what);
    let diff = run("diff", "what it has changed");
    if status.owner.is_some() {
        return Ok(vec![run("log", "what it was told, and its commits")]);
    }
    let mut next = match &status.state {
        State::RunningElsewhere => return Ok(vec![diff]),
        State::Elsewhere => {
            let drop = format!("git flux cleanup {id} --discard-branch");
            return Ok(vec![(drop, "drop it from this repository alone")]);
        }
        State::Waiting(_) | State::Interrupted => vec![run("attach", "answer it")],
        state if state.is_alive() => vec![run("attach", "watch it, talk to it")],
        _ => vec![run("attach", "a shell in its worktree")],
    };
    let has_no_agent = matches!(status.state, State::Ended(_) | State::Idle | State::Lost);
    if has_no_agent && can_resume(flux, task, &stored.oid)? {
        next.insert(0, run("resume", "its agent again, where it was"));
    }
    next.extend([diff, run("cleanup", "merge it and remove it")]);
    Ok(next)
}
