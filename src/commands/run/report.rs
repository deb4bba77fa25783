//! What `git flux run` says: what it would do, and what it did.

use anyhow::Result;

use crate::agent::Prompt;
use crate::commands::status::count;
use crate::lifecycle::Flux;
use crate::lifecycle::start::{Start, Started, Work};
use crate::lifecycle::trust::Init;
use crate::sanitize;
use crate::store::Store;
use crate::task::{Changes, Divergence, Found, Layout, Source, State, Status, TaskId};
use crate::tmux::Place;
use crate::tmux::attach::keys;
use crate::ui::shown;

pub(super) fn own_changes(flux: &Flux, own: Option<Changes>, carried: bool) {
    let Some(own) = own.filter(|own| !own.none()) else {
        return;
    };
    let files = count(own.files, "file");
    let and = match carried {
        true => "go along, uncommitted",
        false => "are not part of the task",
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
    let wanted = matches!(plan.place, Place::Window { cramped: false, .. });
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
    let place = match &start.place {
        Place::Pane { .. } => "a pane of this window".to_owned(),
        Place::Window { .. } => "a window of this session".to_owned(),
        Place::Session { name } => format!("session {name}"),
        Place::Again(target) => format!("pane {}", target.pane),
    };
    let into = task
        .into
        .as_deref()
        .unwrap_or("none: cleanup will ask for --into");
    let (command, prompt) = match &start.work {
        Work::Agent { agent, prompt, .. } => {
            let args = task.agent_args.iter().map(|arg| &arg.0);
            let words = agent.argv.iter().chain(args);
            let words = words.map(|arg| arg.to_string_lossy().into_owned());
            let words = flux.settings.wrapper()?.into_iter().chain(words);
            (shell_words::join(words), prompt.len())
        }
        Work::Shell => ("none".to_owned(), 0),
    };
    for (name, value) in [
        ("Task ID", task.id.to_string()),
        ("Worktree", task.worktree.to_string_lossy().into_owned()),
        ("Branch", task.branch.clone()),
        ("Base", task.base.clone()),
        ("Into", into.to_owned()),
        ("Target", place),
        ("Agent", command),
        ("Prompt", format!("{prompt} bytes")),
    ] {
        flux.ui
            .data(format_args!("  {name}: {}", sanitize::line(&value)))?;
    }
    if let Some(init) = Init::find(flux, task.start())? {
        let if_agreed = match init.is_trusted(flux) {
            true => "",
            false => " (once you agree)",
        };
        for name in init.names() {
            flux.ui.data(format_args!("  Setup: {name}{if_agreed}"))?;
        }
    }
    for step in &start.ready.steps {
        flux.ui
            .data(format_args!("  Setup: {}", sanitize::line(&step.name)))?;
    }
    Ok(())
}

/// The report of a started task.
pub(super) fn started(flux: &Flux, plan: &Start, started: &Started, short: &str) -> String {
    let emoji = flux.ui.emoji();
    let sign = |sign: &str| {
        if emoji {
            format!("{sign} ")
        } else {
            String::new()
        }
    };
    let (task, opened) = (&started.task, &started.opened);
    let id = &task.id;
    // Without a prefix key there is none to press.
    let or = |key: &str| match keys(&opened.prefix, key) {
        Some(keys) => format!("        (or: {})", keys.replacen(' ', ", ", 1)),
        None => String::new(),
    };
    let (place, attach) = match opened.target.kind {
        Layout::Session => (
            format!("Session: {}", opened.target.session),
            format!(
                "{}Attach to session:\n   git flux attach {short}        (or: tmux attach -t {})",
                sign("📍"),
                opened.target.session
            ),
        ),
        Layout::Pane => (
            format!("Tmux Pane: {}", opened.target.pane),
            format!(
                "{}Switch to pane:\n   git flux attach {short}{}",
                sign("📍"),
                or(&format!("q → {}", opened.pane_index))
            ),
        ),
        Layout::Window => (
            format!("Tmux Window: {}", opened.target.window),
            format!(
                "{}Switch to window:\n   git flux attach {short}{}",
                sign("📍"),
                or("w")
            ),
        ),
    };
    let detach = keys(&opened.prefix, "d").map_or_else(
        || "'tmux detach-client'".to_owned(),
        |keys| keys.replacen(' ', ", ", 1),
    );
    let tip = match opened.target.kind {
        Layout::Session => format!(
            "\n{}Tip: You can detach anytime with {detach}\n      The session will keep running.\n",
            sign("💡")
        ),
        Layout::Pane | Layout::Window => String::new(),
    };
    let what = match &plan.work {
        Work::Agent { agent, .. } if agent.prompt != Prompt::Shown => {
            "The agent is working on your task in the background."
        }
        _ => "Your shell waits there, with the task on its screen.",
    };
    let worktree = shown(&task.worktree);
    let branch = sanitize::line(&task.branch);
    format!(
        "{}Flux Capacitor Session Created!\n\n  Task ID: {id}\n  {place}\n  Worktree: {worktree}\n  Branch: {branch}\n\n\
         {attach}\n\n{what}\n{tip}\nWhen complete: git flux cleanup {short}\n",
        sign("🎯")
    )
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
