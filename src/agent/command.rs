//! The command that starts an agent, and its environment.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::hooks::{HookFiles, HookOption};
use super::known::{KNOWN, profile};
use super::{Agent, Prompt};
use crate::git::admin;
use crate::run::RunDir;
use crate::run::launch::{Launch, Setup};
use crate::system::program::{current_exe, path_without_git, user_shell};
use crate::task::{Bytes, Task};

/// The longest prompt that is passed as an argument: Linux accepts 131 071 bytes, and options,
/// environment and other systems need space.
const MAX_ARGUMENT_BYTES: usize = 120_000;

/// The command to start an agent with a prompt.
pub(crate) struct AgentCommand {
    pub(crate) agent: Agent,
    /// The file of its program.
    pub(crate) program: PathBuf,
    pub(crate) prompt: Vec<u8>,
}

impl Launch {
    /// Creates the launcher's input for `task`: the agent's command line, environment and worktree,
    /// without setup, ports and directory to start in. `source` is the main worktree of the
    /// repository. Also writes the files of the agent's hooks to the run directory.
    pub(crate) fn new(
        task: &Task,
        command: &AgentCommand,
        source: &Path,
        run: &RunDir,
    ) -> Result<Self> {
        let hooks = configure_hooks(&command.agent, run)?;
        let mut env = build_environment(task, source, run)?;
        env.push(("FLUX_RUN".into(), run.0.clone().into()));
        if let Some(HookOption::Variable(name, value)) = &hooks {
            env.push((name.into(), value.into()));
        }
        let env = env
            .into_iter()
            .map(|(name, value)| (Bytes(name), Bytes(value)));
        let prompt = command.agent.prompt_way();
        let file = |wanted: Prompt| (*prompt == wanted).then(|| Bytes(run.prompt().into()));
        let argv = command.argv(&task.agent_args, hooks, run).into_iter();
        Ok(Self {
            id: task.id.to_string(),
            agent: command.agent.name.clone(),
            argv: argv.map(Bytes).collect(),
            env: env.collect(),
            worktree: task.worktree.clone(),
            directory: None,
            shell: user_shell(),
            ready: Setup::default(),
            shown: file(Prompt::Shown),
            input: file(Prompt::Input),
        })
    }
}

impl AgentCommand {
    /// Returns the command line that starts the agent: its program and options, those of the hooks
    /// and of the task, and the prompt as this agent takes it.
    fn argv(&self, own: &[Bytes], hooks: Option<HookOption>, run: &RunDir) -> Vec<OsString> {
        let mut argv = self.agent.argv.clone();
        argv[0] = self.program.clone().into();
        if let Some(HookOption::Argument(name, value)) = hooks {
            argv.extend([name.into(), value.into()]);
        }
        argv.extend(own.iter().map(|arg| arg.0.clone()));
        let file = || run.prompt().into_os_string();
        let join = |option: &str, value| OsString::from_iter([option.into(), value]);
        if let Prompt::ResumedWith(_) = &self.agent.prompt {
            argv.extend(self.agent.resume.iter().cloned());
        }
        match self.agent.prompt_way() {
            Prompt::AfterDashes => argv.extend([OsString::from("--"), self.text(run)]),
            Prompt::Last => argv.push(self.text(run)),
            Prompt::Joined(option) => argv.push(join(option, self.text(run))),
            Prompt::File => argv.push(file()),
            Prompt::FileJoined(option) => argv.push(join(option, file())),
            Prompt::Resumed => argv.extend(self.agent.resume.iter().cloned()),
            Prompt::Input | Prompt::Shown | Prompt::ResumedWith(_) => {}
        }
        argv
    }

    /// Returns the prompt as an argument. If it is longer than 120 000 bytes or contains NUL,
    /// returns a sentence that tells the agent to read the file `prompt` in the run directory.
    fn text(&self, run: &RunDir) -> OsString {
        if self.prompt.len() <= MAX_ARGUMENT_BYTES && !self.prompt.contains(&0) {
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

/// Writes the files of the agent's hooks to the run directory, and returns the option or variable
/// by which the agent finds them. `None` for an agent without hooks, or if they cannot be added to
/// the user's configuration.
fn configure_hooks(agent: &Agent, run: &RunDir) -> Result<Option<HookOption>> {
    let program = current_exe()?;
    // Files and options of hooks are text.
    let (Some(program), Some(dir)) = (program.to_str(), run.0.to_str()) else {
        return Ok(None);
    };
    let profile = profile(&agent.name);
    let (agent, hooks) = (profile.name, profile.hooks);
    (profile.configure_hooks)(&HookFiles {
        agent,
        hooks,
        program,
        dir,
    })
}

/// Variables of the pane.
const PANE_VARIABLES: [&str; 7] = ["TERM", "COLUMNS", "LINES", "PWD", "OLDPWD", "SHLVL", "PATH"];

/// Variables of a virtual environment of Python.
const VENV_VARIABLES: [&str; 2] = ["VIRTUAL_ENV", "VIRTUAL_ENV_PROMPT"];

/// Prefixes of variables of the caller's git, tmux, direnv, task and terminal.
const FOREIGN_PREFIXES: [&str; 5] = ["GIT_", "TMUX", "FLUX_", "DIRENV_", "TERM_PROGRAM"];

/// Returns the environment for an agent: [`caller_environment`], with `FLUX_TASK`, `FLUX_BRANCH`
/// and `FLUX_BASE`, and with `bin` in the run directory as the first on PATH. Writes a program
/// `git` there, which passes `git stash` to git flux and all else to the next git on PATH.
fn build_environment(
    task: &Task,
    source: &Path,
    run: &RunDir,
) -> Result<Vec<(OsString, OsString)>> {
    let common_dir = run.common_dir().context("no run directory")?;
    let mut env = caller_environment(&task.worktree, source, common_dir);
    if let Some(path) = run.write_own_git()? {
        let venv = find_foreign_venv(&task.worktree, source, common_dir);
        env.push(("PATH".into(), remove_dirs_in(path, venv.as_deref())));
    }
    env.extend([
        ("FLUX_TASK".into(), task.id.as_str().into()),
        ("FLUX_BRANCH".into(), (&*task.branch).into()),
        ("FLUX_BASE".into(), (&*task.base).into()),
    ]);
    Ok(env)
}

/// Returns the caller's environment for a program in `worktree`, without variables of git, tmux,
/// direnv, the pane, tasks and agents, and without a Python virtual environment in another worktree
/// of the repository; with `PWD`, `FLUX_WORKTREE` and `FLUX_SOURCE`.
pub(crate) fn caller_environment(
    worktree: &Path,
    source: &Path,
    common_dir: &Path,
) -> Vec<(OsString, OsString)> {
    let venv = find_foreign_venv(worktree, source, common_dir);
    let is_of_venv = |name: &OsStr| venv.is_some() && VENV_VARIABLES.iter().any(|own| name == *own);
    let own = env::vars_os().filter(|(name, _)| !is_foreign(name) && !is_of_venv(name));
    let mut env: Vec<(OsString, OsString)> = own.collect();
    if let Some(path) = path_without_git() {
        env.push(("PATH".into(), remove_dirs_in(path, venv.as_deref())));
    }
    env.extend([
        ("PWD".into(), worktree.into()),
        ("FLUX_WORKTREE".into(), worktree.into()),
        ("FLUX_SOURCE".into(), source.into()),
    ]);
    env
}

fn is_foreign(name: &OsStr) -> bool {
    let starts_with = |prefix: &&str| name.as_bytes().starts_with(prefix.as_bytes());
    let env_markers = KNOWN.iter().flat_map(|known| known.env_markers);
    let mut others = PANE_VARIABLES.iter().chain(env_markers);
    FOREIGN_PREFIXES.iter().any(starts_with) || others.any(|other| name == *other)
}

/// Returns the active Python virtual environment, `$VIRTUAL_ENV`, if it lies in another worktree of
/// the repository than `own`: an agent would install packages there. Otherwise `None`.
fn find_foreign_venv(own: &Path, source: &Path, common_dir: &Path) -> Option<PathBuf> {
    let venv = PathBuf::from(env::var_os("VIRTUAL_ENV")?);
    let is_of_repository =
        |dir: &&Path| *dir == source || admin::is_ours(common_dir, dir).unwrap_or(false);
    let worktree = venv.ancestors().skip(1).find(is_of_repository)?;
    (worktree != own).then_some(venv)
}

/// Returns the PATH `path` without `dir` and the directories below it; unchanged if `dir` is
/// `None`.
fn remove_dirs_in(path: OsString, dir: Option<&Path>) -> OsString {
    let lies_in = |one: &Path| dir.is_some_and(|dir| one.starts_with(dir));
    let dirs = env::split_paths(&path).filter(|one| !lies_in(one));
    env::join_paths(dirs).unwrap_or(path)
}
