//! What happened in a run, as its agent's hooks and its launcher have written it down: one
//! JSON object per line in `<run>/events`, added by one write each, never changed.

use std::fmt::Display;
use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::file::end_if_any;
use crate::git::regular_file::open_to_append;
use crate::system::clock::{in_milliseconds, now};
use crate::system::wait_until;
use crate::task::version::{self, NewerVersion};
use crate::task::{Activity, Report, WaitReason};

/// How much of what an agent has said is kept, in bytes: a line stays below a page.
const LONGEST: usize = 1_500;

/// How far back the last event is looked for, in bytes.
const TAIL: u64 = 64 * 1024;

/// How far back events are shown, in bytes.
const MUCH: u64 = 16 * 1024 * 1024;

/// How long a lock on the events is waited for, which an agent could hold for ever.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long to wait until the next attempt.
const PAUSE: Duration = Duration::from_millis(2);

/// The name of the event with which the launcher begins a run.
pub(crate) const START: &str = "start";

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Event {
    #[serde(with = "in_milliseconds")]
    pub(crate) at: Timestamp,
    /// What the agent does from here on.
    pub(crate) state: Activity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<WaitReason>,
    /// What the agent calls it; of the launcher, `start` and `exit`.
    pub(crate) event: String,
    /// The agent's own conversation; the first one of a run is the one that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<String>,
    /// Where the agent keeps that conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) transcript: Option<String>,
    /// What the agent said or asked, or how it ended, shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
    /// Which turn, or which question, it is about.
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

    /// Adds what was said, shortened.
    pub(crate) fn saying(mut self, message: impl Display) -> Self {
        // No environment can hold a NUL, and it goes into one.
        let mut message = message.to_string().trim().replace('\0', "\u{fffd}");
        let mut ends = (0..=LONGEST).rev();
        if message.len() > LONGEST
            && let Some(end) = ends.find(|end| message.is_char_boundary(*end))
        {
            message.replace_range(end.., "…");
        }
        self.message = Some(message).filter(|message| !message.is_empty());
        self
    }

    /// Returns whether the agent said that its turn is over, and that what it has started goes on.
    pub(crate) fn is_in_background(&self) -> bool {
        self.event == "Stop" && self.state == Activity::Working
    }

    /// As far as it says what the agent does.
    pub(crate) fn report(&self) -> Report {
        Report {
            activity: self.state,
            why: self.why,
            at_ms: in_milliseconds::of(self.at),
        }
    }
}

/// The events of a run, for nobody else who writes as long as this is kept, as far as their
/// file system can lock and the lock is let go of in time: what is decided by the last one holds while the next is added.
pub(crate) struct Log<'a> {
    file: File,
    path: &'a Path,
}

impl<'a> Log<'a> {
    /// # Errors
    /// When there is no such directory, or no room.
    pub(crate) fn open(path: &'a Path) -> Result<Self> {
        let file = open_to_append(path);
        let file = file.with_context(|| format!("could not write '{}'", path.display()))?;
        let is_free = || !matches!(file.try_lock(), Err(TryLockError::WouldBlock));
        // A line that is written twice is better than none.
        wait_until(PATIENCE, PAUSE, || Ok(is_free().then_some(())))?;
        Ok(Self { file, path })
    }

    /// Adds a line, by one write at the end of the file. Where a full disk has cut the one
    /// before it short, it is ended first.
    ///
    /// # Errors
    /// When there is no room.
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

/// Returns all events, the first one first, and how many there are beside them by a newer git flux;
/// none if there is no file. What is no event, such as a line that was cut short, is left out.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn read(path: &Path) -> Result<(Vec<Event>, usize)> {
    let bytes = end_if_any(path, MUCH)?;
    Ok(parse(&bytes.unwrap_or_default()))
}

/// Returns the last event, without a look at all of them; none if there is no file, or if a newer git
/// flux has written it: what was before does not hold any more.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn last(path: &Path) -> Result<Option<Event>> {
    let bytes = end_if_any(path, TAIL)?;
    Ok(bytes.and_then(|bytes| lines(&bytes).next_back()?.ok()))
}

/// Returns the events that these lines are, and how many there are beside them by a newer git flux.
pub(crate) fn parse(bytes: &[u8]) -> (Vec<Event>, usize) {
    let (events, newer): (Vec<_>, Vec<_>) = lines(bytes).partition(Result::is_ok);
    (events.into_iter().flatten().collect(), newer.len())
}

/// Returns the lines that are events, or that a newer git flux has written.
fn lines(bytes: &[u8]) -> impl DoubleEndedIterator<Item = Result<Event, NewerVersion>> {
    // What was cut short has no newline, or that of the line that was written after it.
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
        Log::open(path)?.append(event)
    }

    #[test]
    fn a_line_that_was_cut_short_is_left_out_and_spoils_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events");
        assert_eq!(read(&path).unwrap(), (vec![], 0));
        assert_eq!(last(&path).unwrap(), None);
        let one = Event::new(Activity::Working, "One").saying("a\nb");
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
    fn a_line_of_a_newer_git_flux_is_neither_misread_nor_overlooked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events");
        let old = r#"{"at":1,"state":"working","event":"PreToolUse","unknown":[1]}"#;
        let newer = r#"{"version":2,"at":2,"state":"working","event":"PreToolUse"}"#;
        fs::write(&path, format!("{old}\n{newer}\n")).unwrap();
        assert_eq!(last(&path).unwrap(), None);
        let (events, unknown) = read(&path).unwrap();
        assert_eq!((events.len(), unknown), (1, 1));
        // What is no event says nothing, and spoils nothing.
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
    fn no_line_of_many_writers_is_lost_or_torn() {
        const PROCESSES: usize = 8;
        const EVENTS: usize = 500;
        if let (Ok(path), Ok(name)) = (env::var("WRITER_PATH"), env::var("WRITER_NAME")) {
            for number in 0..EVENTS {
                let event = Event::new(Activity::Done, format!("{name} {number}"));
                append(Path::new(&path), &event.saying("x".repeat(300))).unwrap();
            }
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events");
        let this = "run::events::tests::no_line_of_many_writers_is_lost_or_torn";
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
    fn the_last_of_many_events_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events");
        for number in 0..100 {
            let event = Event::new(Activity::Done, number).saying("ä".repeat(2000));
            append(&path, &event).unwrap();
        }
        assert!(fs::metadata(&path).unwrap().len() > TAIL);
        let found = last(&path).unwrap().unwrap();
        assert_eq!(found.event, "99");
        let message = found.message.unwrap();
        assert!(message.len() < LONGEST + 4 && message.ends_with("ä…"));
    }
}
