//! What an agent writes down of its conversation, in files of its own: there stands what it
//! tells by no hook, that it was interrupted.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use serde_json::Value;

use super::{Voice, voice};
use crate::git::regular_file::open_file;
use crate::run::events::Event;
use crate::run::file::end_of;
use crate::task::{Heard, Said};

/// How much of the end is looked at, in bytes.
const TAIL: u64 = 64 * 1024;

/// The last that the conversation at `path` of the agent of this name says of its state. It
/// is the agent's own file, so what cannot be read says nothing.
pub(crate) fn last(agent: &str, path: &Path) -> Option<Heard> {
    let read = match voice(agent) {
        Voice::Claude => claude,
        Voice::Codex => codex,
        Voice::Gemini => gemini,
        _ => return None,
    };
    let last = last_that_says(path, read).map(|(said, at, _)| {
        let why = None;
        Heard { said, why, at }
    });
    let all = voice(agent) == Voice::Codex;
    // What else there is the hooks tell, and better.
    last.filter(|last| all || matches!(last.said, Said::Interrupted | Said::Failed))
}

/// Returns the last entry of a conversation that says something, what and when.
fn last_that_says(path: &Path, read: fn(&Value) -> Option<Said>) -> Option<(Said, u64, Value)> {
    let bytes = end_of(path, TAIL).ok()?;
    let lines = bytes.rsplit(|&b| b == b'\n');
    let mut entries = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    entries.find_map(|entry| {
        let said = read(&entry)?;
        let at: Timestamp = entry["timestamp"].as_str()?.parse().ok()?;
        Some((said, u64::try_from(at.as_millisecond()).ok()?, entry))
    })
}

/// Returns what a conversation of Codex says of its last turn, as its hook would tell it.
pub(crate) fn last_turn(path: &Path) -> Option<Event> {
    let (said, at, entry) = last_that_says(path, codex)?;
    let turn = &entry["payload"];
    let message = turn["error"]["message"].as_str();
    let message = message.or_else(|| turn["last_agent_message"].as_str());
    let event = Event::new(said, turn["type"].as_str()?).saying(message.unwrap_or_default());
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
        // With 0.171; before, nothing told that it was given up.
        "task_complete" if !entry["payload"]["error"].is_null() => Some(Said::Failed),
        "task_complete" => Some(Said::Done),
        "turn_aborted" => Some(Said::Interrupted),
        _ => None,
    }
}

/// Whether its turn was cancelled by Esc, or given up: its hook tells of a turn that is over, however
/// that was. Seen with 0.61.0.
fn gemini(entry: &Value) -> Option<Said> {
    match entry["type"].as_str()? {
        "info" if entry["content"] == "Request cancelled." => Some(Said::Interrupted),
        "error" => Some(Said::Failed),
        "user" | "gemini" => Some(Said::Working),
        _ => None,
    }
}

/// The file in which Codex keeps the conversation of this thread. One that it holds with
/// itself, to find a title for one, has none.
pub(crate) fn rollout(thread: &str) -> Option<PathBuf> {
    let end = format!("-{thread}.jsonl");
    let home = codex_home(&|name| env::var_os(name))?;
    let mut files = days(&home).flat_map(|day| newest(&day));
    files.find(|file| file.to_str().is_some_and(|name| name.ends_with(&end)))
}

/// Returns the file in which the agent of this name keeps the conversation that it holds in
/// `worktree`, before it has told of one: a file that was written since `since`, in seconds since
/// 1970. Only Codex needs it, which tells nothing of a turn that it has not completed.
pub(crate) fn current(agent: &str, worktree: &Path, since: u64) -> Option<PathBuf> {
    let home = codex_home(&|name| env::var_os(name))?;
    (voice(agent) == Voice::Codex).then(|| in_worktree(&home, worktree, since))?
}

/// How many days back a conversation may have begun that is gone on with, counting those alone
/// that have any.
const DAYS: usize = 31;

/// Returns the file of [`current`] in the directory of Codex.
pub(crate) fn in_worktree(home: &Path, worktree: &Path, since: u64) -> Option<PathBuf> {
    let since = UNIX_EPOCH + Duration::from_secs(since);
    let changed = |path: PathBuf| {
        let at = path.metadata().ok()?.modified().ok()?;
        (at >= since).then_some((at, path))
    };
    let files = days(home).take(DAYS).flat_map(|day| newest(&day));
    let mut files: Vec<(SystemTime, PathBuf)> = files.filter_map(changed).collect();
    files.sort_unstable_by(|a, b| b.cmp(a));
    let mut paths = files.into_iter().map(|(_, path)| path);
    paths.find(|path| is_in_worktree(path, worktree))
}

/// Returns whether a file of Codex begins with the note that it is its user's conversation, and is
/// held in `worktree`.
fn is_in_worktree(path: &Path, worktree: &Path) -> bool {
    let first = || -> Option<Value> {
        let mut line = Vec::new();
        let file = open_file(path).ok()?.take(TAIL);
        BufReader::new(file).read_until(b'\n', &mut line).ok()?;
        serde_json::from_slice(&line).ok()
    };
    first().is_some_and(|first| {
        let meta = &first["payload"];
        first["type"] == "session_meta"
            // An agent within has a note of whose it is instead of a word.
            && meta["source"].is_string()
            && meta["cwd"].as_str().is_some_and(|cwd| Path::new(cwd).starts_with(worktree))
    })
}

/// Returns the directories below `home` in which Codex keeps the conversations of a day, the last
/// one first.
fn days(home: &Path) -> impl Iterator<Item = PathBuf> {
    let years = newest(&home.join("sessions")).into_iter();
    let months = years.flat_map(|year| newest(&year));
    months.flat_map(|month| newest(&month))
}

/// Returns what is in a directory, the last name first.
fn newest(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort_unstable_by(|a, b| b.cmp(a));
    paths
}

/// Where Codex has what it keeps, in an environment.
pub(crate) fn codex_home(var: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let home = var("CODEX_HOME").filter(|home| !home.is_empty());
    let home = home.map(PathBuf::from);
    home.or_else(|| Some(Path::new(&var("HOME")?).join(".codex")))
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
        let mut failed = event("task_complete");
        failed["payload"]["error"] = json!({ "message": "401" });
        case("codex", failed, Some(Said::Failed));
        let mut well = event("task_complete");
        well["payload"]["error"] = Value::Null;
        case("codex", well, Some(Said::Done));
        case("gemini", event("task_complete"), None);
        let gemini = |kind: &str, text: &str| json!({ "type": kind, "content": text });
        case("gemini", gemini("user", "Fix"), None);
        case("gemini", gemini("error", "[API Error]"), Some(Said::Failed));
        case(
            "gemini",
            gemini("info", "This request failed."),
            Some(Said::Failed),
        );
        case("gemini", json!({ "$set": {} }), Some(Said::Failed));
        case("gemini", gemini("gemini", "Done."), None);
        case(
            "gemini",
            gemini("info", "Request cancelled."),
            Some(Said::Interrupted),
        );
    }

    #[test]
    fn a_conversation_is_found_by_its_worktree_before_it_is_told_of() {
        let home = tempfile::tempdir().unwrap();
        let since = 1_700_000_000;
        let write = |path: &str, cwd: &str, source: Value, age: u64| {
            let path = home.path().join("sessions").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let meta =
                json!({ "type": "session_meta", "payload": { "cwd": cwd, "source": source } });
            fs::write(&path, format!("{meta}\n{{}}\n")).unwrap();
            let at = UNIX_EPOCH + Duration::from_secs(since + 100 - age);
            fs::File::open(&path).unwrap().set_modified(at).unwrap();
            path
        };
        let found = || in_worktree(home.path(), Path::new("/w/x"), since);
        assert_eq!(found(), None);
        write("2026/11/29/a.jsonl", "/w/x-y", json!("cli"), 0);
        write("2026/11/29/b.jsonl", "/w/x", json!({ "subagent": {} }), 0);
        // Of an earlier run.
        write("2026/11/29/c.jsonl", "/w/x", json!("cli"), 101);
        assert_eq!(found(), None);
        // One that is gone on with.
        let old = write("2026/09/01/d.jsonl", "/w/x/src", json!("cli"), 100);
        assert_eq!(found(), Some(old));
        let new = write("2026/11/28/e.jsonl", "/w/x", json!("cli"), 50);
        assert_eq!(found(), Some(new));
        fs::write(home.path().join("sessions/2026/11/29/f.jsonl"), "{").unwrap();
        fs::create_dir(home.path().join("sessions/2026/11/29/g.jsonl")).unwrap();
        assert!(found().is_some());
    }
}
