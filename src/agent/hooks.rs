//! How an agent is made to tell what it does: for this one run, by files in the run's
//! directory, and beside what its user has configured.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::{Agent, Voice, transcript, voice};
use crate::run::RunDir;
use crate::run::file::write;
use crate::system::program::ourselves;

const GEMINI: &str = "GEMINI_CLI_SYSTEM_DEFAULTS_PATH";
const OPENCODE: &str = "OPENCODE_CONFIG_CONTENT";

/// What is added to an agent's command line and environment.
#[derive(Debug, Default)]
pub(super) struct Hooks {
    pub(super) args: Vec<OsString>,
    pub(super) env: Vec<(OsString, OsString)>,
}

/// Writes what makes `agent` tell of itself into the directory of its run. Nothing for an
/// agent that cannot be made to, or whose user has other plans for that place.
///
/// # Errors
/// When it cannot be written.
pub(super) fn arrange(agent: &Agent, run: &RunDir) -> Result<Hooks> {
    let program = ourselves()?;
    // Their files and options are text; a path that is none has no place in them.
    let (Some(program), Some(dir)) = (program.to_str(), run.0.to_str()) else {
        return Ok(Hooks::default());
    };
    let put = |name: &str, text: &str| {
        write(&run.0.join(name), text.as_bytes()).map(|()| format!("{dir}/{name}"))
    };
    let mut hooks = Hooks::default();
    match voice(&agent.name) {
        Voice::Claude => {
            let file = put("claude.json", &claude(program).to_string())?;
            hooks.args = vec!["--settings".into(), file.into()];
        }
        Voice::Codex => {
            if let Some(theirs) = notified() {
                let ours = [program, "__hook", "codex", "notify"].map(ToOwned::to_owned);
                let notify = json!([ours.as_slice(), &theirs].concat());
                hooks.args = vec!["-c".into(), format!("notify={notify}").into()];
            }
        }
        Voice::Gemini if env::var_os(GEMINI).is_none() && is_private(&run.0) => {
            let file = put("gemini.json", &gemini(program).to_string())?;
            hooks.env = vec![(GEMINI.into(), file.into())];
        }
        Voice::Opencode if env::var_os(OPENCODE).is_none() => {
            let text = include_str!("opencode.js");
            let text = text.replace("PROGRAM", &Value::from(program).to_string());
            let url = format!("file://{}", encoded(&put("opencode.js", &text)?));
            let config = json!({ "plugin": [url] });
            hooks.env = vec![(OPENCODE.into(), config.to_string().into())];
        }
        _ => {}
    }
    Ok(hooks)
}

/// A shell's command for a hook: it does no harm where the program is gone.
fn command(program: &str, agent: &str, event: &str) -> String {
    let program = shell_words::quote(program);
    format!("test -x {program} && {program} __hook {agent} {event}; exit 0")
}

fn claude(program: &str) -> Value {
    let hook = |event: &str, matcher: Option<&str>| {
        let command = json!({
            "type": "command", "command": command(program, "claude", event), "timeout": 15,
        });
        match matcher {
            Some(matcher) => json!([{ "matcher": matcher, "hooks": [command] }]),
            None => json!([{ "hooks": [command] }]),
        }
    };
    // Else one key hands the conversation over to a process that its pane knows nothing of.
    json!({ "disableAgentView": true, "hooks": {
        "SessionStart": hook("SessionStart", None),
        "UserPromptSubmit": hook("UserPromptSubmit", None),
        "PreToolUse": hook("PreToolUse", Some("AskUserQuestion")),
        "PermissionRequest": hook("PermissionRequest", Some("*")),
        "PostToolUse": hook("PostToolUse", Some("*")),
        "PostToolUseFailure": hook("PostToolUseFailure", Some("*")),
        "PermissionDenied": hook("PermissionDenied", Some("*")),
        "Notification": hook("Notification", None),
        "Stop": hook("Stop", None),
        "StopFailure": hook("StopFailure", None),
    } })
}

fn gemini(program: &str) -> Value {
    let hook = |event: &str| {
        let command = command(program, "gemini", event);
        json!([{ "hooks": [{
            "type": "command", "command": command, "name": "git-flux", "timeout": 15_000,
        }] }])
    };
    let events = [
        "SessionStart",
        "BeforeAgent",
        "AfterTool",
        "AfterAgent",
        "Notification",
    ];
    let hooks: serde_json::Map<String, Value> = events
        .map(|event| (event.to_owned(), hook(event)))
        .into_iter()
        .collect();
    json!({ "hooks": hooks })
}

/// The program that Codex's user has for its notices, with its arguments, or nothing: what is
/// given on the command line takes its place, so it is passed on. None where it cannot be told.
fn notified() -> Option<Vec<String>> {
    let file = transcript::codex_home(&|name| env::var_os(name))?.join("config.toml");
    let text = match fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(Vec::new()),
        text => text.ok()?,
    };
    match text.parse::<toml::Table>().ok()?.remove("notify") {
        None => Some(Vec::new()),
        Some(theirs) => theirs.try_into().ok(),
    }
}

/// Whether nobody else may write to `dir` or what leads there: Gemini believes no other file.
fn is_private(dir: &Path) -> bool {
    let private = |dir: &Path| {
        dir.metadata()
            .is_ok_and(|of| of.permissions().mode() & 0o022 == 0)
    };
    dir.canonicalize()
        .is_ok_and(|dir| dir.ancestors().all(private))
}

/// A path in a URL.
fn encoded(path: &str) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn hooks_name_the_program_as_a_shell_wants_it() {
        let program = "/a b/it's/git-flux";
        for (settings, agent, event) in [
            (claude(program), "claude", "Stop"),
            (gemini(program), "gemini", "AfterAgent"),
        ] {
            let hook = &settings["hooks"][event][0]["hooks"][0];
            let quoted = shell_words::quote(program);
            let command = format!("test -x {quoted} && {quoted} __hook {agent} {event}; exit 0");
            assert_eq!(hook["command"], *command);
            assert_eq!(shell_words::split(&command).unwrap()[2], program);
        }
        assert_eq!(encoded("/a b/%"), "/a%20b/%25");
    }
}
