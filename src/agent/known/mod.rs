//! The agents known from the start: an entry each, with the version it was seen with.
//!
//! What is true of an agent is true of a version. So it stands here, and nowhere else in the code.

mod claude;
mod codex;
mod gemini;
mod opencode;

use std::borrow::Cow;

use super::profile::{Output, PLAIN, Profile, Prompt, UNKNOWN};

/// All of them, in the order in which they are shown.
pub(super) static KNOWN: &[Profile] = &[
    claude::CLAUDE,
    codex::CODEX,
    gemini::GEMINI,
    opencode::OPENCODE,
    // Parsed by 1.0.102, and no more was seen: a value that begins with a dash only behind '='.
    Profile {
        name: "copilot",
        program: "copilot",
        prompt: &Prompt::Joined(Cow::Borrowed("--interactive=")),
        yolo: &["--allow-all"],
        resume: &["--continue"],
        ..PLAIN
    },
    // Not seen, and found in no manual: what stands on its input is said to be the first message.
    Profile {
        name: "amp",
        program: "amp",
        prompt: &Prompt::Input,
        yolo: &["--dangerously-allow-all"],
        resume: &["threads", "continue"],
        ..PLAIN
    },
    // Not seen; as its manual has it, it works off the file and ends, since what
    // --load reads may only be commands; to go on with it is a conversation.
    Profile {
        name: "aider",
        program: "aider",
        prompt: &Prompt::FileJoined(Cow::Borrowed("--message-file=")),
        yolo: &["--yes-always"],
        resume: &["--restore-chat-history"],
        ..PLAIN
    },
    // Not seen; `resume` is in its manual.
    Profile {
        name: "cursor-agent",
        program: "cursor-agent",
        yolo: &["--force"],
        resume: &["resume"],
        ..PLAIN
    },
    // The user's shell: it has no program here, since it is not the same for everybody.
    Profile {
        name: "shell",
        prompt: &Prompt::Shown,
        output: Output::Unknown,
        ..PLAIN
    },
];

/// Returns what is known of the agent of this name.
pub(crate) fn profile(name: &str) -> &'static Profile {
    let known = KNOWN.iter().find(|known| known.name == name);
    known.unwrap_or(&UNKNOWN)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::{Value, json};

    use super::*;
    use crate::agent::hooks::HookFiles;
    use crate::task::{Habit, Said, Title};

    #[test]
    fn titles_say_what_an_agent_does() {
        #[track_caller]
        fn case(agent: &str, text: &str, expected: Option<Title>) {
            assert_eq!(
                profile(agent).title(text, "repo-one"),
                expected,
                "{agent}: {text}"
            );
        }
        case("claude", "⠐ Claude Code", Some(Title::Working));
        case("claude", "✳ Claude Code", None);
        case("claude", "host", None);
        case("claude", "", None);
        case("codex", "⠏ repo", Some(Title::Working));
        case("codex", "repo...", Some(Title::Idle));
        case("codex", "⠏ a | b | repo-one", Some(Title::Working));
        case("codex", "a | b | repo-one", Some(Title::Idle));
        case("codex", "a | b | repo…", Some(Title::Idle));
        case("codex", "repo-one | host", None);
        case("codex", "host", None);
        case("codex", "[ ! ] Action Required | repo", Some(Title::Asking));
        case("gemini", "✦  Working… (repo)", Some(Title::Working));
        case("gemini", "◇  Ready (repo)", Some(Title::Idle));
        case("gemini", "✋  Action Required (repo)", Some(Title::Asking));
        case("opencode", "OC | ✳", None);
        case("shell", "✳", None);
        case("mine", "✳", None);
    }

    #[test]
    fn a_still_window_says_something_of_an_agent_that_is_up() {
        let (own, shared) = (true, false);
        for (name, title, is_alone, expected) in [
            ("claude", "", shared, Habit::Busy),
            ("copilot", "GitHub Copilot", own, Habit::Quiet),
            ("copilot", "GitHub Copilot", shared, Habit::Unknown),
            ("opencode", "host", own, Habit::Unknown),
            ("opencode", "OC | Fix", own, Habit::Quiet),
            ("opencode", "OC | Fix", shared, Habit::Unknown),
            ("codex", "repo", own, Habit::Unknown),
            ("shell", "host", own, Habit::Unknown),
            ("mine", "host", own, Habit::Unknown),
        ] {
            let habit = profile(name).habit(title, is_alone);
            assert_eq!(habit, expected, "{name}: {title}");
        }
    }

    #[test]
    fn hooks_name_the_program_as_a_shell_wants_it() {
        let program = "/a b/it's/git-flux";
        for (name, event) in [("claude", "Stop"), ("gemini", "AfterAgent")] {
            let dir = tempfile::tempdir().unwrap();
            let known = profile(name);
            let files = HookFiles {
                agent: known.name,
                hooks: known.hooks,
                program,
                dir: dir.path().to_str().unwrap(),
            };
            drop((known.arrange)(&files).unwrap());
            let file = dir.path().join(format!("{name}.json"));
            // What others may write to Gemini does not read.
            let Ok(text) = fs::read_to_string(file) else {
                continue;
            };
            let settings: Value = serde_json::from_str(&text).unwrap();
            let quoted = shell_words::quote(program);
            let command = format!("test -x {quoted} && {quoted} __hook {name} {event}; exit 0");
            let hook = &settings["hooks"][event][0]["hooks"][0];
            assert_eq!(hook["command"], *command);
            assert_eq!(shell_words::split(&command).unwrap()[2], program);
        }
    }

    #[test]
    fn every_hook_of_an_agent_says_something() {
        let said = [
            json!({}),
            json!({ "tool_name": "AskUserQuestion" }),
            json!({ "notification_type": "permission_prompt" }),
            json!({ "notification_type": "ToolPermission" }),
            json!({ "type": "agent-turn-complete" }),
        ];
        for known in KNOWN {
            for hook in known.hooks {
                let reports = || said.iter().filter_map(|value| hook.report(value));
                assert!(reports().next().is_some(), "{}: {}", known.name, hook.event);
                assert_eq!(known.report(hook.event, &said[0]), hook.report(&said[0]));
            }
        }
        assert_eq!(profile("claude").report("Unheard", &json!({})), None);
        assert_eq!(profile("mine").report("Stop", &json!({})), None);
    }

    #[test]
    fn the_last_word_of_a_conversation_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.jsonl");
        let mut text = String::new();
        let mut case = |agent: &str, mut line: Value, expected: Option<Said>| {
            line["timestamp"] = "2026-11-23T20:34:20.500Z".into();
            text.push_str(&format!("{line}\n"));
            fs::write(&path, format!("{text}{{\"torn")).unwrap();
            let conversation = profile(agent).conversation.as_ref().unwrap();
            let last = conversation.last(&path);
            assert_eq!(last.map(|last| last.said), expected, "{agent}: {line}");
        };
        let user = |text: &str| {
            let content = json!([{ "type": "text", "text": text }]);
            json!({ "type": "user", "message": { "content": content } })
        };
        let esc = user("[Request interrupted by user for tool use]");
        case("claude", json!({ "type": "summary" }), None);
        case("claude", user("Fix"), None);
        case("claude", esc, Some(Said::Interrupted));
        case(
            "claude",
            json!({ "type": "system" }),
            Some(Said::Interrupted),
        );
        case("claude", user("Go on"), None);
        let event = |name: &str| json!({ "type": "event_msg", "payload": { "type": name } });
        case("codex", event("task_started"), Some(Said::Working));
        case("codex", event("token_count"), Some(Said::Working));
        case("codex", event("turn_aborted"), Some(Said::Interrupted));
        case("codex", event("task_complete"), Some(Said::Done));
        let mut failed = event("task_complete");
        failed["payload"]["error"] = json!({ "message": "401" });
        case("codex", failed, Some(Said::Failed));
        let mut well = event("task_complete");
        well["payload"]["error"] = Value::Null;
        case("codex", well, Some(Said::Done));
        case("gemini", event("task_complete"), None);
        let gemini = |kind: &str, text: &str| json!({ "type": kind, "content": text });
        case("gemini", gemini("user", "Fix"), None);
        case("gemini", gemini("error", "[API Error]"), Some(Said::Failed));
        case(
            "gemini",
            gemini("info", "This request failed."),
            Some(Said::Failed),
        );
        case("gemini", json!({ "$set": {} }), Some(Said::Failed));
        case("gemini", gemini("gemini", "Done."), None);
        case(
            "gemini",
            gemini("info", "Request cancelled."),
            Some(Said::Interrupted),
        );
    }
}
