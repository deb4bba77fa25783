//! What the launcher is told, and what it leaves behind.
//!
//! The files in `<git-common-dir>/flux/run/<id>/` are the whole conversation
//! between the command that starts a task and the launcher in its pane:
//! `launch` asks (removing it takes the request, or takes it back), `running`
//! and `exit` answer.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use super::known::TRACES;
use super::machine::Machine;
use super::run::RunDir;
use super::setup::{Progress, Ready};
use super::{Agent, Prompt, hooks, process};
use crate::git::admin;
use crate::task::check::is_time;
use crate::task::{Bytes, Task, record};
use crate::tmux::command::plain_path;

/// The longest prompt that is handed over as an argument, in bytes: Linux takes
/// 131 071 in one, and options, environment and other systems need room.
const LONGEST_ARGUMENT: usize = 120_000;

/// What the launcher is told.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Launch {
    pub(crate) id: String,
    /// The agent's name.
    #[serde(default)]
    pub(crate) agent: String,
    pub(crate) argv: Vec<Bytes>,
    pub(crate) env: Vec<(Bytes, Bytes)>,
    #[serde(with = "record::path")]
    pub(crate) worktree: PathBuf,
    /// The directory in the worktree to start the agent in, if that is not the top.
    #[serde(default)]
    pub(crate) directory: Option<Bytes>,
    #[serde(with = "record::path")]
    pub(crate) shell: OsString,
    /// A file to print before the agent starts, for a person.
    pub(crate) shown: Option<Bytes>,
    /// A file that is the agent's standard input.
    #[serde(default)]
    pub(crate) input: Option<Bytes>,
    #[serde(default)]
    pub(crate) ready: Ready,
}

/// The launcher's mark: it has taken the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Running {
    pub(crate) launcher: i32,
    /// The launcher's start time in the kernel's own unit, where it can be read.
    pub(crate) born: Option<u64>,
    /// The name of the boot that time counts from, where it can be read.
    #[serde(default)]
    pub(crate) boot: Option<String>,
    /// The machine and the PID namespace that its numbers of processes count in.
    #[serde(default)]
    pub(crate) machine: Option<Machine>,
    /// The worktree of the task.
    #[serde(default)]
    pub(crate) worktree: Option<Bytes>,
    /// The agent, once it is started: also its process group.
    pub(crate) agent: Option<i32>,
    /// Seconds since 1970.
    pub(crate) since: u64,
    #[serde(default)]
    pub(crate) setup: Progress,
}

impl Running {
    /// Returns whether a launcher can have written this: an agent can write the file as well.
    pub(super) fn is_plausible(&self) -> bool {
        // Below are process groups, everything at once, and what started the system.
        let is_process = |pid: i32| pid > 1;
        is_process(self.launcher) && self.agent.is_none_or(is_process) && is_time(self.since)
    }

    /// Returns the agent, if it is still alive in `worktree`. Its launcher is not.
    ///
    /// # Errors
    /// When the system does not tell.
    pub(crate) fn orphan(&self, worktree: &Path) -> Result<Option<i32>> {
        let Some(agent) = self.agent.filter(|_| self.is_of_this_boot()) else {
            return Ok(None);
        };
        match process::leads_group_in(agent, worktree) {
            Some(is_there) => Ok(is_there.then_some(agent)),
            None if !process::is_alive(agent, None) => Ok(None),
            None => bail!("this system does not tell whether it is process {agent}"),
        }
    }

    /// Returns whether the system has not been started anew since, as far as that is told: numbers
    /// and times of processes are given out again then.
    fn is_of_this_boot(&self) -> bool {
        let Some(then) = &self.boot else { return true };
        process::boot().is_none_or(|now| now == *then)
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_secs())
}

impl Launch {
    /// What starts `agent` on `prompt` in the worktree of `task`. Writes the files that its
    /// hooks are in.
    ///
    /// # Errors
    /// When those cannot be written.
    pub(crate) fn new(
        task: &Task,
        agent: &Agent,
        program: &Path,
        prompt: &[u8],
        source: &Path,
        run: &RunDir,
    ) -> Result<Self> {
        let hooks = hooks::arrange(agent, run)?;
        let mut argv = agent.argv.clone();
        argv[0] = program.into();
        argv.extend(hooks.args);
        argv.extend(task.agent_args.iter().map(|arg| arg.0.clone()));
        let by_file = prompt.len() > LONGEST_ARGUMENT || prompt.contains(&0);
        let text = if by_file {
            let mut text = OsString::from("Read the file ");
            text.push(run.prompt());
            text.push(" completely and follow the instructions in it.");
            text
        } else {
            OsStr::from_bytes(prompt).to_owned()
        };
        let joined = |option: &str, value: &OsStr| {
            let mut argument = OsString::from(option);
            argument.push(value);
            argument
        };
        let file = run.prompt().into_os_string();
        match &agent.prompt {
            Prompt::AfterDashes => argv.extend([OsString::from("--"), text]),
            Prompt::Last => argv.push(text),
            Prompt::Joined(option) => argv.push(joined(option, &text)),
            Prompt::File => argv.push(file.clone()),
            Prompt::FileJoined(option) => argv.push(joined(option, &file)),
            Prompt::Resumed => argv.extend(agent.resume.iter().cloned()),
            Prompt::Input | Prompt::Shown => {}
        }
        let common_dir = run.common_dir().context("no run directory")?;
        let mut env = environment(task, source, common_dir);
        env.push(("FLUX_RUN".into(), run.0.clone().into()));
        env.extend(hooks.env);
        let file = |wanted: Prompt| (agent.prompt == wanted).then(|| Bytes(file.clone()));
        Ok(Self {
            id: task.id.to_string(),
            agent: agent.name.clone(),
            argv: argv.into_iter().map(Bytes).collect(),
            env: env
                .into_iter()
                .map(|(name, value)| (Bytes(name), Bytes(value)))
                .collect(),
            worktree: task.worktree.clone(),
            directory: None,
            shell: super::shell(),
            ready: Ready::default(),
            shown: file(Prompt::Shown),
            input: file(Prompt::Input),
        })
    }
}

/// The caller's environment without what belongs to its git, its tmux pane, its
/// directory, to a virtual environment in another worktree and, if it is an agent, to that; and with the
/// task's own facts.
fn environment(task: &Task, source: &Path, common_dir: &Path) -> Vec<(OsString, OsString)> {
    const OF_THE_PANE: [&str; 9] = [
        "TERM",
        "TERM_PROGRAM",
        "TERM_PROGRAM_VERSION",
        "COLUMNS",
        "LINES",
        "PWD",
        "OLDPWD",
        "SHLVL",
        "PATH",
    ];
    let foreign = |name: &OsStr| {
        let bytes = name.as_bytes();
        let prefixed = [b"GIT_".as_slice(), b"TMUX", b"FLUX_", b"DIRENV_"]
            .iter()
            .any(|prefix| bytes.starts_with(prefix));
        prefixed || OF_THE_PANE.iter().chain(&TRACES).any(|own| name == *own)
    };
    let venv = venv_of_others(task, source, common_dir);
    let of_venv = |name: &OsStr| {
        let names = ["VIRTUAL_ENV", "VIRTUAL_ENV_PROMPT"];
        venv.is_some() && names.iter().any(|own| name == *own)
    };
    let mut env: Vec<(OsString, OsString)> = env::vars_os()
        .filter(|(name, _)| !foreign(name) && !of_venv(name))
        .collect();
    if let Some(path) = plain_path() {
        let path = match &venv {
            Some(venv) => without(&path, venv),
            None => path,
        };
        env.push(("PATH".into(), path));
    }
    env.push(("PWD".into(), task.worktree.clone().into()));
    env.push(("FLUX_TASK".into(), task.id.as_str().into()));
    env.push(("FLUX_BRANCH".into(), task.branch.clone().into()));
    env.push(("FLUX_BASE".into(), task.base.clone().into()));
    env.push(("FLUX_WORKTREE".into(), task.worktree.clone().into()));
    env.push(("FLUX_SOURCE".into(), source.into()));
    env
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
fn without(path: &OsStr, dir: &Path) -> OsString {
    let dirs = env::split_paths(path).filter(|one| !one.starts_with(dir));
    env::join_paths(dirs).unwrap_or_else(|_| path.to_owned())
}
