//! The output of `git flux run` and its dry run.

use std::fmt::Display;
use std::path::Path;

use anyhow::Result;

use crate::agent::AgentCommand;
use crate::agent::Prompt;
use crate::context::Flux;
use crate::lifecycle::start::init_scripts::InitScripts;
use crate::lifecycle::start::plan::{NewPane, Start, Started};
use crate::sanitize;
use crate::store::Store;
use crate::task::{Changes, Divergence, Evidence, Layout, Source, State, Status, Task, TaskId};
use crate::tmux::Placement;
use crate::tmux::attach::format_keys;
use crate::tmux::opened_pane::OpenedPane;
use crate::ui::words::count;
use crate::ui::{shown, with_directory, word};

/// Files and directories that projects need and git does not track.
const NEEDED: [&str; 3] = [".env", "node_modules", ".venv"];

/// Prints a hint that names those of `.env`, `node_modules` and `.venv` that the main worktree has
/// and the task's worktree lacks. Prints nothing if files to copy or a setup of worktrees are
/// configured.
pub(super) fn hint_missing_files(flux: &Flux, task: &Task) {
    let home = flux.repo.home();
    let has = |dir: &Path, name: &str| dir.join(name).symlink_metadata().is_ok();
    let has_setup = !flux.settings.copy_patterns().is_empty()
        || !flux.settings.setup_commands().is_empty()
        || has(home, ".worktreeinclude")
        || has(home, ".worktree-init");
    let is_missing = |name: &&str| has(home, name) && !has(&task.worktree, name);
    let missing: Vec<&str> = NEEDED.into_iter().filter(is_missing).collect();
    if has_setup || missing.is_empty() {
        return;
    }
    let command = if missing.contains(&".env") {
        "to copy .env from now on: git config --add flux.copy .env"
    } else {
        "to set it up from now on: git config --add flux.setup '<command>'"
    };
    let missing = missing.join(", ");
    flux.ui.hint(format_args!(
        "not in the new worktree: {missing}; {command}"
    ));
}

/// Warns if the new task starts from another task's branch and will be merged into that.
pub(super) fn warn_of_other_task(flux: &Flux, store: &Store, task: &Task) {
    let mut tasks = { store.tasks.iter() }.filter_map(|stored| stored.task.as_ref().ok());
    let Some(other) = tasks.find(|other| task.into.as_ref() == Some(&other.branch)) else {
        return;
    };
    flux.ui.warning(format_args!(
        "this task starts from '{}', the branch of the task '{}', and will be merged into it",
        other.branch, other.id
    ));
    if let Some(into) = &other.into {
        let into = word(into);
        flux.ui.hint(format_args!(
            "to start from '{into}': git flux run --base {into} \"<description>\""
        ));
    }
}

/// Prints whether the user's uncommitted files were copied to the task. Prints nothing if there are
/// none, or if they are unknown (`None`).
pub(super) fn report_own_changes(flux: &Flux, changes: Option<Changes>, takes_changes: bool) {
    let Some(changes) = changes.filter(|changes| !changes.is_none()) else {
        return;
    };
    let files = count(changes.files, "file");
    let verb = if takes_changes {
        "are copied to the task"
    } else {
        "are not part of the task"
    };
    flux.ui.status(format_args!(
        "Your own uncommitted changes ({files}) {verb}."
    ));
}

pub(super) fn status(started: &Started) -> Status {
    Status {
        gate: None,
        task: started.task.clone(),
        owner: None,
        state: if started.is_queued {
            State::Queued
        } else {
            State::Running(started.since)
        },
        found: Evidence {
            source: Source::Process,
            since: started.since,
            is_inferred: false,
        },
        divergence: Some(Divergence::default()),
        land: None,
        changes: Some(Changes::default()),
        git_refusal: None,
    }
}

/// Prints a message if the task got its own window because there was no room for another pane.
/// Returns whether it did.
pub(super) fn report_no_room(flux: &Flux, plan: &Start, started: &Started) -> bool {
    let place = plan.pane.as_ref().map(|pane| &pane.place);
    let is_wanted = matches!(place, Some(Placement::Window { no_room: false, .. }));
    let had_no_room = started.opened.target.kind == Layout::Window && !is_wanted;
    if had_no_room {
        flux.ui
            .status("No room for another pane: the task has its own window.");
    }
    had_no_room
}

pub(super) fn print_plans(flux: &Flux, starts: &[Start]) -> Result<()> {
    for (at, start) in starts.iter().enumerate() {
        if at > 0 {
            flux.ui.data("")?;
        }
        if let Some(pane) = &start.pane {
            print_plan(flux, start, pane)?;
        }
    }
    flux.ui.status("Nothing was done.");
    Ok(())
}

fn print_plan(flux: &Flux, start: &Start, pane: &NewPane) -> Result<()> {
    let task = &start.task;
    let place = match &pane.place {
        Placement::Pane { .. } => "a pane of this window".to_owned(),
        Placement::Window { .. } => "a window of this session".to_owned(),
        Placement::Session { name } => format!("session {name}"),
        Placement::Respawn(target) => format!("pane {}", target.pane),
    };
    let into = task.into.as_deref();
    let into = into.unwrap_or("none: cleanup will ask for --into");
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
        ("Task ID", task.id.as_str()),
        ("Worktree", &task.worktree.to_string_lossy()),
        ("Branch", &task.branch),
        ("Base", &task.base),
        ("Into", into),
        ("Target", &place),
        ("Agent", &command),
        ("Prompt", &format!("{prompt} bytes")),
    ] {
        let value = sanitize::line(value);
        flux.ui.data(format_args!("  {name}: {value}"))?;
    }
    if let Some(commit) = start.setup_commit()
        && let Some(init) = InitScripts::find(flux, commit)?
    {
        let condition = if init.is_trusted(flux) {
            ""
        } else {
            " (once you approve it)"
        };
        for name in init.names() {
            flux.ui.data(format_args!("  Setup: {name}{condition}"))?;
        }
    }
    for step in &pane.ready.steps {
        let name = sanitize::line(&step.name);
        flux.ui.data(format_args!("  Setup: {name}"))?;
    }
    Ok(())
}

/// Returns the report of a started task: id, place, worktree, branch and next commands, in which
/// `short` names the task.
pub(super) fn format_started(
    flux: &Flux,
    plan: &Start,
    started: &Started,
    short: impl Display,
) -> String {
    let Started { task, opened, .. } = started;
    let sign = |sign| if flux.ui.has_emoji() { sign } else { "" };
    let (place, attach, other) = describe_target(opened);
    let other = other.map_or(String::new(), |other| format!("        (or: {other})"));
    let agent = plan.pane.as_ref().and_then(|pane| pane.agent.as_ref());
    let state = match agent {
        Some(run) if run.agent.prompt != Prompt::Shown => {
            "The agent is working on your task in the background."
        }
        _ => "Your shell waits there, with the task on its screen.",
    };
    let tip = if opened.target.kind == Layout::Session {
        let detach = keys_of(opened, "d").unwrap_or("'tmux detach-client'".to_owned());
        format!(
            "\n{}Tip: You can detach anytime with {detach}\n      The session will keep running.\n",
            sign("💡 ")
        )
    } else {
        String::new()
    };
    let report = format!(
        "{}Flux Capacitor Session Created!\n\n  Task ID: {}\n  {place}\n  Worktree: {}\n  Branch: {}\n\n\
         {}{attach}:\n   git flux attach {short}{other}\n\n{state}\n{tip}\n\
         When complete: git flux cleanup {short}\n",
        sign("🎯 "),
        task.id,
        shown(&task.worktree),
        sanitize::line(&task.branch),
        sign("📍 "),
    );
    with_directory(&report)
}

/// Returns the place of a task's pane in words, the action to go there, and other keys or another
/// command for that, if there are any.
fn describe_target(opened: &OpenedPane) -> (String, &'static str, Option<String>) {
    let target = &opened.target;
    match target.kind {
        Layout::Session => (
            format!("Session: {}", target.session),
            "Attach to session",
            Some(format!("tmux attach -t {}", target.session)),
        ),
        Layout::Pane => (
            format!("Tmux Pane: {}", target.pane),
            "Switch to pane",
            keys_of(opened, &format!("q → {}", opened.pane_index)),
        ),
        Layout::Window => (
            format!("Tmux Window: {}", target.window),
            "Switch to window",
            keys_of(opened, "w"),
        ),
    }
}

/// Returns the keys to press in tmux for a key binding, such as `Ctrl+b, d`; `None` if tmux has no
/// prefix key.
fn keys_of(opened: &OpenedPane, key: &str) -> Option<String> {
    let keys = format_keys(&opened.prefix, key)?;
    Some(keys.replacen(' ', ", ", 1))
}

/// Returns the shortest beginning of the id, of two or more words before a `-`, with which no other
/// task's id begins; the whole id if there is none. Its last word has three or more characters: many
/// ids to come may begin with `add-a`.
pub(super) fn short_id(store: &Store, id: &TaskId) -> String {
    let ids = store.tasks.iter().map(|other| &other.id);
    let others: Vec<&str> = ids
        .filter(|other| *other != id)
        .map(TaskId::as_str)
        .collect();
    shorten(id.as_str(), &others)
}

fn shorten(id: &str, others: &[&str]) -> String {
    let words: Vec<&str> = id.split('-').collect();
    let ends = (2..words.len()).filter(|n| words[n - 1].len() > 2);
    let mut beginnings = ends.map(|n| words[..n].join("-"));
    let is_unique = |text: &String| !others.iter().any(|other| other.starts_with(text));
    beginnings.find(is_unique).unwrap_or_else(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::shorten;

    #[test]
    fn short_id_ends_in_a_whole_word_that_says_something() {
        assert_eq!(shorten("add-oauth-login-k3x9q2", &[]), "add-oauth");
        assert_eq!(shorten("add-a-total-row-k3x9q2", &[]), "add-a-total");
        assert_eq!(
            shorten("add-a-total-row-k3x9q2", &["add-a-total-k3x9q2"]),
            "add-a-total-row"
        );
        // There is no shorter one.
        assert_eq!(shorten("go-on-k3x9q2", &[]), "go-on-k3x9q2");
        assert_eq!(shorten("fix", &["fix-it"]), "fix");
    }
}
