//! What agents say by their hooks, read: an event's name and its JSON, in each agent's own words.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::Value;

use crate::run::events::Event;
use crate::task::{Said, Why};

/// What an agent's event says, if it says anything of its state.
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
    /// A conversation begins; with `anew` it takes the place of the one before.
    Begins { anew: bool },
    /// A tool has done its work: what was asked about another one is still open.
    Step,
    /// A turn is done, of whatever conversation: that it is the user's shows where it is kept.
    Turn,
    /// Said once more, later: only news to whom nothing of it was said.
    Reminder,
}

/// Reads an event of the agent of this name; none of what says nothing of its state.
pub(crate) fn read(agent: &str, event: &str, value: &Value) -> Option<Report> {
    let mut report = match agent {
        "claude" => claude(event, value),
        "codex" => codex(value),
        "gemini" => gemini(event, value),
        "opencode" => opencode(event, value),
        _ => None,
    }?;
    report.event.session = text(value, &["session_id", "thread-id", "sessionID"]);
    report.event.transcript = text(value, &["transcript_path"]);
    Some(report)
}

fn plain(event: &str, state: Said) -> Report {
    Report {
        event: Event::new(state, event),
        kind: Kind::Plain,
    }
}

fn waiting(event: &str, why: Why) -> Report {
    let mut report = plain(event, Said::Waiting);
    report.event.why = Some(why);
    report
}

impl Report {
    fn saying(mut self, value: &Value, names: &[&str]) -> Self {
        if let Some(message) = text(value, names) {
            self.event = self.event.saying(&message);
        }
        self
    }

    fn about(mut self, about: Option<String>) -> Self {
        self.event.about = about;
        self
    }

    fn of(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }
}

fn claude(event: &str, value: &Value) -> Option<Report> {
    let tool = value["tool_name"].as_str().unwrap_or_default();
    Some(match event {
        // Where it compacts its conversation, it is in the middle of a turn.
        "SessionStart" => match value["source"].as_str() {
            Some("compact") => return None,
            Some("resume" | "clear") => plain(event, Said::Done).of(Kind::Begins { anew: true }),
            // Its own, at the start; any other one is that of another process.
            _ => plain(event, Said::Starting),
        },
        "UserPromptSubmit" => plain(event, Said::Working).of(Kind::Prompt),
        "PreToolUse" | "PermissionRequest" if tool == "AskUserQuestion" => {
            waiting(event, Why::Question)
                .about(call(value))
                .saying(&value["tool_input"]["questions"][0], &["question"])
        }
        "PermissionRequest" => waiting(event, Why::Permission)
            .about(call(value))
            .saying(&wanted(value), &["text"]),
        "PostToolUse" | "PostToolUseFailure" | "PermissionDenied" => plain(event, Said::Working)
            .about(call(value))
            .of(Kind::Step),
        "Notification" => match value["notification_type"].as_str()? {
            "permission_prompt" => waiting(event, Why::Permission),
            "elicitation_dialog" => waiting(event, Why::Question),
            "idle_prompt" => plain(event, Said::Interrupted),
            _ => return None,
        }
        .of(Kind::Reminder)
        .saying(value, &["message"]),
        "Stop" => {
            let still = value["background_tasks"].as_array();
            if still.is_some_and(|tasks| !tasks.is_empty()) {
                // One of them may have asked something.
                plain(event, Said::Working).of(Kind::Step)
            } else {
                plain(event, Said::Done).saying(value, &["last_assistant_message"])
            }
        }
        "StopFailure" => plain(event, Said::Failed).saying(value, &["error_details", "error"]),
        _ => return None,
    })
}

/// It tells of each turn's end, and twice; by the turn's name they are one.
fn codex(value: &Value) -> Option<Report> {
    let kind = value["type"].as_str()?;
    (kind == "agent-turn-complete").then(|| {
        plain(kind, Said::Done)
            .of(Kind::Turn)
            .about(text(value, &["turn-id"]))
            .saying(value, &["last-assistant-message"])
    })
}

fn gemini(event: &str, value: &Value) -> Option<Report> {
    Some(match event {
        "SessionStart" => match value["source"].as_str() {
            Some("clear") => plain(event, Said::Done).of(Kind::Begins { anew: true }),
            Some("resume") => plain(event, Said::Done).of(Kind::Begins { anew: false }),
            _ => plain(event, Said::Starting).of(Kind::Begins { anew: false }),
        },
        "BeforeAgent" => plain(event, Said::Working).of(Kind::Prompt),
        "AfterTool" => plain(event, Said::Working)
            .about(call(value))
            .of(Kind::Step),
        "AfterAgent" => plain(event, Said::Done).saying(value, &["prompt_response"]),
        "Notification" if value["notification_type"] == "ToolPermission" => {
            waiting(event, Why::Permission).saying(value, &["message"])
        }
        _ => return None,
    })
}

/// In the words of the plugin, which are those of its events.
fn opencode(event: &str, value: &Value) -> Option<Report> {
    let report = match event {
        "session.created" => plain(event, Said::Starting).of(Kind::Begins { anew: false }),
        "session.busy" | "permission.replied" | "question.replied" => plain(event, Said::Working),
        "session.idle" => plain(event, Said::Done),
        "session.error" => plain(event, Said::Failed),
        "permission.asked" => waiting(event, Why::Permission),
        "question.asked" => waiting(event, Why::Question),
        _ => return None,
    };
    Some(report.saying(value, &["message"]))
}

/// What is wanted, for people: the tool, and its command or file.
fn wanted(value: &Value) -> Value {
    let tool = value["tool_name"].as_str().unwrap_or_default();
    let input = &value["tool_input"];
    let what = text(input, &["command", "file_path", "url", "description"]);
    let said = what.map_or_else(|| tool.to_owned(), |what| format!("{tool}: {what}"));
    serde_json::json!({ "text": said })
}

/// A name for the call of a tool: what it is asked to do, since a question about it has no other.
fn call(value: &Value) -> Option<String> {
    let mut hasher = DefaultHasher::new();
    value["tool_name"].as_str()?.hash(&mut hasher);
    value["tool_input"].to_string().hash(&mut hasher);
    Some(format!("{:016x}", hasher.finish()))
}

/// The first of these names that has a text.
fn text(value: &Value, names: &[&str]) -> Option<String> {
    let texts = names.iter().filter_map(|name| value[name].as_str());
    let mut texts = texts.filter(|text| !text.is_empty());
    // No longer than any path, or what is kept of a message.
    texts.next().map(|text| text.chars().take(4096).collect())
}
