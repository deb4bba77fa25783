//! What `git flux run` says: what it would do, and what it did.

use anyhow::Result;

use crate::agent::AgentCommand;
use crate::agent::Prompt;
use crate::context::Flux;
use crate::lifecycle::start::plan::{NewPane, Start, Started};
use crate::lifecycle::start::trust::Init;
use crate::sanitize;
use crate::store::Store;
use crate::task::{Changes, Divergence, Found, Layout, Source, State, Status, TaskId};
use crate::tmux::Place;
use crate::tmux::attach::keys;
use crate::tmux::open::Opened;
use crate::ui::pasted;
use crate::ui::shown;
use crate::ui::words::count;

pub(super) fn own_changes(flux: &Flux, own: Option<Changes>, carried: bool) {
    let Some(own) = own.filter(|own| !own.none()) else {
        return;
    };
    let files = count(own.files, "file");
    let and = if carried {
        "go along, uncommitted"
    } else {
        "are not part of the task"
    };
    flux.ui.status(format_args!(
        "Your own uncommitted changes ({files}) {and}."
    ));
}

/// The status of a task that has just started.
pub(super) fn status(started: &Started) -> Status {
    Status {
        task: started.task.clone(),
        owner: None,
        state: State::Running(started.since),
        found: Found {
            source: Source::Process,
            since: started.since,
            guess: false,
        },
        divergence: Some(Divergence::default()),
        changes: Some(Changes::default()),
        unlooked: None,
    }
}

/// Says that a window was made where a pane was asked for, or what fits.
pub(super) fn cramped(flux: &Flux, plan: &Start, started: &Started) -> bool {
    let place = plan.pane.as_ref().map(|pane| &pane.place);
    let wanted = matches!(place, Some(Place::Window { cramped: false, .. }));
    let cramped = started.opened.target.kind == Layout::Window && !wanted;
    if cramped {
        flux.ui
            .status("There is no room for another pane here: the task has a window of its own.");
    }
    cramped
}

/// What `--dry-run` says.
pub(super) fn plans(flux: &Flux, starts: &[Start]) -> Result<()> {
    for (at, start) in starts.iter().enumerate() {
        if at > 0 {
            flux.ui.data("")?;
        }
        plan(flux, start)?;
    }
    flux.ui.status("Nothing was done.");
    Ok(())
}

fn plan(flux: &Flux, start: &Start) -> Result<()> {
    let task = &start.task;
    let Some(pane) = &start.pane else {
        return Ok(());
    };
    let place = match &pane.place {
        Place::Pane { .. } => "a pane of this window".to_owned(),
        Place::Window { .. } => "a window of this session".to_owned(),
        Place::Session { name } => format!("session {name}"),
        Place::Again(target) => format!("pane {}", target.pane),
    };
    let into = task
        .into
        .as_deref()
        .unwrap_or("none: cleanup will ask for --into");
    let (command, prompt) = match &pane.agent {
        Some(AgentCommand { agent, prompt, .. }) => {
            let args = task.agent_args.iter().map(|arg| &arg.0);
            let words = agent.argv.iter().chain(args);
            let words = words.map(|arg| arg.to_string_lossy().into_owned());
            let words = flux.settings.wrapper()?.into_iter().chain(words);
            (shell_words::join(words), prompt.len())
        }
        None => ("none".to_owned(), 0),
    };
    for (name, value) in [
        ("Task ID", task.id.to_string()),
        ("Worktree", task.worktree.to_string_lossy().into_owned()),
        ("Branch", task.branch.to_string()),
        ("Base", task.base.to_string()),
        ("Into", into.to_owned()),
        ("Target", place),
        ("Agent", command),
        ("Prompt", format!("{prompt} bytes")),
    ] {
        flux.ui
            .data(format_args!("  {name}: {}", sanitize::line(&value)))?;
    }
    for name in setup(flux, start, pane)? {
        flux.ui.data(format_args!("  Setup: {name}"))?;
    }
    Ok(())
}

/// What makes the worktree ready, each with a name.
fn setup(flux: &Flux, start: &Start, pane: &NewPane) -> Result<Vec<String>> {
    let mut names = Vec::new();
    if let Some(commit) = start.setup_commit()
        && let Some(init) = Init::find(flux, commit)?
    {
        let if_agreed = if init.is_trusted(flux) {
            ""
        } else {
            " (once you agree)"
        };
        names.extend(init.names().map(|name| format!("{name}{if_agreed}")));
    }
    let steps = pane.ready.steps.iter();
    names.extend(steps.map(|step| sanitize::line(&step.name)));
    Ok(names)
}

/// The report of a started task.
pub(super) fn started(flux: &Flux, plan: &Start, started: &Started, short: &str) -> String {
    let way = Way {
        has_emoji: flux.ui.emoji(),
        opened: &started.opened,
        short,
    };
    let task = &started.task;
    let agent = plan.pane.as_ref().and_then(|pane| pane.agent.as_ref());
    let what = match agent {
        Some(run) if run.agent.prompt != Prompt::Shown => {
            "The agent is working on your task in the background."
        }
        _ => "Your shell waits there, with the task on its screen.",
    };
    let report = format!(
        "{}Flux Capacitor Session Created!\n\n  Task ID: {}\n  {}\n  Worktree: {}\n  Branch: {}\n\n\
         {}\n\n{what}\n{}\nWhen complete: git flux cleanup {short}\n",
        way.sign("🎯"),
        task.id,
        way.place(),
        shown(&task.worktree),
        sanitize::line(&task.branch),
        way.attach(),
        way.tip(),
    );
    pasted(&report)
}

/// The way to a task that was opened.
struct Way<'a> {
    has_emoji: bool,
    opened: &'a Opened,
    /// A name for the task.
    short: &'a str,
}

impl Way<'_> {
    fn sign(&self, sign: &str) -> String {
        if self.has_emoji {
            format!("{sign} ")
        } else {
            String::new()
        }
    }

    /// The keys that do something, `Ctrl+b, d`. Without a prefix key there is none to press.
    fn keys(&self, key: &str) -> Option<String> {
        let keys = keys(&self.opened.prefix, key)?;
        Some(keys.replacen(' ', ", ", 1))
    }

    fn place(&self) -> String {
        let target = &self.opened.target;
        match target.kind {
            Layout::Session => format!("Session: {}", target.session),
            Layout::Pane => format!("Tmux Pane: {}", target.pane),
            Layout::Window => format!("Tmux Window: {}", target.window),
        }
    }

    fn attach(&self) -> String {
        let target = &self.opened.target;
        let (what, other) = match target.kind {
            Layout::Session => {
                let command = format!("tmux attach -t {}", target.session);
                ("Attach to session", Some(command))
            }
            Layout::Pane => {
                let number = &self.opened.pane_index;
                ("Switch to pane", self.keys(&format!("q → {number}")))
            }
            Layout::Window => ("Switch to window", self.keys("w")),
        };
        let other = other.map(|other| format!("        (or: {other})"));
        format!(
            "{}{what}:\n   git flux attach {}{}",
            self.sign("📍"),
            self.short,
            other.unwrap_or_default()
        )
    }

    fn tip(&self) -> String {
        if self.opened.target.kind != Layout::Session {
            return String::new();
        }
        let detach = self.keys("d");
        format!(
            "\n{}Tip: You can detach anytime with {}\n      The session will keep running.\n",
            self.sign("💡"),
            detach.as_deref().unwrap_or("'tmux detach-client'")
        )
    }
}

/// The shortest beginning of the id, at a `-`, that no other task has.
pub(super) fn short(others: &Store, id: &TaskId) -> String {
    let words: Vec<&str> = id.as_str().split('-').collect();
    let beginnings = (2..words.len()).map(|n| words[..n].join("-"));
    let unique = |text: &String| {
        !others
            .tasks
            .iter()
            .any(|other| other.id != *id && other.id.as_str().starts_with(text.as_str()))
    };
    beginnings
        .into_iter()
        .find(unique)
        .unwrap_or_else(|| id.to_string())
}
