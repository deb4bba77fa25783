//! The start of an agent by a wrapper, which may wait before it: a wrapper that submits a job to a
//! queue, for one.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use jiff::Timestamp;

use super::RunDir;
use super::launch::{Launch, Running};
use crate::task::Bytes;

/// Creates the file `$1` and becomes the program in the other arguments, also if the file cannot be
/// created: a container may not have its directory. `true` is no special built-in command, after
/// whose failure the shell would exit.
const SCRIPT: &str = r#"{ true >"$1"; } 2>/dev/null; shift; exec "$@""#;

impl RunDir {
    /// Returns the path of the file that exists once the wrapper has started the agent.
    pub(crate) fn begun(&self) -> PathBuf {
        self.0.join("begun")
    }
}

impl Launch {
    /// Returns the words that start the agent, which are not empty: its command line or, with a
    /// wrapper, `<wrapper> sh -c <script> sh <run>/begun <agent>...`, where the script creates the
    /// file `begun`. The wrapper runs where this program may be missing.
    pub(crate) fn words(&self, run: &RunDir) -> Vec<Bytes> {
        let wrapper = &self.ready.wrapper;
        if wrapper.is_empty() {
            return self.argv.clone();
        }
        let mut words = wrapper.clone();
        let begin = [self.shell_for_env(), "-c", SCRIPT, "sh"];
        words.extend(begin.map(|word| Bytes(word.into())));
        words.push(Bytes(run.begun().into()));
        words.extend_from_slice(&self.argv);
        words
    }

    /// Returns a shell that keeps the environment of the agent: `bash` if it exported functions
    /// there, whose variables other shells drop, and otherwise `sh`.
    fn shell_for_env(&self) -> &'static str {
        let is_function = |name: &OsStr| name.as_bytes().starts_with(b"BASH_FUNC_");
        if self.env.iter().any(|(name, _)| is_function(&name.0)) {
            "bash"
        } else {
            "sh"
        }
    }
}

impl Running {
    /// Returns the time since which the wrapper has waited to start the agent. `None` without a
    /// wrapper, and once it has started the agent.
    pub(crate) fn queued_since(&self, run: &RunDir) -> Option<Timestamp> {
        self.wrapper_since.filter(|_| !run.begun().exists())
    }

    /// Returns the start of the agent, or of its launcher if there is no wrapper or that has not
    /// started the agent.
    pub(crate) fn agent_since(&self, run: &RunDir) -> Timestamp {
        let modified = run.begun().metadata().and_then(|file| file.modified());
        let begun = modified.ok().and_then(|at| Timestamp::try_from(at).ok());
        let begun = begun.filter(|_| self.wrapper_since.is_some());
        begun.unwrap_or(self.since)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    fn launch(wrapper: &[&str], env: &[(&str, &str)]) -> Launch {
        let bytes = |text: &str| Bytes(text.into());
        let env = env.iter().map(|(name, value)| (bytes(name), bytes(value)));
        let text = r#"{"id":"fix","argv":[],"env":[],"worktree":"/w","shell":"sh"}"#;
        let mut launch: Launch = serde_json::from_str(text).unwrap();
        launch.argv = ["printf", "%s|", "a  b", "$1", ""].map(bytes).to_vec();
        launch.ready.wrapper = wrapper.iter().map(|word| bytes(word)).collect();
        launch.env = env.collect();
        launch
    }

    fn output(words: &[Bytes]) -> String {
        let mut command = Command::new(&words[0].0);
        command.args(words[1..].iter().map(|word| &word.0));
        let output = command.output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn words_start_the_agent_with_its_arguments_and_create_the_file_if_that_is_possible() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir(dir.path().join("a b"));
        let launch = launch(&["env"], &[]);
        // Without the directory.
        assert_eq!(output(&launch.words(&run)), "a  b|$1||");
        assert!(!run.begun().exists());
        fs::create_dir(&run.0).unwrap();
        assert_eq!(output(&launch.words(&run)), "a  b|$1||");
        assert!(run.begun().exists());
    }

    #[test]
    fn words_are_those_of_the_agent_without_a_wrapper() {
        let launch = launch(&[], &[("BASH_FUNC_x%%", "() { :; }")]);
        assert_eq!(launch.words(&RunDir("/run".into())), launch.argv);
    }

    #[test]
    fn shell_is_bash_if_the_environment_has_functions_of_bash() {
        for (name, shell) in [("PATH", "sh"), ("BASH_FUNC_module%%", "bash")] {
            let words = launch(&["env"], &[(name, "x")]).words(&RunDir("/run".into()));
            assert_eq!(words[1].0, shell);
        }
    }
}
