//! The file in which an agent keeps what its session does, while it runs.
//!
//! Seen with claude 2.1.332: `sessions/<pid>.json` in its directory, one for each of its processes,
//! written anew when the status changes. It tells what no hook does: that Esc was pressed, that a
//! question was answered, that only a command in the background still runs.

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
use crate::task::Why;
use crate::task::finding::{contradiction, is_fresh};
use crate::task::seen::{Doing, Session};

/// How long such a file may be, in bytes.
const LONGEST: u64 = 64 * 1024;

/// One file, as far as it is of use here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Entry {
    pid: i32,
    cwd: PathBuf,
    #[serde(with = "in_milliseconds")]
    started_at: Timestamp,
    kind: String,
    status: Option<String>,
    waiting_for: Option<String>,
    /// Milliseconds since 1970.
    status_updated_at: u64,
    /// The job in the background that this process does.
    job_id: Option<String>,
    /// The job that its conversation was handed over to: it shows a list of sessions since.
    parked_job_id: Option<String>,
}

/// Returns what Claude Code says of its session, if it runs in `worktree`. It is its own file, so what
/// cannot be read says nothing.
pub(super) fn of(running: &Running, worktree: &Path) -> Option<Session> {
    read(&dir(&|name| env::var_os(name))?, running, worktree)
}

/// Returns what the files in `dir` say that contradicts the last event.
pub(super) fn event(
    dir: &Path,
    running: &Running,
    worktree: &Path,
    before: &Event,
) -> Option<Event> {
    let session = read(dir, running, worktree)?;
    let now = in_milliseconds::of(now());
    // Its hook may be about to say more of it.
    if is_fresh(session.at, now) {
        return None;
    }
    let (said, why) = contradiction(&before.heard(), session, now)?;
    Some(Event {
        why,
        ..Event::new(said, "session")
    })
}

/// Returns what the files in `dir` say of the session of this run.
fn read(dir: &Path, running: &Running, worktree: &Path) -> Option<Session> {
    let names = fs::read_dir(dir).ok()?.flatten().map(|entry| entry.path());
    let files = names.filter(|path| path.extension().is_some_and(|it| it == "json"));
    let read = |path: PathBuf| serde_json::from_slice(&read_tail(&path, LONGEST).ok()?).ok();
    let entries: Vec<Entry> = files.filter_map(read).collect();
    choose(&entries, running, worktree)
}

/// Returns what counts of all these files.
fn choose(entries: &[Entry], running: &Running, worktree: &Path) -> Option<Session> {
    let pid = running.agent?;
    let is_ours = |it: &&Entry| it.is_of(running, worktree) && it.kind == "interactive";
    let ours = || entries.iter().filter(is_ours);
    // What starts it may have another number: a script, or a container.
    let entry = ours().find(|entry| entry.pid == pid);
    let entry = entry.or_else(|| ours().max_by_key(|entry| entry.started_at))?;
    let Some(job) = &entry.parked_job_id else {
        return entry.session();
    };
    let job = entries.iter().find(|it| it.job_id.as_ref() == Some(job));
    let session = job.and_then(Entry::session).or_else(|| entry.session())?;
    Some(Session {
        is_handed_over: true,
        ..session
    })
}

/// Returns the directory of these files, in an environment.
pub(super) fn dir(var: &Variables) -> Option<PathBuf> {
    Some(home_of(var, "CLAUDE_CONFIG_DIR", ".claude")?.join("sessions"))
}

impl Entry {
    /// Returns whether the process was started for this run, there.
    fn is_of(&self, running: &Running, worktree: &Path) -> bool {
        // The two clocks may be rounded.
        self.started_at.duration_since(running.since) >= -SignedDuration::from_secs(1)
            && self.cwd.starts_with(worktree)
    }

    fn session(&self) -> Option<Session> {
        let doing = match self.status.as_deref()? {
            "busy" => Doing::Working,
            "shell" => Doing::Background,
            "waiting" => Doing::Waiting(match self.waiting_for.as_deref().unwrap_or_default() {
                "permission prompt" | "sandbox request" => Some(Why::Permission),
                "worker request" | "goal proposal" => Some(Why::Permission),
                "input needed" => Some(Why::Question),
                _ => None,
            }),
            "idle" => Doing::Idle,
            _ => return None,
        };
        Some(Session {
            doing,
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

    fn running(agent: i32) -> Running {
        Running {
            launcher: 2,
            boot: None,
            machine: None,
            worktree: None,
            agent: Some(agent),
            since: Timestamp::from_second(1_000).unwrap(),
            setup: SetupProgress::default(),
        }
    }

    /// A file as claude 2.1.332 writes it, but for what is of no use here.
    fn file(pid: i32, more: &serde_json::Value) -> Entry {
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
    fn case(entries: &[Entry], expected: Option<(Doing, bool)>) {
        let found = choose(entries, &running(7), Path::new("/w/app-x"));
        let found = found.map(|session| (session.doing, session.is_handed_over));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_status_says_what_the_session_does() {
        for (status, waiting_for, expected) in [
            ("busy", None, Some(Doing::Working)),
            ("idle", None, Some(Doing::Idle)),
            ("shell", None, Some(Doing::Background)),
            (
                "waiting",
                Some("permission prompt"),
                Some(Doing::Waiting(Some(Why::Permission))),
            ),
            (
                "waiting",
                Some("input needed"),
                Some(Doing::Waiting(Some(Why::Question))),
            ),
            ("waiting", Some("dialog open"), Some(Doing::Waiting(None))),
            ("asleep", None, None),
        ] {
            let file = file(7, &json!({ "status": status, "waitingFor": waiting_for }));
            case(&[file], expected.map(|doing| (doing, false)));
        }
        case(&[file(7, &json!({ "status": null }))], None);
    }

    #[test]
    fn the_file_of_this_run_counts() {
        let idle = json!({ "status": "idle" });
        case(
            &[file(6, &idle), file(7, &json!({}))],
            Some((Doing::Working, false)),
        );
        // Started by another program, which has the number that is known.
        case(&[file(6, &idle)], Some((Doing::Idle, false)));
        case(
            &[file(6, &json!({ "cwd": "/w/app-x/src" }))],
            Some((Doing::Working, false)),
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
    fn a_session_that_was_handed_over_is_found_where_it_is() {
        let parked = file(7, &json!({ "status": "idle", "parkedJobId": "2f3a" }));
        let job = file(
            9,
            &json!({ "kind": "bg", "jobId": "2f3a", "status": "shell" }),
        );
        let spare = file(8, &json!({ "kind": "bg", "jobId": "4053", "spare": true }));
        case(
            &[spare, parked.clone(), job],
            Some((Doing::Background, true)),
        );
        case(&[parked], Some((Doing::Idle, true)));
    }

    #[test]
    fn the_directory_is_where_its_user_has_it() {
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
