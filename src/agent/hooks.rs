//! The hooks of an agent, for one run: files in its run directory, beside the user's hooks.

use std::fmt::Display;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::report::Hook;
use crate::run::file::write_private;

/// The option or variable that passes its hooks to an agent, with its value.
pub(super) enum HookOption {
    Argument(&'static str, String),
    Variable(&'static str, String),
}

/// The files of an agent's hooks.
pub(super) struct HookFiles<'a> {
    pub(super) agent: &'static str,
    pub(super) hooks: &'static [Hook],
    /// The file of git flux, which the hooks run.
    pub(super) program: &'a str,
    /// The run directory.
    pub(super) dir: &'a str,
}

impl HookFiles<'_> {
    /// Writes a file to the run directory, readable for its owner only, and returns its path.
    pub(super) fn write(&self, name: &str, text: impl Display) -> Result<String> {
        write_private(&Path::new(self.dir).join(name), text.to_string().as_bytes())?;
        Ok(format!("{}/{name}", self.dir))
    }

    /// Returns the agent's hooks as JSON in the form of its settings; `handler` makes the entry of
    /// a hook from its shell command.
    pub(super) fn settings(&self, handler: impl Fn(String) -> Value) -> Value {
        let entry = |hook: &Hook| {
            let mut entry = json!({ "hooks": [handler(self.command(hook))] });
            if let Some(tools) = hook.tools {
                entry["matcher"] = tools.into();
            }
            (hook.event, json!([entry]))
        };
        self.hooks.iter().map(entry).collect()
    }

    /// Returns the shell command for a hook of the agent, which runs `git-flux __hook`. The command
    /// does nothing if git flux is gone, and always succeeds.
    fn command(&self, hook: &Hook) -> String {
        let (agent, event) = (self.agent, hook.event);
        let program = shell_words::quote(self.program);
        format!("test -x {program} && {program} __hook {agent} {event}; exit 0")
    }
}
