//! OpenCode.

use std::borrow::Cow;
use std::env;

use anyhow::Result;
use serde_json::{Value, json};

use crate::agent::hooks::{Additions, HookFiles};
use crate::agent::profile::{Output, PLAIN, Profile, Prompt};
use crate::agent::report::{Beginning, Hook, ReportKind};
use crate::task::{Activity, WaitReason};
use crate::tmux::composer::{Composer, Frame, Remedy, Trap};

/// Seen with 1.18.33: the prompt is sent at once; it has no option that skips permissions,
/// and asks for few.
pub(super) const OPENCODE: Profile = Profile {
    name: "opencode",
    program: "opencode",
    prompt: &Prompt::Joined(Cow::Borrowed("--prompt=")),
    resume: &["--continue"],
    hooks: &HOOKS,
    arrange,
    confirms: true,
    // Seen with 1.18.33: a pasted `!` is text; Esc, said so that no
    // other key can be a part of it, closes the list of files; behind a paste of
    // three lines it adds a space.
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
    // Before its first session is there, which may take minutes, it shows nothing either.
    output: Output::NotWhileIdle { title: "OC | " },
    ..PLAIN
};

/// In the words of the plugin, which are those of OpenCode's events.
const HOOKS: [Hook; 8] = [
    Hook::new("session.created", Activity::Starting).of(ReportKind::Begins(Beginning::Any)),
    Hook::new("session.busy", Activity::Working),
    Hook::new("session.idle", Activity::Done).saying(MESSAGE),
    Hook::new("session.error", Activity::Failed).saying(MESSAGE),
    Hook::asking("permission.asked", WaitReason::Permission).saying(MESSAGE),
    Hook::new("permission.replied", Activity::Working),
    Hook::asking("question.asked", WaitReason::Question).saying(MESSAGE),
    Hook::new("question.replied", Activity::Working),
];

const MESSAGE: &[&str] = &["message"];

/// Holds a configuration; the plugins in it are loaded beside the user's.
const CONFIG: &str = "OPENCODE_CONFIG_CONTENT";

fn arrange(files: &HookFiles) -> Result<Additions> {
    if env::var_os(CONFIG).is_some() {
        return Ok(Additions::default());
    }
    let program = Value::from(files.program).to_string();
    let plugin = include_str!("../opencode.js").replace("PROGRAM", &program);
    let url = format!("file://{}", encoded(&files.write("opencode.js", plugin)?));
    let config = json!({ "plugin": [url] });
    Ok(Additions::of_variable(CONFIG, config.to_string()))
}

/// A path in a URL.
fn encoded(path: &str) -> String {
    let encoded = |byte: u8| match byte {
        b'/' | b'.' | b'-' | b'_' | b'~' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    path.bytes().map(encoded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_encoded_for_a_url() {
        assert_eq!(encoded("/a b/%"), "/a%20b/%25");
    }
}
