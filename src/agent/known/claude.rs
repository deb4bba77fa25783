//! Claude Code.

mod session;

use std::path::Path;

use anyhow::Result;
use nix::sys::signal::Signal;
use notify::RecursiveMode;
use serde_json::{Value, json};

use crate::agent::hooks::{HookFiles, HookOption};
use crate::agent::messages;
use crate::agent::profile::{Files, Output, PLAIN, Profile};
use crate::agent::report::{Beginning, Effect, Hook, HookReport, tool_call_id};
use crate::agent::transcript::{Conversation, Coverage};
use crate::task::{Activity, Title, WaitReason};
use crate::tmux::composer::{Composer, Frame, Remedy, Trap};

/// Tested with 2.1.197, 2.1.330 and 2.1.332. Hooks of --settings run beside the user's. On SIGTERM
/// it runs the hooks for the end of a session and exits with 143. A prompt of 120 000 bytes
/// arrives. Esc calls no hook, and mostly leaves a line in the transcript.
pub(super) const CLAUDE: Profile = Profile {
    name: "claude",
    program: "claude",
    yolo: &["--dangerously-skip-permissions"],
    is_permissive: true,
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
    configure_hooks,
    confirms_messages: true,
    title: Some(title),
    // Seen with 2.1.332: it removes spaces after a message. A space before Enter closes the list of
    // files, and keeps a last `\` from making a newline of it; nothing keeps `/word` from being a
    // command. It does not mark a paste of up to 600 bytes and two lines.
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
    output: Output::WhileWorking,
    conversation: Some(Conversation {
        read: activity_of,
        coverage: Coverage::EndsWithoutHook,
        ..Conversation::NONE
    }),
    session: Some(session::read_session),
    files: Some(Files {
        dir: session::dir,
        mode: RecursiveMode::NonRecursive,
        read: session::find_event,
    }),
    env_markers: &ENV_MARKERS,
    ..PLAIN
};

const HOOKS: [Hook; 10] = [
    Hook::new("SessionStart", Activity::Starting).refine(refine_session_start),
    Hook::new("UserPromptSubmit", Activity::Working).with_effect(Effect::Prompt),
    Hook::asking("PreToolUse", WaitReason::Question)
        .for_tools(QUESTION_TOOL)
        .refine(|report, value| is_question(value).then(|| refine_question(report, value))),
    Hook::asking("PermissionRequest", WaitReason::Permission)
        .for_tools("*")
        .refine(refine_permission),
    tool_has_ended("PostToolUse"),
    tool_has_ended("PostToolUseFailure"),
    tool_has_ended("PermissionDenied"),
    Hook::new("Notification", Activity::Waiting)
        .with_effect(Effect::Reminder)
        .with_message(&["message"])
        .refine(refine_notification),
    Hook::new("Stop", Activity::Done)
        .with_message(&["last_assistant_message"])
        .refine(refine_stop),
    Hook::new("StopFailure", Activity::Failed).with_message(&["error_details", "error"]),
];

const fn tool_has_ended(event: &'static str) -> Hook {
    let hook = Hook::new(event, Activity::Working);
    hook.for_tools("*").with_effect(Effect::Step)
}

/// The tool that asks the user.
const QUESTION_TOOL: &str = "AskUserQuestion";

/// The variables that it sets for its children. Seen with claude 2.1.330: another one takes itself
/// for a subagent then, and keeps no transcript.
const ENV_MARKERS: [&str; 7] = [
    "CLAUDECODE",
    "CLAUDE_CODE_CHILD_NOTES_DIR",
    "CLAUDE_CODE_CHILD_SESSION",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_SESSION_ATTENDED",
    "CLAUDE_CODE_SESSION_ID",
    "CLAUDE_PID",
];

fn configure_hooks(files: &HookFiles) -> Result<Option<HookOption>> {
    let hooks =
        files.settings(|command| json!({ "type": "command", "command": command, "timeout": 15 }));
    // Otherwise a key moves the conversation to a process outside the pane.
    let settings = json!({ "disableAgentView": true, "hooks": hooks });
    let file = files.write("claude.json", settings)?;
    Ok(Some(HookOption::Argument("--settings", file)))
}

fn refine_session_start(report: HookReport, value: &Value) -> Option<HookReport> {
    match value["source"].as_str() {
        // It compacts its conversation in the middle of a turn.
        Some("compact") => None,
        Some("resume" | "clear") => {
            Some(report.with_activity(Activity::Done, Effect::Begins(Beginning::InPlace)))
        }
        // Its own session starts; others are those of other processes.
        _ => Some(report),
    }
}

fn is_question(value: &Value) -> bool {
    value["tool_name"] == QUESTION_TOOL
}

fn refine_question(mut report: HookReport, value: &Value) -> HookReport {
    report.event.why = Some(WaitReason::Question);
    report.event.about = tool_call_id(value);
    report.with_message(&value["tool_input"]["questions"][0], &["question"])
}

fn refine_permission(mut report: HookReport, value: &Value) -> Option<HookReport> {
    if is_question(value) {
        return Some(refine_question(report, value));
    }
    // For the message: the tool, and its command or file.
    let tool = value["tool_name"].as_str().unwrap_or_default();
    report.event.about = tool_call_id(value);
    let wanted = messages::describe_call(tool, &value["tool_input"]);
    report.event = report.event.with_message(&wanted);
    Some(report)
}

fn refine_notification(mut report: HookReport, value: &Value) -> Option<HookReport> {
    match value["notification_type"].as_str()? {
        "permission_prompt" => report.event.why = Some(WaitReason::Permission),
        "elicitation_dialog" => report.event.why = Some(WaitReason::Question),
        "idle_prompt" => report.event.state = Activity::Interrupted,
        _ => return None,
    }
    Some(report)
}

fn refine_stop(mut report: HookReport, value: &Value) -> Option<HookReport> {
    let tasks = value["background_tasks"].as_array();
    if tasks.is_some_and(|tasks| !tasks.is_empty()) {
        // One of them may have asked a question.
        report.event.message = None;
        return Some(report.with_activity(Activity::Working, Effect::Step));
    }
    Some(report)
}

/// Returns `Working` for a title of Claude Code that begins with a Braille character, `⠐ Claude
/// Code`, as with 2.1.197; otherwise `None`. With 2.1.330 the title is always `✳ Claude Code`,
/// which says nothing.
fn title(title: &str, _: &Path) -> Option<Title> {
    matches!(title.chars().next()?, '\u{2800}'..='\u{28ff}').then_some(Title::Working)
}

const INTERRUPTED: &str = "[Request interrupted by user";

/// Returns `Interrupted` for the entry in Claude Code's transcript that Esc leaves, and `Working`
/// for any other entry of the user, except a subagent's. `None` for all others: hooks report the
/// rest more exactly.
fn activity_of(entry: &Value) -> Option<Activity> {
    if entry["type"] != "user" || entry["isSidechain"] == true {
        return None;
    }
    let content = &entry["message"]["content"];
    let mut parts = content.as_array().into_iter().flatten();
    let text = content.as_str();
    let text = text.or_else(|| parts.find_map(|part| part["text"].as_str()));
    match text {
        Some(text) if text.starts_with(INTERRUPTED) => Some(Activity::Interrupted),
        _ => Some(Activity::Working),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Activity::{Done, Interrupted, Starting, Waiting, Working};
    use Effect::{Plain, Reminder, Step};

    type Expected<'a> = Option<(Activity, Option<WaitReason>, Effect, &'a str)>;

    #[track_caller]
    fn case(event: &str, value: &Value, expected: Expected) {
        let report = CLAUDE.report(event, value);
        let report = report.as_ref().map(|HookReport { event, effect }| {
            let message = event.message.as_deref().unwrap_or_default();
            (event.state, event.why, *effect, message)
        });
        assert_eq!(report, expected, "{event}: {value}");
    }

    #[test]
    fn report_depends_on_the_values_of_the_event() {
        let in_place = Effect::Begins(Beginning::InPlace);
        let source = |name: &str| json!({ "source": name });
        case("SessionStart", &source("compact"), None);
        case(
            "SessionStart",
            &source("startup"),
            Some((Starting, None, Plain, "")),
        );
        case(
            "SessionStart",
            &source("clear"),
            Some((Done, None, in_place, "")),
        );
        let bash = json!({ "tool_name": "Bash", "tool_input": { "command": "ls" } });
        let asked = json!({ "questions": [{ "question": "Which?" }] });
        let ask = json!({ "tool_name": QUESTION_TOOL, "tool_input": asked });
        let question = Some((Waiting, Some(WaitReason::Question), Plain, "Which?"));
        case("PreToolUse", &bash, None);
        case("PreToolUse", &ask, question);
        case("PermissionRequest", &ask, question);
        let permission = Some((Waiting, Some(WaitReason::Permission), Plain, "Bash: ls"));
        case("PermissionRequest", &bash, permission);
        case("PostToolUse", &bash, Some((Working, None, Step, "")));
        let idle = json!({ "notification_type": "idle_prompt", "message": "Hello?" });
        let interrupted = Some((Interrupted, None, Reminder, "Hello?"));
        case("Notification", &idle, interrupted);
        case(
            "Notification",
            &json!({ "notification_type": "auth_success" }),
            None,
        );
        let done = json!({ "last_assistant_message": "Done.", "background_tasks": [] });
        case("Stop", &done, Some((Done, None, Plain, "Done.")));
        let busy = json!({ "last_assistant_message": "Done.", "background_tasks": [1] });
        case("Stop", &busy, Some((Working, None, Step, "")));
        case("Stopped", &json!({}), None);
    }

    #[test]
    fn tool_call_id_is_equal_for_question_and_answer() {
        let of = |event: &str, input: &str| {
            let value = json!({ "tool_name": "Bash", "tool_input": { "command": input } });
            CLAUDE.report(event, &value).unwrap().event.about
        };
        assert_eq!(of("PermissionRequest", "ls"), of("PostToolUse", "ls"));
        assert_ne!(of("PermissionRequest", "ls"), of("PostToolUse", "rm"));
        assert!(of("PermissionRequest", "ls").is_some());
    }
}
