//! The events of a run, from the agent's hooks and the launcher: one JSON object per line in
//! `<run>/events`, appended by one write each.

use std::fmt::Display;
use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::file::find_tail;
use crate::system::clock::{in_milliseconds, now};
use crate::system::regular_file::open_to_append;
use crate::system::wait_until;
use crate::task::version::{self, NewerVersion};
use crate::task::{Activity, Report, WaitReason};

/// The limit for an agent's message. A line stays below a page.
const MAX_MESSAGE: usize = 1_500;

/// The part of the file that is searched for the last event.
const TAIL_BYTES: u64 = 64 * 1024;

/// The part of the file that is read for all events.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// The time limit for the lock, which an agent could hold forever.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

const INTERVAL: Duration = Duration::from_millis(2);

/// The launcher's first event.
pub(crate) const START: &str = "start";

/// An event of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Event {
    #[serde(with = "in_milliseconds")]
    pub(crate) at: Timestamp,
    pub(crate) state: Activity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<WaitReason>,
    /// The agent's name of the event; from the launcher, `start` and `exit`.
    pub(crate) event: String,
    /// The agent's session. Events of other sessions are ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<String>,
    /// The transcript of the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) transcript: Option<String>,
    /// The agent's message or exit status, shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
    /// The id of the turn or of the question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) about: Option<String>,
}

impl Event {
    pub(crate) fn new(state: Activity, event: impl Display) -> Self {
        Self {
            at: now(),
            state,
            why: None,
            event: event.to_string(),
            session: None,
            transcript: None,
            message: None,
            about: None,
        }
    }

    /// Replaces the event's message by `message`, trimmed and cut after about 1500 bytes; removes
    /// the old one if `message` is empty.
    pub(crate) fn with_message(mut self, message: impl Display) -> Self {
        // An environment variable cannot contain NUL.
        let mut message = message.to_string().trim().replace('\0', "\u{fffd}");
        let mut ends = (0..=MAX_MESSAGE).rev();
        if message.len() > MAX_MESSAGE
            && let Some(end) = ends.find(|end| message.is_char_boundary(*end))
        {
            message.replace_range(end.., "…");
        }
        self.message = Some(message).filter(|message| !message.is_empty());
        self
    }

    /// Copies session and transcript of an earlier event, each if this event has none.
    pub(crate) fn with_session_of(mut self, before: &Self) -> Self {
        self.session = self.session.or_else(|| before.session.clone());
        let transcript = before.transcript.clone();
        self.transcript = self.transcript.or(transcript);
        self
    }

    /// Returns whether two events have the same state, the same reason to wait, and the same turn
    /// or question. Their time, name, session and message may differ.
    pub(crate) fn has_state_of(&self, other: &Self) -> bool {
        let key = |event: &Self| (event.state, event.why, event.about.clone());
        key(self) == key(other)
    }

    /// Returns whether the event says that the agent's turn has ended while background jobs of the
    /// agent still run: the event `Stop` with the state `working`.
    pub(crate) fn is_in_background(&self) -> bool {
        self.event == "Stop" && self.state == Activity::Working
    }

    /// Returns the event's state, its reason to wait and its time, without the rest.
    pub(crate) fn report(&self) -> Report {
        Report {
            activity: self.state,
            why: self.why,
            at: self.at,
        }
    }
}

/// The file of events, locked while it is open, so that the last event remains the last until the
/// next is appended. Unlocked if the file system has no locks or the lock is not free in time.
pub(crate) struct EventLog<'a> {
    file: File,
    path: &'a Path,
}

impl<'a> EventLog<'a> {
    /// Opens the event log at `path` to append, creates it if it is missing, and waits at most two
    /// seconds for its lock; fails on ^C. Continues without the lock if it is not free in time, or
    /// if the file system has none.
    pub(crate) fn open(path: &'a Path) -> Result<Self> {
        let file = open_to_append(path);
        let file = file.with_context(|| format!("could not write '{}'", path.display()))?;
        let is_free = || !matches!(file.try_lock(), Err(TryLockError::WouldBlock));
        // A duplicate line is better than none.
        wait_until(LOCK_TIMEOUT, INTERVAL, || Ok(is_free().then_some(())))?;
        Ok(Self { file, path })
    }

    /// Appends an event to the log as a line of JSON, with one write. Ends an incomplete last line
    /// first, as a full disk leaves it.
    pub(crate) fn append(&self, event: &Event) -> Result<()> {
        let what = || format!("could not write '{}'", self.path.display());
        let length = self.file.metadata().with_context(what)?.len();
        let mut last = [b'\n'];
        if length > 0 {
            let read = self.file.read_exact_at(&mut last, length - 1);
            read.with_context(what)?;
        }
        let mut line = Vec::new();
        if last != [b'\n'] {
            line.push(b'\n');
        }
        serde_json::to_writer(&mut line, event)?;
        line.push(b'\n');
        (&self.file).write_all(&line).with_context(what)
    }
}

/// Reads the event log at `path`: its events, and the number of those that a newer git flux wrote.
/// Reads at most the last 16 MiB, and skips lines that are no event; empty if the file is missing.
pub(crate) fn read(path: &Path) -> Result<(Vec<Event>, usize)> {
    let bytes = find_tail(path, MAX_BYTES)?;
    Ok(parse(&bytes.unwrap_or_default()))
}

/// Returns the last event of the log at `path`, found in its last 64 KiB; `None` if there is none.
/// Also returns `None` if a newer git flux wrote it, because earlier ones are out of date.
pub(crate) fn last(path: &Path) -> Result<Option<Event>> {
    let bytes = find_tail(path, TAIL_BYTES)?;
    Ok(bytes.and_then(|bytes| parse_lines(&bytes).next_back()?.ok()))
}

/// Parses the text of an event log: its events, and the number of those that a newer git flux
/// wrote. Skips lines that are no event.
pub(crate) fn parse(bytes: &[u8]) -> (Vec<Event>, usize) {
    let (events, newer): (Vec<_>, Vec<_>) = parse_lines(bytes).partition(Result::is_ok);
    (events.into_iter().flatten().collect(), newer.len())
}

/// Parses the lines of an event log in order: an event each, or an error for one that a newer git
/// flux wrote. Skips lines that are no event.
fn parse_lines(bytes: &[u8]) -> impl DoubleEndedIterator<Item = Result<Event, NewerVersion>> {
    bytes.split(|&b| b == b'\n').filter_map(|line| {
        match version::parse::<Event>(line, version::RUN_VERSION) {
            Ok(event) => Some(Ok(event)),
            Err(error) => error.downcast().ok().map(Err),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use std::collections::BTreeSet;
    use std::env;
    use std::process::{Command, Stdio};

    fn append(path: &Path, event: &Event) -> Result<()> {
        EventLog::open(path)?.append(event)
    }

    #[test]
    fn read_skips_an_incomplete_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events");
        assert_eq!(read(&path).unwrap(), (vec![], 0));
        assert_eq!(last(&path).unwrap(), None);
        let one = Event::new(Activity::Working, "One").with_message("a\nb");
        append(&path, &one).unwrap();
        let whole = fs::read(&path).unwrap();
        fs::write(&path, [&whole[..], &whole[..20]].concat()).unwrap();
        assert_eq!(last(&path).unwrap(), Some(one.clone()));
        let two = Event::new(Activity::Done, "Two");
        append(&path, &two).unwrap();
        assert_eq!(read(&path).unwrap(), (vec![one, two.clone()], 0));
        assert_eq!(last(&path).unwrap(), Some(two));
    }

    #[test]
    fn read_counts_events_of_a_newer_git_flux() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events");
        let old = r#"{"at":1,"state":"working","event":"PreToolUse","unknown":[1]}"#;
        let newer = r#"{"version":2,"at":2,"state":"working","event":"PreToolUse"}"#;
        fs::write(&path, format!("{old}\n{newer}\n")).unwrap();
        assert_eq!(last(&path).unwrap(), None);
        let (events, unknown) = read(&path).unwrap();
        assert_eq!((events.len(), unknown), (1, 1));
        // Lines that are no event are ignored.
        for nothing in [
            r#"{"version":"2","at":2,"state":"done","event":"Stop"}"#,
            r#"{"at":18446744073709551615,"state":"done","event":"Stop"}"#,
            r#"{"at":-1,"state":"done","event":"Stop"}"#,
            r#"{"at":2,"state":"asleep","event":"Stop"}"#,
            r#"{"at":2,"state":"done"}"#,
            "[]",
        ] {
            fs::write(&path, format!("{old}\n{nothing}\n")).unwrap();
            assert_eq!(
                last(&path).unwrap().unwrap().at.as_millisecond(),
                1,
                "{nothing}"
            );
            assert_eq!(read(&path).unwrap().1, 0, "{nothing}");
        }
    }

    #[test]
    fn append_keeps_all_lines_of_concurrent_writers() {
        const PROCESSES: usize = 8;
        const EVENTS: usize = 500;
        if let (Ok(path), Ok(name)) = (env::var("WRITER_PATH"), env::var("WRITER_NAME")) {
            for number in 0..EVENTS {
                let event = Event::new(Activity::Done, format!("{name} {number}"));
                append(Path::new(&path), &event.with_message("x".repeat(300))).unwrap();
            }
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events");
        let this = "run::events::tests::append_keeps_all_lines_of_concurrent_writers";
        let writer = |name: usize| {
            Command::new(env::current_exe().unwrap())
                .args(["--exact", this])
                .env("WRITER_PATH", &path)
                .env("WRITER_NAME", name.to_string())
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        };
        let writers: Vec<_> = (0..PROCESSES).map(writer).collect();
        for mut writer in writers {
            assert!(writer.wait().unwrap().success());
        }
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), PROCESSES * EVENTS);
        let names = read(&path).unwrap().0.into_iter().map(|event| event.event);
        assert_eq!(names.collect::<BTreeSet<_>>().len(), PROCESSES * EVENTS);
    }

    #[test]
    fn last_finds_the_last_of_many_events() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events");
        for number in 0..100 {
            let event = Event::new(Activity::Done, number).with_message("ä".repeat(2000));
            append(&path, &event).unwrap();
        }
        assert!(fs::metadata(&path).unwrap().len() > TAIL_BYTES);
        let found = last(&path).unwrap().unwrap();
        assert_eq!(found.event, "99");
        let message = found.message.unwrap();
        assert!(message.len() < MAX_MESSAGE + 4 && message.ends_with("ä…"));
    }
}
