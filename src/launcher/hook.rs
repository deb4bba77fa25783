//! The command that an agent's hooks run, which records the agent's events.
//!
//! The agent waits for it, so it is quick, prints nothing, never fails and opens no repository: its
//! input is in the environment and in run directories.

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

use super::notify::{self, Notifier};
use crate::agent::report::{Beginning, Effect, HookReport};
use crate::agent::{self, Profile};
use crate::run::RunDir;
use crate::run::events::{self, Event, EventLog, START};
use crate::task::Activity;
use crate::tmux::pane;

const MAX_INPUT: u64 = 1024 * 1024;

/// The time limit for the agent to write the input.
const INPUT_TIMEOUT: Duration = Duration::from_secs(2);

/// Runs `git-flux __hook <agent> <event> [[<program>...] <JSON>]`, the command of an agent's hook:
/// records the event. Reads the JSON from standard input if it is no argument, starts `<program>`
/// with the arguments after it, and ignores all failures.
pub(crate) fn run(args: impl Iterator<Item = OsString>) {
    panic::set_hook(Box::new(|_| {}));
    let args: Vec<OsString> = args.collect();
    drop(panic::catch_unwind(|| handle(&args).ok()));
    if let [_, _, program, rest @ ..] = args.as_slice()
        && !rest.is_empty()
    {
        drop(notify::start_notify_program(program, rest));
    }
}

fn handle(args: &[OsString]) -> Result<()> {
    let word = |at: usize| args.get(at).and_then(|arg| arg.to_str());
    let (agent, event) = word(0).zip(word(1)).context("no agent or event")?;
    let dir = env::var_os("FLUX_RUN").context("not in a task")?;
    let run = RunDir(PathBuf::from(dir));
    let task = env::var_os("FLUX_TASK").filter(|task| Some(task.as_os_str()) == run.0.file_name());
    task.context("not in a task")?;
    let value = match args.get(2..).and_then(<[_]>::last) {
        Some(json) => serde_json::from_slice(json.as_encoded_bytes()),
        None => serde_json::from_slice(&read_input()),
    };
    // An event is recorded even if its JSON is invalid.
    let value = value.unwrap_or(Value::Null);
    let profile = agent::profile(agent);
    let report = profile.report(event, &value);
    let report = report.context("unknown event")?;
    match value["cwd"].as_str() {
        Some(cwd) => record(&find_run(run, Path::new(cwd)), profile, report),
        None => record(&run, profile, report),
    }
}

/// Appends an event to the log of a run if a hook's report changes its state or session; otherwise
/// does nothing. Then sets the pane's `@flux_state` and, if the state is new and is waiting, done,
/// failed or exited, starts a process that notifies the user.
fn record(run: &RunDir, profile: &Profile, report: HookReport) -> Result<()> {
    // The lock keeps concurrent hooks from reading the same last event.
    let path = run.events();
    let log = EventLog::open(&path)?;
    let before = events::last(&path)?;
    let report = complete(profile, before.as_ref(), report);
    let Some(event) = report.and_then(|report| changed_event(before.as_ref(), report)) else {
        return Ok(());
    };
    log.append(&event)?;
    drop(log);
    let notifier = Notifier::of(run);
    // The pane's state must be set even if the notification fails.
    drop(notify::start_notifier(
        notifier,
        before.as_ref(),
        &event,
        &[],
    ));
    // After the start event, the pane shows "running".
    let is_shown = |before: Event| before.event != START && before.state == event.state;
    let is_shown = before.is_some_and(is_shown);
    if !is_shown && let Some(running) = run.running()? {
        pane::set_own_state(running.launcher, event.state.into_str());
    }
    Ok(())
}

/// Returns the run directory of the task whose worktree contains `cwd`, the innermost of several;
/// `own` if there is none. An agent that another task's agent or daemon started has the environment
/// of that task.
fn find_run(own: RunDir, cwd: &Path) -> RunDir {
    let cwd = cwd.canonicalize().unwrap_or_else(|_| cwd.to_owned());
    let worktree = |run: &RunDir| Some(PathBuf::from(run.running().ok()??.worktree?.0));
    let top = cwd.ancestors().find(|dir| dir.join(".git").exists());
    if top.is_some() && top == worktree(&own).as_deref() {
        return own;
    }
    let entries = own.0.parent().and_then(|runs| runs.read_dir().ok());
    let candidates = entries.into_iter().flatten().flatten().filter_map(|entry| {
        let run = RunDir(entry.path());
        let worktree = worktree(&run).filter(|dir| cwd.starts_with(dir))?;
        Some((worktree.components().count(), run))
    });
    // Worktrees may be nested.
    let deepest = candidates.max_by_key(|(depth, _)| *depth);
    deepest.map_or(own, |(_, run)| run)
}

/// Adds to a hook's report what only the agent's transcript tells: how the turn has ended, or the
/// path of the transcript. Returns `None` for a conversation without a transcript, which is
/// internal to the agent.
fn complete(
    profile: &Profile,
    before: Option<&Event>,
    mut report: HookReport,
) -> Option<HookReport> {
    let Some(conversation) = &profile.conversation else {
        return Some(report);
    };
    let event = &mut report.event;
    if conversation.is_exact_about_ends && event.state == Activity::Done {
        let path = event.transcript.as_ref().map(Path::new);
        if let Some(last) = path.and_then(|path| conversation.last_report(path)) {
            event.state = last.activity;
            event.message = None;
        }
    }
    if report.effect == Effect::Turn {
        let thread = event.session.as_deref()?;
        if before.and_then(|before| before.session.as_deref()) != Some(thread) {
            let file = (conversation.find_by_thread)(thread)?;
            event.transcript = file.into_os_string().into_string().ok();
        }
    }
    Some(report)
}

/// Reads standard input to its end, at most 1 MiB. Returns nothing if it is a terminal, or if its
/// end is not reached within two seconds.
fn read_input() -> Vec<u8> {
    if io::stdin().is_terminal() {
        return Vec::new();
    }
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        io::stdin().take(MAX_INPUT).read_to_end(&mut bytes).ok();
        sender.send(bytes).ok();
    });
    receiver.recv_timeout(INPUT_TIMEOUT).unwrap_or_default()
}

/// Returns the event to append for a hook's report after the last event `before`. Returns `None` if
/// it changes neither state nor session, or if another agent reports, which this one may have
/// started.
fn changed_event(before: Option<&Event>, report: HookReport) -> Option<Event> {
    let HookReport { mut event, effect } = report;
    let Some(before) = before else {
        return Some(event);
    };
    let bound = before.session.as_deref();
    let is_own = bound.is_none() || event.session.is_none() || event.session.as_deref() == bound;
    // A question with an id is open.
    let is_open = before.state == Activity::Waiting && before.about.is_some();
    let is_working = matches!(before.state, Activity::Working | Activity::Waiting);
    match effect {
        // A new session of a working agent is that of an agent it has started.
        Effect::Begins(beginning) if is_own || beginning == Beginning::InPlace || !is_working => {}
        _ if before.state == Activity::Exited => return None,
        Effect::Turn => {}
        _ if !is_own => return None,
        Effect::Step if is_open && before.about != event.about => return None,
        // A step answers the question.
        Effect::Step => event.about = None,
        Effect::Reminder if before.state != Activity::Working => return None,
        Effect::Begins(_) | Effect::Prompt | Effect::Reminder | Effect::Plain => {}
    }
    let event = event.with_session_of(before);
    let same = Event {
        at: event.at,
        event: event.event.clone(),
        ..before.clone()
    };
    let is_new = before.event == START || effect == Effect::Prompt;
    (is_new || event != same).then_some(event)
}
