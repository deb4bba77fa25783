//! Gemini CLI.

use std::borrow::Cow;
use std::env;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use crate::agent::hooks::{HookFiles, HookOption};
use crate::agent::profile::{Output, PLAIN, Profile, Prompt};
use crate::agent::report::{Beginning, Effect, Hook, HookReport};
use crate::agent::transcript::{Conversation, Coverage};
use crate::task::{Activity, Title, WaitReason};
use crate::tmux::composer::{Composer, Frame, Remedy, Trap};

/// Tested with 0.61.0. A value that begins with a dash needs '='. Hooks in the file of defaults run
/// beside the user's, unless other users may write it.
pub(super) const GEMINI: Profile = Profile {
    name: "gemini",
    program: "gemini",
    prompt: &Prompt::Joined(Cow::Borrowed("--prompt-interactive=")),
    yolo: &["--yolo"],
    resume: &["--resume"],
    hooks: &HOOKS,
    configure_hooks,
    confirms_messages: true,
    title: Some(title),
    // Seen with 0.61.0: a pasted `!` is text; `@file` is read, or asked about, wherever it is. With
    // few colours there are blank rows around it.
    composer: Some(Composer {
        frame: Frame::Open,
        marks: &[" >", " *"],
        placeholder: "Type your message",
        longest_paste: None,
        traps: &[
            (Trap::Command, Remedy::None),
            (Trap::Mention('@'), Remedy::None),
            (Trap::Ends('\\'), Remedy::SpaceBehind),
        ],
    }),
    output: Output::Unknown,
    conversation: Some(Conversation {
        read: activity_of,
        coverage: Coverage::EndsWithoutHook,
        is_exact_about_ends: true,
        ..Conversation::NONE
    }),
    ..PLAIN
};

const HOOKS: [Hook; 5] = [
    Hook::new("SessionStart", Activity::Starting)
        .with_effect(Effect::Begins(Beginning::Any))
        .refine(refine_session_start),
    Hook::new("BeforeAgent", Activity::Working).with_effect(Effect::Prompt),
    Hook::new("AfterTool", Activity::Working).with_effect(Effect::Step),
    Hook::new("AfterAgent", Activity::Done).with_message(&["prompt_response"]),
    Hook::asking("Notification", WaitReason::Permission)
        .with_message(&["message"])
        .refine(|report, value| (value["notification_type"] == "ToolPermission").then_some(report)),
];

/// The variable for a file of defaults; its hooks run beside the user's.
const DEFAULTS: &str = "GEMINI_CLI_SYSTEM_DEFAULTS_PATH";

fn configure_hooks(files: &HookFiles) -> Result<Option<HookOption>> {
    if env::var_os(DEFAULTS).is_some() || !is_private(Path::new(files.dir)) {
        return Ok(None);
    }
    let hooks = files.settings(|command| {
        json!({ "type": "command", "command": command, "name": "git-flux", "timeout": 15_000 })
    });
    let file = files.write("gemini.json", json!({ "hooks": hooks }))?;
    Ok(Some(HookOption::Variable(DEFAULTS, file)))
}

/// Returns whether neither group nor others may write to `dir` and its parents: Gemini CLI ignores
/// files in other directories. `false` if `dir` does not exist.
fn is_private(dir: &Path) -> bool {
    let mode = |dir: &Path| dir.metadata().map_or(0o022, |of| of.permissions().mode());
    let dir = dir.canonicalize();
    dir.is_ok_and(|dir| dir.ancestors().all(|dir| mode(dir) & 0o022 == 0))
}

fn refine_session_start(report: HookReport, value: &Value) -> Option<HookReport> {
    let effect = report.effect;
    Some(match value["source"].as_str() {
        Some("clear") => report.with_activity(Activity::Done, Effect::Begins(Beginning::InPlace)),
        Some("resume") => report.with_activity(Activity::Done, effect),
        _ => report,
    })
}

/// Returns the state that Gemini CLI's title shows by its first character: `Working` for `✦` or
/// `⏲`, `Idle` for `◇`, `Asking` for `✋`, as in `✋  Action Required (project)`; otherwise `None`.
fn title(title: &str, _: &Path) -> Option<Title> {
    match title.chars().next()? {
        '✦' | '⏲' => Some(Title::Working),
        '✋' => Some(Title::Asking),
        '◇' => Some(Title::Idle),
        _ => None,
    }
}

/// Returns the activity that an entry of Gemini CLI's transcript shows: `Interrupted` by Esc,
/// `Failed`, or `Working`; `None` for other entries. Gemini CLI's hook reports all ends alike. Seen
/// with 0.61.0.
fn activity_of(entry: &Value) -> Option<Activity> {
    match entry["type"].as_str()? {
        "info" if entry["content"] == "Request cancelled." => Some(Activity::Interrupted),
        "error" => Some(Activity::Failed),
        "user" | "gemini" => Some(Activity::Working),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn is_private_is_false_if_others_may_write() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let below = dir.path().join("below");
        fs::create_dir(&below).unwrap();
        assert!(!is_private(dir.path()) && !is_private(&below));
        assert!(!is_private(&dir.path().join("none")));
        assert!(is_private(Path::new("/usr")));
    }
}
