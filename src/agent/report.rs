//! What agents say by their hooks: an event's name and its JSON, in each agent's own words.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::Value;

use crate::run::events::Event;
use crate::task::{Said, Why};

/// An event that an agent tells of.
pub(super) struct Hook {
    /// What the agent calls it.
    pub(super) event: &'static str,
    /// The tools for which it is told, if it is about tools.
    pub(super) tools: Option<&'static str>,
    /// Returns what it says of the agent's state, if anything.
    pub(super) read: fn(&Self, &Value) -> Option<Report>,
}

/// What an agent's event says of its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) event: Event,
    pub(crate) kind: Kind,
}

/// How an event bears upon what was said before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It holds, whatever was.
    Plain,
    /// The user has said something: where it was interrupted, it is at work again.
    Prompt,
    /// A conversation begins.
    Begins(Beginning),
    /// A tool has done its work: what was asked about another one is still open.
    Step,
    /// A turn is done, of whatever conversation: that it is the user's shows where it is kept.
    Turn,
    /// A turn is over, however that was: how is written down in the conversation.
    End,
    /// A repeated notification; ignored if it was already recorded.
    Reminder,
}

/// How a conversation begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// It is that of the agent, or of one within it.
    Any,
    /// It takes the place of the one before.
    InPlace,
}

/// The user's prompt was sent.
pub(super) fn prompt(hook: &Hook, _: &Value) -> Option<Report> {
    Some(hook.says(Said::Working).of(Kind::Prompt))
}

/// A tool has done its work.
pub(super) fn step(hook: &Hook, value: &Value) -> Option<Report> {
    let report = hook.says(Said::Working).about(call(value));
    Some(report.of(Kind::Step))
}

impl Hook {
    pub(super) const fn new(
        event: &'static str,
        read: fn(&Self, &Value) -> Option<Report>,
    ) -> Self {
        let tools = None;
        Self { event, tools, read }
    }

    /// The same, told for these tools.
    pub(super) const fn of_tools(self, tools: &'static str) -> Self {
        let tools = Some(tools);
        Self { tools, ..self }
    }

    pub(super) fn says(&self, state: Said) -> Report {
        Report {
            event: Event::new(state, self.event),
            kind: Kind::Plain,
        }
    }

    pub(super) fn waits(&self, why: Why) -> Report {
        let mut report = self.says(Said::Waiting);
        report.event.why = Some(why);
        report
    }

    /// Reads what the agent hands over.
    pub(super) fn report(&self, value: &Value) -> Option<Report> {
        let mut report = (self.read)(self, value)?;
        report.event.session = text(value, &["session_id", "thread-id", "sessionID"]);
        report.event.transcript = text(value, &["transcript_path"]);
        Some(report)
    }
}

impl Report {
    /// Adds the first of these values that has a text, as a message.
    pub(super) fn saying(mut self, value: &Value, names: &[&str]) -> Self {
        if let Some(message) = text(value, names) {
            self.event = self.event.saying(&message);
        }
        self
    }

    pub(super) fn about(mut self, about: Option<String>) -> Self {
        self.event.about = about;
        self
    }

    pub(super) fn of(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }
}

/// Returns a name for the call of a tool: what it is asked to do, since a question about it has no
/// other.
pub(super) fn call(value: &Value) -> Option<String> {
    let mut hasher = DefaultHasher::new();
    value["tool_name"].as_str()?.hash(&mut hasher);
    value["tool_input"].to_string().hash(&mut hasher);
    Some(format!("{:016x}", hasher.finish()))
}

/// Returns the first of these values that is a text and not empty.
pub(super) fn text(value: &Value, names: &[&str]) -> Option<String> {
    let texts = names.iter().filter_map(|name| value[name].as_str());
    let mut texts = texts.filter(|text| !text.is_empty());
    // No longer than any path, or what is kept of a message.
    texts.next().map(|text| text.chars().take(4096).collect())
}
