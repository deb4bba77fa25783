//! What an agent writes down of its conversation, in files of its own: there stands what it
//! tells by no hook, that it was interrupted.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::Value;

use super::run::end_of;
use super::{Voice, voice};
use crate::task::{Heard, Said};

/// How much of the end is looked at, in bytes.
const TAIL: u64 = 64 * 1024;

/// The last that the conversation at `path` of the agent of this name says of its state. It
/// is the agent's own file, so what cannot be read says nothing.
pub(crate) fn last(agent: &str, path: &Path) -> Option<Heard> {
    let read = match voice(agent) {
        Voice::Claude => claude,
        Voice::Codex => codex,
        _ => return None,
    };
    let bytes = end_of(path, TAIL).ok()?;
    let lines = bytes.rsplit(|&b| b == b'\n');
    let mut entries = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let last = entries.find_map(|entry| {
        let said = read(&entry)?;
        let at: Timestamp = entry["timestamp"].as_str()?.parse().ok()?;
        let at = u64::try_from(at.as_millisecond()).ok()?;
        let why = None;
        Some(Heard { said, why, at })
    });
    let all = voice(agent) == Voice::Codex;
    last.filter(|last| all || last.said == Said::Interrupted)
}

/// Whether the last that its user did was to press Esc. All else is told by hooks, and better.
fn claude(entry: &Value) -> Option<Said> {
    if entry["type"] != "user" || entry["isSidechain"] == true {
        return None;
    }
    let content = &entry["message"]["content"];
    let mut parts = content.as_array().into_iter().flatten();
    let text = content.as_str();
    let text = text.or_else(|| parts.find_map(|part| part["text"].as_str()));
    let interrupted = text.is_some_and(|text| text.starts_with("[Request interrupted by user"));
    Some(if interrupted {
        Said::Interrupted
    } else {
        Said::Working
    })
}

fn codex(entry: &Value) -> Option<Said> {
    if entry["type"] != "event_msg" {
        return None;
    }
    match entry["payload"]["type"].as_str()? {
        "task_started" => Some(Said::Working),
        "task_complete" => Some(Said::Done),
        "turn_aborted" => Some(Said::Interrupted),
        _ => None,
    }
}

/// The file in which Codex keeps the conversation of this thread. One that it holds with
/// itself, to find a title for one, has none.
pub(super) fn rollout(thread: &str) -> Option<PathBuf> {
    let end = format!("-{thread}.jsonl");
    let newest = |dir: &Path| {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.sort_unstable_by(|a, b| b.cmp(a));
        paths
    };
    let years = newest(&codex_home()?.join("sessions"));
    let months = years.iter().flat_map(|year| newest(year));
    let days = months.flat_map(|month| newest(&month));
    let mut files = days.flat_map(|day| newest(&day));
    files.find(|file| file.to_str().is_some_and(|name| name.ends_with(&end)))
}

/// Where Codex has what it keeps.
pub(super) fn codex_home() -> Option<PathBuf> {
    let home = env::var_os("CODEX_HOME").filter(|home| !home.is_empty());
    let home = home.map(PathBuf::from);
    home.or_else(|| Some(Path::new(&env::var_os("HOME")?).join(".codex")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_last_word_of_a_conversation_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.jsonl");
        let mut text = String::new();
        let mut case = |agent: &str, mut line: Value, expected: Option<Said>| {
            line["timestamp"] = "2026-11-23T20:34:20.500Z".into();
            text.push_str(&format!("{line}\n"));
            fs::write(&path, format!("{text}{{\"torn")).unwrap();
            let last = last(agent, &path);
            assert_eq!(last.map(|last| last.said), expected, "{agent}: {line}");
        };
        let user = |text: &str| {
            let content = json!([{ "type": "text", "text": text }]);
            json!({ "type": "user", "message": { "content": content } })
        };
        let esc = user("[Request interrupted by user for tool use]");
        case("claude", json!({ "type": "summary" }), None);
        case("claude", user("Fix"), None);
        case("claude", esc, Some(Said::Interrupted));
        case(
            "claude",
            json!({ "type": "system" }),
            Some(Said::Interrupted),
        );
        case("claude", user("Go on"), None);
        let event = |name: &str| json!({ "type": "event_msg", "payload": { "type": name } });
        case("codex", event("task_started"), Some(Said::Working));
        case("codex", event("token_count"), Some(Said::Working));
        case("codex", event("turn_aborted"), Some(Said::Interrupted));
        case("codex", event("task_complete"), Some(Said::Done));
        case("gemini", event("task_complete"), None);
    }
}
