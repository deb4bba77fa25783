//! The command that starts an agent, and its environment.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::hooks::{Additions, HookFiles};
use super::known::{KNOWN, profile};
use super::{Agent, Prompt};
use crate::git::admin;
use crate::run::RunDir;
use crate::run::launch::{Launch, Setup};
use crate::system::program::{ourselves, plain_path, shell};
use crate::task::{Bytes, Task};

/// The longest prompt that is handed over as an argument, in bytes: Linux takes
/// 131 071 in one, and options, environment and other systems need room.
const LONGEST_ARGUMENT: usize = 120_000;

/// What starts an agent on a prompt.
pub(crate) struct AgentCommand {
    pub(crate) agent: Agent,
    /// The file of its program.
    pub(crate) program: PathBuf,
    pub(crate) prompt: Vec<u8>,
}

impl Launch {
    /// Returns what the launcher is told for `task` of the repository whose main worktree is `source`.
    /// Writes the files that the agent's hooks are in.
    ///
    /// # Errors
    /// When those cannot be written.
    pub(crate) fn new(
        task: &Task,
        command: &AgentCommand,
        source: &Path,
        run: &RunDir,
    ) -> Result<Self> {
        let added = arrange(&command.agent, run)?;
        let common_dir = run.common_dir().context("no run directory")?;
        let mut env = environment(task, source, common_dir);
        env.push(("FLUX_RUN".into(), run.0.clone().into()));
        let env = env.into_iter().chain(added.env);
        let env = env.map(|(name, value)| (Bytes(name), Bytes(value)));
        let prompt = &command.agent.prompt;
        let file = |wanted: Prompt| (*prompt == wanted).then(|| Bytes(run.prompt().into()));
        let argv = command.argv(&task.agent_args, added.args, run).into_iter();
        Ok(Self {
            id: task.id.to_string(),
            agent: command.agent.name.clone(),
            argv: argv.map(Bytes).collect(),
            env: env.collect(),
            worktree: task.worktree.clone(),
            directory: None,
            shell: shell(),
            ready: Setup::default(),
            shown: file(Prompt::Shown),
            input: file(Prompt::Input),
        })
    }
}

impl AgentCommand {
    /// Returns the words of the command: with the options for hooks, and with the task's own.
    fn argv(&self, own: &[Bytes], hooks: Vec<OsString>, run: &RunDir) -> Vec<OsString> {
        let mut argv = self.agent.argv.clone();
        argv[0] = self.program.clone().into();
        argv.extend(hooks);
        argv.extend(own.iter().map(|arg| arg.0.clone()));
        let file = || run.prompt().into_os_string();
        match &self.agent.prompt {
            Prompt::AfterDashes => argv.extend([OsString::from("--"), self.text(run)]),
            Prompt::Last => argv.push(self.text(run)),
            Prompt::Joined(option) => argv.push(joined(option, &self.text(run))),
            Prompt::File => argv.push(file()),
            Prompt::FileJoined(option) => argv.push(joined(option, &file())),
            Prompt::Resumed => argv.extend(self.agent.resume.iter().cloned()),
            Prompt::Input | Prompt::Shown => {}
        }
        argv
    }

    /// Returns the prompt, or where it cannot be an argument, one that names its file.
    fn text(&self, run: &RunDir) -> OsString {
        if self.prompt.len() <= LONGEST_ARGUMENT && !self.prompt.contains(&0) {
            return OsStr::from_bytes(&self.prompt).to_owned();
        }
        let file = run.prompt();
        let instruction = " completely and follow the instructions in it.";
        let words = [
            "Read the file ".as_ref(),
            file.as_os_str(),
            instruction.as_ref(),
        ];
        words.into_iter().collect()
    }
}

fn joined(option: &str, value: &OsStr) -> OsString {
    [OsStr::new(option), value].into_iter().collect()
}

/// Writes what makes `agent` tell of itself into the directory of its run. Nothing for an agent that
/// cannot be made to, or whose user has other plans for that place.
fn arrange(agent: &Agent, run: &RunDir) -> Result<Additions> {
    let program = ourselves()?;
    // Their files and options are text; a path that is none has no place in them.
    let (Some(program), Some(dir)) = (program.to_str(), run.0.to_str()) else {
        return Ok(Additions::default());
    };
    let profile = profile(&agent.name);
    let (agent, hooks) = (profile.name, profile.hooks);
    (profile.arrange)(&HookFiles {
        agent,
        hooks,
        program,
        dir,
    })
}

/// Variables that belong to a pane.
const OF_THE_PANE: [&str; 7] = ["TERM", "COLUMNS", "LINES", "PWD", "OLDPWD", "SHLVL", "PATH"];

/// Variables of a virtual environment of Python.
const OF_VENV: [&str; 2] = ["VIRTUAL_ENV", "VIRTUAL_ENV_PROMPT"];

/// How variables begin that belong to the caller's git, tmux, direnv, task and terminal.
const PREFIXES: [&str; 5] = ["GIT_", "TMUX", "FLUX_", "DIRENV_", "TERM_PROGRAM"];

/// The caller's environment without what belongs to its git, its tmux pane, its
/// directory, to a virtual environment in another worktree and, if it is an agent, to that; and with the
/// task's own facts.
fn environment(task: &Task, source: &Path, common_dir: &Path) -> Vec<(OsString, OsString)> {
    let venv = venv_of_others(task, source, common_dir);
    let is_of_venv = |name: &OsStr| venv.is_some() && OF_VENV.iter().any(|own| name == *own);
    let own = env::vars_os().filter(|(name, _)| !is_foreign(name) && !is_of_venv(name));
    let mut env: Vec<(OsString, OsString)> = own.collect();
    if let Some(path) = plain_path() {
        env.push(("PATH".into(), without(path, venv.as_deref())));
    }
    env.extend([
        ("PWD".into(), task.worktree.clone().into()),
        ("FLUX_TASK".into(), task.id.as_str().into()),
        ("FLUX_BRANCH".into(), (&*task.branch).into()),
        ("FLUX_BASE".into(), (&*task.base).into()),
        ("FLUX_WORKTREE".into(), task.worktree.clone().into()),
        ("FLUX_SOURCE".into(), source.into()),
    ]);
    env
}

fn is_foreign(name: &OsStr) -> bool {
    let starts_with = |prefix: &&str| name.as_bytes().starts_with(prefix.as_bytes());
    let traces = KNOWN.iter().flat_map(|known| known.traces);
    let mut others = OF_THE_PANE.iter().chain(traces);
    PREFIXES.iter().any(starts_with) || others.any(|other| name == *other)
}

/// The virtual environment of Python that is active, if it lies in another worktree of the repository: what
/// the agent installs would be installed there.
fn venv_of_others(task: &Task, source: &Path, common_dir: &Path) -> Option<PathBuf> {
    let venv = PathBuf::from(env::var_os("VIRTUAL_ENV")?);
    let is_of_repository =
        |dir: &&Path| *dir == source || admin::is_ours(common_dir, dir).unwrap_or(false);
    let worktree = venv.ancestors().skip(1).find(is_of_repository)?;
    (worktree != task.worktree).then_some(venv)
}

/// A PATH without the directories that lie in `dir`.
fn without(path: OsString, dir: Option<&Path>) -> OsString {
    let lies_in = |one: &Path| dir.is_some_and(|dir| one.starts_with(dir));
    let dirs = env::split_paths(&path).filter(|one| !lies_in(one));
    env::join_paths(dirs).unwrap_or(path)
}
