//! `git flux log`

use std::path::Path;

use anyhow::Result;
use clap::Args;
use clap_complete::ArgValueCompleter;
use console::Style;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::object::LogObject;
use super::{candidates, choose, removed};
use crate::agent::messages::{self, Message};
use crate::context::Flux;
use crate::git::foreground::page;
use crate::git::log::{self, Commit};
use crate::lifecycle::archive;
use crate::run::events::{self, Event};
use crate::sanitize;
use crate::store::{self, Store, Stored};
use crate::system::clock::in_milliseconds;
use crate::task::Task;
use crate::ui::Ui;
use crate::ui::words::count;

/// Show what a task was told, what happened, and what was said
#[derive(Debug, Args)]
#[command(override_usage = "git flux log [<options>] [<task>]")]
pub(crate) struct Log {
    /// the task: its id or a part of it, its branch or its worktree; also a removed one
    #[arg(value_name = "<task>", add = ArgValueCompleter::new(candidates::all_tasks))]
    task: Option<String>,
    /// how many messages of the agent's transcript are shown
    #[arg(short = 'n', long, value_name = "number", default_value_t = 10)]
    max_count: usize,
    /// machine-readable output: an object
    #[arg(long)]
    json: bool,
}

/// All that is known of what happened.
struct Story {
    task: Task,
    /// The name in the archive, if it is there.
    removed: Option<String>,
    prompt: String,
    events: Vec<Event>,
    /// How many there are that a newer git flux has written.
    unknown: usize,
    commits: Vec<Commit>,
    /// What the pane showed at last.
    screen: Option<String>,
}

impl Log {
    pub(crate) fn run(self) -> Result<()> {
        let flux = Flux::open(Ui::default())?;
        let story = self.story(&flux)?;
        if story.unknown > 0 {
            flux.ui.warning(format_args!(
                "{} of '{}' by a newer git flux cannot be read",
                count(story.unknown, "event"),
                story.task.id
            ));
        }
        let transcript = story.events.iter().rev().find_map(|e| e.transcript.clone());
        let messages = match &transcript {
            Some(path) if Path::new(path).exists() => {
                let read = messages::last(Path::new(path), self.max_count);
                read.unwrap_or_else(|error| {
                    flux.ui.warning(format_args!("{error:#}"));
                    Vec::new()
                })
            }
            _ => Vec::new(),
        };
        if self.json {
            return flux
                .ui
                .json(&story.object(transcript.as_deref(), &messages));
        }
        let text = story.text(transcript.as_deref(), &messages);
        if console::user_attended() {
            page(flux.repo.home(), &text)
        } else {
            flux.ui.bytes(text.as_bytes())
        }
    }

    /// Returns what happened in the task that is meant: one that is there, or else one that was removed.
    fn story(&self, flux: &Flux) -> Result<Story> {
        let store = Store::load(&flux.repo, &flux.settings)?;
        let Some(name) = self.task.as_deref() else {
            return Story::of_picked(flux, &store);
        };
        let error = match store.meant(&flux.repo, name, "log") {
            Ok(stored) => return Story::of(flux, &store, stored),
            Err(error) => error,
        };
        let archived = archive::list_all(flux)?;
        if let Some(one) = archived.unread.iter().find(|one| one.name == name) {
            return Err(one.refusal().into());
        }
        match archive::find(&archived, name) {
            Ok(one) => Story::of_removed(flux, one),
            // What is there comes first, and so does its error.
            Err(_) => Err(error),
        }
    }
}

impl Story {
    /// Returns what happened in the task that we stand in or that is picked, a removed one where there are no others.
    fn of_picked(flux: &Flux, store: &Store) -> Result<Self> {
        if store.tasks.is_empty() {
            let archived = archive::list_all(flux)?;
            if archived.archived.iter().any(|one| !one.foreign) {
                return Self::of_removed(flux, removed::pick(flux, &archived, "log")?);
            }
        }
        Self::of(flux, store, choose(flux, store, None, "log")?)
    }

    fn of(flux: &Flux, store: &Store, stored: &Stored) -> Result<Self> {
        let task = stored.readable()?;
        let (events, unknown) = match flux.owner(task) {
            // What happened in it is that user's alone.
            Some(_) => Default::default(),
            None => events::read(&flux.run_dir(&task.id).events())?,
        };
        Ok(Self {
            task: task.clone(),
            removed: None,
            prompt: text_of(&store::prompt(&flux.repo, &stored.oid)?),
            events,
            unknown,
            commits: match store.tip(&task.branch) {
                Some(tip) => log::between(flux.repo.home(), &task.base, tip)?,
                None => Vec::new(),
            },
            screen: None,
        })
    }

    fn of_removed(flux: &Flux, one: &archive::Archived) -> Result<Self> {
        let file = |name| flux.repo.find_file(&one.record, name);
        let (events, unknown) = events::parse(&file(store::EVENTS)?.unwrap_or_default());
        Ok(Self {
            task: one.task.clone(),
            removed: Some(one.name.clone()),
            prompt: text_of(&store::prompt(&flux.repo, &one.record)?),
            events,
            unknown,
            commits: log::between(flux.repo.home(), &one.task.base, &one.tip)?,
            screen: file(store::SCREEN)?.map(|bytes| text_of(&bytes)),
        })
    }

    fn object<'a>(&'a self, transcript: Option<&'a str>, said: &'a [Message]) -> LogObject<'a> {
        LogObject {
            id: self.task.id.as_str(),
            title: &self.task.title,
            removed: self.removed.as_deref(),
            prompt: &self.prompt,
            events: &self.events,
            commits: &self.commits,
            transcript,
            messages: said,
            screen: self.screen.as_deref(),
        }
    }

    fn text(&self, transcript: Option<&str>, messages: &[Message]) -> String {
        let mut page = Page::default();
        let removed = if self.removed.is_some() {
            "  (removed)"
        } else {
            ""
        };
        page.title(&format!("{}  {}{removed}", self.task.id, self.task.title));
        page.block(&self.prompt);
        if !self.events.is_empty() || !self.commits.is_empty() {
            page.title("What happened");
            for (at, line) in self.lines() {
                page.line(&format!("{}  {line}", time(at)));
            }
        }
        if !messages.is_empty() {
            page.title("What was said");
            for message in messages {
                let at = message.time.as_deref().and_then(|time| time.parse().ok());
                let at = at.map_or_else(String::new, local);
                page.line(&format!("{at}  {}:", message.who.into_str()));
                page.block(&message.text);
            }
        }
        if let Some(screen) = &self.screen {
            page.title("The last screen");
            page.block(screen);
        }
        if let Some(path) = transcript {
            page.title("Transcript");
            page.line(path);
        }
        page.0
    }

    /// Events and commits, as they came.
    fn lines(&self) -> Vec<(u64, String)> {
        let events = self.events.iter().map(|event| {
            let why = event.why.map(|why| format!(" ({})", why.into_str()));
            let message = event.message.as_deref().and_then(|m| m.lines().next());
            let message = message.map(|message| format!(": {message}"));
            let line = [
                event.state.into_str(),
                &why.unwrap_or_default(),
                &message.unwrap_or_default(),
            ];
            (in_milliseconds::of(event.at), line.concat())
        });
        let commits = self.commits.iter().map(|commit| {
            let short = commit.oid.short();
            // A stranger's clock may have said anything.
            let at = commit.at.saturating_mul(1000);
            (at, format!("commit {short} {}", commit.subject))
        });
        let mut lines: Vec<_> = events.chain(commits).collect();
        lines.sort_by_key(|(at, _)| *at);
        lines
    }
}

/// Text for a terminal, of which everything may be a stranger's.
#[derive(Default)]
struct Page(String);

impl Page {
    fn title(&mut self, text: &str) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        let bold = Style::new().bold();
        self.0 += &format!("{}\n", bold.apply_to(sanitize::line(text)));
    }

    fn line(&mut self, text: &str) {
        self.0 += &format!("  {}\n", sanitize::line(text).trim_end());
    }

    fn block(&mut self, text: &str) {
        let text = sanitize::text(text.trim_matches('\n').trim_end());
        let mut blank = true;
        for line in text.lines() {
            // A screen may be empty but for its last line.
            let again = std::mem::replace(&mut blank, line.trim().is_empty());
            if again && blank {
                continue;
            }
            self.0 += format!("    {line}").trim_end();
            self.0.push('\n');
        }
    }
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Milliseconds since 1970, where the user is.
fn time(at: u64) -> String {
    let at = i64::try_from(at)
        .ok()
        .and_then(|at| Timestamp::from_millisecond(at).ok());
    at.map_or_else(|| "?".to_owned(), local)
}

fn local(at: Timestamp) -> String {
    let at = at.to_zoned(TimeZone::system());
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}
