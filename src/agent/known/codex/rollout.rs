//! The rollout files of Codex, which record its conversations.

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::Timestamp;
use serde_json::Value;

use crate::agent::profile::{Variables, home_of};
use crate::git::regular_file::open_file;

/// The beginning of a file that is searched for its first line.
const HEAD_BYTES: u64 = 64 * 1024;

/// Returns the transcript of the Codex conversation with the id `thread`. `None` if there is no
/// such file: Codex writes none for its extra conversation that makes a title.
pub(super) fn find_by_thread(thread: &str) -> Option<PathBuf> {
    let end = format!("-{thread}.jsonl");
    let sessions = dir(&|name| env::var_os(name))?;
    let mut files = days(&sessions).flat_map(|day| list_newest_first(&day));
    files.find(|file| file.to_str().is_some_and(|name| name.ends_with(&end)))
}

/// Returns the transcript that was changed last of the user's Codex conversations in `worktree`;
/// `None` if none was changed since `since`. Codex itself reports a conversation only after a
/// completed turn.
pub(super) fn find_by_worktree(worktree: &Path, since: Timestamp) -> Option<PathBuf> {
    find_in(&dir(&|name| env::var_os(name))?, worktree, since)
}

/// The number of days with conversations that are searched for a continued one.
const MAX_DAYS: usize = 31;

/// Returns the transcript of [`find_by_worktree`], searched in the 31 latest days of `sessions`,
/// the directory of Codex's transcripts.
pub(super) fn find_in(sessions: &Path, worktree: &Path, since: Timestamp) -> Option<PathBuf> {
    let since = SystemTime::from(since);
    let changed = |path: PathBuf| {
        let at = path.metadata().ok()?.modified().ok()?;
        (at >= since).then_some((at, path))
    };
    let files = days(sessions)
        .take(MAX_DAYS)
        .flat_map(|day| list_newest_first(&day));
    let mut files: Vec<(SystemTime, PathBuf)> = files.filter_map(changed).collect();
    files.sort_unstable_by(|a, b| b.cmp(a));
    let mut paths = files.into_iter().map(|(_, path)| path);
    paths.find(|path| is_in_worktree(path, worktree) == Some(true))
}

/// Returns whether a transcript begins with the entry of a user's conversation in `worktree` or
/// below; `None` if it cannot be read or parsed.
fn is_in_worktree(path: &Path, worktree: &Path) -> Option<bool> {
    let mut line = Vec::new();
    let file = open_file(path).ok()?.take(HEAD_BYTES);
    BufReader::new(file).read_until(b'\n', &mut line).ok()?;
    let first: Value = serde_json::from_slice(&line).ok()?;
    let meta = &first["payload"];
    // The source of a subagent is an object.
    let is_of_user = first["type"] == "session_meta" && meta["source"].is_string();
    Some(is_of_user && Path::new(meta["cwd"].as_str()?).starts_with(worktree))
}

/// Returns the directories of all days, `<year>/<month>/<day>`, in the directory of Codex's
/// transcripts, the last day first.
fn days(sessions: &Path) -> impl Iterator<Item = PathBuf> {
    let years = list_newest_first(sessions).into_iter();
    let months = years.flat_map(|year| list_newest_first(&year));
    months.flat_map(|month| list_newest_first(&month))
}

/// Lists the paths in a directory whose names are dates or times, the last name first; empty if it
/// cannot be read.
fn list_newest_first(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort_unstable_by(|a, b| b.cmp(a));
    paths
}

/// Returns the directory of Codex's transcripts in the environment `var`: `sessions` in
/// `$CODEX_HOME` or `~/.codex`. `None` if neither that variable nor `$HOME` is set.
pub(super) fn dir(var: &Variables) -> Option<PathBuf> {
    Some(home(var)?.join("sessions"))
}

/// Returns the directory of Codex's own files in the environment `var`: `$CODEX_HOME` or
/// `~/.codex`. `None` if neither that variable nor `$HOME` is set.
pub(super) fn home(var: &Variables) -> Option<PathBuf> {
    home_of(var, "CODEX_HOME", ".codex")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use serde_json::json;

    use super::*;

    #[test]
    fn find_in_returns_the_latest_conversation_in_a_worktree() {
        let home = tempfile::tempdir().unwrap();
        let since = 1_700_000_000_u64;
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
        let found = || {
            find_in(
                &home.path().join("sessions"),
                Path::new("/w/x"),
                Timestamp::from_second(since.cast_signed()).unwrap(),
            )
        };
        assert_eq!(found(), None);
        write("2026/11/29/a.jsonl", "/w/x-y", json!("cli"), 0);
        write("2026/11/29/b.jsonl", "/w/x", json!({ "subagent": {} }), 0);
        // Of an earlier run.
        write("2026/11/29/c.jsonl", "/w/x", json!("cli"), 101);
        assert_eq!(found(), None);
        // A continued conversation.
        let old = write("2026/09/01/d.jsonl", "/w/x/src", json!("cli"), 100);
        assert_eq!(found(), Some(old));
        let new = write("2026/11/28/e.jsonl", "/w/x", json!("cli"), 50);
        assert_eq!(found(), Some(new));
        fs::write(home.path().join("sessions/2026/11/29/f.jsonl"), "{").unwrap();
        fs::create_dir(home.path().join("sessions/2026/11/29/g.jsonl")).unwrap();
        assert!(found().is_some());
    }
}
