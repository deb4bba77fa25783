//! How the state of a task was found: what each source says, how old that is, and which counts.

use std::fmt::Display;

use anyhow::Result;

use crate::commands::object::{ExplanationObject, SourceObject, StateObject};
use crate::context::Flux;
use crate::lifecycle::observe;
use crate::sanitize;
use crate::store::Store;
use crate::system::clock::seconds;
use crate::task::observation::{
    LauncherState, Observation, SessionActivity, SessionState, WorktreeLocation,
};
use crate::task::{Report, Source, State, Task, Title, WaitReason};
use crate::ui::words::age;

/// Prints how the state of a task was found, the sources in the order in which they count; `as_json` for programs.
///
/// # Errors
/// When git fails.
pub(super) fn print(flux: &Flux, store: &Store, task: &Task, as_json: bool) -> Result<()> {
    let ui = &flux.ui;
    let seen = observe::closely(flux, store, task)?;
    let (state, found) = State::of(task.phase, &seen);
    let sources = sources(task, &seen, found.source);
    if as_json {
        return ui.json(&ExplanationObject {
            id: task.id.to_string(),
            state: StateObject::of(&state, found),
            sources,
        });
    }
    let guess = if found.is_inferred {
        ", which is a guess"
    } else {
        ""
    };
    let (id, label) = (&task.id, state.label());
    ui.data(format_args!("{id}: {label}{guess}"))?;
    // Where nothing is left of a run, the clock was not looked at.
    let now = if seen.now_ms == 0 {
        seconds()
    } else {
        seen.now_ms / 1000
    };
    for source in sources {
        let mark = if source.counts { '*' } else { ' ' };
        let ago = source.since.map(|since| now.saturating_sub(since));
        let ago = ago.map_or(String::new(), |ago| format!(" ({} ago)", age(ago)));
        let (name, says) = (source.source.into_str(), sanitize::line(&source.says));
        ui.data(format_args!("{mark} {name:<10}  {says}{ago}"))?;
    }
    Ok(())
}

/// Returns what each source says; that of `counting` counts.
fn sources(task: &Task, seen: &Observation, counting: Source) -> Vec<SourceObject> {
    let exit = seen.exit.as_ref();
    let ended = exit.map_or_else(|| "no end was seen".to_owned(), ToString::to_string);
    let at = |report: Option<Report>| report.map(|report| report.at_ms / 1000);
    let session_at = seen.session.map(|session| session.at_ms / 1000);
    let is_there = |is: bool| if is { "there" } else { "gone" }.to_owned();
    let has_worktree = seen.worktree == WorktreeLocation::Here;
    let lock = if seen.is_locked {
        "a command is at work on it"
    } else {
        "no command is at work on it"
    };
    let activity = seen
        .last_output_s
        .map(|_| "its window last showed something");
    let says = [
        (Source::Lock, lock.to_owned(), None),
        (Source::Record, task.phase.into_str().to_owned(), None),
        (Source::Worktree, is_there(has_worktree), None),
        (Source::Branch, is_there(seen.has_branch), None),
        (Source::Exit, ended, exit.map(|exit| exit.at)),
        (Source::Process, launcher(seen).to_owned(), seen.started_s),
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
            seen.last_output_s,
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
        LauncherState::Unreadable => "what the launcher left cannot be read",
        LauncherState::Elsewhere => "the launcher is alive elsewhere: it holds its lock",
        LauncherState::Alive | LauncherState::InSetup => "the launcher is alive",
        LauncherState::OtherMachine => "the launcher was started on another machine",
        LauncherState::Gone => "the launcher is gone",
        LauncherState::Never => "no launcher has been there",
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
    if session.is_handed_over {
        doing + ", in another process"
    } else {
        doing
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
