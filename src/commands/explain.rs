//! How the state of a task was found: what each source says, how old that is, and which counts.

use anyhow::Result;
use serde_json::{Value, json};

use super::list::age;
use crate::lifecycle::{Flux, observe};
use crate::sanitize;
use crate::store::Store;
use crate::task::seen::{Doing, Seen, Session};
use crate::task::{Found, Heard, Source, State, Task, Title};

/// What one source says.
struct Word {
    source: Source,
    says: String,
    /// Seconds since 1970.
    since: Option<u64>,
    counts: bool,
}

/// Prints how the state of `task` was found, the sources in the order in which they count.
///
/// # Errors
/// When git fails.
pub(super) fn show(flux: &Flux, store: &Store, task: &Task, as_json: bool) -> Result<()> {
    let seen = observe::closely(flux, store, task)?;
    let (state, found) = State::of(task.phase, &seen);
    let words = words(task, &seen, &found);
    let label = state.label();
    if as_json {
        let words: Vec<Value> = words.iter().map(object).collect();
        return flux.ui.json(&json!({
            "id": task.id.as_str(), "state": state.name(), "stateSource": found.source.name(),
            "stateReason": state.reason(), "stateSince": found.since,
            "stateGuess": found.guess, "sources": words,
        }));
    }
    let guess = if found.guess {
        ", which is a guess"
    } else {
        ""
    };
    flux.ui.data(format_args!("{}: {label}{guess}", task.id))?;
    let now = seen_at(&seen);
    for word in words {
        let mark = if word.counts { '*' } else { ' ' };
        let ago = word.since.map(|since| now.saturating_sub(since));
        let ago = ago.map_or(String::new(), |ago| format!(" ({} ago)", age(ago)));
        let (name, says) = (word.source.name(), sanitize::line(&word.says));
        flux.ui
            .data(format_args!("{mark} {name:<10}  {says}{ago}"))?;
    }
    Ok(())
}

fn object(word: &Word) -> Value {
    json!({
        "source": word.source.name(), "says": word.says, "since": word.since, "counts": word.counts,
    })
}

fn seen_at(seen: &Seen) -> u64 {
    match seen.now {
        // Nothing is left of a run: nobody had to look at the clock.
        0 => crate::system::clock::seconds(),
        now => now / 1000,
    }
}

fn words(task: &Task, seen: &Seen, found: &Found) -> Vec<Word> {
    let there = |there: bool| if there { "there" } else { "gone" };
    let process = match seen.alive {
        _ if seen.unreadable => "what the launcher left cannot be read",
        Some(true) if seen.runs_elsewhere => "the launcher is alive elsewhere: it holds its lock",
        Some(true) => "the launcher is alive",
        Some(false) if seen.other_machine => "the launcher was started on another machine",
        Some(false) => "the launcher is gone",
        None => "no launcher has been there",
    };
    let exit = seen.exit.as_ref();
    let lock = match seen.locked {
        true => "a command is at work on it",
        false => "no command is at work on it",
    };
    let nothing = || "says nothing".to_owned();
    let title = seen.shown.as_ref().map(|shown| match seen.title {
        Some(Title::Working) => format!("'{shown}': working"),
        Some(Title::Idle) => format!("'{shown}': idle"),
        Some(Title::Asking) => format!("'{shown}': asking"),
        None => format!("'{shown}': says nothing"),
    });
    let activity = seen
        .stirred
        .map(|_| "its window last showed something".to_owned());
    let ended = exit.map_or_else(|| "no end was seen".to_owned(), ToString::to_string);
    let says = [
        (Source::Lock, lock.to_owned(), None),
        (Source::Record, task.phase.name().to_owned(), None),
        (Source::Worktree, there(seen.worktree).to_owned(), None),
        (Source::Branch, there(seen.branch).to_owned(), None),
        (Source::Exit, ended, exit.map(|exit| exit.at)),
        (Source::Process, process.to_owned(), seen.started),
        (Source::Hook, heard(seen.heard), since(seen.heard)),
        (
            Source::Session,
            session(seen.session),
            seen.session.map(|it| it.at / 1000),
        ),
        (Source::Transcript, heard(seen.written), since(seen.written)),
        (Source::Title, title.unwrap_or_else(nothing), None),
        (
            Source::Activity,
            activity.unwrap_or_else(nothing),
            seen.stirred,
        ),
    ];
    let word = |(source, says, since)| Word {
        source,
        says,
        since,
        counts: source == found.source,
    };
    says.into_iter().map(word).collect()
}

fn session(session: Option<Session>) -> String {
    let Some(session) = session else {
        return "says nothing".to_owned();
    };
    let doing = match session.doing {
        Doing::Working => "working".to_owned(),
        Doing::Background => "a command in the background".to_owned(),
        Doing::Waiting(None) => "waiting".to_owned(),
        Doing::Waiting(Some(why)) => format!("waiting({})", why.name()),
        Doing::Idle => "idle".to_owned(),
    };
    match session.is_handed_over {
        true => format!("{doing}, in another process"),
        false => doing,
    }
}

fn heard(heard: Option<Heard>) -> String {
    match heard {
        None => "says nothing".to_owned(),
        Some(Heard {
            said, why: None, ..
        }) => said.name().to_owned(),
        Some(Heard {
            said,
            why: Some(why),
            ..
        }) => format!("{}({})", said.name(), why.name()),
    }
}

fn since(heard: Option<Heard>) -> Option<u64> {
    heard.map(|heard| heard.at / 1000)
}
