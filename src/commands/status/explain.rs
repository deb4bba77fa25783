//! How the state of a task was found: what each source says, how old that is, and which counts.

use anyhow::Result;

use crate::commands::object::{ExplanationObject, SourceObject, StateObject};
use crate::context::Flux;
use crate::lifecycle::observe;
use crate::sanitize;
use crate::store::Store;
use crate::task::seen::{Doing, Location, Presence, Seen, Session};
use crate::task::{Heard, Source, State, Task, Title};
use crate::ui::words::age;

/// Prints how the state of a task was found, the sources in the order in which they count.
///
/// # Errors
/// When git fails.
pub(super) fn print(flux: &Flux, store: &Store, task: &Task) -> Result<()> {
    let seen = observe::closely(flux, store, task)?;
    let (state, found) = State::of(task.phase, &seen);
    let guess = if found.guess {
        ", which is a guess"
    } else {
        ""
    };
    let (id, label) = (&task.id, state.label());
    flux.ui.data(format_args!("{id}: {label}{guess}"))?;
    let now = seen_at(&seen);
    for word in sources(task, &seen, found.source) {
        let mark = if word.counts { '*' } else { ' ' };
        let ago = word.since.map(|since| now.saturating_sub(since));
        let ago = ago.map_or(String::new(), |ago| format!(" ({} ago)", age(ago)));
        let (name, says) = (word.source.into_str(), sanitize::line(&word.says));
        flux.ui
            .data(format_args!("{mark} {name:<10}  {says}{ago}"))?;
    }
    Ok(())
}

/// Prints the same for programs.
///
/// # Errors
/// When git fails.
pub(super) fn print_json(flux: &Flux, store: &Store, task: &Task) -> Result<()> {
    let seen = observe::closely(flux, store, task)?;
    let (state, found) = State::of(task.phase, &seen);
    flux.ui.json(&ExplanationObject {
        id: task.id.to_string(),
        state: StateObject::of(&state, found),
        sources: sources(task, &seen, found.source),
    })
}

fn seen_at(seen: &Seen) -> u64 {
    match seen.now {
        // Nothing is left of a run: nobody had to look at the clock.
        0 => crate::system::clock::seconds(),
        now => now / 1000,
    }
}

/// Returns what each source says; that of `counting` counts.
fn sources(task: &Task, seen: &Seen, counting: Source) -> Vec<SourceObject> {
    let exit = seen.exit.as_ref();
    let ended = exit.map_or_else(|| "no end was seen".to_owned(), ToString::to_string);
    let session_since = seen.session.map(|session| session.at / 1000);
    let is_there = |is: bool| if is { "there" } else { "gone" };
    let says = [
        (Source::Lock, lock(seen).to_owned(), None),
        (Source::Record, task.phase.into_str().to_owned(), None),
        (
            Source::Worktree,
            is_there(seen.worktree == Location::Here).to_owned(),
            None,
        ),
        (Source::Branch, is_there(seen.branch).to_owned(), None),
        (Source::Exit, ended, exit.map(|exit| exit.at)),
        (Source::Process, launcher(seen).to_owned(), seen.started),
        (Source::Hook, heard(seen.heard), since(seen.heard)),
        (Source::Session, session(seen.session), session_since),
        (Source::Transcript, heard(seen.written), since(seen.written)),
        (Source::Title, title(seen), None),
        (Source::Activity, activity(seen).to_owned(), seen.stirred),
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

fn lock(seen: &Seen) -> &'static str {
    if seen.locked {
        "a command is at work on it"
    } else {
        "no command is at work on it"
    }
}

fn launcher(seen: &Seen) -> &'static str {
    match seen.launcher {
        Presence::Unreadable => "what the launcher left cannot be read",
        Presence::Elsewhere => "the launcher is alive elsewhere: it holds its lock",
        Presence::Alive | Presence::InSetup => "the launcher is alive",
        Presence::OtherMachine => "the launcher was started on another machine",
        Presence::Gone => "the launcher is gone",
        Presence::Never => "no launcher has been there",
    }
}

fn title(seen: &Seen) -> String {
    let says = match seen.title {
        Some(Title::Working) => "working",
        Some(Title::Idle) => "idle",
        Some(Title::Asking) => "asking",
        None => NOTHING,
    };
    match &seen.shown {
        Some(shown) => format!("'{shown}': {says}"),
        None => NOTHING.to_owned(),
    }
}

fn activity(seen: &Seen) -> &'static str {
    match seen.stirred {
        Some(_) => "its window last showed something",
        None => NOTHING,
    }
}

fn session(session: Option<Session>) -> String {
    let Some(session) = session else {
        return NOTHING.to_owned();
    };
    let doing = match session.doing {
        Doing::Working => "working".to_owned(),
        Doing::Background => "a command in the background".to_owned(),
        Doing::Waiting(None) => "waiting".to_owned(),
        Doing::Waiting(Some(why)) => format!("waiting({})", why.into_str()),
        Doing::Idle => "idle".to_owned(),
    };
    if session.is_handed_over {
        doing + ", in another process"
    } else {
        doing
    }
}

fn heard(heard: Option<Heard>) -> String {
    match heard {
        None => NOTHING.to_owned(),
        Some(Heard { said, why, .. }) => match why {
            Some(why) => format!("{}({})", said.into_str(), why.into_str()),
            None => said.into_str().to_owned(),
        },
    }
}

fn since(heard: Option<Heard>) -> Option<u64> {
    heard.map(|heard| heard.at / 1000)
}
