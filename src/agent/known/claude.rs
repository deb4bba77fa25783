//! Claude Code.

mod session;

use anyhow::Result;
use nix::sys::signal::Signal;
use serde_json::{Map, Value, json};

use crate::agent::hooks::{Additions, HookFiles};
use crate::agent::profile::{Depth, Files, Output, PLAIN, Profile};
use crate::agent::report::{Beginning, Hook, Kind, Report, call, prompt, step, text};
use crate::agent::transcript::{Conversation, Counts};
use crate::task::{Said, Title, Why};
use crate::tmux::composer::{Composer, Frame, Remedy, Trap};

/// Seen with 2.1.197, 2.1.330 and 2.1.332: hooks of --settings run beside the user's, it runs those for
/// the end of a session and exits with 143 when it is terminated; a prompt of 120 000 bytes
/// arrives; Esc fires no hook, and mostly leaves a line in the transcript.
pub(super) const CLAUDE: Profile = Profile {
    name: "claude",
    program: "claude",
    yolo: &["--dangerously-skip-permissions"],
    is_yolo: true,
    // Without an option 2.1.332 starts in a mode that asks for little (`auto`).
    ask: &["--permission-mode", "default"],
    permissions: &[
        "--permission-mode",
        "--permission-prompt-tool",
        "--dangerously-skip-permissions",
        "--allow-dangerously-skip-permissions",
        "--allowed-tools",
        "--allowedTools",
        "--disallowed-tools",
        "--disallowedTools",
    ],
    resume: &["--continue"],
    stop_signal: Signal::SIGTERM,
    hooks: &HOOKS,
    arrange,
    confirms: true,
    title: Some(title),
    // Seen with 2.1.332: it takes spaces away behind a message; before Enter one closes the
    // list of files, and keeps a last `\` from making a newline of it; nothing keeps `/word`
    // from being a command. Of 600 bytes and two lines it does not say that they were pasted.
    composer: Some(Composer {
        frame: Frame::Rules,
        marks: &["❯"],
        placeholder: "Try \"",
        longest_paste: Some(600),
        traps: &[
            (Trap::Command, Remedy::None),
            (Trap::Begins('!'), Remedy::ErasedSpace),
            (Trap::LastWord('@'), Remedy::SpaceBehind),
            (Trap::Ends('\\'), Remedy::SpaceBehind),
        ],
    }),
    output: Output::WhileAtWork,
    conversation: Some(Conversation {
        read: said,
        // All else is told by hooks, and better.
        counts: Counts::EndsWithoutHook,
        ..Conversation::NONE
    }),
    session: Some(session::of),
    files: Some(Files {
        dir: session::dir,
        depth: Depth::InIt,
        read: session::event,
    }),
    traces: &TRACES,
    ..PLAIN
};

const HOOKS: [Hook; 10] = [
    Hook::new("SessionStart", session_start),
    Hook::new("UserPromptSubmit", prompt),
    Hook::new("PreToolUse", question).of_tools(QUESTION),
    Hook::new("PermissionRequest", permission).of_tools("*"),
    Hook::new("PostToolUse", step).of_tools("*"),
    Hook::new("PostToolUseFailure", step).of_tools("*"),
    Hook::new("PermissionDenied", step).of_tools("*"),
    Hook::new("Notification", notification),
    Hook::new("Stop", stop),
    Hook::new("StopFailure", failure),
];

/// The tool by which it asks its user.
const QUESTION: &str = "AskUserQuestion";

/// What an agent leaves in the environment of what it starts. Seen with claude 2.1.330: another
/// one that finds it there takes itself for a part of the first, and keeps no transcript.
const TRACES: [&str; 7] = [
    "CLAUDECODE",
    "CLAUDE_CODE_CHILD_NOTES_DIR",
    "CLAUDE_CODE_CHILD_SESSION",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_SESSION_ATTENDED",
    "CLAUDE_CODE_SESSION_ID",
    "CLAUDE_PID",
];

fn arrange(files: &HookFiles) -> Result<Additions> {
    let file = files.write("claude.json", &settings(files).to_string())?;
    Ok(Additions {
        args: vec!["--settings".into(), file.into()],
        ..Additions::default()
    })
}

fn settings(files: &HookFiles) -> Value {
    let entry = |hook: &Hook| {
        let command = files.command(hook);
        let command = json!({ "type": "command", "command": command, "timeout": 15 });
        let entry = match hook.tools {
            Some(tools) => json!([{ "matcher": tools, "hooks": [command] }]),
            None => json!([{ "hooks": [command] }]),
        };
        (hook.event.to_owned(), entry)
    };
    let hooks: Map<String, Value> = files.hooks.iter().map(entry).collect();
    // Else one key hands the conversation over to a process that its pane knows nothing of.
    json!({ "disableAgentView": true, "hooks": hooks })
}

fn session_start(hook: &Hook, value: &Value) -> Option<Report> {
    match value["source"].as_str() {
        // Where it compacts its conversation, it is in the middle of a turn.
        Some("compact") => None,
        Some("resume" | "clear") => {
            let begins = Kind::Begins(Beginning::InPlace);
            Some(hook.says(Said::Done).of(begins))
        }
        // Its own, at the start; any other one is that of another process.
        _ => Some(hook.says(Said::Starting)),
    }
}

fn question(hook: &Hook, value: &Value) -> Option<Report> {
    let asked = &value["tool_input"]["questions"][0];
    let report = hook.waits(Why::Question).about(call(value));
    (value["tool_name"] == QUESTION).then(|| report.saying(asked, &["question"]))
}

fn permission(hook: &Hook, value: &Value) -> Option<Report> {
    let report = || hook.waits(Why::Permission).about(call(value));
    question(hook, value).or_else(|| Some(report().saying(&wanted(value), &["text"])))
}

/// What is wanted, for people: the tool, and its command or file.
fn wanted(value: &Value) -> Value {
    let tool = value["tool_name"].as_str().unwrap_or_default();
    let what = &["command", "file_path", "url", "description"];
    let what = text(&value["tool_input"], what);
    let said = what.map_or_else(|| tool.to_owned(), |what| format!("{tool}: {what}"));
    json!({ "text": said })
}

fn notification(hook: &Hook, value: &Value) -> Option<Report> {
    let report = match value["notification_type"].as_str()? {
        "permission_prompt" => hook.waits(Why::Permission),
        "elicitation_dialog" => hook.waits(Why::Question),
        "idle_prompt" => hook.says(Said::Interrupted),
        _ => return None,
    };
    Some(report.of(Kind::Reminder).saying(value, &["message"]))
}

fn stop(hook: &Hook, value: &Value) -> Option<Report> {
    let tasks = value["background_tasks"].as_array();
    if tasks.is_some_and(|tasks| !tasks.is_empty()) {
        // One of them may have asked something.
        return Some(hook.says(Said::Working).of(Kind::Step));
    }
    let report = hook.says(Said::Done);
    Some(report.saying(value, &["last_assistant_message"]))
}

fn failure(hook: &Hook, value: &Value) -> Option<Report> {
    let report = hook.says(Said::Failed);
    Some(report.saying(value, &["error_details", "error"]))
}

/// `⠐ Claude Code` at work, with 2.1.197. `✳ Claude Code` otherwise, and with 2.1.330 always:
/// that says nothing.
fn title(title: &str, _: &str) -> Option<Title> {
    matches!(title.chars().next()?, '\u{2800}'..='\u{28ff}').then_some(Title::Working)
}

/// Whether the last that its user did was to press Esc. All else is told by hooks, and better.
fn said(entry: &Value) -> Option<Said> {
    if entry["type"] != "user" || entry["isSidechain"] == true {
        return None;
    }
    let content = &entry["message"]["content"];
    let mut parts = content.as_array().into_iter().flatten();
    let text = content.as_str();
    let text = text.or_else(|| parts.find_map(|part| part["text"].as_str()));
    let interrupted = text.is_some_and(|text| text.starts_with("[Request interrupted by user"));
    Some(if interrupted {
        Said::Interrupted
    } else {
        Said::Working
    })
}
