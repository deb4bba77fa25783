//! Makes an agent that reports by its hooks.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, thread};

use serde_json::{Value, json};

use crate::world::*;

/// A task whose agent is the fake claude, and which fires the hooks that it was given.
pub(crate) struct Task<'a> {
    pub(crate) world: &'a World,
    pub(crate) id: String,
    pub(crate) agent: Agent,
}

impl<'a> Task<'a> {
    #[track_caller]
    pub(crate) fn new(world: &'a World) -> Self {
        let id = world.start("Fix the login");
        let agent = world.agent(&id);
        agent.wait_started();
        Self { world, id, agent }
    }

    pub(crate) fn run_dir(&self) -> PathBuf {
        self.world.repo().join(".git/flux/run").join(&self.id)
    }

    /// Runs the hook of this event as claude does: its command by a shell, with the agent's
    /// environment. It must do it silently, and succeed.
    #[track_caller]
    pub(crate) fn fire(&self, event: &str, input: &Value) {
        let settings = fs::read(self.run_dir().join("claude.json")).unwrap();
        let settings: Value = serde_json::from_slice(&settings).unwrap();
        let hook = &settings["hooks"][event][0]["hooks"][0];
        assert_eq!(hook["type"], "command", "{event}: {settings}");
        self.silently(
            hook["command"].as_str().unwrap(),
            input.to_string().as_bytes(),
        );
    }

    #[track_caller]
    pub(crate) fn silently(&self, command: &str, input: &[u8]) {
        let environment = self.agent.environment();
        let mut child = Command::new("/bin/sh")
            .args(["-c", command])
            .current_dir(self.world.worktree(&self.id))
            .env_clear()
            .envs(environment.iter().filter_map(|line| line.split_once('=')))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A hook may end without having read all of it.
        child.stdin.take().unwrap().write_all(input).ok();
        let output = child.wait_with_output().unwrap();
        let said = (output.status.code(), output.stdout, output.stderr);
        assert_eq!(said, (Some(0), Vec::new(), Vec::new()), "{command}");
    }

    /// Returns the state, its reason and its source.
    #[track_caller]
    pub(crate) fn state(&self) -> String {
        let task = self.world.flux(["status", "--json", &self.id]).run();
        let task = task.success().json();
        let text = |name: &str| task[name].as_str().unwrap_or("-").to_owned();
        let (state, reason, source) = (text("state"), text("stateReason"), text("stateSource"));
        format!("{state} {reason} {source}")
    }

    pub(crate) fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.run_dir().join("events")).unwrap();
        let events = text.lines().map(serde_json::from_str);
        events.collect::<Result<_, _>>().unwrap()
    }
}

/// Runs a hook of the agent, with this event and this standard input.
pub(crate) fn hook(world: &World, id: &str, event: &str, json: &str) {
    let run = world.repo().join(".git/flux/run").join(id);
    let mut command = world.command(world.tools().join("bin/git-flux"));
    let hook = command
        .args(["__hook", "claude", event, json])
        .env("FLUX_TASK", id)
        .env("FLUX_RUN", run)
        .output()
        .unwrap();
    assert!(
        hook.status.success() && hook.stdout.is_empty() && hook.stderr.is_empty(),
        "the hook succeeds without output: {hook:?}"
    );
}
