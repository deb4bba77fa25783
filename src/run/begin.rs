//! The start of a program by a wrapper, which may wait before it: a wrapper that submits a job to a
//! queue, for one.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use jiff::Timestamp;

use super::RunDir;
use super::file::{MAX_BYTES, read_tail};
use super::launch::{Launch, Running};
use crate::system::none_if_missing;
use crate::task::Bytes;

/// Becomes the program in the arguments after `$1`, the launcher's process id. First creates the file
/// `begun` in the directory `$0`, if that is possible: a container may not have it. `true` is no
/// special built-in command, after whose failure the shell would exit.
///
/// In a job step of Slurm, waits for the program instead, and creates the file `ended`: srun exits
/// with status 0 if the machine fails (seen with 22.05). Slurm sends signals to all processes of a
/// step.
const SCRIPT: &str = r#"if [ -z "$SLURM_STEP_ID" ] || [ "$PPID" = "$1" ]; then
    { true >"$0/begun"; } 2>/dev/null
    shift
    exec "$@"
fi
{ echo step >"$0/begun"; } 2>/dev/null
shift
trap : HUP INT QUIT TERM
"$@"
set -- $?
{ true >"$0/ended"; } 2>/dev/null
exit "$1""#;

/// The directory in which a program that a wrapper starts records its start and its end.
pub(crate) struct BeginDir<'a>(pub(crate) &'a Path);

/// The part of a program's run that was not seen after its wrapper has ended: the wrapper's exit status
/// is not the program's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnseenPart {
    /// The program did not start, or not where it can write in the directory.
    Start,
    /// The program started in a job step and did not end there: the machine failed.
    End,
}

impl BeginDir<'_> {
    /// Returns the words between a wrapper and its program: `<shell> -c <script> <dir> <launcher>`.
    /// The script creates the file `begun`. The wrapper may run where git flux is missing.
    pub(crate) fn script(&self, shell: &'static str, launcher: i32) -> [Bytes; 5] {
        let [shell, option, script] = [shell, "-c", SCRIPT].map(|word| Bytes(word.into()));
        let launcher = Bytes(launcher.to_string().into());
        [shell, option, script, Bytes(self.0.into()), launcher]
    }

    /// Removes the files `begun` and `ended` of an earlier program.
    pub(crate) fn clear(&self) -> Result<()> {
        for name in ["begun", "ended"] {
            let removed = none_if_missing(fs::remove_file(self.0.join(name)));
            removed.with_context(|| format!("could not remove '{name}'"))?;
        }
        Ok(())
    }

    /// Returns which part of the program's run has left no record, after the wrapper has ended: its
    /// start or, in a job step of Slurm, its end. `None` if no part is missing. A record of the
    /// start that cannot be read counts as missing.
    pub(crate) fn find_unseen_part(&self) -> Option<UnseenPart> {
        // On NFS, this shows the files that another machine has just made there.
        drop(File::open(self.0));
        match read_tail(&self.0.join("begun"), MAX_BYTES) {
            Err(_) => Some(UnseenPart::Start),
            Ok(text) if text != b"step\n" || self.0.join("ended").exists() => None,
            Ok(_) => Some(UnseenPart::End),
        }
    }
}

impl RunDir {
    /// Returns the path of the file that exists once the wrapper has started the agent.
    pub(crate) fn begun(&self) -> PathBuf {
        self.0.join("begun")
    }
}

impl Launch {
    /// Returns the words that start the agent: its command line or, with a wrapper, `<wrapper>
    /// <script> <agent>...` with the script of [`BeginDir::script`].
    pub(crate) fn words(&self, run: &RunDir, launcher: i32) -> Vec<Bytes> {
        let wrapper = &self.ready.wrapper;
        if wrapper.is_empty() {
            return self.argv.clone();
        }
        let script = BeginDir(&run.0).script(self.shell_for_env(), launcher);
        [wrapper, &script[..], &self.argv].concat()
    }

    /// Returns a shell that keeps the agent's environment: `bash` if the environment has functions
    /// that bash has exported, whose variables other shells drop, and otherwise `sh`.
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

    /// Returns the time when the agent started; that of its launcher without a wrapper, or while
    /// the wrapper has not started the agent.
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
        assert_eq!(output(&launch.words(&run, 1)), "a  b|$1||");
        assert!(!run.begun().exists());
        fs::create_dir(&run.0).unwrap();
        assert_eq!(output(&launch.words(&run, 1)), "a  b|$1||");
        assert!(run.begun().exists());
    }

    #[test]
    fn part_of_a_run_is_unseen_until_the_agent_has_begun_and_ended() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir(dir.path().to_owned());
        let unseen = || BeginDir(&run.0).find_unseen_part();
        let step = launch(&["env", "SLURM_STEP_ID=0"], &[]);
        assert_eq!(unseen(), Some(UnseenPart::Start));
        assert_eq!(output(&step.words(&run, 1)), "a  b|$1||");
        assert_eq!(unseen(), None);
        fs::remove_file(run.0.join("ended")).unwrap();
        assert_eq!(unseen(), Some(UnseenPart::End));
        // The launcher sees the end of its own child.
        let own = std::process::id().cast_signed();
        assert_eq!(output(&step.words(&run, own)), "a  b|$1||");
        assert_eq!(unseen(), None);
        fs::remove_file(run.begun()).unwrap();
        fs::create_dir(run.begun()).unwrap();
        assert_eq!(unseen(), Some(UnseenPart::Start), "it cannot be read");
        fs::remove_dir(run.begun()).unwrap();
        // The exit status is that of the agent.
        let mut fails = step;
        fails.argv = ["sh", "-c", "exit 7"]
            .map(|word| Bytes(word.into()))
            .to_vec();
        let words = fails.words(&run, 1);
        let mut command = Command::new(&words[0].0);
        command.args(words[1..].iter().map(|word| &word.0));
        assert_eq!(command.status().unwrap().code(), Some(7));
    }

    #[test]
    fn words_are_those_of_the_agent_without_a_wrapper() {
        let launch = launch(&[], &[("BASH_FUNC_x%%", "() { :; }")]);
        assert_eq!(launch.words(&RunDir("/run".into()), 1), launch.argv);
    }

    #[test]
    fn shell_is_bash_if_the_environment_has_functions_of_bash() {
        for (name, shell) in [("PATH", "sh"), ("BASH_FUNC_module%%", "bash")] {
            let words = launch(&["env"], &[(name, "x")]).words(&RunDir("/run".into()), 1);
            assert_eq!(words[1].0, shell);
        }
    }
}
