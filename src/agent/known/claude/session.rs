//! The session files of Claude Code.
//!
//! Seen with claude 2.1.332: `sessions/<pid>.json` in its directory, one for each process,
//! rewritten when the status changes. Unlike hooks it tells that Esc was pressed, that a question
//! was answered, or that only a background command still runs.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::agent::profile::{Variables, home_of};
use crate::run::events::Event;
use crate::run::file::read_tail;
use crate::run::launch::Running;
use crate::system::clock::{in_milliseconds, now};
use crate::task::WaitReason;
use crate::task::finding::{find_contradiction, is_fresh};
use crate::task::observation::{SessionActivity, SessionState};

/// The longest file that is read.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// A session file, with the fields that are used.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SessionFile {
    pid: i32,
    cwd: PathBuf,
    #[serde(with = "in_milliseconds")]
    started_at: Timestamp,
    kind: String,
    status: Option<String>,
    waiting_for: Option<String>,
    #[serde(with = "in_milliseconds")]
    status_updated_at: Timestamp,
    /// The background job that this process runs.
    job_id: Option<String>,
    /// The job that its conversation was moved to: it shows a list of sessions since.
    parked_job_id: Option<String>,
}

/// Reads the state in the session file of the Claude Code that runs for this run in `worktree`.
/// `None` if there is none; ignores files that cannot be read.
pub(super) fn read_session(running: &Running, worktree: &Path) -> Option<SessionState> {
    read(&dir(&|name| env::var_os(name))?, running, worktree)
}

/// Returns an event if a session file of Claude Code in `dir` contradicts the run's last event
/// `before`; otherwise `None`. Also `None` while the file's state is younger than two seconds.
pub(super) fn find_event(
    dir: &Path,
    running: &Running,
    worktree: &Path,
    before: &Event,
) -> Option<Event> {
    let session = read(dir, running, worktree)?;
    let now = now();
    // Its hook may be about to report more.
    if is_fresh(session.at, now) {
        return None;
    }
    let (activity, why) = find_contradiction(&before.report(), session, now)?;
    Some(Event {
        why,
        ..Event::new(activity, "session")
    })
}

/// Reads the state of this run's Claude Code from the session files in `dir`, as [`choose`] picks
/// it: by process id, else the latest in `worktree`. `None` if no file matches; skips unreadable and
/// invalid files.
fn read(dir: &Path, running: &Running, worktree: &Path) -> Option<SessionState> {
    let names = fs::read_dir(dir).ok()?.flatten().map(|entry| entry.path());
    let files = names.filter(|path| path.extension().is_some_and(|it| it == "json"));
    let read = |path: PathBuf| serde_json::from_slice(&read_tail(&path, MAX_FILE_BYTES).ok()?).ok();
    let entries: Vec<SessionFile> = files.filter_map(read).collect();
    choose(&entries, running, worktree)
}

/// Returns the state in the session file of this run: that of the agent's process, or else the
/// latest in `worktree`. If the conversation was moved to a background job, returns the state of
/// the job. `None` if no file matches.
fn choose(entries: &[SessionFile], running: &Running, worktree: &Path) -> Option<SessionState> {
    let pid = running.agent?;
    let is_ours = |it: &&SessionFile| it.is_of(running, worktree) && it.kind == "interactive";
    let ours = || entries.iter().filter(is_ours);
    // A wrapper, a script or a container, has another process id.
    let entry = ours().find(|entry| entry.pid == pid);
    let entry = entry.or_else(|| ours().max_by_key(|entry| entry.started_at))?;
    let Some(job) = &entry.parked_job_id else {
        return entry.session();
    };
    let job = entries.iter().find(|it| it.job_id.as_ref() == Some(job));
    let session = job
        .and_then(SessionFile::session)
        .or_else(|| entry.session())?;
    Some(SessionState {
        is_handed_over: true,
        ..session
    })
}

/// Returns the directory of Claude Code's session files in the environment `var`: `sessions` in
/// `$CLAUDE_CONFIG_DIR` or `~/.claude`. `None` if neither that variable nor `$HOME` is set.
pub(super) fn dir(var: &Variables) -> Option<PathBuf> {
    Some(home_of(var, "CLAUDE_CONFIG_DIR", ".claude")?.join("sessions"))
}

impl SessionFile {
    /// Returns whether a session file is of a process that started after this run, and in
    /// `worktree` or below.
    fn is_of(&self, running: &Running, worktree: &Path) -> bool {
        // Both times may be rounded.
        self.started_at.duration_since(running.since) >= -SignedDuration::from_secs(1)
            && self.cwd.starts_with(worktree)
    }

    fn session(&self) -> Option<SessionState> {
        use SessionActivity::{Background, Idle, Waiting, Working};
        let activity = match self.status.as_deref()? {
            "busy" => Working,
            "shell" => Background,
            "waiting" => Waiting(match self.waiting_for.as_deref().unwrap_or_default() {
                "permission prompt" | "sandbox request" => Some(WaitReason::Permission),
                "worker request" | "goal proposal" => Some(WaitReason::Permission),
                "input needed" => Some(WaitReason::Question),
                _ => None,
            }),
            "idle" => Idle,
            _ => return None,
        };
        Some(SessionState {
            activity,
            at: self.status_updated_at,
            is_handed_over: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use serde_json::json;

    use super::*;
    use crate::run::launch::SetupProgress;
    use SessionActivity::{Background, Idle, Waiting, Working};

    fn running(agent: i32) -> Running {
        Running {
            launcher: 2,
            boot: None,
            machine: None,
            worktree: None,
            agent: Some(agent),
            since: Timestamp::from_second(1_000).unwrap(),
            wrapper_since: None,
            setup: SetupProgress::default(),
        }
    }

    /// Returns a file as claude 2.1.332 writes it, without unused fields.
    fn file(pid: i32, more: &serde_json::Value) -> SessionFile {
        let mut file = json!({
            "pid": pid, "sessionId": "8d5a1775", "cwd": "/w/app-x", "startedAt": 1_000_550,
            "version": "2.1.332", "kind": "interactive", "entrypoint": "cli", "status": "busy",
            "updatedAt": 1_002_000, "statusUpdatedAt": 1_002_000,
        });
        let more = more.as_object().unwrap().clone();
        file.as_object_mut().unwrap().extend(more);
        serde_json::from_value(file).unwrap()
    }

    #[track_caller]
    fn case(entries: &[SessionFile], expected: Option<(SessionActivity, bool)>) {
        let found = choose(entries, &running(7), Path::new("/w/app-x"));
        let found = found.map(|session| (session.activity, session.is_handed_over));
        assert_eq!(found, expected);
    }

    #[test]
    fn choose_returns_the_activity_of_each_status() {
        for (status, waiting_for, expected) in [
            ("busy", None, Some(Working)),
            ("idle", None, Some(Idle)),
            ("shell", None, Some(Background)),
            (
                "waiting",
                Some("permission prompt"),
                Some(Waiting(Some(WaitReason::Permission))),
            ),
            (
                "waiting",
                Some("input needed"),
                Some(Waiting(Some(WaitReason::Question))),
            ),
            ("waiting", Some("dialog open"), Some(Waiting(None))),
            ("asleep", None, None),
        ] {
            let file = file(7, &json!({ "status": status, "waitingFor": waiting_for }));
            case(&[file], expected.map(|doing| (doing, false)));
        }
        case(&[file(7, &json!({ "status": null }))], None);
    }

    #[test]
    fn choose_selects_the_file_of_this_run() {
        let idle = json!({ "status": "idle" });
        case(
            &[file(6, &idle), file(7, &json!({}))],
            Some((Working, false)),
        );
        // A wrapper has the known process id.
        case(&[file(6, &idle)], Some((Idle, false)));
        case(
            &[file(6, &json!({ "cwd": "/w/app-x/src" }))],
            Some((Working, false)),
        );
        for foreign in [
            json!({ "cwd": "/w/app-xy" }),
            json!({ "cwd": "/w" }),
            json!({ "startedAt": 998_000 }),
            json!({ "kind": "bg" }),
        ] {
            case(&[file(7, &foreign)], None);
        }
    }

    #[test]
    fn choose_follows_a_session_to_another_process() {
        let parked = file(7, &json!({ "status": "idle", "parkedJobId": "2f3a" }));
        let job = file(
            9,
            &json!({ "kind": "bg", "jobId": "2f3a", "status": "shell" }),
        );
        let spare = file(8, &json!({ "kind": "bg", "jobId": "4053", "spare": true }));
        case(&[spare, parked.clone(), job], Some((Background, true)));
        case(&[parked], Some((Idle, true)));
    }

    #[test]
    fn dir_depends_on_the_environment() {
        let dir = |own: Option<&str>, home: Option<&str>| {
            dir(&|name| match name {
                "HOME" => home.map(OsString::from),
                _ => own.map(OsString::from),
            })
        };
        assert_eq!(dir(Some("/c"), Some("/h")), Some("/c/sessions".into()));
        assert_eq!(
            dir(Some(""), Some("/h")),
            Some("/h/.claude/sessions".into())
        );
        assert_eq!(dir(None, None), None);
    }
}
