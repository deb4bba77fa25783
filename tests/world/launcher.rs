//! Starts a task with its agent and pane, and reads how the agent ended.

use serde_json::Value;

use crate::world::*;

/// A task with its agent, and the pane both are in.
pub(crate) struct Started<'a> {
    pub(crate) world: &'a World,
    pub(crate) id: String,
    pub(crate) pane: String,
    pub(crate) launcher: i32,
    pub(crate) agent: Agent,
}

impl<'a> Started<'a> {
    #[track_caller]
    pub(crate) fn new(world: &'a World, behaviour: &str) -> Self {
        world.behaviour(behaviour);
        let id = world.start("Fix the login");
        let task = world.flux(["status", "--json", &id]).run().json();
        let pane = task["target"]["pane"].as_str().unwrap().to_owned();
        let launcher = world.tmux(["display-message", "-p", "-t", &pane, "#{pane_pid}"]);
        let agent = world.agent(&id);
        agent.wait_started();
        let launcher = launcher.parse().unwrap();
        Self {
            world,
            id,
            pane,
            launcher,
            agent,
        }
    }

    pub(crate) fn keys<const N: usize>(&self, keys: [&str; N]) {
        for key in keys {
            self.world.tmux(["send-keys", "-t", &self.pane, key]);
        }
    }

    pub(crate) fn screen(&self) -> String {
        self.world
            .tmux(["capture-pane", "-p", "-J", "-S", "-", "-t", &self.pane])
    }

    #[track_caller]
    pub(crate) fn wait_for_screen(&self, text: &str) {
        wait_until(&format!("{text:?} in the pane"), || {
            self.screen().contains(text)
        });
    }

    pub(crate) fn status(&self) -> Value {
        self.world
            .flux(["status", "--json", &self.id])
            .run()
            .success()
            .json()
    }

    /// Waits until the end of the agent is known, and gives its state, exit status and signal.
    #[track_caller]
    pub(crate) fn end(&self) -> (String, Option<i64>, Option<i64>) {
        let task = wait_for("the end of the agent to be recorded", || {
            let task = self.status();
            (task["state"] != "running").then_some(task)
        });
        let exit = &task["exit"];
        assert!(
            exit.is_null() || exit["at"].as_u64().unwrap() >= task["created"].as_u64().unwrap()
        );
        (
            task["state"].as_str().unwrap().to_owned(),
            exit["status"].as_i64(),
            exit["signal"].as_i64(),
        )
    }

    /// Types a command into the shell in the pane that leaves what it prints in a file.
    #[track_caller]
    pub(crate) fn ask_shell(&self, command: &str) -> String {
        let file = self.world.tools().join("answer");
        let line = format!(
            "({command}) >'{0}.new' && mv '{0}.new' '{0}'",
            file.display()
        );
        self.keys([&line, "Enter"]);
        let answer = wait_for("the shell's answer", || std::fs::read_to_string(&file).ok());
        std::fs::remove_file(file).unwrap();
        answer.trim_end().to_owned()
    }

    pub(crate) fn is_in_front(&self) -> bool {
        self.agent
            .process()
            .is_some_and(|agent| agent.foreground == agent.group && agent.state != 'T')
    }
}

pub(crate) fn exited(status: i64) -> (String, Option<i64>, Option<i64>) {
    ("exited".to_owned(), Some(status), None)
}

pub(crate) fn killed(signal: i64) -> (String, Option<i64>, Option<i64>) {
    ("killed".to_owned(), None, Some(signal))
}
