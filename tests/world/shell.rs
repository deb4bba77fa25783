//! Commands as an agent runs them: with its environment, in its worktree.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::World;

/// A shell in the environment of the agent of one task.
pub(crate) struct AgentShell {
    env: Vec<(String, String)>,
    worktree: PathBuf,
}

impl World {
    /// Returns a shell with the environment of the agent of a running task.
    #[track_caller]
    pub(crate) fn agent_shell(&self, id: &str) -> AgentShell {
        let env = self.agent(id).environment();
        let env = env.iter().filter_map(|line| line.split_once('='));
        AgentShell {
            env: env
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            worktree: self.worktree(id),
        }
    }
}

impl AgentShell {
    /// Returns a shell with the environment of the user, in the main worktree.
    pub(crate) fn of_user(world: &World) -> Self {
        let text = |value: OsString| value.into_string().expect("the environment is UTF-8");
        let env = world.env().into_iter();
        Self {
            env: env
                .map(|(name, value)| (name.to_owned(), text(value)))
                .collect(),
            worktree: world.repo(),
        }
    }

    /// Returns the shell with another working directory.
    pub(crate) fn at(mut self, dir: &Path) -> Self {
        self.worktree = dir.to_owned();
        self
    }

    /// Prepares a program in the worktree.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let env = self.env.iter().map(|(name, value)| (name, value));
        command.env_clear().envs(env).current_dir(&self.worktree);
        command.stdin(Stdio::null());
        command
    }

    /// Returns a variable of the environment.
    pub(crate) fn var(&self, name: &str) -> &str {
        let found = self.env.iter().find(|(known, _)| known == name);
        &found.unwrap_or_else(|| panic!("{name} is not set")).1
    }

    /// Runs a shell script, and returns what it printed on both streams, and the exit code if that is not 0.
    #[track_caller]
    pub(crate) fn sh(&self, script: &str) -> String {
        self.sh_in(&self.worktree, script)
    }

    /// Runs a shell script as `sh` does, in another directory.
    #[track_caller]
    pub(crate) fn sh_in(&self, dir: &Path, script: &str) -> String {
        let mut command = self.command("/bin/sh");
        command
            .current_dir(dir)
            .arg("-c")
            .arg(format!("exec 2>&1\n{script}"));
        let output = command.output().unwrap();
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            text.push_str(&format!("[{}]\n", output.status));
        }
        text
    }

    /// Runs a shell script, and fails unless its exit code is 0.
    #[track_caller]
    pub(crate) fn ok(&self, script: &str) -> String {
        let text = self.sh(script);
        assert!(!text.ends_with("]\n"), "{script}\n{text}");
        text
    }

    /// Returns the subjects of `git stash list`.
    #[track_caller]
    pub(crate) fn stash(&self) -> Vec<String> {
        let list = self.ok("git stash list --format=%gs");
        list.lines().map(str::to_owned).collect()
    }
}
