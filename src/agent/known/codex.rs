//! Codex.

mod rollout;

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Result;
use notify::RecursiveMode;
use serde_json::{Value, json};

use crate::agent::hooks::{Additions, HookFiles};
use crate::agent::profile::{Files, Output, PLAIN, Profile};
use crate::agent::report::{Hook, Kind, Report, text};
use crate::agent::transcript::{Conversation, Counts, last_that_says};
use crate::run::events::Event;
use crate::run::launch::Running;
use crate::task::{Said, Title};
use crate::tmux::composer::{Composer, Frame, Remedy, Trap};

/// Seen with 0.169.0 and 0.171.0: a notify given on the command line replaces the user's, so it passes on
/// what it is told; it is told twice of each turn, and of a thread beside it that has no
/// rollout file and finds a title; a prompt of 17 000 bytes after -- arrives.
pub(super) const CODEX: Profile = Profile {
    name: "codex",
    program: "codex",
    yolo: &["--dangerously-bypass-approvals-and-sandbox"],
    resume: &["resume", "--last"],
    hooks: &[Hook::new("notify", Said::Done)
        .of(Kind::Turn)
        .saying(&["last-assistant-message"])
        .refined(turn)],
    arrange,
    title: Some(title),
    // Seen with 0.171.0: it takes spaces away around a message.
    composer: Some(Composer {
        frame: Frame::Open,
        marks: &["›"],
        placeholder: "",
        longest_paste: None,
        traps: &[
            (Trap::Begins('!'), Remedy::Space),
            (Trap::Begins('/'), Remedy::Space),
            (Trap::LastWord('@'), Remedy::SpaceBehind),
            (Trap::LastWord('$'), Remedy::SpaceBehind),
        ],
    }),
    output: Output::Unknown,
    conversation: Some(Conversation {
        read: said,
        counts: Counts::All,
        has_ends: false,
        of_thread: rollout::of_thread,
        in_worktree: rollout::of_worktree,
    }),
    files: Some(Files {
        dir: rollout::dir,
        mode: RecursiveMode::Recursive,
        read: last_turn,
    }),
    ..PLAIN
};

fn arrange(files: &HookFiles) -> Result<Additions> {
    let Some(theirs) = theirs() else {
        return Ok(Additions::default());
    };
    let ours = [files.program, "__hook", "codex", "notify"].map(ToOwned::to_owned);
    let notify = json!([ours.as_slice(), &theirs].concat());
    let notify = format!("notify={notify}");
    Ok(Additions::of_option("-c", notify))
}

/// Returns the program that the user has for notices, with its arguments, or nothing: what is given
/// on the command line takes its place, so it is passed on. `None` where it cannot be told.
fn theirs() -> Option<Vec<String>> {
    let file = rollout::home(&|name| env::var_os(name))?.join("config.toml");
    let text = match fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(Vec::new()),
        text => text.ok()?,
    };
    match text.parse::<toml::Table>().ok()?.remove("notify") {
        None => Some(Vec::new()),
        Some(theirs) => theirs.try_into().ok(),
    }
}

fn turn(mut report: Report, value: &Value) -> Option<Report> {
    let event = value["type"].as_str()?;
    report.event.event = event.to_owned();
    // It tells of each turn's end, and twice; by the turn's name they are one.
    report.event.about = text(value, &["turn-id"]);
    (event == "agent-turn-complete").then_some(report)
}

/// With 0.169 `⠏ project` at work, `[ ! ] Action Required | project` at a question, `project`
/// otherwise, shortened if it is long; with 0.171 each with `<thread> | ` before the project.
fn title(title: &str, project: &str) -> Option<Title> {
    if title.contains("Action Required") {
        return Some(Title::Asking);
    }
    if matches!(title.chars().next()?, '\u{2800}'..='\u{28ff}') {
        return Some(Title::Working);
    }
    let last = title.rsplit(" | ").next()?;
    let name = last.trim_end_matches(['.', '…']);
    (!name.is_empty() && project.starts_with(name)).then_some(Title::Idle)
}

fn said(entry: &Value) -> Option<Said> {
    if entry["type"] != "event_msg" {
        return None;
    }
    match entry["payload"]["type"].as_str()? {
        "task_started" => Some(Said::Working),
        // With 0.171; before, nothing told that it was given up.
        "task_complete" if !entry["payload"]["error"].is_null() => Some(Said::Failed),
        "task_complete" => Some(Said::Done),
        "turn_aborted" => Some(Said::Interrupted),
        _ => None,
    }
}

/// Returns what the conversation says of its last turn, as the hook would tell it.
fn last_turn(sessions: &Path, running: &Running, worktree: &Path, before: &Event) -> Option<Event> {
    let told = before.transcript.as_ref().map(PathBuf::from);
    let since = running.since;
    let path = told.or_else(|| rollout::in_worktree(sessions, worktree, since))?;
    let (said, at, entry) = last_that_says(&path, said)?;
    if at < since || at <= before.at {
        return None;
    }
    let turn = &entry["payload"];
    let message = turn["error"]["message"].as_str();
    let message = message.or_else(|| turn["last_agent_message"].as_str());
    let event = Event::new(said, turn["type"].as_str()?).with_message(message.unwrap_or_default());
    // The name of the file ends in that of the conversation, a UUID.
    let name = path.file_stem()?.to_str()?;
    let thread = name.len().checked_sub(36).and_then(|at| name.get(at..));
    Some(Event {
        at,
        session: thread.map(ToOwned::to_owned),
        about: turn["turn_id"].as_str().map(ToOwned::to_owned),
        transcript: path.to_str().map(ToOwned::to_owned),
        ..event
    })
}
