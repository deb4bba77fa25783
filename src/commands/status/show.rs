//! The details of a task as text.

use std::fmt::Display;

use anyhow::Result;
use console::{Style, truncate_str};

use crate::commands::object::conflicts::{ConflictFileObject, OpponentObject};
use crate::context::Flux;
use crate::git::Change;
use crate::lifecycle::damage::Damage;
use crate::lifecycle::resume::can_resume;
use crate::lifecycle::shared_config::Comparison;
use crate::lifecycle::start::ports;
use crate::lifecycle::stash::StashFacts;
use crate::lifecycle::stash_pins::name_entries;
use crate::sanitize;
use crate::store::StoredTask;
use crate::system::clock::this_second;
use crate::task::{Changes, Divergence, GateVerdict, Layout, State, Status, WaitReason};
use crate::ui::words::{age, count};
use crate::ui::{Ui, shown};

const MAX_FILES: usize = 20;

pub(super) enum PaneView {
    Lines(Vec<String>),
    Closed,
    Unknown,
}

pub(super) struct Detail {
    pub(super) status: Status,
    pub(super) files: Vec<Change>,
    pub(super) stash: Option<StashFacts>,
    pub(super) configuration: Comparison,
    pub(super) conflicts: Vec<OpponentObject>,
    /// The number of files that the user has not looked at, if that is known.
    pub(super) unseen: Option<usize>,
    pub(super) screen: PaneView,
    pub(super) next: Vec<NextCommand>,
}

type DetailField = (&'static str, String);

impl Detail {
    pub(super) fn print(&self, flux: &Flux) -> Result<()> {
        let ui = &flux.ui;
        let task = &self.status.task;
        title(ui, format!("{}  {}", task.id, sanitize::line(&task.title)))?;
        for (name, value) in [
            self.agent(flux),
            self.location(),
            self.work(flux),
            self.configuration(),
        ]
        .concat()
        {
            let name = format!("{name}:");
            ui.data(format_args!("{name:<10} {}", sanitize::line(&value)))?;
        }
        for file in self.files.iter().take(MAX_FILES) {
            ui.data(format_args!("  {} {}", code(file), shown(&file.path)))?;
        }
        if self.files.len() > MAX_FILES {
            ui.data(format_args!(
                "  … and {} more",
                self.files.len() - MAX_FILES
            ))?;
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

    fn agent(&self, flux: &Flux) -> Vec<DetailField> {
        let Status {
            task, state, owner, ..
        } = &self.status;
        let run = flux.run_dir(&task.id);
        let mut fields = Vec::new();
        fields.extend(owner.clone().map(|owner| ("Owner", owner)));
        fields.push(("State", describe_state(&self.status)));
        if *state == State::Unknown {
            // One of the two is the cause.
            let errors = [run.running().err(), run.exit().err()];
            let why = errors.into_iter().flatten();
            fields.extend(why.map(|error| ("Why", format!("{error:#}"))));
        }
        let is_lost = *state == State::Lost && self.status.found.is_inferred;
        if *state == State::RunningElsewhere || is_lost {
            let running = run.running().ok().flatten();
            let machine = running.and_then(|running| running.machine);
            fields.extend(machine.map(|machine| ("Machine", machine.to_string())));
        }
        fields.push(("Agent", task.agent.clone()));
        fields
    }

    fn location(&self) -> Vec<DetailField> {
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
        let kept = task.existing.as_ref().map_or("", |_| " (kept by cleanup)");
        fields.push(("Worktree", shown(&task.worktree)));
        fields.push(("Branch", format!("{}{kept}", task.branch)));
        fields.push(("Base", task.base.short().to_owned()));
        if let Some(first) = task.port {
            let last = first.saturating_add(ports::BLOCK_SIZE - 1);
            fields.push(("Ports", format!("{first} to {last}")));
        }
        fields
    }

    fn work(&self, flux: &Flux) -> Vec<DetailField> {
        let mut fields = Vec::new();
        if let Some(Divergence { ahead, behind }) = self.status.divergence {
            let against = self.status.task.into.as_deref().unwrap_or("its base");
            let commits = format!("{ahead} ahead of {against}, {behind} behind");
            fields.push(("Commits", commits));
        }
        let land = self.status.land.map(|land| land.to_string());
        fields.extend(land.map(|land| ("Land", land)));
        let changes = match self.status.changes.map(Changes::is_none) {
            Some(true) => "none uncommitted".to_owned(),
            Some(false) => format!("{} uncommitted", count(self.files.len(), "file")),
            None => "unknown".to_owned(),
        };
        let own = self.stash.as_ref().map_or(&[][..], |stash| &stash.own);
        if !own.is_empty() {
            fields.push(("Stash", name_entries(own)));
        }
        fields.push(("Changes", changes));
        let unseen = self.unseen.filter(|count| *count > 0);
        fields.extend(unseen.map(|number| ("Unseen", count(number, "file"))));
        let conflicts = self.conflicts.iter().map(describe_conflict);
        fields.extend(conflicts.map(|text| ("Conflicts", text)));
        let verdict = match &self.status.gate {
            None if flux.settings.gate_commands().is_empty() => Some("untested".to_owned()),
            found => found.as_ref().map(describe_verdict),
        };
        fields.extend(verdict.map(|verdict| ("Gate", verdict)));
        fields
    }

    /// Returns a line for each change of the shared configuration.
    fn configuration(&self) -> Vec<DetailField> {
        let lines = match &self.configuration {
            Comparison::NoCopy => Vec::new(),
            Comparison::Failed(why) => vec![format!("cannot be compared: {why}")],
            Comparison::Changes(changes) => {
                let id = &self.status.task.id;
                changes.iter().map(|change| change.describe(id)).collect()
            }
        };
        lines.into_iter().map(|line| ("Config", line)).collect()
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

/// Returns the two letters of a change, as `git status --short` prints them, without starting git.
pub(super) fn code(change: &Change) -> String {
    let letters = change.code.into_iter().map(char::from);
    letters.map(|c| if c == '.' { ' ' } else { c }).collect()
}

/// Describes how a task conflicts with another one or with its target: the files, none, or the
/// reason why it is unknown.
fn describe_conflict(one: &OpponentObject) -> String {
    let other = one.with.as_ref().or(one.target.as_ref());
    let other = other.map_or("others", String::as_str);
    match (&one.files, &one.why) {
        (_, Some(why)) => format!("unknown with {other}: {why}"),
        _ if one.same => format!("none with {other}: both make the same changes"),
        (Some(files), None) => {
            let files: Vec<String> = files.iter().map(ConflictFileObject::describe).collect();
            format!("with {other}: {}", files.join(", "))
        }
        (None, None) => format!("unknown with {other}"),
    }
}

fn describe_state(status: &Status) -> String {
    let now = this_second();
    let ago = |then| age(then, now);
    let since = |what: &str| match status.found.since {
        Some(since) => format!("{what}, since {}", ago(since)),
        None => what.to_owned(),
    };
    let is_guess = status.found.is_inferred;
    let text = match &status.state {
        State::Queued => {
            let time = status
                .found
                .since
                .map(|since| format!(" for {}", ago(since)));
            return format!("queued{}", time.unwrap_or_default());
        }
        State::Running(Some(since)) => return format!("running for {}", ago(*since)),
        State::Ended(exit) => return format!("{exit}, {} ago", ago(exit.at)),
        State::Waiting(Some(WaitReason::Permission)) => return since("waiting for permission"),
        State::Waiting(Some(WaitReason::Question)) => return since("waiting for an answer"),
        State::Waiting(None) => return since("waiting for you"),
        State::Working if is_guess => "probably working (recent output)",
        State::Working => return since("working"),
        State::Done => return since("done with its turn"),
        State::Failed => return since("failed: its turn ended with an error"),
        State::RunningElsewhere => "running elsewhere: its launcher cannot be seen from here",
        State::Interrupted => "interrupted: waiting for your input",
        State::Idle => "idle: no agent was started",
        State::Lost if is_guess => "lost, unless it still runs on its machine",
        State::Lost => "lost: its process is gone, without an exit status",
        State::Incomplete => {
            return format!(
                "incomplete: git flux was killed while {} it; the next command repairs it",
                status.task.phase.into_str()
            );
        }
        State::NoWorktree if status.git_refusal.is_some() => {
            "broken: its worktree does not lead to this repository"
        }
        State::NoWorktree => "broken: its worktree is gone",
        State::NoBranch => "broken: its branch is gone",
        State::Elsewhere => "elsewhere: its worktree belongs to another repository",
        State::Unknown => "unknown: its run directory cannot be read",
        other => other.name(),
    };
    text.to_owned()
}

fn describe_verdict(verdict: &GateVerdict) -> String {
    let ago = verdict
        .at
        .map(|at| format!(", {} ago", age(at, this_second())));
    format!("{verdict}{}", ago.unwrap_or_default())
}

/// A command and its purpose.
type NextCommand = (String, &'static str);

pub(super) fn next(flux: &Flux, status: &Status, stored: &StoredTask) -> Result<Vec<NextCommand>> {
    let task = stored.readable()?;
    let id = &task.id;
    if matches!(status.state, State::NoWorktree | State::NoBranch)
        && let Some(broken) = Damage::find(flux, task)?
    {
        let ways = broken.repairs.into_iter();
        return Ok(ways.map(|(what, command)| (command, what)).collect());
    }
    let run = |verb: &str, what| (format!("git flux {verb} {id}"), what);
    let diff = run("diff", "see its changes");
    if status.owner.is_some() {
        return Ok(vec![run("log", "see its prompt and commits")]);
    }
    let mut next = match &status.state {
        State::RunningElsewhere => return Ok(vec![diff]),
        State::Elsewhere => {
            let drop = format!("git flux cleanup {id} --discard-branch");
            return Ok(vec![(drop, "drop it from this repository alone")]);
        }
        State::Waiting(_) | State::Interrupted => vec![run("attach", "answer it")],
        State::Queued => vec![run("stop", "leave the queue")],
        state if state.is_alive() => vec![run("attach", "watch it, talk to it")],
        _ => vec![run("attach", "a shell in its worktree")],
    };
    let has_no_agent = matches!(status.state, State::Ended(_) | State::Idle | State::Lost);
    if has_no_agent && can_resume(flux, task, &stored.oid)? {
        next.insert(0, run("resume", "start its agent again"));
    }
    next.extend([diff, run("cleanup", "merge it and remove it")]);
    Ok(next)
}
