//! What an agent's hook runs: it writes down what the agent says of itself, and is gone.
//!
//! It stands in the agent's way, so it is quick, prints nothing and never fails; it opens no
//! repository, since all it has to know is in its environment and in the directories of runs.

use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Read as _};
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::notify::{self, Notices};
use crate::agent::report::{Beginning, Kind, Report};
use crate::agent::{self, Profile};
use crate::run::RunDir;
use crate::run::events::{self, Event, EventLog, START};
use crate::task::Said;
use crate::tmux::pane;

/// The longest input that is read, in bytes.
const LONGEST: u64 = 1024 * 1024;

/// How long the agent may take to hand over its input.
const PATIENCE: Duration = Duration::from_secs(2);

/// Writes down what an agent's event says: `__hook <agent> <event> [[<program>...] <JSON>]`,
/// which stands on standard input where it is no argument; and passes it on to the program
/// that was to be told. Nothing of what may go wrong concerns the agent.
pub(crate) fn run(args: impl Iterator<Item = OsString>) {
    panic::set_hook(Box::new(|_| {}));
    let args: Vec<OsString> = args.collect();
    drop(panic::catch_unwind(|| handle(&args).ok()));
    if let [_, _, program, told @ ..] = args.as_slice()
        && !told.is_empty()
    {
        drop(notify::pass_on(program, told));
    }
}

fn handle(args: &[OsString]) -> Result<()> {
    let word = |at: usize| args.get(at).and_then(|arg| arg.to_str());
    let (agent, event) = word(0).zip(word(1)).context("no agent, or no event")?;
    let dir = env::var_os("FLUX_RUN").context("this is no task's agent")?;
    let run = RunDir(PathBuf::from(dir));
    let task = env::var_os("FLUX_TASK").filter(|task| Some(task.as_os_str()) == run.0.file_name());
    task.context("this is no task's agent")?;
    let value = match args.get(2..).and_then(<[_]>::last) {
        Some(json) => serde_json::from_slice(json.as_encoded_bytes()),
        None => serde_json::from_slice(&input()),
    };
    // That something happened counts, also where it cannot be read what.
    let value = value.unwrap_or(Value::Null);
    let profile = agent::profile(agent);
    let report = profile.report(event, &value);
    let report = report.context("an event of no meaning")?;
    match value["cwd"].as_str() {
        Some(cwd) => record(&run_in(run, Path::new(cwd)), profile, report),
        None => record(&run, profile, report),
    }
}

/// Adds what is new in a report to the events of a run, and shows it.
fn record(run: &RunDir, profile: &Profile, report: Report) -> Result<()> {
    // Two hooks at once would both see the same state before theirs.
    let path = run.events();
    let log = EventLog::open(&path)?;
    let before = events::last(&path)?;
    let report = complete(profile, before.as_ref(), report);
    let Some(event) = report.and_then(|report| if_news(before.as_ref(), report)) else {
        return Ok(());
    };
    log.append(&event)?;
    drop(log);
    let notices = Notices::of(run);
    // To be told is not worth a state that is not shown.
    drop(notify::begin(notices, before.as_ref(), &event, &[]));
    // With the mark of the start it is shown as running.
    let is_shown = |before: Event| before.event != START && before.state == event.state;
    let is_shown = before.is_some_and(is_shown);
    if !is_shown && let Some(running) = run.running()? {
        pane::set_own_state(running.launcher, event.state.into_str());
    }
    Ok(())
}

/// Returns the run of the task whose worktree `cwd` is in; `own` if that is none. An agent may have
/// been started by that of another task, or by a daemon that was, and has its environment.
fn run_in(own: RunDir, cwd: &Path) -> RunDir {
    let cwd = cwd.canonicalize().unwrap_or_else(|_| cwd.to_owned());
    let worktree = |run: &RunDir| Some(PathBuf::from(run.running().ok()??.worktree?.0));
    let top = cwd.ancestors().find(|dir| dir.join(".git").exists());
    if top.is_some() && top == worktree(&own).as_deref() {
        return own;
    }
    let entries = own.0.parent().and_then(|runs| runs.read_dir().ok());
    let around = entries.into_iter().flatten().flatten().filter_map(|entry| {
        let run = RunDir(entry.path());
        let worktree = worktree(&run).filter(|dir| cwd.starts_with(dir))?;
        Some((worktree.components().count(), run))
    });
    // One worktree may lie in another.
    let deepest = around.max_by_key(|(depth, _)| *depth);
    deepest.map_or(own, |(_, run)| run)
}

/// Completes the report of the end of a turn by what the agent has written down of it; `None` of a
/// conversation that the agent holds with itself.
fn complete(profile: &Profile, before: Option<&Event>, mut report: Report) -> Option<Report> {
    let Some(conversation) = &profile.conversation else {
        return Some(report);
    };
    let event = &mut report.event;
    if conversation.has_ends && event.state == Said::Done {
        let path = event.transcript.as_ref().map(Path::new);
        if let Some(written) = path.and_then(|path| conversation.last(path)) {
            event.state = written.said;
            event.message = None;
        }
    }
    if report.kind == Kind::Turn {
        let thread = event.session.as_deref()?;
        if before.and_then(|before| before.session.as_deref()) != Some(thread) {
            let file = (conversation.of_thread)(thread)?;
            event.transcript = file.into_os_string().into_string().ok();
        }
    }
    Some(report)
}

/// Returns what is handed over on standard input in time.
fn input() -> Vec<u8> {
    if io::stdin().is_terminal() {
        return Vec::new();
    }
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came until it broke off is as good as nothing: it is no JSON then.
        io::stdin().take(LONGEST).read_to_end(&mut bytes).ok();
        sender.send(bytes).ok();
    });
    receiver.recv_timeout(PATIENCE).unwrap_or_default()
}

/// Returns what of a report is to be written down after `before`: a change of state, or of what is
/// known of the conversation. None if it says nothing new, or is that of another agent:
/// one that this one has started has its environment.
fn if_news(before: Option<&Event>, report: Report) -> Option<Event> {
    let Report { mut event, kind } = report;
    let Some(before) = before else {
        return Some(event);
    };
    let bound = before.session.as_deref();
    let own = bound.is_none() || event.session.is_none() || event.session.as_deref() == bound;
    // It is known which question is not answered yet.
    let open = |before: &Event| before.state == Said::Waiting && before.about.is_some();
    let at_work = matches!(before.state, Said::Working | Said::Waiting);
    match kind {
        // An agent that was started by this one is, while this one is at work.
        Kind::Begins(beginning) if own || beginning == Beginning::InPlace || !at_work => {}
        _ if before.state == Said::Exited => return None,
        Kind::Turn => {}
        _ if !own => return None,
        Kind::Step if open(before) && before.about != event.about => return None,
        // The call was what told a question from others; what follows is no question.
        Kind::Step => event.about = None,
        Kind::Reminder if before.state != Said::Working => return None,
        Kind::Begins(_) | Kind::Prompt | Kind::Reminder | Kind::Plain => {}
    }
    event.session = event.session.or_else(|| before.session.clone());
    event.transcript = event.transcript.or_else(|| before.transcript.clone());
    // But for what told it, and when.
    let same = Event {
        at: event.at,
        event: event.event.clone(),
        ..before.clone()
    };
    let always = before.event == START || kind == Kind::Prompt;
    (always || event != same).then_some(event)
}
