//! Gemini CLI.

use std::borrow::Cow;
use std::env;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use crate::agent::hooks::{Additions, HookFiles};
use crate::agent::profile::{Output, PLAIN, Profile, Prompt};
use crate::agent::report::{Beginning, Hook, HookReport, ReportKind};
use crate::agent::transcript::{Conversation, Counts};
use crate::task::{Activity, Title, WaitReason};
use crate::tmux::composer::{Composer, Frame, Remedy, Trap};

/// Seen with 0.61.0: it takes a value that begins with a dash only behind '='; hooks of the
/// defaults run beside the user's, unless others may write where the file is.
pub(super) const GEMINI: Profile = Profile {
    name: "gemini",
    program: "gemini",
    prompt: &Prompt::Joined(Cow::Borrowed("--prompt-interactive=")),
    yolo: &["--yolo"],
    resume: &["--resume"],
    hooks: &HOOKS,
    arrange,
    confirms: true,
    title: Some(title),
    // Seen with 0.61.0: a pasted `!` is text; `@file` is read, or asked about, wherever it is.
    // Without colours enough there are blank rows around it.
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
        read: said,
        counts: Counts::EndsWithoutHook,
        has_ends: true,
        ..Conversation::NONE
    }),
    ..PLAIN
};

const HOOKS: [Hook; 5] = [
    Hook::new("SessionStart", Activity::Starting)
        .of(ReportKind::Begins(Beginning::Any))
        .refined(session_start),
    Hook::new("BeforeAgent", Activity::Working).of(ReportKind::Prompt),
    Hook::new("AfterTool", Activity::Working).of(ReportKind::Step),
    Hook::new("AfterAgent", Activity::Done).saying(&["prompt_response"]),
    Hook::asking("Notification", WaitReason::Permission)
        .saying(&["message"])
        .refined(|report, value| {
            (value["notification_type"] == "ToolPermission").then_some(report)
        }),
];

/// Names a file of defaults; hooks in it run beside the user's.
const DEFAULTS: &str = "GEMINI_CLI_SYSTEM_DEFAULTS_PATH";

fn arrange(files: &HookFiles) -> Result<Additions> {
    if env::var_os(DEFAULTS).is_some() || !is_private(Path::new(files.dir)) {
        return Ok(Additions::default());
    }
    let hooks = files.settings(|command| {
        json!({ "type": "command", "command": command, "name": "git-flux", "timeout": 15_000 })
    });
    let file = files.write("gemini.json", json!({ "hooks": hooks }))?;
    Ok(Additions::of_variable(DEFAULTS, file))
}

/// Whether nobody else may write to `dir` or what leads there: Gemini believes no other file.
fn is_private(dir: &Path) -> bool {
    let mode = |dir: &Path| dir.metadata().map_or(0o022, |of| of.permissions().mode());
    let dir = dir.canonicalize();
    dir.is_ok_and(|dir| dir.ancestors().all(|dir| mode(dir) & 0o022 == 0))
}

fn session_start(report: HookReport, value: &Value) -> Option<HookReport> {
    let kind = report.kind;
    Some(match value["source"].as_str() {
        Some("clear") => report.with(Activity::Done, ReportKind::Begins(Beginning::InPlace)),
        Some("resume") => report.with(Activity::Done, kind),
        _ => report,
    })
}

/// `✦  Working… (project)`, `◇  Ready (project)`, `✋  Action Required (project)`
fn title(title: &str, _: &str) -> Option<Title> {
    match title.chars().next()? {
        '✦' | '⏲' => Some(Title::Working),
        '✋' => Some(Title::Asking),
        '◇' => Some(Title::Idle),
        _ => None,
    }
}

/// Whether its turn was cancelled by Esc, or given up: its hook tells of a turn that is over, however
/// that was. Seen with 0.61.0.
fn said(entry: &Value) -> Option<Activity> {
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
    fn only_a_directory_that_nobody_else_may_write_to_is_private() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let below = dir.path().join("below");
        fs::create_dir(&below).unwrap();
        assert!(!is_private(dir.path()) && !is_private(&below));
        assert!(!is_private(&dir.path().join("none")));
        assert!(is_private(Path::new("/usr")));
    }
}
