//! The reports of agents by hooks: the name of an event and its JSON, in the words of each agent.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::Value;

use crate::run::events::Event;
use crate::task::{Activity, WaitReason};

/// A hook of an agent, and its meaning.
pub(super) struct Hook {
    /// Its name in the agent.
    pub(super) event: &'static str,
    /// The tools that it is called for.
    pub(super) tools: Option<&'static str>,
    says: Activity,
    why: Option<WaitReason>,
    effect: Effect,
    /// The keys of its message, the preferred one first.
    message: &'static [&'static str],
    /// Completes the report with values of the event; `None` ignores it.
    refine: fn(HookReport, &Value) -> Option<HookReport>,
}

/// A report of an agent by a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HookReport {
    pub(crate) event: Event,
    pub(crate) effect: Effect,
}

/// The effect of a report on earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It replaces them.
    Plain,
    /// The user has sent a message: the agent works, even if it was interrupted.
    Prompt,
    /// A conversation begins.
    Begins(Beginning),
    /// A tool has finished: a question about another one is still open.
    Step,
    /// A turn of any conversation has ended: its file tells whether it is the user's.
    Turn,
    /// A repeated notification; ignored if it was already recorded.
    Reminder,
}

/// The beginning of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// It may be that of a subagent.
    Any,
    /// It replaces the one before.
    InPlace,
}

impl Hook {
    pub(super) const fn new(event: &'static str, says: Activity) -> Self {
        Self {
            event,
            tools: None,
            says,
            why: None,
            effect: Effect::Plain,
            message: &[],
            refine: |report, _| Some(report),
        }
    }

    pub(super) const fn asking(event: &'static str, why: WaitReason) -> Self {
        let mut hook = Self::new(event, Activity::Waiting);
        hook.why = Some(why);
        hook
    }

    pub(super) const fn for_tools(self, tools: &'static str) -> Self {
        let tools = Some(tools);
        Self { tools, ..self }
    }

    pub(super) const fn with_effect(self, effect: Effect) -> Self {
        Self { effect, ..self }
    }

    pub(super) const fn with_message(self, message: &'static [&'static str]) -> Self {
        Self { message, ..self }
    }

    pub(super) const fn refine(self, refine: fn(HookReport, &Value) -> Option<HookReport>) -> Self {
        Self { refine, ..self }
    }

    /// Returns what a call of this hook with the JSON `value` reports: state, session, message.
    /// `None` if the call does not change the agent's state.
    pub(super) fn report(&self, value: &Value) -> Option<HookReport> {
        let mut event = Event::new(self.says, self.event);
        event.why = self.why;
        event.session = first_text(value, &["session_id", "thread-id", "sessionID"]);
        event.transcript = first_text(value, &["transcript_path"]);
        if self.effect == Effect::Step {
            event.about = tool_call_id(value);
        }
        let effect = self.effect;
        let report = HookReport { event, effect }.with_message(value, self.message);
        (self.refine)(report, value)
    }
}

impl HookReport {
    /// Replaces the message of a report by the first value of the keys `names` in `value` that is
    /// text and not empty; keeps the old message if there is none.
    pub(super) fn with_message(mut self, value: &Value, names: &[&str]) -> Self {
        if let Some(message) = first_text(value, names) {
            self.event = self.event.with_message(&message);
        }
        self
    }

    /// Replaces the activity of a report, and its [`Effect`] on earlier reports.
    pub(super) fn with_activity(mut self, state: Activity, effect: Effect) -> Self {
        self.event.state = state;
        self.effect = effect;
        self
    }
}

/// Returns an id for a call of a tool: a hash of its name and input, since questions about it have
/// no id. `None` if the JSON names no tool.
pub(super) fn tool_call_id(value: &Value) -> Option<String> {
    let mut hasher = DefaultHasher::new();
    value["tool_name"].as_str()?.hash(&mut hasher);
    value["tool_input"].to_string().hash(&mut hasher);
    Some(format!("{:016x}", hasher.finish()))
}

/// Returns the first value of the keys `names` in a JSON object that is text and not empty, cut
/// after 4096 characters; `None` if there is none.
pub(super) fn first_text(value: &Value, names: &[&str]) -> Option<String> {
    let texts = names.iter().filter_map(|name| value[name].as_str());
    let mut texts = texts.filter(|text| !text.is_empty());
    // The limit of paths and of stored messages.
    texts.next().map(|text| text.chars().take(4096).collect())
}
