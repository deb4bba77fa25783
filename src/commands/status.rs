//! `git flux status`

use std::os::unix::ffi::OsStrExt as _;

use anyhow::{Context as _, Result};
use clap::Args;
use clap_complete::ArgValueCompleter;
use console::{Style, truncate_str};
use serde_json::json;

use super::{candidates, choose, explain, list::age, object};
use crate::failure;
use crate::git::{Change, changes};
use crate::lifecycle::broken::Broken;
use crate::lifecycle::resume::can_resume;
use crate::lifecycle::{Flux, observe, ports};
use crate::sanitize;
use crate::store::Store;
use crate::system::clock::seconds;
use crate::task::{Layout, State, Status, Why};
use crate::tmux::pane;
use crate::ui::{Ui, shown};

/// How many lines of the pane are shown.
const SCREEN: usize = 15;
/// How many changed files are shown.
const FILES: usize = 20;

/// Show one task in detail, with the last lines of its screen
#[derive(Debug, Args)]
pub(crate) struct StatusOf {
    /// The task: its id or a part of it, its branch or its worktree
    #[arg(add = ArgValueCompleter::new(candidates::tasks))]
    task: Option<String>,
    /// Machine-readable output: a task object
    #[arg(long)]
    json: bool,
    /// Say how the state was found: what each source says, and which counts
    #[arg(long)]
    explain: bool,
    /// Print the path of its worktree alone
    #[arg(long, conflicts_with_all = ["json", "explain"])]
    path: bool,
}

impl StatusOf {
    pub(crate) fn run(self) -> Result<()> {
        let flux = Flux::open(Ui::default())?;
        let store = Store::load(&flux.repo, &flux.settings)?;
        let stored = choose(&flux, &store, self.task.as_deref(), "status")?;
        let task = stored.readable()?;
        if self.path {
            let path = task.worktree.as_os_str().as_bytes();
            return flux.ui.bytes(&[path, b"\n"].concat());
        }
        if self.explain {
            return explain::show(&flux, &store, task, self.json);
        }
        let mut status = observe::statuses(&flux, &store, &[task])?
            .pop()
            .context("the task was not looked at")?;
        let panes = observe::Panes::of([task].into_iter());
        let there = match &panes {
            Ok(panes) => panes.named(task),
            Err(_) => None,
        };
        let target = there.filter(|_| status.state != State::Elsewhere);
        if target.is_some() {
            status.task.target.clone_from(&target);
        }
        let screen = target
            .as_ref()
            .map(|target| pane::capture(target, SCREEN))
            .transpose()?;
        let files = if status.changes.is_some() {
            changes(&flux.repo.checkout(&task.worktree)?, false)?
        } else {
            Vec::new()
        };
        unlooked(&flux.ui, &status);
        if self.json {
            let mut object = object::json(&status);
            object["files"] = files
                .iter()
                .map(|f| json!({ "code": code(f), "path": f.path.to_string_lossy() }))
                .collect();
            object["screen"] = json!(screen);
            return flux.ui.json(&object);
        }
        let next = match &status.state {
            State::NoWorktree | State::NoBranch => Broken::find(&flux, task)?,
            _ => None,
        };
        let next = match next {
            Some(broken) => ways(broken),
            None => next_of(&status, can_resume(&flux, task, &stored.oid)?),
        };
        // What tmux does not tell is not closed.
        let closed = match &panes {
            Ok(_) => "closed",
            Err(_) => "unknown",
        };
        show(
            &flux,
            &status,
            next,
            &files,
            screen.as_deref().ok_or(closed),
        )?;
        if let Err(error) = &panes {
            flux.ui.warning(format_args!("{error:#}"));
        }
        if status.state == State::Unknown
            && let Err(error) = flux.run_dir(&task.id).ensure_known()
        {
            flux.ui.warning(format_args!("{error:#}"));
            failure::hints(&error).for_each(|hint| flux.ui.hint(hint));
        }
        Ok(())
    }
}

fn code(change: &Change) -> String {
    change
        .code
        .map(|b| if b == b'.' { ' ' } else { char::from(b) })
        .iter()
        .collect()
}

fn show(
    flux: &Flux,
    status: &Status,
    next: Vec<(String, &'static str)>,
    files: &[Change],
    screen: Result<&[String], &str>,
) -> Result<()> {
    let task = &status.task;
    let bold = Style::new().bold();
    let field = |name: &str, value: &str| {
        flux.ui.data(format_args!(
            "{:<10} {}",
            format!("{name}:"),
            sanitize::line(value)
        ))
    };
    flux.ui
        .data(bold.apply_to(format!("{}  {}", task.id, sanitize::line(&task.title))))?;
    if let Some(owner) = &status.owner {
        field("Owner", owner)?;
    }
    field("State", &health(status))?;
    if status.state == State::Unknown {
        // One of the two is why.
        let run = flux.run_dir(&task.id);
        let errors = [run.running().err(), run.exit().err()];
        for error in errors.iter().flatten() {
            field("Why", &format!("{error:#}"))?;
        }
    }
    if status.state == State::RunningElsewhere
        || (status.state == State::Lost && status.found.guess)
    {
        let running = flux.run_dir(&task.id).running().ok().flatten();
        if let Some(machine) = running.and_then(|running| running.machine) {
            field("Machine", &machine.to_string())?;
        }
    }
    field("Agent", &task.agent)?;
    if let Some(target) = &task.target {
        let value = match target.kind {
            Layout::Session => format!("session {}", target.session),
            Layout::Pane => format!("pane {} in session {}", target.pane, target.session),
            Layout::Window => format!("window {} in session {}", target.window, target.session),
        };
        field(
            "Target",
            &match screen {
                Ok(_) => value,
                Err(why) => format!("{value} ({why})"),
            },
        )?;
    }
    field("Worktree", &shown(&task.worktree))?;
    let stays = match task.existing {
        Some(_) => " (stays when the task goes)",
        None => "",
    };
    field("Branch", &format!("{}{stays}", task.branch))?;
    field("Base", &task.base[..task.base.len().min(12)])?;
    if let Some(first) = task.port {
        field(
            "Ports",
            &format!("{first} to {}", first.saturating_add(ports::SIZE - 1)),
        )?;
    }
    let against = task.into.as_deref().unwrap_or("its base");
    if let (Some(ahead), Some(behind)) = (status.ahead, status.behind) {
        field(
            "Commits",
            &format!("{ahead} ahead of {against}, {behind} behind"),
        )?;
    }
    match status.changes {
        Some(changes) if changes.none() => field("Changes", "none uncommitted")?,
        Some(_) => field(
            "Changes",
            &format!("{} uncommitted", count(files.len(), "file")),
        )?,
        None => field("Changes", "unknown")?,
    }
    for file in files.iter().take(FILES) {
        flux.ui
            .data(format_args!("  {} {}", code(file), shown(&file.path)))?;
    }
    if files.len() > FILES {
        flux.ui
            .data(format_args!("  … and {} more", files.len() - FILES))?;
    }
    if let Some(lines) = screen.ok().filter(|lines| !lines.is_empty()) {
        flux.ui.data("")?;
        flux.ui.data(bold.apply_to("Screen"))?;
        let width = flux
            .ui
            .width()
            .map_or(usize::MAX, |width| width.saturating_sub(2));
        for line in lines {
            let line = sanitize::line(line);
            flux.ui
                .data(format_args!("  {}", truncate_str(&line, width, "…")))?;
        }
    }
    flux.ui.data("")?;
    flux.ui.data(bold.apply_to("Next"))?;
    let width = next
        .iter()
        .map(|(command, _)| command.len())
        .max()
        .unwrap_or_default();
    for (command, what) in next {
        flux.ui.data(format_args!("  {command:<width$}  {what}"))?;
    }
    Ok(())
}

/// Says why the changes of a task are not known, if they are not. Returns whether they are.
pub(super) fn unlooked(ui: &Ui, status: &Status) -> bool {
    let Some(unlooked) = &status.unlooked else {
        return true;
    };
    let (id, why) = (&status.task.id, &unlooked.why);
    ui.warning(format_args!("the changes of '{id}' are not known: {why}"));
    unlooked.hints.iter().for_each(|hint| ui.hint(hint));
    false
}

/// `1 file`, `2 files`
pub(super) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn health(status: &Status) -> String {
    let now = seconds();
    let ago = |then: u64| age(now.saturating_sub(then));
    match &status.state {
        State::Running(Some(since)) => format!("running for {}", ago(*since)),
        State::RunningElsewhere => {
            "running elsewhere: its launcher cannot be seen from here".to_owned()
        }
        State::Ended(exit) => format!("{exit}, {} ago", ago(exit.at)),
        State::Waiting(why) => {
            let what = match why {
                Some(Why::Permission) => "waiting for permission",
                Some(Why::Question) => "waiting for an answer",
                None => "waiting for you",
            };
            since(status, what, ago)
        }
        State::Working if status.found.guess => {
            "working, by the look of it: its window has just changed".to_owned()
        }
        State::Working => since(status, "working", ago),
        State::Done => since(status, "done with its turn", ago),
        State::Failed => since(status, "failed: it gave up its turn", ago),
        State::Interrupted => "interrupted in its turn: it waits for what it is told".to_owned(),
        State::Idle => "idle: no agent was started in it".to_owned(),
        State::Lost if status.found.guess => {
            "lost, unless it runs on the machine that it was started on".to_owned()
        }
        State::Lost => "lost: its process is gone, and nobody saw it end".to_owned(),
        State::Incomplete => format!(
            "incomplete: a git flux died while {} it, and the next command that changes anything settles it",
            status.task.phase.name()
        ),
        State::NoWorktree if status.unlooked.is_some() => {
            "broken: its worktree does not lead to this repository".to_owned()
        }
        State::NoWorktree => "broken: its worktree is gone".to_owned(),
        State::NoBranch => "broken: its branch is gone".to_owned(),
        State::Elsewhere => "elsewhere: its worktree belongs to another repository".to_owned(),
        State::Unknown => "unknown: what its launcher left cannot be read".to_owned(),
        other => other.name().to_owned(),
    }
}

/// What a task does, and since when if that is known.
fn since(status: &Status, what: &str, ago: impl Fn(u64) -> String) -> String {
    match status.found.since {
        Some(since) => format!("{what}, since {}", ago(since)),
        None => what.to_owned(),
    }
}

/// The ways out of what is missing.
fn ways(broken: Broken) -> Vec<(String, &'static str)> {
    let ways = broken.ways.into_iter();
    ways.map(|(what, command)| (command, what)).collect()
}

fn next_of(status: &Status, resumable: bool) -> Vec<(String, &'static str)> {
    let id = &status.task.id;
    let mut next = Vec::new();
    if status.owner.is_some() {
        let log = format!("git flux log {id}");
        return vec![(log, "what it was told, and its commits")];
    }
    match &status.state {
        State::Waiting(_) | State::Interrupted => {
            next.push((format!("git flux attach {id}"), "answer it"));
        }
        State::RunningElsewhere => {
            let diff = format!("git flux diff {id}");
            return vec![(diff, "what it has changed")];
        }
        state if state.is_alive() => {
            next.push((format!("git flux attach {id}"), "watch it, talk to it"));
        }
        State::Elsewhere => {
            let drop = format!("git flux cleanup {id} --discard-branch");
            return vec![(drop, "drop it from this repository alone")];
        }
        State::Ended(_) | State::Idle | State::Lost => {
            if resumable {
                next.push((
                    format!("git flux resume {id}"),
                    "its agent again, where it was",
                ));
            }
            next.push((format!("git flux attach {id}"), "a shell in its worktree"));
        }
        _ => next.push((format!("git flux attach {id}"), "a shell in its worktree")),
    }
    next.push((format!("git flux diff {id}"), "what it has changed"));
    next.push((format!("git flux cleanup {id}"), "merge it and remove it"));
    next
}
