//! What an agent and its user have said to each other, as the agent has written it down.
//!
//! Two forms are known, one JSON object per line in both. Seen with: claude 2.1.330, whose
//! lines are messages (`type` is `user` or `assistant`), and codex 0.169.0 (`response_item`).

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::Value;
use strum::IntoStaticStr;

use crate::run::file::read_tail;

/// How far back is read, in bytes: what tools printed is in it too.
const TAIL: u64 = 2 * 1024 * 1024;

/// Who said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase", const_into_str)]
pub(crate) enum Who {
    User,
    Agent,
    /// The agent used a tool.
    Tool,
}

/// Something that was said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Message {
    /// As the agent has it: RFC 3339.
    pub(crate) time: Option<String>,
    pub(crate) who: Who,
    pub(crate) text: String,
}

/// The last `count` messages, the oldest first. What is none of the known forms is left out.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn last(path: &Path, count: usize) -> Result<Vec<Message>> {
    let what = || format!("could not read the transcript '{}'", path.display());
    let mut messages = read(&read_tail(path, TAIL).with_context(what)?);
    messages.drain(..messages.len().saturating_sub(count));
    Ok(messages)
}

fn read(bytes: &[u8]) -> Vec<Message> {
    let lines = bytes.split(|&b| b == b'\n');
    let values = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    values.flat_map(|value| said(&value)).collect()
}

fn said(line: &Value) -> Vec<Message> {
    let message = match line["type"].as_str() {
        Some("user" | "assistant") if line["isMeta"] != true => &line["message"],
        Some("response_item") => &line["payload"],
        _ => return Vec::new(),
    };
    let who = match message["role"].as_str() {
        Some("user") => Who::User,
        Some("assistant") => Who::Agent,
        // A tool of codex is called by an item of its own.
        None if message["type"] == "function_call" => Who::Tool,
        _ => return Vec::new(),
    };
    let time = line["timestamp"].as_str();
    let message_of = |(who, text)| Message {
        time: time.map(ToOwned::to_owned),
        who,
        text,
    };
    let parts = match &message["content"] {
        _ if who == Who::Tool => vec![message],
        Value::String(text) => return vec![message_of((who, text.clone()))],
        parts => parts.as_array().into_iter().flatten().collect(),
    };
    let texts = parts.into_iter().filter_map(|part| text_of(part, who));
    texts.map(message_of).collect()
}

/// Returns what a part of a message says, and who says it; `None` of what is not for people.
fn text_of(part: &Value, who: Who) -> Option<(Who, String)> {
    let (who, text) = match part["type"].as_str()? {
        "text" | "input_text" | "output_text" => (who, part["text"].as_str()?.to_owned()),
        "tool_use" => (Who::Tool, call(part["name"].as_str()?, &part["input"])),
        "function_call" => {
            let input = serde_json::from_str(part["arguments"].as_str()?).ok()?;
            (Who::Tool, call(part["name"].as_str()?, &input))
        }
        _ => return None,
    };
    // What the program tells its model, under the user's name, is not the user's.
    let is_added = who == Who::User && text.trim_start().starts_with('<');
    (!is_added && !text.trim().is_empty()).then_some((who, text))
}

/// What is most telling of the input of a tool, in this order.
const TELLING: &str = "command cmd file_path path pattern query url description";

/// The call of a tool in a line: its name, and what is most telling of its input.
pub(super) fn call(name: &str, input: &Value) -> String {
    let mut telling = TELLING.split(' ').filter_map(|key| input[key].as_str());
    match telling.next() {
        Some(text) => format!("{name}: {text}"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(lines: &str, expected: &[(Who, &str)]) {
        let found = read(lines.as_bytes());
        let found: Vec<_> = found.iter().map(|m| (m.who, m.text.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn both_forms_are_read_and_what_is_neither_is_left_out() {
        case(
            r#"{"type":"user","message":{"role":"user","content":"Do it"}}
{"type":"user","isMeta":true,"message":{"role":"user","content":"caveat"}}
{"type":"assistant","message":{"role":"assistant","content":[{"type":"text","text":"Yes."},{"type":"tool_use","name":"Bash","input":{"command":"ls"}}]}}
{"type":"user","message":{"role":"user","content":[{"type":"tool_result","content":"x"},{"type":"text","text":"<system-reminder>"}]}}
{"type":"mode"}
no JSON"#,
            &[
                (Who::User, "Do it"),
                (Who::Agent, "Yes."),
                (Who::Tool, "Bash: ls"),
            ],
        );
        case(
            r#"{"type":"response_item","payload":{"type":"message","role":"user","content":[{"type":"input_text","text":"<environment>"}]}}
{"type":"response_item","payload":{"type":"message","role":"user","content":[{"type":"input_text","text":"Do it"}]}}
{"type":"response_item","payload":{"type":"function_call","name":"exec_command","arguments":"{\"cmd\":\"ls\"}"}}
{"type":"response_item","payload":{"type":"message","role":"developer","content":[{"type":"input_text","text":"x"}]}}
{"type":"response_item","payload":{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Done."}]}}"#,
            &[
                (Who::User, "Do it"),
                (Who::Tool, "exec_command: ls"),
                (Who::Agent, "Done."),
            ],
        );
    }
}
