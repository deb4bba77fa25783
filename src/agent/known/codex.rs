//! Codex.

mod rollout;

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Result;
use notify::RecursiveMode;
use serde_json::{Value, json};

use crate::agent::hooks::{HookFiles, HookOption};
use crate::agent::profile::{Files, Output, PLAIN, Profile};
use crate::agent::report::{Effect, Hook, HookReport, first_text};
use crate::agent::transcript::{Conversation, Coverage, last_activity};
use crate::run::events::Event;
use crate::run::launch::Running;
use crate::task::{Activity, Title};
use crate::tmux::composer::{Composer, Frame, Remedy, Trap};

/// Tested with 0.169.0 and 0.171.0. A notify program on the command line replaces the user's, so
/// ours calls it. It is called twice for each turn, and for a separate thread that finds a title
/// and has no rollout file. A prompt of 17 000 bytes after -- arrives.
pub(super) const CODEX: Profile = Profile {
    name: "codex",
    program: "codex",
    yolo: &["--dangerously-bypass-approvals-and-sandbox"],
    resume: &["resume", "--last"],
    hooks: &[Hook::new("notify", Activity::Done)
        .with_effect(Effect::Turn)
        .with_message(&["last-assistant-message"])
        .refine(refine_turn)],
    configure_hooks,
    title: Some(title),
    // Seen with 0.171.0: it removes spaces around a message.
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
        read: activity_of,
        coverage: Coverage::All,
        is_exact_about_ends: false,
        find_by_thread: rollout::find_by_thread,
        find_by_worktree: rollout::find_by_worktree,
    }),
    files: Some(Files {
        dir: rollout::dir,
        mode: RecursiveMode::Recursive,
        read: last_turn,
    }),
    ..PLAIN
};

fn configure_hooks(files: &HookFiles) -> Result<Option<HookOption>> {
    let Some(user_notify) = user_notify() else {
        return Ok(None);
    };
    let ours = [files.program, "__hook", "codex", "notify"].map(ToOwned::to_owned);
    let notify = json!([ours.as_slice(), &user_notify].concat());
    let notify = format!("notify={notify}");
    Ok(Some(HookOption::Argument("-c", notify)))
}

/// Returns the `notify` program in the user's configuration of Codex, with its arguments; empty if
/// none is set. `None` if the configuration cannot be read.
fn user_notify() -> Option<Vec<String>> {
    let file = rollout::home(&|name| env::var_os(name))?.join("config.toml");
    let text = match fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(Vec::new()),
        text => text.ok()?,
    };
    match text.parse::<toml::Table>().ok()?.remove("notify") {
        None => Some(Vec::new()),
        Some(user_notify) => user_notify.try_into().ok(),
    }
}

fn refine_turn(mut report: HookReport, value: &Value) -> Option<HookReport> {
    let event = value["type"].as_str()?;
    report.event.event = event.to_owned();
    // It reports each turn twice, with the same id.
    report.event.about = first_text(value, &["turn-id"]);
    (event == "agent-turn-complete").then_some(report)
}

/// Returns what a title of Codex shows. With 0.169 the title is `⠏ project` while Codex works,
/// `[ ! ] Action Required | project` for a question, otherwise `project`, shortened if long; 0.171
/// inserts `<thread> | ` before the project. `None` for any other title.
fn title(title: &str, worktree: &Path) -> Option<Title> {
    if title.contains("Action Required") {
        return Some(Title::Asking);
    }
    if matches!(title.chars().next()?, '\u{2800}'..='\u{28ff}') {
        return Some(Title::Working);
    }
    let name = title.rsplit(" | ").next()?.trim_end_matches(['.', '…']);
    let project = worktree.file_name()?.to_string_lossy();
    (!name.is_empty() && project.starts_with(name)).then_some(Title::Idle)
}

fn activity_of(entry: &Value) -> Option<Activity> {
    if entry["type"] != "event_msg" {
        return None;
    }
    match entry["payload"]["type"].as_str()? {
        "task_started" => Some(Activity::Working),
        // Since 0.171; older versions do not record a failure.
        "task_complete" if !entry["payload"]["error"].is_null() => Some(Activity::Failed),
        "task_complete" => Some(Activity::Done),
        "turn_aborted" => Some(Activity::Interrupted),
        _ => None,
    }
}

/// Returns the start or end of a turn that the transcript of Codex records last, as a hook would
/// report it. `None` if it is not newer than the event `before` and the start of the run.
fn last_turn(sessions: &Path, running: &Running, worktree: &Path, before: &Event) -> Option<Event> {
    let reported = before.transcript.as_ref().map(PathBuf::from);
    let since = running.since;
    let path = reported.or_else(|| rollout::find_in(sessions, worktree, since))?;
    let (activity_of, at, entry) = last_activity(&path, activity_of)?;
    if at < since || at <= before.at {
        return None;
    }
    let turn = &entry["payload"];
    let message = turn["error"]["message"].as_str();
    let message = message.or_else(|| turn["last_agent_message"].as_str());
    let event =
        Event::new(activity_of, turn["type"].as_str()?).with_message(message.unwrap_or_default());
    // The file name ends in the id of the conversation, a UUID.
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

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::run::events::START;
    use crate::run::launch::SetupProgress;

    #[test]
    fn last_turn_returns_only_a_turn_since_the_start_and_after_the_last_event() {
        let dir = tempfile::tempdir().unwrap();
        let thread = "01a225cf-ae6f-78a3-9ef4-36ba4cc1e9a2";
        let path = dir
            .path()
            .join(format!("rollout-2026-11-29T05-38-17-{thread}.jsonl"));
        let transcript = path.to_str().map(ToOwned::to_owned);
        let at = Timestamp::from_second(1_700_000_000).unwrap();
        let payload = json!({ "type": "turn_aborted", "turn_id": "1" });
        let entry = json!({ "timestamp": at.to_string(), "type": "event_msg", "payload": payload });
        fs::write(&path, entry.to_string()).unwrap();
        let found = |since: Timestamp, last_event: Timestamp| {
            let running = Running {
                launcher: 2,
                boot: None,
                machine: None,
                worktree: None,
                agent: Some(7),
                since,
                wrapper_since: None,
                setup: SetupProgress::default(),
            };
            let before = Event {
                at: last_event,
                transcript: transcript.clone(),
                ..Event::new(Activity::Working, START)
            };
            last_turn(dir.path(), &running, Path::new("/w/x"), &before)
        };
        let event = Event {
            at,
            session: Some(thread.to_owned()),
            about: Some("1".to_owned()),
            transcript: transcript.clone(),
            ..Event::new(Activity::Interrupted, "turn_aborted")
        };
        let expected = Some(event.with_message(""));
        let earlier = at - SignedDuration::from_millis(1);
        assert_eq!(found(earlier, earlier), expected);
        assert_eq!(found(at, earlier), expected);
        assert_eq!(found(at + SignedDuration::from_millis(1), earlier), None);
        assert_eq!(found(earlier, at), None);
    }
}
