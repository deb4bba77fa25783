//! The evidence for the state of a task: the report of each source, its age, and the one that decides.

use std::fmt::Display;

use anyhow::Result;
use jiff::Timestamp;

use crate::commands::object::{ExplanationObject, SourceObject, StateObject};
use crate::context::Flux;
use crate::lifecycle::observe;
use crate::sanitize;
use crate::store::Store;
use crate::system::clock::this_second;
use crate::task::observation::{Location, Observation, Presence, SessionActivity, SessionState};
use crate::task::{Report, Source, State, Task, Title, WaitReason};
use crate::ui::words::age;

/// Prints the state of a task and the report of each source about it, in order of precedence; `*`
/// marks the source that decides. With `as_json`, prints an object.
pub(super) fn print(flux: &Flux, store: &Store, task: &Task, as_json: bool) -> Result<()> {
    let ui = &flux.ui;
    let seen = observe::observe_one(flux, store, task)?;
    let (state, found) = State::of(&seen);
    let sources = sources(&seen, found.source);
    if as_json {
        return ui.json(&ExplanationObject {
            id: task.id.to_string(),
            state: StateObject::of(&state, found),
            sources,
        });
    }
    let guess = if found.is_inferred { " (a guess)" } else { "" };
    let (id, label) = (&task.id, state.label());
    ui.data(format_args!("{id}: {label}{guess}"))?;
    // Without a run directory, `now` is not set.
    let is_set = seen.now != Timestamp::UNIX_EPOCH;
    let now = if is_set { seen.now } else { this_second() };
    for source in sources {
        let mark = if source.counts { '*' } else { ' ' };
        let ago = source
            .since
            .map(|since| format!(" ({} ago)", age(since, now)));
        let ago = ago.unwrap_or_default();
        let (name, says) = (source.source.into_str(), sanitize::line(&source.says));
        ui.data(format_args!("{mark} {name:<10}  {says}{ago}"))?;
    }
    Ok(())
}

/// Returns the report of each source about the state of a task, in order of precedence. `counting`
/// is the source that decides.
fn sources(seen: &Observation, counting: Source) -> Vec<SourceObject> {
    let exit = seen.exit.as_ref();
    let ended = exit.map_or_else(|| "no exit recorded".to_owned(), ToString::to_string);
    let at = |heard: Option<Report>| heard.map(|heard| heard.at);
    let session_at = seen.session.map(|session| session.at);
    let is_there = |is: bool| if is { "there" } else { "gone" }.to_owned();
    let has_worktree = seen.worktree == Location::Here;
    let lock = match seen.is_locked {
        true => "locked by a running command",
        false => "not locked",
    };
    let activity = seen.last_output.map(|_| "last output in its window");
    let says = [
        (Source::Lock, lock.to_owned(), None),
        (Source::Record, seen.phase.into_str().to_owned(), None),
        (Source::Worktree, is_there(has_worktree), None),
        (Source::Branch, is_there(seen.has_branch), None),
        (Source::Exit, ended, exit.map(|exit| exit.at)),
        (Source::Process, launcher(seen).to_owned(), seen.started),
        (
            Source::Hook,
            describe_report(seen.last_report),
            at(seen.last_report),
        ),
        (Source::Session, session(seen.session), session_at),
        (
            Source::Transcript,
            describe_report(seen.from_transcript),
            at(seen.from_transcript),
        ),
        (Source::Title, title(seen), None),
        (
            Source::Activity,
            activity.unwrap_or(NOTHING).to_owned(),
            seen.last_output,
        ),
    ];
    let object = |(source, says, since)| SourceObject {
        source,
        says,
        since,
        counts: source == counting,
    };
    says.into_iter().map(object).collect()
}

const NOTHING: &str = "says nothing";

fn launcher(seen: &Observation) -> &'static str {
    match seen.launcher {
        Presence::Unreadable => "the run directory cannot be read",
        Presence::Elsewhere => "the launcher runs elsewhere: its lock is held",
        Presence::Alive | Presence::InSetup => "the launcher is alive",
        Presence::InQueue => "the launcher is alive, and its wrapper waits to start the agent",
        Presence::OtherMachine => "the launcher was started on another machine",
        Presence::Gone => "the launcher is gone",
        Presence::Never => "never started",
    }
}

fn title(seen: &Observation) -> String {
    let Some(shown) = &seen.raw_title else {
        return NOTHING.to_owned();
    };
    let says = match seen.title {
        Some(Title::Working) => "working",
        Some(Title::Idle) => "idle",
        Some(Title::Asking) => "asking",
        None => NOTHING,
    };
    format!("'{shown}': {says}")
}

fn session(session: Option<SessionState>) -> String {
    let Some(session) = session else {
        return NOTHING.to_owned();
    };
    let doing = match session.activity {
        SessionActivity::Working => "working".to_owned(),
        SessionActivity::Background => "a command in the background".to_owned(),
        SessionActivity::Waiting(why) => with_why("waiting", why),
        SessionActivity::Idle => "idle".to_owned(),
    };
    match session.is_handed_over {
        true => doing + ", in another process",
        false => doing,
    }
}

fn describe_report(report: Option<Report>) -> String {
    report.map_or(NOTHING.to_owned(), |Report { activity, why, .. }| {
        with_why(activity.into_str(), why)
    })
}

fn with_why(doing: impl Display, why: Option<WaitReason>) -> String {
    let why = why.map(|why| format!("({})", why.into_str()));
    format!("{doing}{}", why.unwrap_or_default())
}
