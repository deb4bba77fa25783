//! The known agents, each with the version that it was tested with.
//!
//! Facts about an agent hold for a version. So they are here, and nowhere else in the code.

mod claude;
mod codex;
mod gemini;
mod opencode;

use std::borrow::Cow;

use super::profile::{Output, PLAIN, Profile, Prompt, UNKNOWN};

/// All known agents, in the order of lists.
pub(crate) static KNOWN: &[Profile] = &[
    claude::CLAUDE,
    codex::CODEX,
    gemini::GEMINI,
    opencode::OPENCODE,
    // Parsed by 1.0.102, and not tested further: a value that begins with a dash needs '='.
    Profile {
        name: "copilot",
        program: "copilot",
        prompt: &Prompt::Joined(Cow::Borrowed("--interactive=")),
        yolo: &["--allow-all"],
        resume: &["--continue"],
        ..PLAIN
    },
    // Not tested, and in no manual: input is said to be the first message.
    Profile {
        name: "amp",
        program: "amp",
        prompt: &Prompt::Input,
        yolo: &["--dangerously-allow-all"],
        resume: &["threads", "continue"],
        ..PLAIN
    },
    // Not tested. By its manual it processes the file and exits, since --load accepts only
    // commands; a continued session is a conversation.
    Profile {
        name: "aider",
        program: "aider",
        prompt: &Prompt::FileJoined(Cow::Borrowed("--message-file=")),
        yolo: &["--yes-always"],
        resume: &["--restore-chat-history"],
        ..PLAIN
    },
    // Not tested; `resume` is in its manual.
    Profile {
        name: "cursor-agent",
        program: "cursor-agent",
        yolo: &["--force"],
        resume: &["resume"],
        ..PLAIN
    },
    // The user's shell, whose program is not constant.
    Profile {
        name: "shell",
        prompt: &Prompt::Shown,
        output: Output::Unknown,
        ..PLAIN
    },
];

/// Returns the facts about the agent `name`: its options, hooks and signs of activity. For an
/// unknown name, returns the profile of an unknown program.
pub(crate) fn profile(name: &str) -> &'static Profile {
    let known = KNOWN.iter().find(|known| known.name == name);
    known.unwrap_or(&UNKNOWN)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;
    use crate::agent::hooks::HookFiles;
    use crate::task::{Activity, OutputPattern, Title};
    use OutputPattern::{NotWhileIdle, Unknown, WhileWorking};

    #[test]
    fn title_returns_the_activity() {
        #[track_caller]
        fn case(agent: &str, text: &str, expected: Option<Title>) {
            assert_eq!(
                profile(agent).read_title(text, Path::new("/repo-one")),
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
    fn output_pattern_depends_on_title_and_window() {
        let (own, shared) = (true, false);
        for (name, title, is_alone, expected) in [
            ("claude", "", shared, WhileWorking),
            ("copilot", "GitHub Copilot", own, NotWhileIdle),
            ("copilot", "GitHub Copilot", shared, Unknown),
            ("opencode", "host", own, Unknown),
            ("opencode", "OC | Fix", own, NotWhileIdle),
            ("opencode", "OC | Fix", shared, Unknown),
            ("codex", "repo", own, Unknown),
            ("shell", "host", own, Unknown),
            ("mine", "host", own, Unknown),
        ] {
            let output_pattern = profile(name).output_pattern(title, is_alone);
            assert_eq!(output_pattern, expected, "{name}: {title}");
        }
    }

    #[test]
    fn hooks_quote_the_program_for_a_shell() {
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
            drop((known.configure_hooks)(&files).unwrap());
            let file = dir.path().join(format!("{name}.json"));
            // Gemini ignores a file that other users may write.
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
    fn every_hook_has_a_report() {
        let events = [
            json!({}),
            json!({ "tool_name": "AskUserQuestion" }),
            json!({ "notification_type": "permission_prompt" }),
            json!({ "notification_type": "ToolPermission" }),
            json!({ "type": "agent-turn-complete" }),
        ];
        for known in KNOWN {
            for hook in known.hooks {
                let reports = || events.iter().filter_map(|value| hook.report(value));
                assert!(reports().next().is_some(), "{}: {}", known.name, hook.event);
                assert_eq!(
                    known.report(hook.event, &events[0]),
                    hook.report(&events[0])
                );
            }
        }
        assert_eq!(profile("claude").report("Unheard", &json!({})), None);
        assert_eq!(profile("mine").report("Stop", &json!({})), None);
    }

    #[test]
    fn last_returns_the_last_report_of_a_transcript() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.jsonl");
        let mut text = String::new();
        let mut case = |agent: &str, mut line: Value, expected: Option<Activity>| {
            line["timestamp"] = "2026-11-23T20:34:20.500Z".into();
            text.push_str(&format!("{line}\n"));
            fs::write(&path, format!("{text}{{\"torn")).unwrap();
            let conversation = profile(agent).conversation.as_ref().unwrap();
            let last = conversation.last_report(&path);
            assert_eq!(last.map(|last| last.activity), expected, "{agent}: {line}");
        };
        let user = |text: &str| {
            let content = json!([{ "type": "text", "text": text }]);
            json!({ "type": "user", "message": { "content": content } })
        };
        let esc = user("[Request interrupted by user for tool use]");
        case("claude", json!({ "type": "summary" }), None);
        case("claude", user("Fix"), None);
        case("claude", esc, Some(Activity::Interrupted));
        case(
            "claude",
            json!({ "type": "system" }),
            Some(Activity::Interrupted),
        );
        case("claude", user("Go on"), None);
        let event = |name: &str| json!({ "type": "event_msg", "payload": { "type": name } });
        case("codex", event("task_started"), Some(Activity::Working));
        case("codex", event("token_count"), Some(Activity::Working));
        case("codex", event("turn_aborted"), Some(Activity::Interrupted));
        case("codex", event("task_complete"), Some(Activity::Done));
        let mut failed = event("task_complete");
        failed["payload"]["error"] = json!({ "message": "401" });
        case("codex", failed, Some(Activity::Failed));
        let mut well = event("task_complete");
        well["payload"]["error"] = Value::Null;
        case("codex", well, Some(Activity::Done));
        case("gemini", event("task_complete"), None);
        let gemini = |kind: &str, text: &str| json!({ "type": kind, "content": text });
        case("gemini", gemini("user", "Fix"), None);
        case(
            "gemini",
            gemini("error", "[API Error]"),
            Some(Activity::Failed),
        );
        case(
            "gemini",
            gemini("info", "This request failed."),
            Some(Activity::Failed),
        );
        case("gemini", json!({ "$set": {} }), Some(Activity::Failed));
        case("gemini", gemini("gemini", "Done."), None);
        case(
            "gemini",
            gemini("info", "Request cancelled."),
            Some(Activity::Interrupted),
        );
    }
}
