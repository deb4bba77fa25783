//! Claude Code.

mod session;

use anyhow::Result;
use nix::sys::signal::Signal;
use notify::RecursiveMode;
use serde_json::{Value, json};

use crate::agent::hooks::{Additions, HookFiles};
use crate::agent::messages;
use crate::agent::profile::{Files, Output, PLAIN, Profile};
use crate::agent::report::{Beginning, Hook, Kind, Report, call};
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
        mode: RecursiveMode::NonRecursive,
        read: session::event,
    }),
    traces: &TRACES,
    ..PLAIN
};

const HOOKS: [Hook; 10] = [
    Hook::new("SessionStart", Said::Starting).refined(session_start),
    Hook::new("UserPromptSubmit", Said::Working).of(Kind::Prompt),
    Hook::asking("PreToolUse", Why::Question)
        .of_tools(QUESTION)
        .refined(|report, value| is_question(value).then(|| question(report, value))),
    Hook::asking("PermissionRequest", Why::Permission)
        .of_tools("*")
        .refined(permission),
    tool_has_ended("PostToolUse"),
    tool_has_ended("PostToolUseFailure"),
    tool_has_ended("PermissionDenied"),
    Hook::new("Notification", Said::Waiting)
        .of(Kind::Reminder)
        .saying(&["message"])
        .refined(notification),
    Hook::new("Stop", Said::Done)
        .saying(&["last_assistant_message"])
        .refined(stop),
    Hook::new("StopFailure", Said::Failed).saying(&["error_details", "error"]),
];

const fn tool_has_ended(event: &'static str) -> Hook {
    let hook = Hook::new(event, Said::Working);
    hook.of_tools("*").of(Kind::Step)
}

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
    let hooks =
        files.settings(|command| json!({ "type": "command", "command": command, "timeout": 15 }));
    // Else one key hands the conversation over to a process that its pane knows nothing of.
    let settings = json!({ "disableAgentView": true, "hooks": hooks });
    let file = files.write("claude.json", settings)?;
    Ok(Additions::of_option("--settings", file))
}

fn session_start(report: Report, value: &Value) -> Option<Report> {
    match value["source"].as_str() {
        // Where it compacts its conversation, it is in the middle of a turn.
        Some("compact") => None,
        Some("resume" | "clear") => Some(report.with(Said::Done, Kind::Begins(Beginning::InPlace))),
        // Its own, at the start; any other one is that of another process.
        _ => Some(report),
    }
}

fn is_question(value: &Value) -> bool {
    value["tool_name"] == QUESTION
}

fn question(mut report: Report, value: &Value) -> Report {
    report.event.why = Some(Why::Question);
    report.event.about = call(value);
    report.saying(&value["tool_input"]["questions"][0], &["question"])
}

fn permission(mut report: Report, value: &Value) -> Option<Report> {
    if is_question(value) {
        return Some(question(report, value));
    }
    // For people: the tool, and its command or file.
    let tool = value["tool_name"].as_str().unwrap_or_default();
    report.event.about = call(value);
    let wanted = messages::call(tool, &value["tool_input"]);
    report.event = report.event.with_message(&wanted);
    Some(report)
}

fn notification(mut report: Report, value: &Value) -> Option<Report> {
    match value["notification_type"].as_str()? {
        "permission_prompt" => report.event.why = Some(Why::Permission),
        "elicitation_dialog" => report.event.why = Some(Why::Question),
        "idle_prompt" => report.event.state = Said::Interrupted,
        _ => return None,
    }
    Some(report)
}

fn stop(mut report: Report, value: &Value) -> Option<Report> {
    let tasks = value["background_tasks"].as_array();
    if tasks.is_some_and(|tasks| !tasks.is_empty()) {
        // One of them may have asked something.
        report.event.message = None;
        return Some(report.with(Said::Working, Kind::Step));
    }
    Some(report)
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
    match text {
        Some(text) if text.starts_with("[Request interrupted by user") => Some(Said::Interrupted),
        _ => Some(Said::Working),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(event: &str, value: &Value, expected: Option<(Said, Option<Why>, Kind, &str)>) {
        let report = CLAUDE.report(event, value);
        let report = report.map(|report| {
            let message = report.event.message.unwrap_or_default();
            (report.event.state, report.event.why, report.kind, message)
        });
        let expected = expected.map(|(said, why, kind, text)| (said, why, kind, text.to_owned()));
        assert_eq!(report, expected, "{event}: {value}");
    }

    #[test]
    fn what_a_hook_says_depends_on_what_it_hands_over() {
        let in_place = Kind::Begins(Beginning::InPlace);
        let source = |name: &str| json!({ "source": name });
        case("SessionStart", &source("compact"), None);
        case(
            "SessionStart",
            &source("startup"),
            Some((Said::Starting, None, Kind::Plain, "")),
        );
        case(
            "SessionStart",
            &source("clear"),
            Some((Said::Done, None, in_place, "")),
        );
        let bash = json!({ "tool_name": "Bash", "tool_input": { "command": "ls" } });
        let asked = json!({ "questions": [{ "question": "Which?" }] });
        let ask = json!({ "tool_name": QUESTION, "tool_input": asked });
        let question = Some((Said::Waiting, Some(Why::Question), Kind::Plain, "Which?"));
        case("PreToolUse", &bash, None);
        case("PreToolUse", &ask, question);
        case("PermissionRequest", &ask, question);
        let permission = Some((
            Said::Waiting,
            Some(Why::Permission),
            Kind::Plain,
            "Bash: ls",
        ));
        case("PermissionRequest", &bash, permission);
        case(
            "PostToolUse",
            &bash,
            Some((Said::Working, None, Kind::Step, "")),
        );
        let idle = json!({ "notification_type": "idle_prompt", "message": "Hello?" });
        let interrupted = Some((Said::Interrupted, None, Kind::Reminder, "Hello?"));
        case("Notification", &idle, interrupted);
        case(
            "Notification",
            &json!({ "notification_type": "auth_success" }),
            None,
        );
        let done = json!({ "last_assistant_message": "Done.", "background_tasks": [] });
        case(
            "Stop",
            &done,
            Some((Said::Done, None, Kind::Plain, "Done.")),
        );
        let busy = json!({ "last_assistant_message": "Done.", "background_tasks": [1] });
        case("Stop", &busy, Some((Said::Working, None, Kind::Step, "")));
        case("Stopped", &json!({}), None);
    }

    #[test]
    fn a_question_is_known_by_the_call_that_asks_it() {
        let of = |event: &str, input: &str| {
            let value = json!({ "tool_name": "Bash", "tool_input": { "command": input } });
            CLAUDE.report(event, &value).unwrap().event.about
        };
        assert_eq!(of("PermissionRequest", "ls"), of("PostToolUse", "ls"));
        assert_ne!(of("PermissionRequest", "ls"), of("PostToolUse", "rm"));
        assert!(of("PermissionRequest", "ls").is_some());
    }
}
