//! Stands in for the API of the model of an agent: the test answers each turn.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// A server on this machine alone.
pub(super) struct Api {
    port: u16,
    turns: Mutex<Receiver<Turn>>,
}

/// A request that waits for its answer.
pub(super) struct Turn {
    pub(super) body: Value,
    kind: Kind,
    stream: TcpStream,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Messages,
    Responses,
    Chat,
    Gemini,
}

impl Api {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, turns) = channel();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sender = sender.clone();
                thread::spawn(move || serve(stream, &sender));
            }
        });
        Self {
            port,
            turns: Mutex::new(turns),
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns the next turn that the agent asks for.
    #[track_caller]
    pub(super) fn turn(&self) -> Turn {
        // OpenCode takes a minute to start, and more where others are at work.
        let turn = self.turn_within(Duration::from_secs(300));
        turn.expect("the agent asked for no turn in 300 seconds")
    }

    /// Returns the next turn, if the agent asks for one in this time.
    pub(super) fn turn_within(&self, time: Duration) -> Option<Turn> {
        self.turns.lock().unwrap().recv_timeout(time).ok()
    }

    /// Returns whether no request for a turn has arrived.
    pub(super) fn is_quiet(&self) -> bool {
        self.turns.lock().unwrap().try_recv().is_err()
    }
}

/// Reads one request. What is no turn of a conversation (a title, a count of tokens) is answered at once.
fn serve(stream: TcpStream, turns: &Sender<Turn>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim_end().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let path = line.split(' ').nth(1)?.split('?').next()?;
    let kind = match path {
        "/v1/messages" => Some(Kind::Messages),
        "/v1/responses" => Some(Kind::Responses),
        "/v1/chat/completions" => Some(Kind::Chat),
        path if path.ends_with(":streamGenerateContent") => Some(Kind::Gemini),
        _ => None,
    };
    let body: Option<Value> = serde_json::from_slice(&body).ok();
    let (Some(kind), Some(body)) = (kind, body) else {
        return answer(stream, "404 Not Found", "application/json", "{}");
    };
    let turn = Turn { body, kind, stream };
    let conversation = turn.body["tools"]
        .as_array()
        .is_some_and(|tools| !tools.is_empty());
    if conversation {
        turns.send(turn).ok()
    } else {
        turn.try_say("A title")
    }
}

fn answer(mut stream: TcpStream, status: &str, kind: &str, body: &str) -> Option<()> {
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
    .ok()
}

impl Turn {
    /// Returns the texts that the user has said so far, each as it came.
    pub(super) fn said(&self) -> Vec<&str> {
        let all = match self.kind {
            Kind::Messages | Kind::Chat => &self.body["messages"],
            Kind::Responses => &self.body["input"],
            Kind::Gemini => &self.body["contents"],
        };
        let content = match self.kind {
            Kind::Gemini => "parts",
            _ => "content",
        };
        let from_user = all
            .as_array()
            .unwrap()
            .iter()
            .filter(|m| m["role"] == "user");
        let texts = from_user.flat_map(|message| match &message[content] {
            Value::String(text) => vec![text.as_str()],
            parts => {
                let parts = parts.as_array().into_iter().flatten();
                parts.filter_map(|part| part["text"].as_str()).collect()
            }
        });
        texts.collect()
    }

    /// Counts how often the user has sent exactly this text.
    pub(super) fn count(&self, text: &str) -> usize {
        self.said().iter().filter(|said| **said == text).count()
    }

    /// Returns whether the agent has just used a tool: Claude Code.
    pub(super) fn is_after_tool(&self) -> bool {
        let last = self.body["messages"].as_array().and_then(|all| all.last());
        let parts = last.and_then(|last| last["content"].as_array());
        parts.is_some_and(|parts| parts.iter().any(|part| part["type"] == "tool_result"))
    }

    /// Ends the turn with a text.
    pub(super) fn say(self, text: &str) {
        self.try_say(text).expect("the agent hears the answer");
    }

    fn try_say(self, text: &str) -> Option<()> {
        let events = match self.kind {
            Kind::Messages => messages(
                &json!({"type": "text", "text": ""}),
                &json!({"type": "text_delta", "text": text}),
                "end_turn",
            ),
            Kind::Responses => responses(&json!({
                "type": "message", "id": "m", "role": "assistant",
                "content": [{"type": "output_text", "text": text}],
            })),
            Kind::Chat => chat(&json!({"role": "assistant", "content": text}), "stop"),
            Kind::Gemini => vec![json!({
                "candidates": [{"content": {"role": "model", "parts": [{"text": text}]},
                                "finishReason": "STOP", "index": 0}],
                "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1,
                                  "totalTokenCount": 2},
            })],
        };
        self.send(&events)
    }

    /// Calls the tool that runs a shell command, which may need the user's permission.
    pub(super) fn call(self, command: &str) {
        let events = match self.kind {
            Kind::Messages | Kind::Chat => {
                return self.use_tool(
                    ("Bash", "bash"),
                    &json!({"command": command, "description": "Do it"}),
                );
            }
            Kind::Responses => {
                let arguments = json!({
                    "cmd": command,
                    "sandbox_permissions": "require_escalated",
                    "justification": "it is needed",
                });
                responses(&json!({
                    "type": "function_call", "id": "f", "call_id": "c", "name": "exec_command",
                    "arguments": arguments.to_string(),
                }))
            }
            Kind::Gemini => panic!("no test has needed that"),
        };
        self.send(&events).expect("the agent hears the answer");
    }

    /// Calls the tool that runs a shell command, and goes on meanwhile: Claude Code.
    pub(super) fn call_in_background(self, command: &str) {
        let input = json!({"command": command, "description": "Do it", "run_in_background": true});
        self.use_tool(("Bash", "bash"), &input);
    }

    /// Starts a subagent on `prompt`, which has turns of its own; Claude Code continues meanwhile.
    pub(super) fn delegate(self, prompt: &str) {
        let kind = match self.kind {
            Kind::Chat => "general",
            _ => "general-purpose",
        };
        let input = json!({
            "description": "A part", "prompt": prompt, "subagent_type": kind,
            "run_in_background": true,
        });
        self.use_tool(("Agent", "task"), &input);
    }

    /// Calls the tool that has this name, in Claude Code and in OpenCode.
    fn use_tool(self, names: (&str, &str), input: &Value) {
        let input = input.to_string();
        let id = format!("toolu_{}", next_number());
        let events = match self.kind {
            Kind::Messages => messages(
                &json!({"type": "tool_use", "id": id, "name": names.0, "input": {}}),
                &json!({"type": "input_json_delta", "partial_json": input}),
                "tool_use",
            ),
            _ => chat(
                &json!({"role": "assistant", "tool_calls": [{
                    "index": 0, "id": "call_1", "type": "function",
                    "function": {"name": names.1, "arguments": input},
                }]}),
                "tool_calls",
            ),
        };
        self.send(&events).expect("the agent hears the answer");
    }

    /// Fails with this status.
    pub(super) fn fail(self, status: u16) {
        let error = json!({"type": "error", "error": {"type": "error", "message": "no"}});
        answer(
            self.stream,
            &format!("{status} No"),
            "application/json",
            &error.to_string(),
        );
    }

    fn send(self, events: &[Value]) -> Option<()> {
        let mut body = String::new();
        for event in events {
            if let Some(name) = event["type"].as_str() {
                body += &format!("event: {name}\n");
            }
            body += &format!("data: {event}\n\n");
        }
        if self.kind == Kind::Chat {
            body += "data: [DONE]\n\n";
        }
        answer(self.stream, "200 OK", "text/event-stream", &body)
    }
}

/// Returns another number each time.
fn next_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn messages(block: &Value, delta: &Value, stop: &str) -> Vec<Value> {
    // Claude Code takes messages with the same name for one.
    let message = json!({
        "id": format!("msg_{}", next_number()), "type": "message", "role": "assistant", "model": "stand-in", "content": [],
        "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    });
    vec![
        json!({"type": "message_start", "message": message}),
        json!({"type": "content_block_start", "index": 0, "content_block": block}),
        json!({"type": "content_block_delta", "index": 0, "delta": delta}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": null},
               "usage": {"output_tokens": 1}}),
        json!({"type": "message_stop"}),
    ]
}
fn responses(item: &Value) -> Vec<Value> {
    let usage = json!({"input_tokens": 1, "input_tokens_details": null, "output_tokens": 1,
                       "output_tokens_details": null, "total_tokens": 2});
    vec![
        json!({"type": "response.created", "response": {"id": "r"}}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
        json!({"type": "response.completed", "response": {"id": "r", "usage": usage}}),
    ]
}

fn chat(delta: &Value, reason: &str) -> Vec<Value> {
    let chunk = |delta: &Value, reason: Option<&str>| {
        json!({
            "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
        })
    };
    vec![chunk(delta, None), chunk(&json!({}), Some(reason))]
}
