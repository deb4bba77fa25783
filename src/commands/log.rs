//! `git flux log`

use std::fmt::Display;
use std::mem;
use std::path::Path;

use anyhow::Result;
use clap::Args;
use clap_complete::ArgValueCompleter;
use console::Style;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::object::LogObject;
use super::{candidates, choose, removed};
use crate::agent::messages;
use crate::context::Flux;
use crate::failure::Verb;
use crate::git::foreground::page;
use crate::git::log;
use crate::lifecycle::archive::{self, Archived};
use crate::run::events;
use crate::sanitize;
use crate::store::{self, Store, StoredTask};
use crate::system::clock::from_seconds;
use crate::task::RecordFile;
use crate::ui::Ui;
use crate::ui::words::count;

/// Show a task's prompt, events, commits and messages
#[derive(Debug, Args)]
#[command(override_usage = "git flux log [<options>] [<task>]")]
pub(crate) struct LogArgs {
    /// the task: its id or a part of it, its branch or its worktree; also a removed one
    #[arg(value_name = "<task>", add = ArgValueCompleter::new(candidates::all_tasks))]
    task: Option<String>,
    /// show this many messages of the agent's transcript
    #[arg(short = 'n', long, value_name = "number", default_value_t = 10)]
    max_count: usize,
    /// machine-readable output: an object
    #[arg(long)]
    json: bool,
}

impl LogArgs {
    pub(crate) fn run(self) -> Result<()> {
        let flux = Flux::open(Ui::default())?;
        let mut log = self.read(&flux)?;
        if log.unknown > 0 {
            let (events, id) = (count(log.unknown, "event"), &log.id);
            flux.ui.warning(format_args!(
                "skipped {events} of '{id}' from a newer git flux"
            ));
        }
        log.transcript = { log.events.iter().rev() }.find_map(|event| event.transcript.clone());
        let transcript = log.transcript.as_ref().map(Path::new);
        if let Some(path) = transcript.filter(|path| path.exists()) {
            match messages::read_last(path, self.max_count) {
                Ok(messages) => log.messages = messages,
                Err(error) => flux.ui.warning(format_args!("{error:#}")),
            }
        }
        if self.json {
            return flux.ui.json(&log);
        }
        let text = format_log(&log);
        if console::user_attended() {
            page(flux.repo.home(), &text)
        } else {
            flux.ui.bytes(text.as_bytes())
        }
    }

    /// Reads the log of the task that the command line names, or else of the removed task that it
    /// names. Without a name, reads that of the current worktree's task or of one that the user
    /// picks; the user picks a removed task if no task exists.
    fn read(&self, flux: &Flux) -> Result<LogObject> {
        let store = Store::load(&flux.repo, &flux.settings)?;
        let Some(name) = self.task.as_deref() else {
            if store.tasks.is_empty() {
                let archived = archive::list_all(flux)?;
                if archived.archived.iter().any(|one| !one.foreign) {
                    return read_removed(flux, removed::pick(flux, &archived, Verb::Log)?);
                }
            }
            return read_task(flux, &store, choose(flux, &store, None, Verb::Log)?);
        };
        let error = match store.find_by_name(&flux.repo, name, Verb::Log) {
            Ok(stored) => return read_task(flux, &store, stored),
            Err(error) => error,
        };
        let archived = archive::list_all(flux)?;
        if let Some(one) = archived.unread.iter().find(|one| one.name == name) {
            return Err(one.refusal().into());
        }
        match archive::find(&archived, name) {
            Ok(one) => read_removed(flux, one),
            // Existing tasks take precedence, and so does their error.
            Err(_) => Err(error),
        }
    }
}

fn read_task(flux: &Flux, store: &Store, stored: &StoredTask) -> Result<LogObject> {
    let task = stored.readable()?;
    let (events, unknown) = match flux.owner(task) {
        // Only its owner may see the events.
        Some(_) => Default::default(),
        None => events::read(&flux.run_dir(&task.id).events())?,
    };
    let commits = store
        .tip(&task.branch)
        .map(|tip| log::between(flux.repo.home(), &task.base, tip));
    Ok(LogObject {
        id: task.id.to_string(),
        title: task.title.clone(),
        prompt: lossy_text(&store::read_prompt(&flux.repo, &stored.oid)?),
        events,
        unknown,
        commits: commits.transpose()?.unwrap_or_default(),
        ..LogObject::default()
    })
}

fn read_removed(flux: &Flux, one: &Archived) -> Result<LogObject> {
    let Archived { task, record, .. } = one;
    let file = |name| flux.repo.find_file(record, name);
    let (events, unknown) = events::parse(&file(RecordFile::Events)?.unwrap_or_default());
    Ok(LogObject {
        id: task.id.to_string(),
        title: task.title.clone(),
        removed: Some(one.name.clone()),
        prompt: lossy_text(&store::read_prompt(&flux.repo, record)?),
        events,
        unknown,
        commits: log::between(flux.repo.home(), &task.base, &one.tip)?,
        screen: file(RecordFile::Screen)?.map(|bytes| lossy_text(&bytes)),
        ..LogObject::default()
    })
}

fn format_log(log: &LogObject) -> String {
    let mut page = Page::default();
    let removed = log.removed.as_ref().map_or("", |_| "  (removed)");
    page.title(format_args!("{}  {}{removed}", log.id, log.title));
    page.block(&log.prompt);
    if !log.events.is_empty() || !log.commits.is_empty() {
        page.title("Events");
        for (at, line) in timeline(log) {
            page.line(format_args!(
                "{}  {line}",
                at.map_or("?".to_owned(), local_time)
            ));
        }
    }
    if !log.messages.is_empty() {
        page.title("Messages");
        for message in &log.messages {
            let at = message.time.as_deref().and_then(|time| time.parse().ok());
            let at = at.map_or(String::new(), local_time);
            page.line(format_args!("{at}  {}:", message.who.into_str()));
            page.block(&message.text);
        }
    }
    if let Some(screen) = &log.screen {
        page.title("Last screen");
        page.block(screen);
    }
    if let Some(path) = &log.transcript {
        page.title("Transcript");
        page.line(path);
    }
    page.0
}

/// Returns a line for each event and commit of a task, sorted by time. A commit whose time is out
/// of range has `None`, and comes last.
fn timeline(log: &LogObject) -> Vec<(Option<Timestamp>, String)> {
    let events = log.events.iter().map(|event| {
        let mut line = event.state.into_str().to_owned();
        if let Some(why) = event.why {
            line += &format!(" ({})", why.into_str());
        }
        if let Some(message) = event.message.as_deref().and_then(|m| m.lines().next()) {
            line += &format!(": {message}");
        }
        (Some(event.at), line)
    });
    let commits = log.commits.iter().map(|commit| {
        // The time of a commit may be any number.
        let line = format!("commit {} {}", commit.oid.short(), commit.subject);
        (from_seconds(commit.at), line)
    });
    let mut lines: Vec<_> = events.chain(commits).collect();
    lines.sort_by_key(|(at, _)| at.unwrap_or(Timestamp::MAX));
    lines
}

/// Text for a terminal. Escapes untrusted content.
#[derive(Default)]
struct Page(String);

impl Page {
    fn title(&mut self, text: impl Display) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        let text = Style::new()
            .bold()
            .apply_to(sanitize::line(&text.to_string()));
        self.0 += &format!("{text}\n");
    }

    fn line(&mut self, text: impl Display) {
        self.0 += &format!("  {}\n", sanitize::line(&text.to_string()).trim_end());
    }

    fn block(&mut self, text: &str) {
        let text = sanitize::text(text.trim_matches('\n').trim_end());
        let mut blank = true;
        for line in text.lines() {
            // A screen may have many blank lines.
            let was_blank = mem::replace(&mut blank, line.trim().is_empty());
            if !(was_blank && blank) {
                self.0 += format!("    {line}").trim_end();
                self.0.push('\n');
            }
        }
    }
}

fn lossy_text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn local_time(at: Timestamp) -> String {
    let at = at.to_zoned(TimeZone::system());
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}
