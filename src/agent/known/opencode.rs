//! OpenCode.

use std::borrow::Cow;
use std::env;

use anyhow::Result;
use serde_json::{Value, json};

use crate::agent::hooks::{HookFiles, HookOption};
use crate::agent::profile::{Output, PLAIN, Profile, Prompt};
use crate::agent::report::{Beginning, Effect, Hook};
use crate::task::{Activity, WaitReason};
use crate::tmux::composer::{Composer, Frame, Remedy, Trap};

/// Tested with 1.18.33: the prompt is sent at once; it has no option that skips permissions, and
/// asks for few.
pub(super) const OPENCODE: Profile = Profile {
    name: "opencode",
    program: "opencode",
    prompt: &Prompt::Joined(Cow::Borrowed("--prompt=")),
    resume: &["--continue"],
    hooks: &HOOKS,
    configure_hooks,
    confirms_messages: true,
    // Seen with 1.18.33: a pasted `!` is text; Esc closes the list of files, if it is encoded so
    // that it cannot be part of another key; after a paste of three lines it adds a space.
    composer: Some(Composer {
        frame: Frame::Bar,
        marks: &["  "],
        placeholder: "Ask anything",
        longest_paste: None,
        traps: &[
            (Trap::Command, Remedy::None),
            (Trap::LastWord('@'), Remedy::Keys("\u{1b}[27u")),
        ],
    }),
    // It shows nothing before its first session exists, which may take minutes.
    output: Output::NotWhileIdle { title: "OC | " },
    ..PLAIN
};

/// The names of the plugin, which are those of OpenCode's events.
const HOOKS: [Hook; 8] = [
    Hook::new("session.created", Activity::Starting).with_effect(Effect::Begins(Beginning::Any)),
    Hook::new("session.busy", Activity::Working),
    Hook::new("session.idle", Activity::Done).with_message(MESSAGE),
    Hook::new("session.error", Activity::Failed).with_message(MESSAGE),
    Hook::asking("permission.asked", WaitReason::Permission).with_message(MESSAGE),
    Hook::new("permission.replied", Activity::Working),
    Hook::asking("question.asked", WaitReason::Question).with_message(MESSAGE),
    Hook::new("question.replied", Activity::Working),
];

const MESSAGE: &[&str] = &["message"];

/// The variable for a configuration, whose plugins are loaded beside the user's.
const CONFIG: &str = "OPENCODE_CONFIG_CONTENT";

fn configure_hooks(files: &HookFiles) -> Result<Option<HookOption>> {
    if env::var_os(CONFIG).is_some() {
        return Ok(None);
    }
    let program = Value::from(files.program).to_string();
    let plugin = include_str!("../opencode.js").replace("PROGRAM", &program);
    let url = format!(
        "file://{}",
        encode_path(&files.write("opencode.js", plugin)?)
    );
    let config = json!({ "plugin": [url] });
    Ok(Some(HookOption::Variable(CONFIG, config.to_string())))
}

/// Percent-encodes a path for a URL, except ASCII letters, digits, `/`, `.`, `-`, `_` and `~`.
fn encode_path(path: &str) -> String {
    let encode_path = |byte: u8| match byte {
        b'/' | b'.' | b'-' | b'_' | b'~' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    path.bytes().map(encode_path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encode_path_escapes_spaces() {
        assert_eq!(encode_path("/a b/%"), "/a%20b/%25");
    }
}
