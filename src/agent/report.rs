//! What agents say by their hooks: an event's name and its JSON, in each agent's own words.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::Value;

use crate::run::events::Event;
use crate::task::{Said, Why};

/// An event that an agent tells of, and what it says of its state.
pub(super) struct Hook {
    /// What the agent calls it.
    pub(super) event: &'static str,
    /// The tools for which it is told, if it is about tools.
    pub(super) tools: Option<&'static str>,
    says: Said,
    why: Option<Why>,
    kind: Kind,
    /// Where a message is: the first of these values.
    message: &'static [&'static str],
    /// Returns what is known by its values beyond that; `None` if it says nothing.
    refine: fn(Report, &Value) -> Option<Report>,
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

impl Hook {
    pub(super) const fn new(event: &'static str, says: Said) -> Self {
        Self {
            event,
            tools: None,
            says,
            why: None,
            kind: Kind::Plain,
            message: &[],
            refine: |report, _| Some(report),
        }
    }

    pub(super) const fn asking(event: &'static str, why: Why) -> Self {
        let mut hook = Self::new(event, Said::Waiting);
        hook.why = Some(why);
        hook
    }

    pub(super) const fn of_tools(self, tools: &'static str) -> Self {
        let tools = Some(tools);
        Self { tools, ..self }
    }

    pub(super) const fn of(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    pub(super) const fn saying(self, message: &'static [&'static str]) -> Self {
        Self { message, ..self }
    }

    pub(super) const fn refined(self, refine: fn(Report, &Value) -> Option<Report>) -> Self {
        Self { refine, ..self }
    }

    /// Reads what the agent hands over.
    pub(super) fn report(&self, value: &Value) -> Option<Report> {
        let mut event = Event::new(self.says, self.event);
        event.why = self.why;
        event.session = text(value, &["session_id", "thread-id", "sessionID"]);
        event.transcript = text(value, &["transcript_path"]);
        if self.kind == Kind::Step {
            event.about = call(value);
        }
        let kind = self.kind;
        let report = Report { event, kind }.saying(value, self.message);
        (self.refine)(report, value)
    }
}

impl Report {
    /// Adds the first of these values that has a text, as a message.
    pub(super) fn saying(mut self, value: &Value, names: &[&str]) -> Self {
        if let Some(message) = text(value, names) {
            self.event = self.event.with_message(&message);
        }
        self
    }

    /// Returns the report of another state.
    pub(super) fn with(mut self, state: Said, kind: Kind) -> Self {
        self.event.state = state;
        self.kind = kind;
        self
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
