//! How an agent is made to tell what it does: for this one run, by files in the run's
//! directory, and beside what its user has configured.

use std::ffi::OsString;
use std::fmt::Display;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::report::Hook;
use crate::run::file::write;

/// What is added to an agent's command line and environment.
#[derive(Debug, Default)]
pub(super) struct Additions {
    pub(super) args: Vec<OsString>,
    pub(super) env: Vec<(OsString, OsString)>,
}

/// Where what an agent's hooks are written in is kept.
pub(super) struct HookFiles<'a> {
    /// The name of the agent.
    pub(super) agent: &'static str,
    pub(super) hooks: &'static [Hook],
    /// git flux itself, which the hooks run.
    pub(super) program: &'a str,
    /// The run's directory.
    pub(super) dir: &'a str,
}

impl Additions {
    pub(super) fn of_option(name: &'static str, value: impl Into<OsString>) -> Self {
        Self {
            args: vec![name.into(), value.into()],
            ..Self::default()
        }
    }

    pub(super) fn of_variable(name: &'static str, value: impl Into<OsString>) -> Self {
        Self {
            env: vec![(name.into(), value.into())],
            ..Self::default()
        }
    }
}

impl HookFiles<'_> {
    /// Writes a file, and returns its path.
    pub(super) fn write(&self, name: &str, text: impl Display) -> Result<String> {
        write(&Path::new(self.dir).join(name), text.to_string().as_bytes())?;
        Ok(format!("{}/{name}", self.dir))
    }

    /// Returns the hooks as settings have them; `handler` makes that of a command.
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

    /// Returns a shell's command for a hook: it does no harm where the program is gone.
    fn command(&self, hook: &Hook) -> String {
        let (agent, event) = (self.agent, hook.event);
        let program = shell_words::quote(self.program);
        format!("test -x {program} && {program} __hook {agent} {event}; exit 0")
    }
}
