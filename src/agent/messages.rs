//! The messages in an agent's transcript.
//!
//! Two formats are known, both with a JSON object per line. Seen with: claude 2.1.330, whose lines
//! are messages (`type` is `user` or `assistant`), and codex 0.169.0 (`response_item`).

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::Value;
use strum::IntoStaticStr;

use crate::run::file::read_tail;

/// The end of the file that is read: it includes output of tools.
const TAIL_BYTES: u64 = 2 * 1024 * 1024;

/// The author of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase", const_into_str)]
pub(crate) enum Author {
    User,
    Agent,
    /// A call of a tool.
    Tool,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Message {
    /// RFC 3339, as in the file.
    pub(crate) time: Option<String>,
    pub(crate) who: Author,
    pub(crate) text: String,
}

/// Returns the last `count` messages and tool calls in the transcript at `path`, the oldest first.
/// Reads the last 2 MiB; empty for an unknown format.
pub(crate) fn read_last(path: &Path, count: usize) -> Result<Vec<Message>> {
    let what = || format!("could not read the transcript '{}'", path.display());
    let mut messages = read(&read_tail(path, TAIL_BYTES).with_context(what)?);
    messages.drain(..messages.len().saturating_sub(count));
    Ok(messages)
}

fn read(bytes: &[u8]) -> Vec<Message> {
    let lines = bytes.split(|&b| b == b'\n');
    let values = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    values.flat_map(|value| messages_of(&value)).collect()
}

fn messages_of(line: &Value) -> Vec<Message> {
    let message = match line["type"].as_str() {
        Some("user" | "assistant") if line["isMeta"] != true => &line["message"],
        Some("response_item") => &line["payload"],
        _ => return Vec::new(),
    };
    let who = match message["role"].as_str() {
        Some("user") => Author::User,
        Some("assistant") => Author::Agent,
        // A call of a tool in codex has its own item.
        None if message["type"] == "function_call" => Author::Tool,
        _ => return Vec::new(),
    };
    let time = line["timestamp"].as_str();
    let message_of = |(who, text)| Message {
        time: time.map(ToOwned::to_owned),
        who,
        text,
    };
    let parts = match &message["content"] {
        _ if who == Author::Tool => vec![message],
        Value::String(text) => return vec![message_of((who, text.clone()))],
        parts => parts.as_array().into_iter().flatten().collect(),
    };
    let texts = parts.into_iter().filter_map(|part| text_of(part, who));
    texts.map(message_of).collect()
}

/// Returns author and text of a part of a message; `None` if the part is neither text nor a tool
/// call, or is empty. `None` also for a text of the user that begins with `<`: the agent's program
/// adds such notes under the user's name.
fn text_of(part: &Value, who: Author) -> Option<(Author, String)> {
    let (who, text) = match part["type"].as_str()? {
        "text" | "input_text" | "output_text" => (who, part["text"].as_str()?.to_owned()),
        "tool_use" => (
            Author::Tool,
            describe_call(part["name"].as_str()?, &part["input"]),
        ),
        "function_call" => {
            let input = serde_json::from_str(part["arguments"].as_str()?).ok()?;
            (Author::Tool, describe_call(part["name"].as_str()?, &input))
        }
        _ => return None,
    };
    // Programs add notes for the model under the user's name.
    let is_added = who == Author::User && text.trim_start().starts_with('<');
    (!is_added && !text.trim().is_empty()).then_some((who, text))
}

/// The input values that describe a call of a tool, in this order.
const MAIN_INPUTS: &str = "command cmd file_path path pattern query url description";

/// Describes a call of a tool in a line: `<name>: <input>` with its main input, such as a command
/// or a file, or only its name if it has none.
pub(super) fn describe_call(name: &str, input: &Value) -> String {
    let mut telling = MAIN_INPUTS.split(' ').filter_map(|key| input[key].as_str());
    match telling.next() {
        Some(text) => format!("{name}: {text}"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(lines: &str, expected: &[(Author, &str)]) {
        let found = read(lines.as_bytes());
        let found: Vec<_> = found.iter().map(|m| (m.who, m.text.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn read_accepts_both_formats_and_ignores_others() {
        case(
            r#"{"type":"user","message":{"role":"user","content":"Do it"}}
{"type":"user","isMeta":true,"message":{"role":"user","content":"caveat"}}
{"type":"assistant","message":{"role":"assistant","content":[{"type":"text","text":"Yes."},{"type":"tool_use","name":"Bash","input":{"command":"ls"}}]}}
{"type":"user","message":{"role":"user","content":[{"type":"tool_result","content":"x"},{"type":"text","text":"<system-reminder>"}]}}
{"type":"mode"}
no JSON"#,
            &[
                (Author::User, "Do it"),
                (Author::Agent, "Yes."),
                (Author::Tool, "Bash: ls"),
            ],
        );
        case(
            r#"{"type":"response_item","payload":{"type":"message","role":"user","content":[{"type":"input_text","text":"<environment>"}]}}
{"type":"response_item","payload":{"type":"message","role":"user","content":[{"type":"input_text","text":"Do it"}]}}
{"type":"response_item","payload":{"type":"function_call","name":"exec_command","arguments":"{\"cmd\":\"ls\"}"}}
{"type":"response_item","payload":{"type":"message","role":"developer","content":[{"type":"input_text","text":"x"}]}}
{"type":"response_item","payload":{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Done."}]}}"#,
            &[
                (Author::User, "Do it"),
                (Author::Tool, "exec_command: ls"),
                (Author::Agent, "Done."),
            ],
        );
    }
}
